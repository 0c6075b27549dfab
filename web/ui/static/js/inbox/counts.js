// How much is unread, for the title, the menu and the icon.
import { get } from '../kit/api.js';
import { Store } from '../kit/store.js';

/** snoozed is null where the server cannot snooze. */
export const counts = new Store({ unread: null, read: null, snoozed: null });

let running = false;
let again = false;

/** readCounts reads the counts; calls while it does so make one more reading. */
export async function readCounts() {
  again = true;
  if (running) return;
  running = true;
  while (again) {
    again = false;
    try {
      const { unread, read, snoozed = null } = await get('notifications/status');
      counts.set({ unread, read, snoozed });
    } catch {
      // The list says what is wrong.
    }
    await new Promise((resolve) => { setTimeout(resolve, 250); });
  }
  running = false;
}
