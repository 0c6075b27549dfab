// Dead letters: what was given up, until somebody retries or drops it.
import { get, post } from '../kit/api.js';
import { Dialog } from '../kit/dialog.js';
import { Text, Tick } from '../kit/fields.js';
import { html, useEffect, useState } from '../kit/html.js';
import { t } from '../kit/i18n.js';
import { follow, href } from '../kit/router.js';
import { Time, clock } from '../kit/time.js';
import { toast } from '../kit/toasts.js';
import { readFilter, useTyped } from './filter.js';
import { More, usePages } from './pages.js';
import { Facts, Stale, State, Sure, Table, failed, useLoad } from './parts.js';

const api = 'notifications/admin/dead-letters';
const filters = ['stage', 'origin', 'request'];
const every = 15_000;
// One request takes so many at most.
const mostIDs = 200;

const labelOf = (name) => t({ stage: 'admin.letter.stage', origin: 'origin', request: 'admin.letter.requestID' }[name]);
const given = (filter) => Object.fromEntries(Object.entries(filter).filter(([, value]) => value));

const whom = (d) => d.target || (d.audience === '*' ? t('admin.everyone') : d.audience);
const subject = (letter) => (letter.delivery ? t('admin.letter.delivery', { channel: letter.delivery.channel, target: whom(letter.delivery) }) : t('admin.letter.request'));

function payloadOf(letter) {
  if (letter.payload !== undefined) return JSON.stringify(letter.payload, null, 2);
  return letter.payloadBase64 ?? '';
}

function Letter({ id, onClose, onRetry, onDrop }) {
  const { answer: letter, failure, again } = useLoad((signal) => get(`${api}/show`, { id }, signal), id);
  return html`<${Dialog} title=${t('admin.letter')} onClose=${onClose}>
    ${!letter ? html`<${State} failure=${failure} again=${again} />` : html`
      <p class="error-text"><bdi>${letter.error}</bdi></p>
      <${Facts} facts=${[
    [t('admin.letter.what'), subject(letter)], [t('admin.letter.stage'), letter.stage], [t('origin'), letter.origin],
    [t('admin.letter.request'), letter.request && html`<a href=${href('admin/deliveries', { id: letter.request })} onClick=${(event) => { onClose(); follow(event); }}>${letter.request}</a>`],
    [t('admin.letter.created'), html`<${Time} at=${letter.created} long />`], [t('admin.letter.died'), html`<${Time} at=${letter.died} long />`],
    [t('admin.letter.attempts'), letter.attempts], [t('admin.queue'), letter.topic],
  ]} />
      ${letter.history?.length > 0 && html`<div><h3>${t('admin.letter.history')}</h3><ol class="history">${letter.history.map((h, i) => html`<li key=${i}><span class="hint">${clock(h.at)}</span> <bdi>${h.error}</bdi></li>`)}</ol></div>`}
      <details class="payload"><summary>${t('admin.letter.payload')}</summary><pre tabindex="0">${payloadOf(letter)}</pre></details>
      <div class="dialog-actions">
        <button type="button" class="button danger-text" onClick=${() => { onClose(); onDrop(); }}>${t('admin.drop')}</button>
        <button type="button" class="button primary" onClick=${() => { onClose(); onRetry(); }}>${t('admin.retry')}</button>
      </div>`}
  <//>`;
}

function Filter({ typed, set }) {
  return html`<div class="fields filter-fields" role="search" aria-label=${t('filters')}>
    ${filters.map((name) => html`<${Text} key=${name} label=${labelOf(name)} value=${typed[name]} onText=${set(name)} />`)}
  </div>`;
}

export function Letters() {
  const filter = readFilter(filters);
  const [typed, set] = useTyped('admin/dead-letters', filter);
  const key = JSON.stringify(filter);
  const [ticked, setTicked] = useState(new Set());
  const [shown, setShown] = useState(null);
  const [asking, setAsking] = useState(null);
  const pages = usePages((cursor, signal) => get(api, { ...filter, cursor }, signal), { name: 'deadLetters', keyOf: ({ id }) => id, key, every });
  useEffect(() => setTicked(new Set()), [key]);

  const { answer, rows, last } = pages;
  const picked = rows.filter(({ id }) => ticked.has(id)).map(({ id }) => id).slice(0, mostIDs);
  const narrowed = Object.keys(given(filter)).length > 0;
  // What is still being typed does not narrow the list yet, nor what is done to all of it.
  const typing = filters.some((name) => typed[name].trim() !== filter[name]);

  const take = async (verb, selection) => {
    try {
      const { count } = await post(`${api}/${verb}`, selection);
      toast({ text: count ? t(verb === 'retry' ? 'admin.done.retried' : 'admin.done.dropped', { count }) : t('admin.done.none') });
      setTicked(new Set());
    } catch (failure) {
      failed(failure);
    }
    pages.again();
  };
  const some = (ids) => ({ ids });
  const all = () => ({ all: true, ...given(filter) });
  const askAll = (verb) => setAsking({ verb, selection: all(), what: Object.entries(given(filter)).map(([name, value]) => `${labelOf(name)}: ${value}`).join(', ') });
  const drop = (ids) => setAsking({ verb: 'drop', selection: some(ids), count: ids.length });
  const tick = (id, on) => setTicked((old) => {
    const set = new Set(old);
    if (on) set.add(id);
    else set.delete(id);
    return set;
  });

  const columns = [
    { label: t('admin.select'), hidden: true, className: 'tick-cell', cell: (d) => html`<${Tick} label=${t('row.select', { title: subject(d) })} on=${ticked.has(d.id)} onTick=${(on) => tick(d.id, on)} />` },
    { label: t('admin.letter.what'), className: 'main-cell', cell: (d) => html`<button type="button" class="link-button letter" onClick=${() => setShown(d.id)}><bdi>${subject(d)}</bdi></button><div class="hint clipped"><bdi>${d.error}</bdi></div>` },
    { label: t('admin.letter.stage'), cell: (d) => html`<bdi>${d.stage}</bdi>` },
    { label: t('origin'), cell: (d) => html`<bdi>${d.origin || '–'}</bdi>` },
    { label: t('admin.letter.attempts'), cell: (d) => d.attempts, className: 'number' },
    { label: t('admin.letter.died'), cell: (d) => html`<${Time} at=${d.died} />` },
  ];
  const bar = picked.length > 0
    ? html`<span class="bar-text">${t('selected', { count: picked.length })}</span>
      <button type="button" class="button" onClick=${() => take('retry', some(picked))}>${t('admin.retry')}</button>
      <button type="button" class="button danger-text" onClick=${() => drop(picked)}>${t('admin.drop')}</button>`
    : html`<span class="bar-text hint">${t('admin.letters.count', { count: rows.length })}${last?.nextCursor ? '+' : ''}</span>
      <button type="button" class="button" disabled=${typing} onClick=${() => askAll('retry')}>${t(narrowed ? 'admin.retry.matching' : 'admin.retry.all')}</button>
      <button type="button" class="button danger-text" disabled=${typing} onClick=${() => askAll('drop')}>${t(narrowed ? 'admin.drop.matching' : 'admin.drop.all')}</button>`;
  return html`<section class="card" aria-labelledby="letters-title"><h2 id="letters-title">${t('admin.letters')}</h2><p class="hint">${t('admin.letters.text')}</p>
    <${Filter} typed=${typed} set=${set} />
    ${!answer ? html`<${State} ...${pages} />`
    : rows.length === 0 ? html`<div class="blank"><h2>${t(narrowed ? 'admin.letters.nothing' : 'admin.letters.none')}</h2><p>${t(narrowed ? 'admin.letters.nothing.text' : 'admin.letters.none.text')}</p></div>`
      : html`<${Stale} ...${pages} /><div class="action-bar">
        <${Tick} label=${t('select.loaded')} on=${picked.length === rows.length} some=${picked.length > 0} onTick=${(on) => setTicked(new Set(on ? rows.map(({ id }) => id) : []))} />${bar}</div>
        <${Table} label=${t('admin.letters')} columns=${columns} rows=${rows} keyOf=${(d) => d.id} />
        <${More} pages=${pages} />`}
  </section>
  ${shown && html`<${Letter} key=${shown} id=${shown} onClose=${() => setShown(null)} onRetry=${() => take('retry', some([shown]))} onDrop=${() => drop([shown])} />`}
  ${asking && html`<${Sure} title=${asking.count ? t('admin.drop.sure', { count: asking.count }) : t(`admin.${asking.verb}.sureAll`)} text=${t(`admin.${asking.verb}.text`)} what=${asking.what} label=${t(`admin.${asking.verb}`)}
    onClose=${() => setAsking(null)} onSure=${() => take(asking.verb, asking.selection)} />`}`;
}
