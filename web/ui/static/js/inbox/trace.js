// What became of a notification on each channel, in sentences.
import { get } from '../kit/api.js';
import { html, useEffect, useState } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { has, t } from '../kit/i18n.js';
import { follow, href } from '../kit/router.js';
import { when } from '../kit/time.js';

/** icons are those of what can have become of a delivery. */
export const icons = { delivered: 'check', queued: 'clock', suppressed: 'close', failed: 'alert' };

export const channelName = (id) => (has(`channel.${id}`) ? t(`channel.${id}`) : id);

// What Slack calls a person says nothing to anybody.
const isSlackPerson = /^[UW][A-Z0-9]{7,}$/;

/** place is where it went, without the kind of a reference that says nothing. */
function place(d, n) {
  if (!d.target || d.target === '*') return '';
  const target = d.target.replace(/^email:|^slack:/, '');
  return isSlackPerson.test(target) && n.user && d.recipient === n.user ? t('trace.you') : target;
}

/** isHeld says that a delivery waits by its user's schedule. */
const isHeld = (d) => d.status === 'queued' && Boolean(d.nextAttempt && d.rule?.startsWith('schedule.'));

/** sentence says what became of one delivery. */
export function sentence(d, n) {
  const values = {
    channel: channelName(d.channel), origin: n.origin, topic: n.payload.topic ?? '', target: place(d, n),
    at: when(d.updated), next: d.nextAttempt ? when(d.nextAttempt) : '', detail: d.detail ?? '', text: d.text ?? '',
  };
  switch (d.status) {
    case 'delivered':
      if (d.channel === 'Web') return t('trace.inbox', values);
      return t(values.target ? 'trace.sent.to' : 'trace.sent', values);
    case 'queued':
      if (isHeld(d)) return t(`trace.${d.rule}`, values);
      if (values.detail) return t(values.next ? 'trace.retry.at' : 'trace.retry', values);
      return t('trace.queued', values);
    case 'suppressed': {
      const reason = `rule.${d.rule?.startsWith('processor.') ? 'processor' : d.rule}`;
      const why = has(reason) ? t(reason, values) : d.text || d.detail || d.rule;
      return t('trace.suppressed', { why });
    }
    default:
      return t(values.detail ? 'trace.failed.why' : 'trace.failed', values);
  }
}

const isChoice = (d) => isHeld(d) || (d.status === 'suppressed' && /^(user|config)\./.test(d.rule ?? ''));

// What is on its way is looked at again, each time after twice as long.
const soonest = 1_000;
const latest = 60_000;

export function Trace({ n }) {
  const [answer, setAnswer] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const read = async (pause) => {
      try {
        const { deliveries } = await get(`notifications/notifications/${encodeURIComponent(n.id)}/deliveries`, {}, stop.signal);
        setAnswer(deliveries.toSorted((a, b) => (b.channel === 'Web') - (a.channel === 'Web')));
        if (deliveries.some((d) => d.status === 'queued' && !isHeld(d))) timer = setTimeout(read, pause, Math.min(pause * 2, latest));
      } catch {
        if (!stop.signal.aborted) setAnswer((old) => old ?? []);
      }
    };
    read(soonest);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [n.id, n.updated]);
  if (!answer || answer.length === 0) return null;
  return html`<section class="detail-section"><h3>${t('trace.title')}</h3>
    <ul class="trace">${answer.map((d, i) => html`<li key=${i} class=${`trace-${d.status}`}>
      <${Icon} name=${icons[d.status] ?? 'dot'} size="14" />
      <span><strong>${channelName(d.channel)}</strong>: <bdi>${sentence(d, n)}</bdi>${isChoice(d) && html` <a class="trace-change" href=${href('settings')} onClick=${follow}>${t('trace.change')}</a>`}</span>
    </li>`)}</ul>
  </section>`;
}
