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
// Some proxies neither take a connection nor refuse it.
const openWithin = 10_000;

// A connection can be dead without saying so: the computer slept, a router forgot it. The
// server's pings are nothing that a script sees. So it is made anew after a sleep, and
// when the page is shown again; and one that was silent for long is compared with what
// the server says.
const lookEvery = 20_000;
const sleep = 120_000;
const doubtAfter = 60_000;
const doubtUnseenAfter = 300_000;

let socket = null;
let openTimer = 0;
let retry = firstRetry;
let retryTimer = 0;
let pollTimer = 0;
let heard = Date.now();
let hidden = 0;
let listener = { message() {}, stale() {}, missed: async () => false };

/**
 * listen connects. message gets every message of the inbox's channel; stale is called
 * when some may have been missed: read again. missed tells whether the server knows
 * something that no message told of.
 */
export function listen(callbacks) {
  listener = callbacks;
  connect();
  setTimeout(() => { if (live.state.state === 'connecting') down(); }, patience);
  addEventListener('online', () => { retry = firstRetry; renew(); });
  addEventListener('offline', down);
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) hidden = Date.now();
    else if (live.state.state === 'live' ? Date.now() - hidden > doubtAfter : !isOut()) {
      retry = firstRetry;
      renew();
      listener.stale();
    }
  });
  let looked = Date.now();
  setInterval(() => {
    const asleep = Date.now() - looked > sleep;
    looked = Date.now();
    if (asleep) renew();
    else if (live.state.state === 'live' && looked - heard > (document.hidden ? doubtUnseenAfter : doubtAfter)) doubt();
  }, lookEvery);
  let wasOut = isOut();
  session.subscribe(({ state }) => {
    if (state === 'out') socket?.close();
    else if (wasOut) {
      renew();
      listener.stale();
    }
    wasOut = state === 'out';
  });
}

const isOut = () => session.state.state === 'out';

async function doubt() {
  heard = Date.now();
  const doubted = socket;
  if (await listener.missed() && socket === doubted) renew();
}

/** renew connects again, whatever the connection there is says of itself. */
function renew() {
  // One that is on its way is new.
  if (socket?.readyState !== WebSocket.CONNECTING) {
    const old = socket;
    socket = null;
    old?.close();
  }
  connect();
}

function connect() {
  clearTimeout(retryTimer);
  if (isOut() || socket) return;
  const url = new URL('signals', api);
  url.protocol = url.protocol.replace('http', 'ws');
  if (guest()) url.searchParams.set('user', guest());
  const opened = new WebSocket(url);
  socket = opened;
  clearTimeout(openTimer);
  openTimer = setTimeout(() => opened.close(), openWithin);
  opened.onopen = () => {
    if (socket !== opened) return;
    clearTimeout(openTimer);
    retry = firstRetry;
    heard = Date.now();
    opened.send(JSON.stringify({ action: 'subscribe', channel: 'notifications' }));
    clearInterval(pollTimer);
    pollTimer = 0;
    live.set({ state: 'live' });
    listener.stale();
  };
  opened.onmessage = (event) => {
    if (socket !== opened) return;
    heard = Date.now();
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
    clearTimeout(openTimer);
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
    if (!document.hidden && !isOut()) listener.stale();
  }, pollEvery);
}
