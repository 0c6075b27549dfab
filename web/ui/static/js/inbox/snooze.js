// Putting off until later, where the server can.
import { Dialog } from '../kit/dialog.js';
import { html, useState } from '../kit/html.js';
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

const longest = 365;

/** local is a time as the browser's field for it has it. */
const local = (time) => new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

function PickTime({ onPick, onClose }) {
  const now = new Date();
  const day = (days, hour = now.getHours()) => local(new Date(now.getFullYear(), now.getMonth(), now.getDate() + days, hour));
  const [text, setText] = useState(day(1, 8));
  const submit = (event) => {
    event.preventDefault();
    onClose();
    onPick(new Date(text));
  };
  return html`<${Dialog} title=${t('snooze.until')} onClose=${onClose}>
    <form class="form" onSubmit=${submit}>
      <input type="datetime-local" class="input" required autofocus aria-label=${t('snooze.until')} value=${text} min=${local(new Date(now.getTime() + 60_000))} max=${day(longest)}
        onInput=${(event) => setText(event.currentTarget.value)} />
      <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('cancel')}</button>
        <button type="submit" class="button primary">${t('snooze')}</button></div>
    </form>
  <//>`;
}

/** word is the class of the button's text; without one it is an icon. */
export function SnoozeMenu({ notifications, className, word }) {
  const [picking, setPicking] = useState(false);
  const snoozed = notifications.length > 0 && notifications.every((n) => n.snoozedUntil && Date.parse(n.snoozedUntil) > Date.now());
  const until = (time) => set('snoozedUntil', notifications, time.toISOString());
  return html`<${Menu} label=${t('snooze')} className=${className} button=${html`<${Icon} name="clock" />${word && html`<span class=${word}>${t('snooze')}</span>`}`} items=${[
    ...choices().map(([key, time]) => ({ label: t(key), hint: clock(time), run: () => until(time) })),
    { label: t('snooze.pick'), run: () => setPicking(true) },
    snoozed && { label: t('snooze.end'), run: () => set('snoozedUntil', notifications, null) },
  ]} />${picking && html`<${PickTime} onPick=${until} onClose=${() => setPicking(false)} />`}`;
}
