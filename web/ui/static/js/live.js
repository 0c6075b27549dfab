// The WebSocket that tells what changes, and the polling that stands in for it.
import { api } from './kit/place.js';
import { guest, session } from './kit/session.js';
import { Store } from './kit/store.js';

/** state is 'connecting', 'live', 'polling' (no socket, asking regularly) or 'offline'. */
export const live = new Store({ state: 'connecting' });

const firstRetry = 500;
const lastRetry = 20_000;
const pollEvery = 15_000;
// Longer than a socket may take to open, so that a slow start shows no warning.
const patience = 3_000;

let socket = null;
let retry = firstRetry;
let retryTimer = 0;
let pollTimer = 0;
let listener = { message() {}, stale() {} };

/**
 * listen connects. message gets every message of the inbox's channel; stale is called
 * when some may have been missed: read again.
 */
export function listen(callbacks) {
  listener = callbacks;
  connect();
  setTimeout(() => { if (live.state.state === 'connecting') down(); }, patience);
  addEventListener('online', () => { retry = firstRetry; connect(); });
  addEventListener('offline', down);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && live.state.state !== 'live') connect();
  });
}

function connect() {
  clearTimeout(retryTimer);
  if (session.state.state === 'out') return;
  if (socket && socket.readyState <= WebSocket.OPEN) return;
  const url = new URL('signals', api);
  url.protocol = url.protocol.replace('http', 'ws');
  if (guest()) url.searchParams.set('user', guest());
  const opened = new WebSocket(url);
  socket = opened;
  opened.onopen = () => {
    retry = firstRetry;
    opened.send(JSON.stringify({ action: 'subscribe', channel: 'notifications' }));
    clearInterval(pollTimer);
    pollTimer = 0;
    live.set({ state: 'live' });
    listener.stale();
  };
  opened.onmessage = (event) => {
    if (socket !== opened) return;
    let signal;
    try {
      signal = JSON.parse(event.data);
    } catch {
      return;
    }
    if (signal?.channel === 'notifications' && signal.message) listener.message(signal.message);
  };
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = null;
    if (live.state.state === 'live') down();
    // Not all at once after a restart.
    retryTimer = setTimeout(connect, retry * (0.5 + Math.random()));
    retry = Math.min(retry * 2, lastRetry);
  };
}

function down() {
  live.set({ state: navigator.onLine ? 'polling' : 'offline' });
  if (pollTimer) return;
  pollTimer = setInterval(() => {
    live.set({ state: navigator.onLine ? 'polling' : 'offline' });
    if (!document.hidden) listener.stale();
  }, pollEvery);
}

session.subscribe(({ state }) => { if (state === 'out') socket?.close(); });
