// Who is reading.
import { recallHere, rememberHere } from './memory.js';
import { rootRequest } from './api.js';
import { root } from './place.js';
import { Store } from './store.js';

/** state is 'unknown', 'in' (signed in), 'guest' (nobody has to), or 'out'. */
export const session = new Store({ state: 'unknown', user: null, admin: false, signIn: 'none', login: null, logout: null });

// In guest mode everyone says who they are: ?user=jane is for this tab.
const asked = new URLSearchParams(location.search).get('user');
if (asked !== null) {
  rememberHere('guest', asked || null);
  const url = new URL(location.href);
  url.searchParams.delete('user');
  history.replaceState(null, '', url.pathname + url.search);
}

/** guest is who a guest wants to be; empty for the server's default. */
export function guest() {
  const name = session.state.logout ? '' : recallHere('guest') ?? '';
  if (!name || name.includes(':')) return name;
  return `user:${name.includes('/') ? name : `default/${name}`}`;
}

export function signedOut() {
  session.set({ state: 'out' });
}

const askAgain = 5_000;
let isKnown = false;

export async function loadSession() {
  try {
    const { user, admin = false, signIn, login, logout } = await rootRequest('auth/session');
    const at = (path) => (path ? new URL(path, root) : null);
    const known = { user, admin, signIn, login: at(login)?.pathname ?? null, logout: at(logout)?.pathname ?? null };
    isKnown = true;
    // Who has not signed in and could is out; where nobody can, all are guests.
    session.set({ ...known, state: user ? (logout ? 'in' : 'guest') : session.state.state === 'out' ? 'out' : login ? 'out' : 'guest' });
  } catch (failure) {
    if (session.state.state === 'unknown') session.set({ state: 'guest' });
    // Without it nobody can sign in or out, and no admin is one, for as long as the page lives.
    if (!isKnown && failure.passing) setTimeout(loadSession, askAgain * (0.5 + Math.random()));
  }
}

/** signOut ends the session, and goes where the identity provider's is ended, too. */
export async function signOut() {
  const { redirect } = await rootRequest(session.state.logout, { method: 'POST' });
  location.assign(redirect ?? root);
}

// In another tab one may have signed out meanwhile, or in, or in as somebody else.
document.addEventListener('visibilitychange', async () => {
  const { state, user } = session.state;
  if (document.hidden || !['in', 'out'].includes(state)) return;
  await loadSession();
  if (user && session.state.user && session.state.user !== user) location.reload();
});

/** displayName is the last part of user:default/jane. */
export const displayName = (ref) => (ref ?? '').replace(/^.*[:/]/, '');
