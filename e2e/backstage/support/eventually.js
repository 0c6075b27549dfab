import { setTimeout as sleep } from 'node:timers/promises';

// eventually calls look until it returns something truthy, and returns that. It
// fails after the timeout, with the last error if look threw.
export async function eventually(what, look, { timeout = 20_000, interval = 100 } = {}) {
  const deadline = Date.now() + timeout;
  let cause;
  for (;;) {
    try {
      const found = await look();
      if (found) {
        return found;
      }
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (Date.now() > deadline) {
      throw new Error(`${what}: not within ${timeout / 1000} s`, { cause });
    }
    await sleep(interval);
  }
}
