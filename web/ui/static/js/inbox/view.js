// The inbox: the list, and what is open beside it.
import { html, useEffect, useMemo, useRef, useState } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { go } from '../kit/router.js';
import { useStore } from '../kit/store.js';
import { Virtual } from '../kit/virtual.js';
import { bind } from '../keys.js';
import { live } from '../live.js';
import { SendTest } from '../sendtest.js';
import { set, undoLast } from './actions.js';
import { Bulk, ticked } from './bulk.js';
import { counts } from './counts.js';
import { Detail } from './detail.js';
import { address, isNarrowed, widened } from './filter.js';
import { Filters } from './filters.js';
import { keep, list, loadMore, openList, refresh, seenArrivals } from './list.js';
import { Row } from './row.js';
import { canSnooze } from './snooze.js';
import { clear, selection, tick, tickLoaded } from './selection.js';

// In the reader's size of text. Where nothing hovers, a row's buttons have a line of
// their own.
const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
const noHover = matchMedia('(hover: none)');
const heightOf = (item) => rem * (!item.id ? 2.125 : noHover.matches ? 5.25 : 3.75);

/** items are the rows with the headings of their groups. */
function itemsOf(rows, group) {
  if (!group) return rows;
  const items = [];
  let last;
  for (const n of rows) {
    const name = (group === 'topic' ? n.payload.topic : n.origin) ?? '';
    if (name !== last) items.push({ heading: name });
    last = name;
    items.push(n);
  }
  return items;
}

const keyOf = (item) => item.id ?? `group ${item.heading}`;

function Blank({ icon, title, text, children }) {
  return html`<div class="blank"><${Icon} name=${icon} size="32" /><h2>${title}</h2>${text && html`<p>${text}</p>`}${children}</div>`;
}

function Empty({ filter }) {
  const { unread, read, snoozed } = useStore(counts);
  if (isNarrowed(filter)) {
    return html`<${Blank} icon="search" title=${t('empty.search')} text=${t('empty.search.text')}>
      <button type="button" class="button" onClick=${() => go(address(widened(filter)))}>${t('filters.clear')}</button><//>`;
  }
  if (['unread', 'all'].includes(filter.view) && unread === 0 && read === 0 && !snoozed) {
    return html`<${Blank} icon="inbox" title=${t('empty.all')} text=${t('empty.all.text')}><${SendTest} /><//>`;
  }
  return html`<${Blank} icon=${filter.view === 'unread' ? 'check' : filter.view === 'saved' ? 'bookmark' : filter.view === 'snoozed' ? 'clock' : 'inbox'} title=${t(`empty.${filter.view}`)} text=${t(`empty.${filter.view}.text`)} />`;
}

function Trouble({ failure }) {
  return html`<${Blank} icon="offline" title=${t(failure.offline ? 'error.offline' : 'error.title')} text=${failure.offline ? t('error.offline.text') : failure.message}>
    <button type="button" class="button" onClick=${refresh}>${t('retry')}</button><//>`;
}

function Loading() {
  return html`<div class="skeleton" aria-busy="true"><span class="sr">${t('loading')}</span>${[0, 1, 2, 3, 4, 5, 6].map((i) => html`<div class="skeleton-row" key=${i}><span /><span /></div>`)}</div>`;
}

let wasShown = false;

export function Inbox({ filter, id }) {
  const { rows, state, total, done, failure, arrived, filter: loaded } = useStore(list);
  const { ids } = useStore(selection);
  useStore(counts, (s) => s.snoozed);
  const { state: connection } = useStore(live);
  const [activeId, setActiveId] = useState('');
  const reveal = useRef(null);
  const wanted = JSON.stringify(filter);

  useEffect(() => {
    clear();
    if (JSON.stringify(list.state.filter) !== wanted) openList(filter);
  }, [wanted]);
  // Coming back from the settings, the list may be out of date; what the page opened with
  // is not.
  useEffect(() => {
    if (wasShown && list.state.filter && list.state.state === 'ready') refresh();
    wasShown = true;
  }, []);

  const items = useMemo(() => itemsOf(rows, filter.group), [rows, filter.group]);
  const active = rows.find((n) => n.id === activeId) ?? rows.find((n) => n.id === id) ?? rows[0];
  const activeIndex = active ? items.indexOf(active) : -1;

  // Who works through a list by the keyboard goes on where the row was that left.
  const place = useRef(0);
  const inRows = rows.findIndex((n) => n.id === activeId);
  if (inRows >= 0) place.current = inRows;
  useEffect(() => {
    if (!activeId || inRows >= 0 || rows.length === 0 || state === 'loading') return;
    const next = rows[Math.min(place.current, rows.length - 1)];
    setActiveId(next.id);
    if (document.activeElement === document.body) focusRow(next.id);
  }, [rows, activeId]);

  const open = (n, replace = Boolean(id)) => {
    setActiveId(n.id);
    // What is snoozed comes back unread.
    if (!n.read && !n.snoozedUntil) {
      keep(n.id);
      set('read', [n], true, { quiet: true });
    }
    go(address(filter, n.id), { replace });
  };
  const shut = () => {
    if (!id) return false;
    go(address(filter));
    focusRow(id);
    return true;
  };
  const move = (by) => {
    if (rows.length === 0) return;
    const at = rows.indexOf(active);
    // The first key press goes to the first row.
    const to = rows[Math.max(0, Math.min(activeId || id ? at + by : 0, rows.length - 1))];
    setActiveId(to.id);
    reveal.current?.(items.indexOf(to));
    if (id) open(to);
    focusRow(to.id);
  };
  const chosen = () => (selection.state.ids.size > 0 ? ticked() : active ? [active] : []);

  const keys = {
    j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
    Enter: () => { if (active) open(active); },
    x: () => { if (active) tick(active.id); },
    a: () => tickLoaded(),
    e: () => { const some = chosen().filter((n) => !n.snoozedUntil); set('read', some, some.some((n) => !n.read)); },
    s: () => { const some = chosen(); set('saved', some, some.some((n) => !n.saved)); },
    b: () => (canSnooze() && active ? openSnooze(active.id) : false),
    z: undoLast, u: undoLast,
    '/': () => { document.getElementById('search')?.focus(); },
    Escape: (event) => {
      if (event.target.id === 'search') focusRow(active?.id);
      else if (selection.state.ids.size > 0) clear();
      else return shut();
      return true;
    },
  };
  const current = useRef(keys);
  current.current = keys;
  useEffect(() => bind(Object.fromEntries(Object.keys(keys).map((key) => [key, (event) => current.current[key](event)]))), []);

  const known = rows.find((n) => n.id === id);
  // The rows keep their handlers; what those do is of the latest drawing.
  const latest = useRef({});
  latest.current = { open, tick: (n, range) => tick(n.id, range) };
  const handlers = useMemo(() => ({
    onOpen: (n) => latest.current.open(n), onTick: (n, range) => latest.current.tick(n, range), onFocus: (n) => setActiveId(n.id),
  }), []);
  const draw = (item, index, top, height) => (item.id
    ? html`<${Row} key=${item.id} n=${item} top=${top} height=${height} position=${(filter.group ? rows.indexOf(item) : index) + 1} size=${done ? rows.length : -1}
        active=${item === active} open=${item.id === id} ticked=${ids.has(item.id)} address=${address(filter, item.id)} snoozes=${canSnooze()} ...${handlers} />`
    : html`<li key=${keyOf(item)} class="group" style=${{ transform: `translateY(${top}px)`, height: `${height}px` }}><h2><bdi>${item.heading || t(`group.${filter.group}.none`)}</bdi></h2></li>`);
  const isLoading = state === 'loading' || JSON.stringify(loaded) !== wanted;

  return html`<main class=${`inbox${id ? ' has-open' : ''}`} id="main" tabindex="-1" aria-label=${t('inbox')}>
    <h1 class="sr">${t('inbox')}</h1>
    <section class="pane" aria-label=${t(`view.${filter.view}`)}>
      <${Filters} filter=${filter} id=${id} />
      <${Bulk} filter=${filter} />
      <div class="pane-body">
        ${arrived > 0 && html`<${Arrived} count=${arrived} onShow=${() => { document.querySelector('.scroller').scrollTop = 0; seenArrivals(); }} />`}
        ${isLoading ? html`<${Loading} />` : state === 'failed' && rows.length === 0 ? html`<${Trouble} failure=${failure} />`
    : rows.length === 0 ? html`<${Empty} filter=${filter} />`
      : html`<${Virtual} key=${wanted} items=${items} keyOf=${keyOf} heightOf=${heightOf} draw=${draw} pinned=${activeIndex}
          onEnd=${() => loadMore()} onTop=${seenArrivals} reveal=${reveal} label=${t(`view.${filter.view}`)} className=${ids.size > 0 ? 'ticking' : ''}
          after=${state === 'more' ? html`<p class="more" role="status">${t('loading')}</p>` : state === 'moreFailed' ? html`<p class="more">${t('error.more')} <button type="button" class="link-button" onClick=${() => loadMore({ again: true })}>${t('retry')}</button></p>` : null} />`}
      </div>
      <p class="sr" role="status">${isLoading || connection === 'connecting' ? '' : t('total', { count: total })}</p>
    </section>
    <section class="detail-pane" aria-label=${t('detail')}>
      ${id ? html`<${Detail} key=${id} id=${id} known=${known} onClose=${shut} />` : html`<${Blank} icon="inbox" title=${t('detail.none')} text=${t('detail.none.text')} />`}
    </section>
  </main>`;
}

function Arrived({ count, onShow }) {
  const [below, setBelow] = useState(false);
  useEffect(() => {
    const scrolled = (document.querySelector('.scroller')?.scrollTop ?? 0) > 0;
    setBelow(scrolled);
    if (!scrolled) seenArrivals();
  }, [count]);
  return below && html`<button type="button" class="arrived" onClick=${onShow}>${t('arrived', { count })}</button>`;
}

let focusing = '';

/** focusRow puts the focus on a row, as soon as it is drawn. */
function focusRow(id) {
  focusing = id;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    // Who holds a key is further down by then: the focus makes a row the current one.
    if (focusing !== id) return;
    document.querySelector(`[data-id="${CSS.escape(id ?? '')}"] .row-main`)?.focus({ preventScroll: true });
  }));
}

function openSnooze(id) {
  document.querySelector(`[data-id="${CSS.escape(id)}"] [aria-haspopup=menu]`)?.click();
}
