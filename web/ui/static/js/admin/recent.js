// The latest deliveries to whomever, filtered by what is in the address.
import { get } from '../kit/api.js';
import { html, useEffect, useRef, useState } from '../kit/html.js';
import { t } from '../kit/i18n.js';
import { follow, go, href, params } from '../kit/router.js';
import { Time, clock } from '../kit/time.js';
import { channelName } from '../inbox/trace.js';
import { deliveryKey, outcome, statuses } from './outcome.js';
import { Pick, State, Table, Text, failed, useLoad } from './parts.js';

const filters = ['channel', 'status', 'origin', 'recipient'];
const typingPause = 400;
const every = 10_000;
const pageSize = 50;
const mostPages = 20;

const readFilter = () => Object.fromEntries(filters.map((name) => [name, params().get(name) ?? '']));

function Filter({ filter }) {
  const timer = useRef(0);
  const [typed, setTyped] = useState(filter);
  const { answer: status } = useLoad((signal) => get('notifications/admin/status', {}, signal));
  const apply = (next, pause) => {
    setTyped(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => go(href('admin/deliveries', Object.fromEntries(filters.map((one) => [one, next[one].trim()]))), { replace: true }), pause);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  const set = (name, pause) => (value) => apply({ ...typed, [name]: value }, pause);
  const channels = new Set(['Web', ...(status?.channels ?? []).map(({ name }) => name), ...(typed.channel ? [typed.channel] : [])]);
  return html`<div class="fields filter-fields" role="search" aria-label=${t('filters')}>
    <${Pick} label=${t('admin.channel')} value=${typed.channel} options=${[['', t('admin.any')], ...[...channels].map((one) => [one, channelName(one)])]} onPick=${set('channel', 0)} />
    <${Pick} label=${t('admin.state')} value=${typed.status} options=${[['', t('admin.any')], ...statuses.map((one) => [one, t(`admin.status.${one}`)])]} onPick=${set('status', 0)} />
    <${Text} label=${t('origin')} value=${typed.origin} onText=${set('origin', typingPause)} />
    <${Text} label=${t('admin.delivery.recipient')} value=${typed.recipient} placeholder="user:default/jane" onText=${set('recipient', typingPause)} />
  </div>`;
}

const columns = () => [
  ...outcome(),
  { label: t('origin'), cell: (d) => html`<bdi>${d.origin}</bdi>` },
  { label: t('admin.letter.created'), cell: (d) => html`<a href=${href('admin/deliveries', { id: d.request ?? d.notification })} onClick=${follow}><${Time} at=${d.created} /></a>` },
];

export function Recent() {
  const filter = readFilter();
  const key = JSON.stringify(filter);
  const [more, setMore] = useState(null);
  // What was loaded behind the first page goes on where that ended.
  const first = useLoad((signal) => get('notifications/admin/deliveries', { ...filter, limit: pageSize }, signal), key, more ? 0 : every);
  useEffect(() => setMore(null), [key]);
  const known = new Set();
  const rows = [...(first.answer?.deliveries ?? []), ...(more?.deliveries ?? [])].filter((d) => !known.has(deliveryKey(d)) && known.add(deliveryKey(d)));
  const { nextCursor: cursor, reached } = more ?? first.answer ?? {};
  const readMore = async () => {
    try {
      let page = { nextCursor: cursor };
      // A page looks back only so far.
      for (let i = 0; i < mostPages && page.nextCursor && !page.deliveries?.length; i += 1) {
        page = await get('notifications/admin/deliveries', { ...filter, limit: pageSize, cursor: page.nextCursor });
      }
      setMore((old) => ({ ...page, deliveries: [...(old?.deliveries ?? []), ...page.deliveries] }));
    } catch (failure) {
      failed(failure);
    }
  };
  return html`<h3 class="recent-title">${t('admin.recent')}</h3>
    <${Filter} filter=${filter} />
    ${!first.answer ? html`<${State} failure=${first.failure} again=${first.again} />`
    : rows.length > 0 ? html`<${Table} label=${t('admin.recent')} columns=${columns()} rows=${rows} keyOf=${deliveryKey} />`
      : html`<p class="hint empty">${t(cursor ? 'admin.recent.notYet' : 'admin.recent.none', { at: reached ? clock(reached) : '' })}</p>`}
    ${cursor && html`<button type="button" class="button more" onClick=${readMore}>${t('admin.more')}</button>`}`;
}
