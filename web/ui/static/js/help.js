// The list of keys.
import { Dialog } from './kit/dialog.js';
import { html } from './kit/html.js';
import { t } from './kit/i18n.js';
import { useStore } from './kit/store.js';
import { help } from './keys.js';
import { counts } from './inbox/counts.js';

const keys = [
  ['help.next', 'j', '↓'], ['help.previous', 'k', '↑'], ['detail.open', 'Enter'], ['help.close', 'Esc'],
  ['help.read', 'e'], ['help.save', 's'], ['snooze', 'b'], ['help.select', 'x'], ['select.loaded', 'a'],
  ['undo', 'z', 'u'], ['help.search', '/'], ['help.help', '?'],
];

export function Help() {
  const { shown } = useStore(help);
  const { snoozed } = useStore(counts);
  if (!shown) return null;
  const there = keys.filter(([what]) => what !== 'snooze' || snoozed !== null);
  return html`<${Dialog} title=${t('shortcuts')} onClose=${() => help.set({ shown: false })}>
    <dl class="keys">${there.map(([what, ...names]) => html`<div key=${what}><dt>${t(what)}</dt><dd>${names.map((name) => html`<kbd>${name}</kbd>`)}</dd></div>`)}</dl>
    <p class="hint">${t('help.off')}</p>
  <//>`;
}
