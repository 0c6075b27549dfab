// The latest deliveries to whomever, filtered by what is in the address.
import { get } from '../kit/api.js';
import { Pick, Text } from '../kit/fields.js';
import { html } from '../kit/html.js';
import { t } from '../kit/i18n.js';
import { follow, href } from '../kit/router.js';
import { Time, clock } from '../kit/time.js';
import { channelName } from '../inbox/trace.js';
import { readFilter, useTyped } from './filter.js';
import { deliveryKey, outcome, statuses } from './outcome.js';
import { More, usePages } from './pages.js';
import { Stale, State, Table, useLoad } from './parts.js';

const filters = ['channel', 'status', 'origin', 'recipient'];
const every = 10_000;
const pageSize = 50;
const mostPages = 20;

async function read(filter, cursor, signal) {
  const ask = (next) => get('notifications/admin/deliveries', { ...filter, limit: pageSize, cursor: next }, signal);
  let page = await ask(cursor);
  // A page looks back only so far. Who wants more wants a row.
  for (let i = 1; cursor && i < mostPages && page.nextCursor && !page.deliveries.length; i += 1) page = await ask(page.nextCursor);
  return page;
}

function Filter({ filter }) {
  const [typed, set] = useTyped('admin/deliveries', filter);
  const { answer: status } = useLoad((signal) => get('notifications/admin/status', {}, signal));
  const channels = new Set(['Web', ...(status?.channels ?? []).map(({ name }) => name), ...(typed.channel ? [typed.channel] : [])]);
  return html`<div class="fields filter-fields" role="search" aria-label=${t('filters')}>
    <${Pick} label=${t('admin.channel')} value=${typed.channel} options=${[['', t('admin.any')], ...[...channels].map((one) => [one, channelName(one)])]} onPick=${set('channel', 0)} />
    <${Pick} label=${t('admin.state')} value=${typed.status} options=${[['', t('admin.any')], ...statuses.map((one) => [one, t(`admin.status.${one}`)])]} onPick=${set('status', 0)} />
    <${Text} label=${t('origin')} value=${typed.origin} onText=${set('origin')} />
    <${Text} label=${t('admin.delivery.recipient')} value=${typed.recipient} placeholder="user:default/jane" onText=${set('recipient')} />
  </div>`;
}

const columns = () => [
  ...outcome(),
  { label: t('origin'), cell: (d) => html`<bdi>${d.origin}</bdi>` },
  { label: t('admin.letter.created'), cell: (d) => html`<a href=${href('admin/deliveries', { id: d.request ?? d.notification })} onClick=${follow}><${Time} at=${d.created} /></a>` },
];

export function Recent() {
  const filter = readFilter(filters);
  const pages = usePages((cursor, signal) => read(filter, cursor, signal), { name: 'deliveries', keyOf: deliveryKey, key: JSON.stringify(filter), every });
  const { answer, rows, last } = pages;
  return html`<h3 class="recent-title">${t('admin.recent')}</h3>
    <${Filter} filter=${filter} />
    ${!answer ? html`<${State} ...${pages} />`
    : rows.length > 0 ? html`<${Stale} ...${pages} /><${Table} label=${t('admin.recent')} columns=${columns()} rows=${rows} keyOf=${deliveryKey} />`
      : html`<p class="hint empty">${t(last?.nextCursor ? 'admin.recent.notYet' : 'admin.recent.none', { at: last?.reached ? clock(last.reached) : '' })}</p>`}
    <${More} pages=${pages} />`;
}
