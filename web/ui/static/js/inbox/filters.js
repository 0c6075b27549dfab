// The bar above the list: search, filters and grouping, which are all in the address.
import { get } from '../kit/api.js';
import { html, useEffect, useRef, useState } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { go } from '../kit/router.js';
import { address, asQuery, groupings, isNarrowed, severities, widened } from './filter.js';

const typingPause = 250;

/** useChoices reads the topics and origins there are, when somebody wants to choose. */
function useChoices(filter) {
  const [choices, setChoices] = useState({ topics: [], origins: [] });
  const read = async () => {
    const { read: isRead, saved } = asQuery(filter);
    const [topics, settings] = await Promise.allSettled([get('notifications/topics', { origin: filter.origin, read: isRead, saved }), get('notifications/settings')]);
    setChoices({
      topics: topics.value?.topics ?? [],
      origins: settings.value?.channels[0]?.origins.map((origin) => origin.id) ?? [],
    });
  };
  return [choices, read];
}

function Pick({ label, value, any = label, options, onPick, onWant }) {
  const listed = value && !options.some(([option]) => option === value) ? [...options, [value, value]] : options;
  return html`<select class=${`pick${value ? ' picked' : ''}`} aria-label=${label} value=${value} onFocus=${onWant} onPointerEnter=${onWant}
    onChange=${(event) => onPick(event.currentTarget.value)}>
    <option value="">${any}</option>
    ${listed.map(([option, text]) => html`<option key=${option} value=${option} selected=${option === value}>${text}</option>`)}
  </select>`;
}

function Search({ value, onSearch }) {
  const input = useRef(null);
  const timer = useRef(0);
  useEffect(() => {
    if (document.activeElement !== input.current) input.current.value = value;
  }, [value]);
  const search = (event) => {
    const text = event.currentTarget.value;
    clearTimeout(timer.current);
    timer.current = setTimeout(() => onSearch(text), event.type === 'change' ? 0 : typingPause);
  };
  return html`<label class="search"><${Icon} name="search" /><span class="sr">${t('search')}</span>
    <input ref=${input} id="search" type="search" maxlength="1000" placeholder=${t('search')} autocomplete="off" spellcheck="false" onInput=${search} onChange=${search} />
    <kbd aria-hidden="true">/</kbd></label>`;
}

export function Filters({ filter, id }) {
  const [choices, read] = useChoices(filter);
  const [dated, setDated] = useState(false);
  const [unfolded, setUnfolded] = useState(false);
  const wanted = useRef('');
  const want = () => {
    const key = `${filter.view} ${filter.origin}`;
    if (wanted.current === key) return;
    wanted.current = key;
    read();
  };
  const pick = (patch, replace = false) => go(address({ ...filter, ...patch }, id), { replace });
  const pickDate = (event) => {
    const date = event.currentTarget.value;
    // Who empties the field is about to fill it, and some browsers tell of every digit of
    // a year: 0002, 0020, ...
    if (!date) setDated(true);
    if (!date.startsWith('0')) pick({ since: date });
  };
  const since = ['today', '7d', '30d'];
  const date = /^\d{4}-/.test(filter.since) ? filter.since : '';
  const isDate = dated || date !== '';
  // What is being typed stays, whatever else is drawn again meanwhile.
  const dateField = useRef(null);
  useEffect(() => {
    const field = dateField.current;
    if (field && (document.activeElement !== field || date)) field.value = date;
  }, [date, dated]);
  const active = ['severity', 'origin', 'topic', 'since', 'group'].filter((field) => filter[field]).length;
  return html`<div class="filters" role="search" aria-label=${t('filters')}>
    <${Search} value=${filter.q} onSearch=${(q) => pick({ q: q.trim() }, true)} />
    <button type="button" class="icon-button unfold" aria-expanded=${unfolded ? 'true' : 'false'} aria-controls="picks" aria-label=${active ? `${t('filters')} ${active}` : t('filters')}
      onClick=${() => setUnfolded(!unfolded)}><${Icon} name="filter" />${active > 0 && html`<span class="unfold-count">${active}</span>`}</button>
    <div class=${`picks${unfolded ? ' unfolded' : ''}`} id="picks">
      <${Pick} label=${t('severity')} value=${filter.severity}
        options=${severities.slice(0, 3).map((one) => [one, t(one === 'critical' ? 'severity.critical' : 'severity.atLeast', { severity: t(`severity.${one}`) })])} onPick=${(severity) => pick({ severity })} />
      <${Pick} label=${t('origin')} value=${filter.origin} onWant=${want}
        options=${choices.origins.map((one) => [one, one])} onPick=${(origin) => pick({ origin, topic: '' })} />
      <${Pick} label=${t('topic')} value=${filter.topic} onWant=${want}
        options=${choices.topics.map((one) => [one, one])} onPick=${(topic) => pick({ topic })} />
      <${Pick} label=${t('since')} value=${isDate ? 'date' : filter.since}
        options=${[...since.map((one) => [one, t(`since.${one}`)]), ['date', t('since.date')]]}
        onPick=${(one) => { setDated(one === 'date'); if (one !== 'date') pick({ since: one }); }} />
      ${isDate && html`<input ref=${dateField} class="pick" type="date" aria-label=${t('since.date')} onChange=${pickDate} />`}
      <${Pick} label=${t('group')} any=${t('group.none')} value=${filter.group}
        options=${groupings.map((one) => [one, t(`group.${one}`)])} onPick=${(group) => pick({ group })} />
      ${isNarrowed(filter) && html`<button type="button" class="quiet-button" onClick=${() => { setDated(false); go(address(widened(filter), id)); }}>${t('filters.clear')}</button>`}
    </div>
  </div>`;
}
