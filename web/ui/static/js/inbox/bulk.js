// What can be done with the ticked rows, or with all.
import { Dialog } from '../kit/dialog.js';
import { html, useState } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { useStore } from '../kit/store.js';
import { set, setAll, undoLimit } from './actions.js';
import { isNarrowed } from './filter.js';
import { list } from './list.js';
import { clear, selection, tickAll, tickLoaded } from './selection.js';
import { SnoozeMenu, canSnooze } from './snooze.js';

export const ticked = () => list.state.rows.filter((n) => selection.state.ids.has(n.id));

/** apply changes the ticked rows, or everything the filter selects. */
function useApply() {
  const [asking, setAsking] = useState(null);
  const apply = (kind, value, all) => {
    // That cannot be undone, so it is asked before.
    if (all && list.state.total > undoLimit) {
      setAsking({ kind, value });
      return;
    }
    if (all) setAll(kind, value);
    else set(kind, ticked(), value);
    clear();
  };
  const question = asking && html`<${Dialog} title=${t('sure.title', { count: list.state.total })} onClose=${() => setAsking(null)}>
    <p>${t('sure.text')}</p>
    <div class="dialog-actions">
      <button type="button" class="button" onClick=${() => setAsking(null)}>${t('cancel')}</button>
      <button type="button" class="button primary" onClick=${() => { setAsking(null); setAll(asking.kind, asking.value); clear(); }}>${t(asking.kind === 'read' ? (asking.value ? 'mark.read' : 'mark.unread') : asking.value ? 'save' : 'unsave')}</button>
    </div>
  <//>`;
  return [apply, question];
}

/** Action is an icon; a text is shown beside it where there is room. */
function Action({ icon, filled, label, text, onClick }) {
  return html`<button type="button" class="quiet-button" title=${label} aria-label=${label} onClick=${onClick}><${Icon} name=${icon} filled=${filled} />${text && html`<span class="bulk-word">${text}</span>`}</button>`;
}

export function Bulk({ filter }) {
  const { rows, total, done, state } = useStore(list);
  const { ids, all } = useStore(selection);
  const [apply, question] = useApply();
  const some = ids.size > 0;
  const every = some && ids.size === rows.length;
  const anyUnread = rows.some((n) => !n.read);
  return html`<div class=${`bulk${some ? ' some' : ''}`}>
    <label class="bulk-tick"><input type="checkbox" class="tick" aria-label=${t('select.loaded')} disabled=${rows.length === 0} checked=${every}
      ref=${(element) => { if (element) element.indeterminate = some && !every; }}
      onClick=${(event) => { event.preventDefault(); setTimeout(some ? clear : tickLoaded); }} /></label>
    ${some ? html`
      <span class="bulk-text">${t('selected', { count: all ? total : ids.size })}
        ${every && !all && !done && html`<button type="button" class="link-button" onClick=${tickAll}>${t('select.all', { count: total })}</button>`}</span>
      <span class="bulk-actions">
        ${filter.view !== 'snoozed' && html`<${Action} icon="check" label=${t('mark.read')} text=${t('bulk.read')} onClick=${() => apply('read', true, all)} />
        <${Action} icon="dot" filled label=${t('mark.unread')} text=${t('bulk.unread')} onClick=${() => apply('read', false, all)} />`}
        ${filter.view === 'saved'
    ? html`<${Action} icon="bookmark" filled label=${t('unsave')} onClick=${() => apply('saved', false, all)} />`
    : html`<${Action} icon="bookmark" label=${t('save')} onClick=${() => apply('saved', true, all)} />`}
        ${canSnooze() && !all && html`<${SnoozeMenu} notifications=${ticked()} className="quiet-button" />`}
        <button type="button" class="icon-button" title=${t('select.none')} aria-label=${t('select.none')} onClick=${clear}><${Icon} name="close" /></button>
      </span>`
    : html`<h2 class="bulk-text">${t(`view.${filter.view}`)} ${state !== 'loading' && state !== 'failed' && html`<span class="hint">${t(isNarrowed(filter) ? 'matching' : 'total', { count: total })}</span>`}</h2>
      ${anyUnread && filter.view !== 'snoozed' && html`<button type="button" class="quiet-button" onClick=${() => apply('read', true, true)}><${Icon} name="check" />${t('mark.allRead')}</button>`}`}
    ${question}
  </div>`;
}
