// Keeps what is shown true: signals change rows at once, and whenever some may have
// been missed everything is read again.
import { get } from '../kit/api.js';
import { Store } from '../kit/store.js';
import { listen } from '../live.js';
import { counts, readCounts } from './counts.js';
import { isSnoozed } from './filter.js';
import { current } from './intents.js';
import { change, here, list, opened, refresh, take } from './list.js';

/** settingsChanges counts how often the settings were changed elsewhere. */
export const settingsChanges = new Store({ count: 0 });

const arrivalListeners = new Set();

/** onArrival calls back with notifications that are new. */
export const onArrival = (callback) => arrivalListeners.add(callback);

const farAway = '9999-12-31T00:00:00.000Z';

const now = () => new Date().toISOString();

// The field that a signal is about, and what it becomes; null is off.
const flags = {
  notification_read: ['read', now],
  notification_unread: ['read', () => null],
  notification_saved: ['saved', now],
  notification_unsaved: ['saved', () => null],
  // Until when is not told; reading again will.
  notification_snoozed: ['snoozedUntil', () => farAway],
  notification_unsnoozed: ['snoozedUntil', () => null],
};

// A burst is drawn once.
let waiting = [];

function flush() {
  const messages = waiting;
  waiting = [];
  let arrived = [];
  const takeArrived = () => {
    if (arrived.length === 0) return;
    take(arrived, { fresh: true });
    for (const callback of arrivalListeners) callback(arrived);
    arrived = [];
  };
  for (const message of messages) {
    if (message.action === 'new_notification') {
      arrived.push(message.notification);
      continue;
    }
    takeArrived();
    apply(message);
  }
  takeArrived();
  readCounts();
}

function apply({ action, notification_ids: ids = [], total = ids.length }) {
  if (!Array.isArray(ids)) return;
  if (action === 'settings_changed') {
    settingsChanges.set({ count: settingsChanges.state.count + 1 });
    return;
  }
  const flag = Object.hasOwn(flags, action) ? flags[action] : null;
  // What comes into this view by the change is not loaded.
  const loaded = new Set(list.state.rows.map((n) => n.id));
  if (!flag || action.endsWith('snoozed') || total > ids.length || ids.some((id) => !loaded.has(id))) soon();
  if (!flag) return;
  const [kind, become] = flag;
  const value = become();
  const named = current(kind, ids, value !== null);
  if (kind !== 'snoozedUntil') {
    change(named, { [kind]: value });
    return;
  }
  // Until when may be known here: whoever snoozed it is told of that, too.
  const shown = here();
  change(value ? named.filter((id) => !shown.has(id) || !isSnoozed(shown.get(id))) : named, { [kind]: value });
  if (named.includes(opened.state.n?.id)) opened.set({ turn: opened.state.turn + 1 });
}

let reading = false;
let again = false;

/** soon reads everything again, once for several reasons, and lets each reading end. */
async function soon() {
  again = true;
  if (reading) return;
  reading = true;
  while (again) {
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    again = false;
    await refresh();
  }
  reading = false;
}

async function receive(message) {
  if (message.action === 'new_notification' && !message.notification) {
    try {
      message = { ...message, notification: await get(`notifications/${encodeURIComponent(message.notification_id)}`) };
    } catch {
      return;
    }
  }
  // Any service may publish on this channel.
  if (message.action === 'new_notification' && !(message.notification?.id && message.notification.payload)) return;
  waiting.push(message);
  if (waiting.length === 1) setTimeout(flush, 16);
}

export function start() {
  readCounts();
  let first = true;
  listen({
    message: receive,
    stale() {
      // The list was read as the page opened; only what came meanwhile is missing.
      if (!first || list.state.state !== 'loading') refresh();
      first = false;
      readCounts();
    },
    async missed() {
      const known = counts.state;
      await readCounts();
      return counts.state !== known;
    },
  });
}
