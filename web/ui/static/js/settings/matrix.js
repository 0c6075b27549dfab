// The matrix: a column for each channel, a row for each origin and topic.
import { html, useState } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { useStore } from '../kit/store.js';
import { channelName } from '../inbox/trace.js';
import { change, find, sourceOf, switches } from './switches.js';

/** nameOf says in words what a switch is about. */
function nameOf({ channel, origin, topic }) {
  const values = { channel: channelName(channel), origin, topic };
  return t(topic ? 'switch.topic' : origin ? 'switch.origin' : 'switch.channel', values);
}

function Cell({ at }) {
  const found = find(at);
  if (!found) return html`<td></td>`;
  const { canForget } = switches.state;
  const on = found.enabled ?? true;
  const source = sourceOf(at);
  const isLocked = source === 'required' || source === 'refused';
  const name = nameOf(at);
  const why = t(`source.${source}`, { origin: at.origin ?? '', channel: channelName(at.channel) });
  const always = found.mandatorySeverity;
  return html`<td><div class=${`cell source-${source}`}>
    <span class="cell-switch">
      <button type="button" role="switch" class="switch" aria-checked=${on ? 'true' : 'false'} aria-label=${`${name} (${why})`} disabled=${isLocked}
        title=${t(isLocked ? `source.${source}.text` : on ? 'switch.off' : 'switch.on')}
        onClick=${() => change(at, !on, t(on ? 'done.off' : 'done.on', { name }))}><span class="knob" /></button>
      ${isLocked && html`<${Icon} name="lock" size="14" />`}
      ${source === 'own' && canForget && html`<button type="button" class="icon-button reset" aria-label=${t('switch.reset', { name })} title=${t('switch.reset', { name })}
        onClick=${() => change(at, null, t('done.reset', { name }))}><${Icon} name="undo" size="14" /></button>`}
    </span>
    <span class="cell-source">${why}</span>
    ${always && !isLocked && html`<span class="cell-source" title=${t('always.text')}><${Icon} name="lock" size="11" />${t('always', { severity: t(`severity.${always}`) })}</span>`}
  </div></td>`;
}

function Row({ channels, origin, topic, label, className, toggle, note }) {
  return html`<tr class=${className}>
    <th scope="row"><span class="row-name">${toggle ?? null}<span><bdi>${label}</bdi>${note}</span></span></th>
    ${channels.map((channel) => html`<${Cell} key=${channel.id} at=${{ channel: channel.id, origin, topic }} />`)}
  </tr>`;
}

function Origin({ channels, origin, topics, folded, onFold }) {
  const toggle = topics.length > 0
    ? html`<button type="button" class="icon-button fold" aria-expanded=${folded ? 'false' : 'true'} aria-label=${t('topics.of', { origin })} onClick=${onFold}><${Icon} name="chevron" size="14" /></button>`
    : html`<span class="fold" />`;
  const note = folded && topics.length > 0 && html`<span class="hint topics-count">${t('topics.count', { count: topics.length })}</span>`;
  return html`<${Row} channels=${channels} origin=${origin} label=${origin} className="origin-row" toggle=${toggle} note=${note} />
    ${!folded && topics.map((topic) => html`<${Row} key=${topic} channels=${channels} origin=${origin} topic=${topic} label=${topic} className="topic-row" />`)}`;
}

/** Notes explain the locks that there are, also to those who cannot hover. */
function Notes({ channels }) {
  const all = channels.flatMap((c) => [c, ...c.origins, ...c.origins.flatMap((o) => o.topics)]);
  const notes = [
    ['source.required', all.some((one) => one.locked && one.enabled)],
    ['source.refused', all.some((one) => one.locked && !one.enabled)],
    ['always', all.some((one) => one.mandatorySeverity && !one.locked)],
  ].filter(([, there]) => there);
  return notes.length > 0 && html`<ul class="matrix-notes">${notes.map(([name]) => html`<li key=${name}><${Icon} name="lock" size="12" /><span>${t(`${name}.text`)}</span></li>`)}</ul>`;
}

// More rows than these at once are a search, not a table.
const most = 300;
// With more rows than these topics are folded, but for those of which some were chosen.
const many = 40;

export function Matrix() {
  const { channels } = useStore(switches);
  const [search, setSearch] = useState('');
  const [toggled, setToggled] = useState(new Map());
  if (!channels) return null;
  const wanted = search.trim().toLowerCase();
  const fits = (text) => text.toLowerCase().includes(wanted);
  let rows = 0;
  let cut = false;
  const origins = [];
  for (const { id, topics } of channels[0]?.origins ?? []) {
    const fitting = topics.map((topic) => topic.id).filter((topic) => !wanted || fits(topic) || fits(id));
    if (wanted && fitting.length === 0 && !fits(id)) continue;
    if (rows >= most) {
      cut = true;
      break;
    }
    cut ||= rows + 1 + fitting.length > most;
    origins.push({ id, topics: fitting.slice(0, most - rows) });
    rows += 1 + fitting.length;
  }
  const isMany = (channels[0]?.origins ?? []).reduce((sum, { topics }) => sum + 1 + topics.length, 0) > many;
  const isChosen = ({ id, topics }) => topics.some((topic) => channels.some((channel) => sourceOf({ channel: channel.id, origin: id, topic }) === 'own'));
  const isFolded = (origin) => toggled.get(origin.id) ?? (isMany && !wanted && !isChosen(origin));
  const fold = (origin) => setToggled(new Map(toggled).set(origin.id, !isFolded(origin)));
  return html`<${Notes} channels=${channels} />
    <label class="search matrix-search"><${Icon} name="search" /><span class="sr">${t('matrix.search')}</span>
      <input id="search" type="search" placeholder=${t('matrix.search')} autocomplete="off" onInput=${(event) => setSearch(event.currentTarget.value)} /></label>
    <div class=${`matrix-scroller${channels.length > 4 ? '' : ' fits'}`}>
      <table class="matrix" style=${{ '--channels': channels.length }}>
        <caption class="sr">${t('matrix.title')}</caption>
        <thead><tr><th scope="col">${t('matrix.what')}</th>${channels.map(({ id }) => html`<th scope="col" key=${id}>${channelName(id)}</th>`)}</tr></thead>
        <tbody>
          ${!wanted && html`<${Row} channels=${channels} label=${t('matrix.everything')} className="channel-row" toggle=${html`<span class="fold" />`} />`}
          ${origins.map((origin) => html`<${Origin} key=${origin.id} channels=${channels} origin=${origin.id} topics=${origin.topics} folded=${isFolded(origin)} onFold=${() => fold(origin)} />`)}
        </tbody>
      </table>
    </div>
    ${origins.length === 0 && html`<p class="hint matrix-note">${t(wanted ? 'matrix.nothing' : 'matrix.empty')}</p>`}
    ${cut && html`<p class="hint matrix-note">${t('matrix.more')}</p>`}`;
}
