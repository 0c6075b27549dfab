// What the reader does to notifications: shown at once, sent, and taken back if it
// fails or by an undo.
import { Failure, get, post } from '../kit/api.js';
import { t } from '../kit/i18n.js';
import { toast } from '../kit/toasts.js';
import { readCounts } from './counts.js';
import { asQuery, asSelection } from './filter.js';
import { intend } from './intents.js';
import { change, holds, list, putBack, refresh, release } from './list.js';

// Undo needs the identifiers of what was changed; of more rows they are not read.
export const undoLimit = 1000;

// An update takes so many identifiers.
const atOnce = 1000;

/** The kinds of changes: the field of a row, the member of the request, and its text. */
const kinds = {
  read: { patch: (on) => ({ read: on ? new Date().toISOString() : null }), body: (on) => ({ read: on }), text: (on) => (on ? 'done.read' : 'done.unread') },
  saved: { patch: (on) => ({ saved: on ? new Date().toISOString() : null }), body: (on) => ({ saved: on }), text: (on) => (on ? 'done.saved' : 'done.unsaved') },
  snoozedUntil: { patch: (until) => ({ snoozedUntil: until }), body: (until) => ({ snoozedUntil: until }), text: (until) => (until ? 'done.snoozed' : 'done.unsnoozed') },
};

const undos = [];

// The latest change of each notification that is on its way. The next one of the same
// follows it: two at a time may arrive in either order.
const underway = new Map();

function send(kind, ids, value) {
  intend(kind, ids, Boolean(value));
  const earlier = new Set(ids.map((id) => underway.get(id)).filter(Boolean));
  const run = async () => {
    if (earlier.size > 0) await Promise.allSettled(earlier);
    for (let from = 0; from < ids.length; from += atOnce) {
      await post('notifications/update', { ids: ids.slice(from, from + atOnce), ...kinds[kind].body(value) });
    }
  };
  const sent = run();
  for (const id of ids) underway.set(id, sent);
  const ends = () => { for (const id of ids) if (underway.get(id) === sent) underway.delete(id); };
  sent.then(ends, ends);
  return holds(sent);
}

function failed(failure) {
  toast({ text: failure instanceof Failure && failure.offline ? t('error.offline') : t('error.failed', { message: failure.message }), kind: 'error' });
}

/**
 * set changes one thing of many notifications. quiet leaves out the toast and the
 * undo, for what the page does by itself.
 */
export async function set(kind, notifications, value, { quiet = false } = {}) {
  const before = notifications.filter((n) => (kind === 'snoozedUntil' ? (n.snoozedUntil ?? null) !== value : Boolean(n[kind]) !== value));
  if (before.length === 0) return;
  const ids = before.map((n) => n.id);
  // What one has opened stays in the list until one says that it is done.
  if (!quiet && kind !== 'saved') release(ids);
  change(ids, kinds[kind].patch(value), before);
  const undo = async () => {
    if (kind !== 'saved') release(ids);
    putBack(kind, before);
    try {
      for (const [was, group] of Map.groupBy(before, (n) => (kind === 'snoozedUntil' ? n.snoozedUntil ?? null : Boolean(n[kind])))) {
        await send(kind, group.map((n) => n.id), was);
      }
      // What is snoozed is unread from then on.
      const wasRead = kind === 'snoozedUntil' ? before.filter((n) => n.read && !n.snoozedUntil).map((n) => n.id) : [];
      if (wasRead.length > 0) await send('read', wasRead, true);
      return true;
    } catch (failure) {
      change(ids, kinds[kind].patch(value), before);
      failed(failure);
      return false;
    } finally {
      readCounts();
    }
  };
  const withdraw = quiet ? () => {} : offerUndo(t(kinds[kind].text(value), { count: ids.length }), undo);
  try {
    await send(kind, ids, value);
  } catch (failure) {
    withdraw();
    putBack(kind, before);
    failed(failure);
  }
  readCounts();
}

/**
 * offerUndo says what was done, and returns how to take that word back. undo returns
 * whether it succeeded; if not, it has said so.
 */
function offerUndo(text, undo) {
  undos.push(undo);
  if (undos.length > 20) undos.shift();
  const dismiss = toast({ text, action: { label: t('undo'), run: () => takeBack(undo) } });
  return () => {
    dismiss();
    if (undos.includes(undo)) undos.splice(undos.indexOf(undo), 1);
  };
}

async function takeBack(undo) {
  const at = undos.indexOf(undo);
  if (at < 0) return;
  undos.splice(at, 1);
  if (await undo()) toast({ text: t('done.undone') });
}

/** undoLast takes back the last change that was not yet. */
export function undoLast() {
  if (undos.length > 0) takeBack(undos.at(-1));
  else toast({ text: t('undo.nothing') });
}

/** setAll changes everything that the filter selects, loaded or not. */
export async function setAll(kind, value) {
  const { filter, total, rows, done } = list.state;
  if (done && rows.length >= total) {
    await set(kind, rows, value);
    return;
  }
  try {
    if (total <= undoLimit) {
      const page = await get('notifications', { ...asQuery(filter), limit: undoLimit });
      await set(kind, page.notifications, value);
      return;
    }
    const selection = { ...asSelection(filter) };
    if (!(kind in selection)) selection[kind] = !value;
    const { updated } = await holds(post('notifications/update', { filter: selection, ...kinds[kind].body(value) }));
    toast({ text: t(kinds[kind].text(value), { count: updated }) });
    refresh();
  } catch (failure) {
    failed(failure);
  }
  readCounts();
}
