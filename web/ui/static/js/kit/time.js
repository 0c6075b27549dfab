// Times as people say them: short in lists, exact where one asks.
import { html, useEffect, useState } from './html.js';
import { locale, t } from './i18n.js';

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

// One clock moves all the times on the page.
const listeners = new Set();
setInterval(() => { for (const listener of listeners) listener(Date.now()); }, minute / 2);

function useNow() {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    listeners.add(setNow);
    return () => listeners.delete(setNow);
  }, []);
  return now;
}

const formats = new Map();

function format(kind, options) {
  const key = `${locale} ${kind}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale, options));
  return formats.get(key);
}

export const exact = (iso) => format('exact', { dateStyle: 'full', timeStyle: 'medium' }).format(new Date(iso));

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

/** clock is the time of day, with the day if that is not today. */
export function clock(iso, now = Date.now()) {
  const at = new Date(iso);
  if (sameDay(at, now)) return format('clock', { timeStyle: 'short' }).format(at);
  return format('dayClock', { weekday: 'short', day: 'numeric', month: 'short', hour: 'numeric', minute: '2-digit' }).format(at);
}

/** when is clock in a sentence: at a time of today, or on a day. */
export const when = (iso, now = Date.now()) => t(sameDay(iso, now) ? 'time.at' : 'time.on', { time: clock(iso, now) });

export function short(iso, now = Date.now()) {
  const at = Date.parse(iso);
  const age = now - at;
  if (age < -minute) return clock(iso, now);
  if (age < minute) return t('time.now');
  if (age < hour) return t('time.minutes', { n: Math.floor(age / minute) });
  if (age < day) return t('time.hours', { n: Math.floor(age / hour) });
  if (age < 7 * day) return t('time.days', { n: Math.floor(age / day) });
  if (new Date(at).getFullYear() === new Date(now).getFullYear()) return format('date', { day: 'numeric', month: 'short' }).format(at);
  return format('year', { day: 'numeric', month: 'short', year: 'numeric' }).format(at);
}

/** Time shows how long ago something was, and when exactly to those who hover. */
export function Time({ at, long = false }) {
  const now = useNow();
  return html`<time datetime=${at} title=${exact(at)}>${long ? clock(at, now) : short(at, now)}</time>`;
}
