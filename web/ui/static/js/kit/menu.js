// A button that opens a menu (ARIA's menu button pattern).
import { html, useLayoutEffect, useRef, useState } from './html.js';

// Above everything, where no list cuts it off: below the button, or above it.
function place(box) {
  const menu = box.querySelector('[role=menu]');
  menu.showPopover();
  const button = box.querySelector('button').getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const start = document.documentElement.dir === 'rtl' ? button.left : button.right - width;
  menu.style.left = `${Math.max(8, Math.min(start, innerWidth - width - 8))}px`;
  menu.style.top = `${button.bottom + height + 8 > innerHeight ? Math.max(8, button.top - height - 4) : button.bottom + 4}px`;
}

/** items are {label, hint, run, checked}; null is left out. */
export function Menu({ label, button, items, className = 'icon-button' }) {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  useLayoutEffect(() => {
    if (!open) return undefined;
    place(box.current);
    box.current.querySelector('[role^=menuitem]')?.focus();
    const outside = (event) => { if (!box.current?.contains(event.target)) setOpen(false); };
    const moved = () => setOpen(false);
    document.addEventListener('pointerdown', outside);
    document.addEventListener('scroll', moved, { capture: true, passive: true });
    addEventListener('resize', moved);
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('scroll', moved, { capture: true });
      removeEventListener('resize', moved);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    box.current.querySelector('button').focus();
  };
  const onKeyDown = (event) => {
    const all = [...box.current.querySelectorAll('[role^=menuitem]')];
    const at = all.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === 'Escape') close();
    else if (event.key === 'Tab') setOpen(false);
    else if (to !== undefined) all.at(to % all.length).focus();
    else return;
    if (event.key !== 'Tab') event.preventDefault();
    event.stopPropagation();
  };
  return html`<div class="menu" ref=${box}>
    <button type="button" class=${className} aria-haspopup="menu" aria-expanded=${open ? 'true' : 'false'}
      aria-label=${label} title=${label} onClick=${() => setOpen(!open)}>${button}</button>
    ${open && html`<div role="menu" popover="manual" aria-label=${label} class="menu-items" onKeyDown=${onKeyDown}>
      ${items.filter(Boolean).map((item) => html`<button type="button" role=${item.checked === undefined ? 'menuitem' : 'menuitemradio'}
        aria-checked=${item.checked === undefined ? null : String(item.checked)} tabindex="-1" class="menu-item" key=${item.label}
        onClick=${() => { close(); item.run(); }}><span>${item.label}</span>${item.hint && html`<span class="hint">${item.hint}</span>`}</button>`)}
    </div>`}
  </div>`;
}
