// Which rows are ticked.
import { Store } from '../kit/store.js';
import { list } from './list.js';

/** all says that everything that the filter selects is meant, loaded or not. */
export const selection = new Store({ ids: new Set(), all: false });

let last = null;

export const clear = () => selection.set({ ids: new Set(), all: false });

/** tick turns a row's tick over; with range also those since the last one. */
export function tick(id, range = false) {
  const ids = new Set(selection.state.ids);
  const on = !ids.has(id);
  const rows = list.state.rows.map((n) => n.id);
  const [from, to] = [rows.indexOf(last), rows.indexOf(id)].sort((a, b) => a - b);
  for (const one of range && from >= 0 ? rows.slice(from, to + 1) : [id]) {
    if (on) ids.add(one);
    else ids.delete(one);
  }
  last = id;
  selection.set({ ids, all: false });
}

export const tickLoaded = () => selection.set({ ids: new Set(list.state.rows.map((n) => n.id)), all: false });
export const tickAll = () => selection.set({ ids: new Set(list.state.rows.map((n) => n.id)), all: true });

// What has left the list is not ticked any more.
list.subscribe(({ rows }) => {
  const { ids } = selection.state;
  if (ids.size === 0) return;
  const there = new Set(rows.map((n) => n.id));
  const left = [...ids].filter((id) => there.has(id));
  if (left.length !== ids.size) selection.set({ ids: new Set(left), all: selection.state.all && left.length > 0 });
});
