// What became of notifications, whoever's they are: of all, or of one request.
import { get } from '../kit/api.js';
import { Text } from '../kit/fields.js';
import { html, useEffect, useState } from '../kit/html.js';
import { number, t } from '../kit/i18n.js';
import { go, href, params } from '../kit/router.js';
import { Time } from '../kit/time.js';
import { channelName } from '../inbox/trace.js';
import { Status, deliveryKey, outcome } from './outcome.js';
import { More, usePages } from './pages.js';
import { Facts, Stale, State, Table } from './parts.js';
import { Recent } from './recent.js';

const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/i;
const pageSize = 100;
const read = (id, cursor, signal) => get('notifications/admin/deliveries/show', { id, cursor, limit: pageSize }, signal);

const columns = () => [
  ...outcome(),
  { label: t('admin.letter.attempts'), cell: (d) => d.attempts, className: 'number' },
  { label: t('admin.delivery.updated'), cell: (d) => html`<${Time} at=${d.updated} />` },
];

const summaryColumns = () => [
  { label: t('admin.channel'), cell: (c) => html`<strong>${channelName(c.channel)}</strong>` },
  { label: t('admin.state'), className: 'main-cell', cell: (c) => html`<${Status} value=${c.status} />${c.text && html`<div class="hint">${c.text}</div>`}` },
  { label: t('admin.delivery.count'), cell: (c) => number(c.count), className: 'number' },
];

function Requested({ request }) {
  return html`<${Facts} facts=${[
    [t('admin.letter.requestID'), request.id], [t('origin'), request.origin], [t('admin.letter.created'), html`<${Time} at=${request.created} long />`],
    [t('admin.state'), t(`admin.request.${request.status}`)], [t('admin.delivery.recipients'), number(request.recipients)],
    [t('admin.delivery.unknown'), request.unknown.join(', ')], [t('admin.letter.stage'), request.stage], [t('admin.letter.error'), request.error],
  ]} />`;
}

function Found({ id }) {
  const pages = usePages((cursor, signal) => read(id, cursor, signal), { name: 'deliveries', keyOf: deliveryKey, key: id });
  const { answer, failure, again, rows } = pages;
  if (failure?.status === 404) {
    return html`<div class="blank"><h2>${t('admin.delivery.nothing')}</h2><p>${t('admin.delivery.nothing.text')}</p><button type="button" class="button" onClick=${again}>${t('retry')}</button></div>`;
  }
  if (!answer) return html`<${State} ...${pages} />`;
  return html`<div class="found">
    <${Stale} failure=${failure} />
    ${answer.request && html`<${Requested} request=${answer.request} />`}
    ${answer.summary?.length > 0 && html`<h3>${t('admin.delivery.summary')}</h3><${Table} label=${t('admin.delivery.summary')} columns=${summaryColumns()} rows=${answer.summary} keyOf=${(c) => `${c.channel} ${c.status} ${c.rule}`} />`}
    <h3>${t('admin.delivery.each')}</h3>
    ${rows.length > 0 ? html`<${Table} label=${t('admin.delivery.each')} columns=${columns()} rows=${rows} keyOf=${deliveryKey} />` : html`<p class="hint empty">${t('admin.delivery.none')}</p>`}
    <${More} pages=${pages} />
  </div>`;
}

export function Deliveries() {
  const id = params().get('id')?.match(uuid)?.[0] ?? '';
  const [typed, setTyped] = useState(id);
  const [wrong, setWrong] = useState(false);
  useEffect(() => { if (id) setTyped(id); }, [id]);
  const search = (event) => {
    event.preventDefault();
    // The address of a notification has its identifier in it.
    const found = typed.match(uuid)?.[0];
    setWrong(!found);
    if (found) go(href('admin/deliveries', { id: found }));
  };
  return html`<section class="card" aria-labelledby="deliveries-title"><h2 id="deliveries-title">${t('admin.deliveries')}</h2><p class="hint">${t('admin.deliveries.text')}</p>
    <form class="fields" role="search" onSubmit=${search}>
      <${Text} label=${t('admin.delivery.id')} value=${typed} onText=${setTyped} placeholder="019aa3f2-5c3e-7b1c-9d51-0c6c3a1f2b4d" aria-invalid=${wrong ? 'true' : null} aria-describedby=${wrong ? 'id-wrong' : null} />
      <button type="submit" class="button primary">${t('admin.delivery.find')}</button>
    </form>
    ${wrong && html`<p class="error-text" id="id-wrong" role="alert">${t('admin.delivery.wrong')}</p>`}
    ${id ? html`<${Found} key=${id} id=${id} />` : html`<${Recent} />`}
  </section>`;
}
