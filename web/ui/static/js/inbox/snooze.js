// Putting off until later, where the server can.
import { html } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { Menu } from '../kit/menu.js';
import { clock } from '../kit/time.js';
import { set } from './actions.js';
import { counts } from './counts.js';

export const canSnooze = () => counts.state.snoozed !== null;

/** choices are times that people mean, those that have not passed. */
export function choices(now = new Date()) {
  const at = (days, hour) => new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour);
  const untilMonday = (8 - now.getDay()) % 7 || 7;
  const list = [['snooze.hour', new Date(now.getTime() + 3_600_000)]];
  if (now.getHours() < 16) list.push(['snooze.evening', at(0, 18)]);
  list.push(['snooze.tomorrow', at(1, 8)]);
  if (untilMonday > 1) list.push(['snooze.week', at(untilMonday, 8)]);
  return list;
}

/** word is the class of the button's text; without one it is an icon. */
export function SnoozeMenu({ notifications, className, word }) {
  const snoozed = notifications.length > 0 && notifications.every((n) => n.snoozedUntil && Date.parse(n.snoozedUntil) > Date.now());
  return html`<${Menu} label=${t('snooze')} className=${className} button=${html`<${Icon} name="clock" />${word && html`<span class=${word}>${t('snooze')}</span>`}`} items=${[
    ...choices().map(([key, time]) => ({ label: t(key), hint: clock(time), run: () => set('snoozedUntil', notifications, time.toISOString()) })),
    snoozed && { label: t('snooze.end'), run: () => set('snoozedUntil', notifications, null) },
  ]} />`;
}
