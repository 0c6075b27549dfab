// What the list shows: read from the address, asked of the API, and tested on what
// arrives by itself. The tests are those of the API.
import { href } from '../kit/router.js';

export const views = ['unread', 'saved', 'snoozed', 'all'];
export const severities = ['critical', 'high', 'normal', 'low'];
export const groupings = ['topic', 'origin'];

const fields = ['q', 'severity', 'topic', 'origin', 'since'];

/** readFilter reads a filter from the parameters of the address. */
export function readFilter(params) {
  const one = (name, known) => {
    const value = params.get(name) ?? '';
    return !known || known.includes(value) ? value : '';
  };
  return {
    view: one('view', views) || 'unread',
    q: one('q'), severity: one('severity', severities), topic: one('topic'), origin: one('origin'),
    since: sinceTime(one('since')) ? one('since') : '', group: one('group', groupings),
  };
}

/** sinceTime is when 'today', '7d' or '2026-11-21' begins, by the reader's clock. */
export function sinceTime(since) {
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  const days = /^(\d{1,4})d$/.exec(since);
  if (since === 'today') return start;
  if (days) {
    start.setDate(start.getDate() - Number(days[1]));
    return start;
  }
  if (!/^\d{4}-\d{2}-\d{2}$/.test(since)) return null;
  const [year, month, day] = since.split('-').map(Number);
  const date = new Date(year, month - 1, day);
  // No 31st of February, which browsers take for a day in March.
  return date.getFullYear() === year && date.getMonth() === month - 1 && date.getDate() === day ? date : null;
}

/** address is the address of the inbox with a filter and an open notification. */
export function address(filter, id = '') {
  const { view, ...rest } = filter;
  return href('', { view: view === 'unread' ? '' : view, ...rest, id });
}

export const isNarrowed = (filter) => fields.some((field) => filter[field]);

/** narrowing removes everything but the view and the grouping. */
export function widened(filter) {
  return { ...filter, ...Object.fromEntries(fields.map((field) => [field, ''])) };
}

/** asQuery are the query parameters of the API. */
export function asQuery(filter) {
  return {
    search: filter.q, topic: filter.topic, origin: filter.origin, minimumSeverity: filter.severity,
    createdAfter: sinceTime(filter.since)?.toISOString(),
    read: filter.view === 'unread' ? 'false' : undefined,
    saved: filter.view === 'saved' ? 'true' : undefined,
    snoozed: filter.view === 'snoozed' ? 'true' : undefined,
  };
}

/** asSelection is the filter of an update. */
export function asSelection(filter) {
  const { snoozed, read, saved, ...query } = asQuery(filter);
  const selection = Object.fromEntries(Object.entries(query).filter(([, value]) => value));
  if (read) selection.read = false;
  if (saved) selection.saved = true;
  if (snoozed) selection.snoozed = true;
  return selection;
}

/** revised is the time by which the list is ordered: newest first. */
export const revised = (n) => n.snoozedUntil ?? n.woken ?? n.updated ?? n.created;

export const isSnoozed = (n) => Boolean(n.snoozedUntil) && Date.parse(n.snoozedUntil) > Date.now();

export function matches(filter, n) {
  const p = n.payload;
  const rank = (severity) => severities.indexOf(severity);
  if (isSnoozed(n) !== (filter.view === 'snoozed')) return false;
  if (filter.view === 'unread' && n.read) return false;
  if (filter.view === 'saved' && !n.saved) return false;
  if (filter.topic && p.topic !== filter.topic) return false;
  if (filter.origin && n.origin !== filter.origin) return false;
  if (filter.severity && rank(p.severity) > rank(filter.severity)) return false;
  if (filter.since && Date.parse(revised(n)) < sinceTime(filter.since).getTime()) return false;
  if (!filter.q) return true;
  const wanted = filter.q.toLowerCase();
  return [p.title, p.description].some((text) => text?.toLowerCase().includes(wanted));
}
