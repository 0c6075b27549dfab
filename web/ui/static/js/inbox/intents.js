// What the reader did a moment ago. The server tells of every change, also to the tab
// that made it: what it tells of a change that was undone meanwhile is old news.
const fresh = 5_000;
const intents = new Map();

const keyOf = (kind, id) => `${kind} ${id}`;

/** intend remembers what the reader wants of notifications. */
export function intend(kind, ids, on) {
  const until = Date.now() + fresh;
  for (const id of ids) intents.set(keyOf(kind, id), { on, until });
}

/** current are those of the identifiers about which this is no old news. */
export function current(kind, ids, on) {
  const now = Date.now();
  return ids.filter((id) => {
    const key = keyOf(kind, id);
    const intent = intents.get(key);
    if (!intent) return true;
    const isOld = intent.on !== on && intent.until > now;
    if (!isOld) intents.delete(key);
    return !isOld;
  });
}
