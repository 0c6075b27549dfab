// What this browser remembers. Without storage (private windows, blocked cookies)
// nothing is remembered, and everything else works.
const prefix = 'signalbox.';

function attempt(storage, what) {
  try {
    return what(window[storage]);
  } catch {
    return null;
  }
}

export const recall = (key) => attempt('localStorage', (s) => s.getItem(prefix + key));

export function remember(key, value) {
  attempt('localStorage', (s) => (value === null ? s.removeItem(prefix + key) : s.setItem(prefix + key, value)));
}

/** The same, for this tab only. */
export const recallHere = (key) => attempt('sessionStorage', (s) => s.getItem(prefix + key));

export function rememberHere(key, value) {
  attempt('sessionStorage', (s) => (value === null ? s.removeItem(prefix + key) : s.setItem(prefix + key, value)));
}

/** onRemembered calls back when another tab remembers something else. */
export function onRemembered(key, callback) {
  addEventListener('storage', (event) => {
    if (event.key === prefix + key) callback(event.newValue);
  });
}
