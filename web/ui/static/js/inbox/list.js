// The rows that are loaded: pages of the API, kept true by signals and by what the
// reader does.
import { get } from '../kit/api.js';
import { Store } from '../kit/store.js';
import { asQuery, matches, revised } from './filter.js';

const pageSize = 100;
// A refresh reads what is loaded again, in answers of so many rows, and up to so many:
// what is loaded beyond stays as it is, so that the place where one reads does.
const answerSize = 500;
const refreshSize = 2_000;
const retryAfter = 5_000;

/** state is 'loading', 'ready', 'more' (loading more), 'failed' or 'moreFailed'. */
export const list = new Store({ filter: null, state: 'loading', rows: [], total: 0, done: false, failure: null, arrived: 0 });

let cursor = null;
let request = new AbortController();
// Rows that were opened here: they stay where they are, although they are read.
const kept = new Set();

const stays = (filter, n) => matches(filter, n)
  || (kept.has(n.id) && filter.view === 'unread' && matches({ ...filter, view: 'all' }, n));

// What is on its way to the server, and how often rows were altered here: an answer
// from before that is out of date.
const pending = new Set();
let edits = 0;
// Which those were: of them the rows here are newer than the answer.
let touched = new Set();
let retryTimer = 0;

/**
 * opened is what is shown beside the list, whether or not its row is loaded; turn counts
 * how often it had to be read again.
 */
export const opened = new Store({ n: null, turn: 0 });

/** here are the notifications that are shown, by identifier: the rows, and the opened one. */
export const here = () => new Map([opened.state.n, ...list.state.rows].filter(Boolean).map((n) => [n.id, n]));

/** holds waits for a change to be stored before anything is read. */
export function holds(change) {
  pending.add(change);
  change.catch(() => {}).then(() => pending.delete(change));
  return change;
}

/**
 * settled waits until no change is on its way to the server, those included that come
 * meanwhile: an answer from before one of them would take it back.
 */
export async function settled() {
  while (pending.size > 0) await Promise.allSettled(pending);
}

const groupOf = (filter, n) => (filter.group === 'topic' ? n.payload.topic : filter.group === 'origin' ? n.origin : null) ?? '';

function query(limit, from) {
  const { filter } = list.state;
  const q = { ...asQuery(filter), limit };
  if (filter.group) {
    // A list in another order has no cursor.
    q.orderField = [`${filter.group},asc`, 'created,desc'];
    q.offset = from || undefined;
  } else {
    q.cursor = from || undefined;
  }
  return q;
}

function next(page, rows) {
  cursor = list.state.filter.group ? rows.filter((n) => matches(list.state.filter, n)).length : page.nextCursor;
  return list.state.filter.group ? page.notifications.length === 0 || rows.length >= page.totalCount : !page.nextCursor;
}

/** first reads the first rows, and returns them with the last answer. */
async function first(size, signal) {
  const rows = new Map();
  let page;
  do {
    const from = list.state.filter.group ? rows.size : page?.nextCursor;
    page = await get('notifications', query(Math.min(size - rows.size, answerSize), from), signal);
    for (const n of page.notifications) rows.set(n.id, n);
  } while (rows.size < size && rows.size < page.totalCount && page.notifications.length > 0 && (list.state.filter.group || page.nextCursor));
  return { page, rows: [...rows.values()] };
}

/** openList shows another filter, from the top. */
export async function openList(filter) {
  kept.clear();
  cursor = null;
  list.set({ filter, state: 'loading', rows: [], total: 0, done: false, failure: null, arrived: 0 });
  await read(pageSize, 'failed');
}

/** refresh reads again what is loaded; what is shown stays until the answer is there. */
export async function refresh() {
  if (!list.state.filter) return;
  if (list.state.state === 'failed') list.set({ state: 'loading' });
  await read(Math.min(Math.max(list.state.rows.length, pageSize), refreshSize), list.state.state === 'loading' ? 'failed' : 'ready');
}

/**
 * merged is an answer with what is newer here: rows touched since it was asked for, and
 * rows that stay because they were opened here.
 */
function merged(filter, answered, loaded, totalCount) {
  const newest = new Map(loaded.map((n) => [n.id, n]));
  let rows = [];
  let total = totalCount;
  for (const n of answered) {
    if (!touched.has(n.id)) {
      rows.push(n);
      continue;
    }
    const newer = newest.get(n.id);
    // Times on the wire are coarser than those that order the answer: what has not
    // moved is where the answer has it.
    const isPlaced = newer && revised(newer) === revised(n) && stays(filter, newer);
    if (isPlaced) rows.push(newer);
    if (!isPlaced || !matches(filter, newer)) total -= 1;
  }
  const drawn = new Set(rows.map((n) => n.id));
  let above = null;
  for (const n of loaded) {
    if (!drawn.has(n.id)) {
      const isNewer = touched.has(n.id);
      if (!isNewer && !(kept.has(n.id) && stays(filter, n))) continue;
      const isBelow = above && revised(above) === revised(n) && groupOf(filter, above) === groupOf(filter, n);
      rows = isBelow ? placed(rows, n, rows.findIndex((m) => m.id === above.id) + 1) : placed(rows, n);
      if (isNewer && matches(filter, n)) total += 1;
    }
    above = n;
  }
  return { rows, total };
}

/** beyond are the loaded rows behind those that are read again. */
function beyond(answered, loaded, rows) {
  if (loaded.length <= refreshSize) return [];
  const ids = new Set(answered.map((n) => n.id));
  const drawn = new Set(rows.map((n) => n.id));
  const joint = loaded.findLastIndex((n) => ids.has(n.id));
  return joint < 0 ? [] : loaded.slice(joint + 1).filter((n) => !drawn.has(n.id));
}

async function read(size, whenFailed, again = 2) {
  clearTimeout(retryTimer);
  request.abort();
  request = new AbortController();
  const { signal } = request;
  try {
    await settled();
    if (signal.aborted) return;
    const before = edits;
    touched = new Set();
    const { page, rows: answered } = await first(size, signal);
    if (signal.aborted) return;
    const isAtRest = edits === before && pending.size === 0;
    if (!isAtRest && again > 0) {
      await read(size, whenFailed, again - 1);
      return;
    }
    const { filter, rows: loaded, done } = list.state;
    const { rows, total } = merged(filter, answered, loaded, page.totalCount);
    const goesOn = filter.group ? answered.length < page.totalCount : page.nextCursor;
    const behind = goesOn ? beyond(answered, loaded, rows) : [];
    rows.push(...behind);
    list.set({ rows, total: Math.max(total, rows.length), done: behind.length > 0 && !filter.group ? done : next(page, filter.group ? rows : answered), state: 'ready', failure: null });
    // It never came to rest: later it will have.
    if (!isAtRest) retryTimer = setTimeout(refresh, retryAfter);
  } catch (failure) {
    if (signal.aborted) return;
    list.set({ state: whenFailed, failure });
    // Where rows are shown, nobody is asked to try again.
    if (whenFailed === 'ready' && failure.passing) retryTimer = setTimeout(refresh, retryAfter);
  }
}

/**
 * loadMore reads the next page, if there is one and none is being read. What has failed
 * is read again only for who asks for that.
 */
export async function loadMore({ again = false } = {}) {
  const { state, done } = list.state;
  if (done || !(state === 'ready' || (again && state === 'moreFailed'))) return;
  list.set({ state: 'more' });
  const { signal } = request;
  try {
    const page = await get('notifications', query(pageSize, cursor), signal);
    if (signal.aborted) return;
    const known = new Set(list.state.rows.map((n) => n.id));
    const rows = [...list.state.rows, ...page.notifications.filter((n) => !known.has(n.id))];
    list.set({ rows, total: page.totalCount, done: next(page, rows), state: 'ready', failure: null });
  } catch (failure) {
    if (!signal.aborted) list.set({ state: 'moreFailed', failure });
  }
}

/** placeOf is where the time of a row, and its group, put it. */
function placeOf(rows, n) {
  const { filter } = list.state;
  const group = groupOf(filter, n);
  let at = rows.findIndex((m) => groupOf(filter, m) === group && revised(m) <= revised(n));
  if (at < 0) {
    at = rows.findLastIndex((m) => groupOf(filter, m) === group) + 1;
    // A group that is not loaded yet has its place among the others.
    if (at === 0 && filter.group) at = rows.findIndex((m) => !groupOf(filter, m) || (group && groupOf(filter, m) > group));
    else if (at === 0) at = rows.length;
    if (at < 0) at = rows.length;
  }
  return at;
}

const placed = (rows, n, at = placeOf(rows, n)) => [...rows.slice(0, at), n, ...rows.slice(at)];

/** take takes in what arrived, or came back: new rows and new revisions of known ones. */
export function take(notifications, { fresh = false } = {}) {
  const { filter } = list.state;
  if (!filter) return;
  edits += 1;
  let { rows, total, arrived } = list.state;
  for (const n of notifications) {
    touched.add(n.id);
    if (opened.state.n?.id === n.id) opened.set({ n });
    const known = rows.find((m) => m.id === n.id);
    if (known) {
      rows = rows.filter((m) => m !== known);
      total -= 1;
    }
    if (!stays(filter, n)) continue;
    total += 1;
    const at = placeOf(rows, n);
    // What is behind everything loaded comes with its page.
    if (!list.state.done && !known && rows.length > 0 && at === rows.length) continue;
    rows = placed(rows, n, at);
    if (fresh && !known) arrived += 1;
  }
  list.set({ rows, total: Math.max(total, rows.length), arrived });
}

/** putBack gives one field of rows back what it was; those that left come again. */
export function putBack(field, notifications) {
  const shown = here();
  take(notifications.map((n) => (shown.has(n.id) ? { ...shown.get(n.id), [field]: n[field] } : n)));
}

/**
 * change alters rows; those that do not match any more leave, unless they are kept.
 * Of what is not loaded the notifications may be given, so that the total stays right.
 */
export function change(ids, patch, notifications = []) {
  const { filter } = list.state;
  if (!filter) return;
  edits += 1;
  const wanted = new Set(ids);
  for (const id of ids) touched.add(id);
  if (wanted.has(opened.state.n?.id)) opened.set({ n: { ...opened.state.n, ...patch } });
  let left = 0;
  const rows = [];
  for (const n of list.state.rows) {
    if (!wanted.has(n.id)) {
      rows.push(n);
      continue;
    }
    const changed = { ...n, ...patch };
    wanted.delete(n.id);
    if (stays(filter, changed)) rows.push(changed);
    else left += 1;
  }
  for (const n of notifications) {
    if (wanted.has(n.id) && matches(filter, n) && !matches(filter, { ...n, ...patch })) left += 1;
  }
  list.set({ rows, total: Math.max(list.state.total - left, rows.length) });
}

/** keep makes a row stay although it is read from now on. */
export const keep = (id) => kept.add(id);

/** release lets rows go that were kept. */
export function release(ids) {
  for (const id of ids) kept.delete(id);
}

export const seenArrivals = () => list.set({ arrived: 0 });
