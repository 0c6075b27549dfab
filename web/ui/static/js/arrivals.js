// Tells of what arrives while one looks elsewhere: by the system and by a sound, both
// only if asked for, and from one tab only.
import { t } from './kit/i18n.js';
import { plain } from './kit/markdown.js';
import { preferences } from './kit/preferences.js';
import { recallHere } from './kit/memory.js';
import { root } from './kit/place.js';
import { go, params } from './kit/router.js';
import { address, readFilter } from './inbox/filter.js';
import { onArrival } from './inbox/sync.js';
import { heard } from './quiet.js';

const atMost = 3;
const quietFor = 3_000;

export const canNotify = () => window.isSecureContext && 'Notification' in window;

// Of all tabs of a user one has the lock; when it closes, another gets it. Without
// locks (plain HTTP, no storage) the tab in front speaks.
let leads = false;
let hasLocks = Boolean(navigator.locks);

// Who is signed in is the same in all tabs; only guests differ.
function lead() {
  if (!hasLocks) return;
  navigator.locks.request(`signalbox.arrivals ${root.pathname} ${recallHere('guest') ?? ''}`, () => {
    leads = true;
    return new Promise(() => {});
  }).catch(() => { hasLocks = false; });
}

const speaks = () => (hasLocks ? leads : !document.hidden);

/** notify shows something by the system, where there is one: some phones refuse. */
function notify(title, options) {
  try {
    return new Notification(title, options);
  } catch {
    return {};
  }
}

function show(n) {
  const shown = notify(n.payload.title, {
    body: plain(n.payload.description ?? n.origin), tag: n.id, icon: document.querySelector('link[rel=icon]')?.href,
    lang: document.documentElement.lang, dir: document.documentElement.dir,
  });
  shown.onclick = () => {
    window.focus();
    go(address({ ...readFilter(params()), view: 'all' }, n.id));
    shown.close();
  };
}

let audio = null;
let sounded = 0;

/** chime plays two soft notes. */
export function chime() {
  if (Date.now() - sounded < quietFor) return;
  // Nobody has touched this page yet: the browser would refuse, and complain.
  if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
  sounded = Date.now();
  audio ??= new AudioContext();
  for (const [at, pitch] of [[0, 659], [0.12, 880]]) {
    const tone = new OscillatorNode(audio, { frequency: pitch });
    const level = new GainNode(audio, { gain: 0 });
    const start = audio.currentTime + at;
    level.gain.setValueAtTime(0, start);
    level.gain.linearRampToValueAtTime(0.08, start + 0.01);
    level.gain.exponentialRampToValueAtTime(0.0001, start + 0.3);
    tone.connect(level).connect(audio.destination);
    tone.start(start);
    tone.stop(start + 0.3);
  }
}

/** wake lets sound begin later: some browsers allow that only with a click or a key. */
function wake() {
  if (preferences.state.sound !== 'on' || audio?.state === 'running') return;
  // Escape, or Shift alone, allows nothing yet.
  if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
  audio ??= new AudioContext();
  audio.resume().catch(() => {});
}

export function announceArrivals() {
  lead();
  for (const gesture of ['click', 'keydown']) addEventListener(gesture, wake);
  onArrival(async (arrived) => {
    const { desktop, sound } = preferences.state;
    if (!speaks() || (desktop !== 'on' && sound !== 'on')) return;
    const notifications = await heard(arrived);
    if (notifications.length === 0) return;
    if (sound === 'on') chime();
    if (desktop !== 'on' || !canNotify() || Notification.permission !== 'granted') return;
    if (document.hasFocus()) return;
    notifications.slice(0, atMost).forEach(show);
    if (notifications.length > atMost) {
      notify(t('arrivals.more', { count: notifications.length - atMost }), { tag: 'signalbox.more' });
    }
  });
}
