// The address is the state: which page, and what it shows.
import { root } from './place.js';
import { Store, useStore } from './store.js';

function read() {
  const path = location.pathname.startsWith(root.pathname) ? location.pathname.slice(root.pathname.length) : '';
  return { path: path.replace(/\/+$/, ''), query: location.search };
}

export const route = new Store(read());
addEventListener('popstate', () => route.set(read()));

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
  if (address === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', address);
  route.set(read());
}

/** follow is for links: it stays in the page unless a new tab or window was meant. */
export function follow(event) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.currentTarget;
  event.preventDefault();
  go(link.pathname + link.search);
}

export const useRoute = () => useStore(route);
