// The reader's quiet hours, in which nothing makes itself heard but what is severe
// enough. The server keeps them for what is sent outside; here they are about what the
// page shows by the system, and its sound.
import { get } from './kit/api.js';
import { severities } from './inbox/filter.js';
import { settingsChanges } from './inbox/sync.js';

const lasts = 300_000;

let schedule = null;
let asked = 0;

settingsChanges.subscribe(() => { schedule = null; });

function read() {
  if (!schedule || Date.now() - asked > lasts) {
    asked = Date.now();
    schedule = get('notifications/schedule').catch(() => {
      schedule = null;
      return {};
    });
  }
  return schedule;
}

/** isWithin says whether a time is in quiet hours, which may go over midnight. */
export function isWithin({ from, to }, timeZone, now = new Date()) {
  const clock = new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }).format(now);
  return from < to ? clock >= from && clock < to : clock >= from || clock < to;
}

/** heard are those of the notifications that need not be quiet. */
export async function heard(notifications) {
  const { quietHours, timeZone } = await read();
  try {
    if (!quietHours || !isWithin(quietHours, timeZone)) return notifications;
  } catch {
    return notifications; // a time zone that this browser does not know
  }
  const below = severities.indexOf(quietHours.below ?? 'critical');
  return notifications.filter((n) => severities.indexOf(n.payload.severity) <= below);
}
