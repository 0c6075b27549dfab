// How tables tell what became of a delivery.
import { html } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { clock } from '../kit/time.js';
import { channelName, icons } from '../inbox/trace.js';

export const statuses = Object.keys(icons);

export function Status({ value }) {
  return html`<span class="state state-${value}"><${Icon} name=${icons[value] ?? 'dot'} size="13" />${t(`admin.status.${value}`)}</span>`;
}

// A direct target has no recipient: there the address says where it went.
function To({ d }) {
  const target = d.target && d.target !== '*' ? d.target : null;
  if (!d.recipient) return html`<bdi>${target ?? '–'}</bdi>`;
  return html`<bdi>${d.recipient === '*' ? t('admin.everyone') : d.recipient}</bdi>${target && html`<div class="hint"><bdi>${target}</bdi></div>`}`;
}

function why(d) {
  return [d.text, d.detail, d.nextAttempt && t('admin.delivery.next', { at: clock(d.nextAttempt) })].filter(Boolean).join('. ');
}

/** outcome are the columns about whom, where, and what became of it. */
export const outcome = () => [
  { label: t('admin.delivery.to'), className: 'main-cell', cell: (d) => html`<${To} d=${d} />` },
  { label: t('admin.channel'), cell: (d) => channelName(d.channel) },
  { label: t('admin.state'), className: 'main-cell', cell: (d) => html`<${Status} value=${d.status} />${why(d) && html`<div class="hint clipped"><bdi>${why(d)}</bdi></div>`}` },
];

export const deliveryKey = (d) => `${d.request} ${d.channel} ${d.recipient} ${d.target} ${d.notification}`;
