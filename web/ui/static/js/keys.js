// The keyboard. Single letters can be switched off (WCAG 2.1.4), and never reach
// through a text field or an open dialog.
import { preferences } from './kit/preferences.js';
import { Store } from './kit/store.js';

/** help says whether the list of keys is shown. */
export const help = new Store({ shown: false });

const layers = [];

/** bind adds keys of what is on the page, and returns how to remove them. */
export function bind(keys) {
  layers.push(keys);
  return () => layers.splice(layers.indexOf(keys), 1);
}

const isText = (element) => element.closest('input:not([type=checkbox]), textarea, select, [contenteditable]') !== null;

export function listenToKeys() {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.('dialog, [role=menu]')) return;
    const { key } = event;
    const typing = isText(event.target);
    if (typing && key !== 'Escape') return;
    const isLetter = key.length === 1;
    if (isLetter && preferences.state.shortcuts === 'off') return;
    // Enter and space belong to what has the focus.
    if ((key === 'Enter' || key === ' ') && event.target.closest('a, button, input, summary')) return;
    if (key === '?') {
      help.set({ shown: true });
      event.preventDefault();
      return;
    }
    for (const layer of [...layers].reverse()) {
      const run = layer[key];
      if (run && run(event) !== false) {
        event.preventDefault();
        return;
      }
    }
  });
}
