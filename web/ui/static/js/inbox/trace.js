// What became of a notification on each channel, in sentences.
import { get } from '../kit/api.js';
import { html, useEffect, useState } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { has, t } from '../kit/i18n.js';
import { follow, href } from '../kit/router.js';
import { clock } from '../kit/time.js';

export const channelName = (id) => (has(`channel.${id}`) ? t(`channel.${id}`) : id);

/** place is where it went, without the kind of a reference that says nothing. */
const place = (d) => (d.target && d.target !== '*' ? d.target.replace(/^email:|^slack:/, '') : '');

/** sentence says what became of one delivery. */
export function sentence(d, n) {
  const values = {
    channel: channelName(d.channel), origin: n.origin, topic: n.payload.topic ?? '', target: place(d),
    at: clock(d.updated), next: d.nextAttempt ? clock(d.nextAttempt) : '', detail: d.detail ?? '', text: d.text ?? '',
  };
  switch (d.status) {
    case 'delivered':
      if (d.channel === 'Web') return t('trace.inbox', values);
      return t(values.target ? 'trace.sent.to' : 'trace.sent', values);
    case 'queued':
      if (d.rule?.startsWith('schedule.')) return t(`trace.${d.rule}`, values);
      if (d.attempts > 0) return t(values.next ? 'trace.retry.at' : 'trace.retry', values);
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

const icons = { delivered: 'check', queued: 'clock', suppressed: 'close', failed: 'offline' };
const isChoice = (d) => d.status === 'suppressed' && /^(user|config|schedule)\./.test(d.rule ?? '');

export function Trace({ n }) {
  const [answer, setAnswer] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    const read = () => get(`notifications/notifications/${encodeURIComponent(n.id)}/deliveries`, {}, stop.signal)
      .then((page) => setAnswer(page.deliveries), () => { if (!stop.signal.aborted) setAnswer((old) => old ?? []); });
    read();
    return () => stop.abort();
  }, [n.id, n.updated]);
  if (!answer || answer.length === 0) return null;
  return html`<section class="detail-section"><h3>${t('trace.title')}</h3>
    <ul class="trace">${answer.map((d, i) => html`<li key=${i} class=${`trace-${d.status}`}>
      <${Icon} name=${icons[d.status] ?? 'dot'} size="14" />
      <span><strong>${channelName(d.channel)}</strong>: <bdi>${sentence(d, n)}</bdi>${isChoice(d) && html` <a href=${href('settings')} onClick=${follow}>${t('trace.change')}</a>`}</span>
    </li>`)}</ul>
  </section>`;
}
