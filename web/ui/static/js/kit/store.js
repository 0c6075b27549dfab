// A value that tells when it changes.
import { useEffect, useState } from './html.js';

export class Store {
  #state;
  #listeners = new Set();

  constructor(state) { this.#state = state; }

  get state() { return this.#state; }

  /** set merges a patch into the state, and tells everyone if it changes anything. */
  set(patch) {
    const changed = Object.keys(patch).some((key) => this.#state[key] !== patch[key]);
    if (!changed) return;
    this.#state = { ...this.#state, ...patch };
    for (const listener of [...this.#listeners]) listener(this.#state);
  }

  subscribe(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** useStore draws a component again when what it picks changes. */
export function useStore(store, pick = (state) => state) {
  const [picked, setPicked] = useState(() => pick(store.state));
  useEffect(() => {
    const update = (state) => setPicked(() => pick(state));
    update(store.state);
    return store.subscribe(update);
  }, [store]);
  return picked;
}
