// Tells of what arrives while one looks elsewhere: by the system and by a sound, both
// only if asked for, and from one tab only.
import { t } from './kit/i18n.js';
import { plain } from './kit/markdown.js';
import { preferences } from './kit/preferences.js';
import { go } from './kit/router.js';
import { guest, session } from './kit/session.js';
import { address, readFilter } from './inbox/filter.js';
import { onArrival } from './inbox/sync.js';
import { params } from './kit/router.js';

const atMost = 3;
const quietFor = 3_000;

export const canNotify = () => window.isSecureContext && 'Notification' in window;

// Of all tabs of a user one has the lock; when it closes, another gets it. Without
// locks (plain HTTP) the tab in front speaks.
let leads = false;

function lead() {
  if (!navigator.locks) return;
  const user = session.state.user ?? guest();
  navigator.locks.request(`signalbox.arrivals ${user}`, () => {
    leads = true;
    return new Promise(() => {});
  }).catch(() => {});
}

const speaks = () => (navigator.locks ? leads : !document.hidden);

function show(n) {
  const shown = new Notification(n.payload.title, {
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

export function announceArrivals() {
  lead();
  onArrival((notifications) => {
    if (!speaks()) return;
    const { desktop, sound } = preferences.state;
    if (sound === 'on') chime();
    if (desktop !== 'on' || !canNotify() || Notification.permission !== 'granted') return;
    if (document.hasFocus()) return;
    notifications.slice(0, atMost).forEach(show);
    if (notifications.length > atMost) {
      new Notification(t('arrivals.more', { count: notifications.length - atMost }), { tag: 'signalbox.more' });
    }
  });
}
