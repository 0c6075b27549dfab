// The address is the state: which page, and what it shows.
import { root } from './place.js';
import { Store, useStore } from './store.js';

function read({ pathname, search } = location) {
  const path = pathname.startsWith(root.pathname) ? pathname.slice(root.pathname.length) : '';
  return { path: path.replace(/\/+$/, ''), query: search };
}

export const route = new Store(read());

// Browsers refuse to change the address very often, as while a key is held down: of
// many replacements the last one is written.
const writeEvery = 250;
let unwritten = null;
let timer = 0;

function write() {
  clearTimeout(timer);
  timer = 0;
  if (unwritten !== null) history.replaceState(null, '', unwritten);
  unwritten = null;
}

addEventListener('pagehide', write);
addEventListener('popstate', () => {
  unwritten = null;
  route.set(read());
});

export const params = () => new URLSearchParams(route.state.query);

/** href is the address of a page; values that are empty are left out. */
export function href(path, query = {}) {
  const url = new URL(path, root);
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(key, value);
  }
  return url.pathname + url.search;
}

export function go(address, { replace = false } = {}) {
  if (address === (unwritten ?? location.pathname + location.search)) return;
  if (!replace) {
    write();
    history.pushState(null, '', address);
  } else {
    unwritten = address;
    if (!timer) {
      write();
      timer = setTimeout(write, writeEvery);
    }
  }
  route.set(read(new URL(address, location)));
}

/** follow is for links: it stays in the page unless a new tab or window was meant. */
export function follow(event) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.currentTarget;
  event.preventDefault();
  go(link.pathname + link.search);
}

export const useRoute = () => useStore(route);
