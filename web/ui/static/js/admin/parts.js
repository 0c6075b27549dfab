// What the pages for admins have in common.
import { Dialog } from '../kit/dialog.js';
import { html, useEffect, useRef, useState } from '../kit/html.js';
import { t } from '../kit/i18n.js';
import { toast } from '../kit/toasts.js';

/**
 * useLoad reads something when a page opens and when key changes, and again every so
 * many milliseconds; what is there stays until the next answer, or until that of another
 * key fails.
 */
export function useLoad(load, key = '', every = 0) {
  const [state, setState] = useState({ answer: null, failure: null, of: key });
  const [turn, setTurn] = useState(0);
  const pace = useRef(every);
  pace.current = every;
  useEffect(() => {
    const stop = new AbortController();
    const read = () => load(stop.signal).then(
      (answer) => { if (!stop.signal.aborted) setState({ answer, failure: null, of: key }); },
      (failure) => { if (!stop.signal.aborted) setState((old) => ({ answer: old.of === key ? old.answer : null, failure, of: key })); },
    );
    read();
    const timer = every && setInterval(() => { if (!document.hidden && pace.current) read(); }, every);
    return () => {
      stop.abort();
      clearInterval(timer);
    };
  }, [key, turn]);
  return { ...state, again: () => setTurn((n) => n + 1) };
}

/** State stands for what is not there: yet, or because something failed. */
export function State({ failure, again }) {
  if (!failure) return html`<p class="hint" aria-busy="true">${t('loading')}</p>`;
  return html`<div class="blank"><h2>${t(failure.offline ? 'error.offline' : 'error.title')}</h2>
    <p>${failure.offline ? t('error.offline.text') : failure.message}</p>
    <button type="button" class="button" onClick=${again}>${t('retry')}</button></div>`;
}

/** Stale says that what is shown could not be read again. */
export const Stale = ({ failure }) => failure && html`<p class="note" role="status">${t('admin.stale')}</p>`;

/** failed says that something was not done. */
export function failed(failure) {
  toast({ text: failure.offline ? t('error.offline') : t('admin.failed', { message: failure.message }), kind: 'error' });
}

/** Sure asks before what cannot be taken back; what says what it is about. */
export function Sure({ title, text, what, label, onSure, onClose }) {
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <p>${text}</p>
    ${what && html`<p><bdi>${what}</bdi></p>`}
    <div class="dialog-actions">
      <button type="button" class="button" onClick=${onClose}>${t('cancel')}</button>
      <button type="button" class="button danger" onClick=${() => { onClose(); onSure(); }}>${label}</button>
    </div>
  <//>`;
}

/** Table has a row for each of rows; a column is {label, cell, hidden, className}. */
export function Table({ label, columns, rows, keyOf }) {
  return html`<div class="table-scroller" role="group" aria-label=${label} tabindex="0"><table class="table">
    <thead><tr>${columns.map((c) => html`<th key=${c.label} scope="col" class=${c.className}>${c.hidden ? html`<span class="sr">${c.label}</span>` : c.label}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${keyOf(row)}>${columns.map((c) => html`<td key=${c.label} class=${c.className} data-label=${c.hidden ? null : c.label}>${c.cell(row)}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}

/** Facts are names and values; those without a value are left out. */
export function Facts({ facts }) {
  return html`<dl class="facts">${facts.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd><bdi>${value}</bdi></dd></div>`)}</dl>`;
}
