// How the router is doing: its channels and its queues.
import { get } from '../kit/api.js';
import { html } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { number, t } from '../kit/i18n.js';
import { follow, href } from '../kit/router.js';
import { Time } from '../kit/time.js';
import { Stale, State, Table, useLoad } from './parts.js';

const every = 5_000;

const seconds = (n) => {
  if (n < 60) return t('admin.seconds', { n: Math.round(n) });
  return n < 3600 ? t('time.minutes', { n: Math.round(n / 60) }) : t('time.hours', { n: Math.round(n / 3600) });
};

function Figure({ name, value, to, warn }) {
  const inside = html`<span class="figure-value">${value}</span><span class="figure-name">${name}</span>`;
  if (!to) return html`<li class="figure">${inside}</li>`;
  return html`<li class="figure"><a class=${warn ? 'figure-link warn' : 'figure-link'} href=${to} onClick=${follow}>${inside}</a></li>`;
}

function ChannelState({ channel }) {
  return html`<span class="state state-${channel.state}"><${Icon} name=${channel.state === 'up' ? 'check' : 'clock'} size="13" />${t(`admin.channel.${channel.state}`)}</span>
    ${channel.pausedUntil && html` <span class="hint">${t('admin.channel.until')} <${Time} at=${channel.pausedUntil} long /></span>`}`;
}

const orNever = (at) => (at ? html`<${Time} at=${at} />` : html`<span class="hint">${t('admin.never')}</span>`);

const channelColumns = () => [
  { label: t('admin.channel'), cell: (c) => html`<strong>${c.name}</strong>` },
  { label: t('admin.state'), cell: (c) => html`<${ChannelState} channel=${c} />` },
  { label: t('admin.channel.success'), cell: (c) => orNever(c.lastSuccess) },
  { label: t('admin.channel.failure'), cell: (c) => html`${orNever(c.lastFailure)}${c.lastError && html`<div class="hint error-text"><bdi>${c.lastError}</bdi></div>`}`, className: 'main-cell' },
  { label: t('admin.channel.inFlight'), cell: (c) => number(c.inFlight), className: 'number' },
];

const queueColumns = () => [
  { label: t('admin.queue'), cell: (q) => html`<code>${q.topic}</code>`, className: 'main-cell' },
  { label: t('admin.queue.ready'), cell: (q) => number(q.ready), className: 'number' },
  { label: t('admin.queue.leased'), cell: (q) => number(q.leased), className: 'number' },
  { label: t('admin.queue.scheduled'), cell: (q) => number(q.scheduled), className: 'number' },
  { label: t('admin.queue.oldest'), cell: (q) => (q.ready ? seconds(q.oldestReadySeconds) : '–'), className: 'number' },
];

export function Overview() {
  const { answer, failure, again } = useLoad((signal) => get('notifications/admin/status', {}, signal), '', every);
  if (!answer) return html`<${State} failure=${failure} again=${again} />`;
  const waiting = answer.queues.reduce((sum, q) => sum + q.ready + q.leased + q.scheduled, 0);
  return html`<${Stale} failure=${failure} />
    <ul class="figures">
      <${Figure} name=${t('admin.letters')} value=${number(answer.deadLetters)} to=${href('admin/dead-letters')} warn=${answer.deadLetters > 0} />
      <${Figure} name=${t('admin.waiting')} value=${number(waiting)} />
      <${Figure} name=${t('admin.instances')} value=${number(answer.instances)} />
      <${Figure} name=${t('admin.version')} value=${answer.version} />
    </ul>
    <section class="card" aria-labelledby="channels-title"><h2 id="channels-title">${t('admin.channels')}</h2><p class="hint">${t('admin.channels.text')}</p>
      ${answer.channels.length ? html`<${Table} label=${t('admin.channels')} columns=${channelColumns()} rows=${answer.channels} keyOf=${(c) => c.name} />` : html`<p class="hint empty">${t('admin.channels.none')}</p>`}
    </section>
    <section class="card" aria-labelledby="queues-title"><h2 id="queues-title">${t('admin.queues')}</h2><p class="hint">${t('admin.queues.text')}</p>
      ${answer.queues.length ? html`<${Table} label=${t('admin.queues')} columns=${queueColumns()} rows=${answer.queues} keyOf=${(q) => q.topic} />` : html`<p class="hint empty">${t('admin.queues.none')}</p>`}
    </section>`;
}
