// Draws the whole page again, for what changes every text at once.
import { Store, useStore } from './store.js';

/** drawn changes when everything is to be drawn again. */
export const drawn = new Store({ times: 0 });

export const redraw = () => drawn.set({ times: drawn.state.times + 1 });

/** useRedraw is a key that changes when everything is to be drawn again. */
export const useRedraw = () => useStore(drawn, (s) => s.times);
