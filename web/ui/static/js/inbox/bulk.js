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
    if (!all) set(kind, ticked(), value);
    // That cannot be undone, so it is asked before.
    else if (list.state.total > undoLimit) setAsking({ kind, value });
    else setAll(kind, value);
    if (!asking) clear();
  };
  const question = asking && html`<${Dialog} title=${t('sure.title', { count: list.state.total })} onClose=${() => setAsking(null)}>
    <p>${t('sure.text')}</p>
    <div class="dialog-actions">
      <button type="button" class="button" onClick=${() => setAsking(null)}>${t('cancel')}</button>
      <button type="button" class="button primary" onClick=${() => { setAsking(null); setAll(asking.kind, asking.value); }}>${t(`sure.${asking.kind}.${asking.value}`)}</button>
    </div>
  <//>`;
  return [apply, question];
}

export function Bulk({ filter }) {
  const { rows, total, done } = useStore(list);
  const { ids, all } = useStore(selection);
  const [apply, question] = useApply();
  const some = ids.size > 0;
  const every = some && ids.size === rows.length;
  const anyUnread = rows.some((n) => !n.read);
  return html`<div class=${`bulk${some ? ' some' : ''}`}>
    <input type="checkbox" class="tick" aria-label=${t('select.loaded')} disabled=${rows.length === 0} checked=${every}
      ref=${(element) => { if (element) element.indeterminate = some && !every; }}
      onClick=${(event) => { event.preventDefault(); setTimeout(some ? clear : tickLoaded); }} />
    ${some ? html`
      <span class="bulk-text">${t('selected', { count: all ? total : ids.size })}
        ${every && !all && !done && html`<button type="button" class="link-button" onClick=${tickAll}>${t('select.all', { count: total })}</button>`}</span>
      <span class="bulk-actions">
        <button type="button" class="icon-button" title=${t('mark.read')} aria-label=${t('mark.read')} onClick=${() => apply('read', true, all)}><${Icon} name="check" /></button>
        <button type="button" class="icon-button" title=${t('mark.unread')} aria-label=${t('mark.unread')} onClick=${() => apply('read', false, all)}><${Icon} name="dot" /></button>
        <button type="button" class="icon-button" title=${t('save')} aria-label=${t('save')} onClick=${() => apply('saved', true, all)}><${Icon} name="bookmark" /></button>
        ${filter.view === 'saved' && html`<button type="button" class="icon-button" title=${t('unsave')} aria-label=${t('unsave')} onClick=${() => apply('saved', false, all)}><${Icon} name="bookmark" filled /></button>`}
        ${canSnooze() && !all && html`<${SnoozeMenu} notifications=${ticked()} />`}
        <button type="button" class="icon-button" title=${t('select.none')} aria-label=${t('select.none')} onClick=${clear}><${Icon} name="close" /></button>
      </span>`
    : html`<h2 class="bulk-text">${t(`view.${filter.view}`)} <span class="hint">${t(isNarrowed(filter) ? 'matching' : 'total', { count: total })}</span></h2>
      ${anyUnread && filter.view !== 'snoozed' && html`<button type="button" class="quiet-button" onClick=${() => apply('read', true, true)}><${Icon} name="check" />${t('mark.allRead')}</button>`}`}
    ${question}
  </div>`;
}
