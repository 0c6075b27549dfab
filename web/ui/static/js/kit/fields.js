// Fields of forms, with their labels.
import { html, useEffect, useRef } from './html.js';

export function Field({ label, children }) {
  return html`<label class="field"><span>${label}</span>${children}</label>`;
}

/** Text is a field to type into. */
export function Text({ label, hint, value, onText, rows, ...rest }) {
  const field = { class: 'input', value, onInput: (event) => onText(event.currentTarget.value), ...rest };
  return html`<label class="field wide"><span>${label}</span>
    ${rows ? html`<textarea rows=${rows} ...${field}></textarea>` : html`<input type="text" autocomplete="off" spellcheck="false" ...${field} />`}
    ${hint && html`<span class="hint">${hint}</span>`}</label>`;
}

/** Pick is a choice; options are [value, text]. */
export function Pick({ label, value, options, onPick }) {
  return html`<${Field} label=${label}><select class="pick" value=${value} onChange=${(event) => onPick(event.currentTarget.value)}>
    ${options.map(([option, text]) => html`<option key=${option} value=${option} selected=${option === value}>${text}</option>`)}</select><//>`;
}

/** Tick is a box; some shows that only a part is ticked. */
export function Tick({ label, on, some = false, onTick }) {
  const box = useRef(null);
  useEffect(() => { box.current.indeterminate = some && !on; });
  return html`<input ref=${box} type="checkbox" class="tick" aria-label=${label} checked=${on} onChange=${(event) => onTick(event.currentTarget.checked)} />`;
}
