// A modal dialog; the browser keeps the focus in it and Escape closes it.
import { html, useLayoutEffect, useRef } from './html.js';
import { Icon } from './icons.js';
import { t } from './i18n.js';

export function Dialog({ title, onClose, children }) {
  const element = useRef(null);
  useLayoutEffect(() => {
    const before = document.activeElement;
    element.current.showModal();
    return () => before?.focus?.();
  }, []);
  // The backdrop is the dialog itself, outside its content.
  const outside = (event) => { if (event.target === element.current) element.current.close(); };
  return html`<dialog ref=${element} class="dialog" aria-labelledby="dialog-title" onClose=${onClose} onClick=${outside}>
    <div class="dialog-content">
      <header><h2 id="dialog-title">${title}</h2>
        <button type="button" class="icon-button" aria-label=${t('close')} onClick=${() => element.current.close()}><${Icon} name="close" /></button></header>
      ${children}
    </div>
  </dialog>`;
}
