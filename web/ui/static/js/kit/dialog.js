// A modal dialog; the browser keeps the focus in it and Escape closes it.
import { html, useLayoutEffect, useRef } from './html.js';
import { Icon } from './icons.js';
import { t } from './i18n.js';

/** Dialog closes by a click beside it, unless what is in it comes only once. */
export function Dialog({ title, onClose, once = false, children }) {
  const element = useRef(null);
  const pressed = useRef(null);
  const left = useRef(false);
  useLayoutEffect(() => {
    const dialog = element.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      left.current = true;
      dialog.close(); // what is behind it takes no focus before
      before?.focus?.();
    };
  }, []);
  // The backdrop is the dialog itself, outside its content. Who marks text in it may let
  // go there.
  const press = (event) => { pressed.current = event.target; };
  const outside = (event) => { if (!once && event.target === element.current && pressed.current === element.current) element.current.close(); };
  return html`<dialog ref=${element} class="dialog" aria-labelledby="dialog-title" onClose=${() => { if (!left.current) onClose(); }} onPointerDown=${press} onClick=${outside}>
    <div class="dialog-content">
      <header><h2 id="dialog-title">${title}</h2>
        <button type="button" class="icon-button" aria-label=${t('close')} onClick=${() => element.current.close()}><${Icon} name="close" /></button></header>
      ${children}
    </div>
  </dialog>`;
}
