// Short messages at the edge, with at most one thing to do about each.
import { html, useEffect, useState } from './html.js';
import { Icon } from './icons.js';
import { t } from './i18n.js';
import { Store, useStore } from './store.js';

const toasts = new Store({ shown: [] });
const stay = 8_000;
const most = 3;
let last = 0;

/**
 * toast shows a text, and returns how to take it away again. Kind 'error' interrupts
 * those who listen to the page.
 */
export function toast({ text, action, kind = 'status' }) {
  last += 1;
  toasts.set({ shown: [...toasts.state.shown, { id: last, text, action, kind }].slice(-most) });
  const id = last;
  return () => dismiss(id);
}

const dismiss = (id) => toasts.set({ shown: toasts.state.shown.filter((one) => one.id !== id) });

function Toast({ id, text, action, kind }) {
  // Who is about to use it has the time for that.
  const [held, setHeld] = useState(false);
  useEffect(() => {
    if (held) return undefined;
    const timer = setTimeout(() => dismiss(id), stay);
    return () => clearTimeout(timer);
  }, [id, held]);
  return html`<div class=${`toast toast-${kind}`} onPointerEnter=${() => setHeld(true)} onPointerLeave=${() => setHeld(false)}
    onfocusin=${() => setHeld(true)} onfocusout=${() => setHeld(false)}>
    <span>${text}</span>
    ${action && html`<button type="button" class="toast-action" onClick=${() => { dismiss(id); action.run(); }}>${action.label}</button>`}
    <button type="button" class="icon-button" aria-label=${t('dismiss')} onClick=${() => dismiss(id)}><${Icon} name="close" size="14" /></button>
  </div>`;
}

export function Toasts() {
  const { shown } = useStore(toasts);
  const of = (wanted) => shown.filter(({ kind }) => (kind === 'error') === wanted).map((one) => html`<${Toast} key=${one.id} ...${one} />`);
  return html`<div class="toasts">
    <div role="status" aria-live="polite">${of(false)}</div>
    <div role="alert">${of(true)}</div>
  </div>`;
}
