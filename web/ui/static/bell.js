// <signalbox-bell>: the inbox of Signalbox as a bell on any page.
//
//   <script src="https://signalbox.example.com/bell.js" type="module"></script>
//   <signalbox-bell token-callback="portal.getToken"></signalbox-bell>
//
// It needs nothing of the page that it is on, touches nothing there, and works below a
// Content-Security-Policy that allows this script and connections to where it is from:
// no inline styles, no evaluation, no markup made of strings. Lines that are nothing but a
// comment are not sent: every page of a portal loads this.

// The texts, by language. A page may add languages: SignalboxBell.texts.fr = {…}.
const texts = {
  en: {
    title: 'Notifications',
    button: 'Notifications, {count} unread',
    unread: 'Unread:',
    markAll: 'Mark all as read',
    markRead: 'Mark as read: {title}',
    markUnread: 'Mark as unread: {title}',
    settings: 'Notification settings',
    inbox: 'Open the inbox',
    loading: 'Loading…',
    empty: 'No notifications yet',
    emptyText: 'What is sent to you appears here by itself.',
    failed: 'The notifications could not be loaded',
    failedText: 'Check your connection, then try again.',
    retry: 'Try again',
    signedOut: 'You are not signed in',
    signedOutText: 'Sign in to see your notifications.',
    signIn: 'Sign in',
    polling: 'Live updates are interrupted. New notifications appear with a delay.',
    stale: 'The server cannot be reached. What you see may be out of date.',
    notSaved: 'The change was not saved. Try again.',
    arrived: 'New notification: {title}',
    arrivedMany: { one: '{count} new notification', other: '{count} new notifications' },
    critical: 'Critical',
    high: 'High',
  },
  de: {
    title: 'Mitteilungen',
    button: 'Mitteilungen, {count} ungelesen',
    unread: 'Ungelesen:',
    markAll: 'Alle als gelesen markieren',
    markRead: 'Als gelesen markieren: {title}',
    markUnread: 'Als ungelesen markieren: {title}',
    settings: 'Einstellungen der Mitteilungen',
    inbox: 'Posteingang öffnen',
    loading: 'Wird geladen …',
    empty: 'Noch keine Mitteilungen',
    emptyText: 'Was an Sie geschickt wird, erscheint hier von selbst.',
    failed: 'Die Mitteilungen konnten nicht geladen werden',
    failedText: 'Prüfen Sie die Verbindung und versuchen Sie es noch einmal.',
    retry: 'Noch einmal versuchen',
    signedOut: 'Sie sind nicht angemeldet',
    signedOutText: 'Melden Sie sich an, um Ihre Mitteilungen zu sehen.',
    signIn: 'Anmelden',
    polling: 'Die Live-Verbindung ist unterbrochen. Neues erscheint mit Verzögerung.',
    stale: 'Der Server ist nicht erreichbar. Was Sie sehen, kann veraltet sein.',
    notSaved: 'Die Änderung wurde nicht gespeichert. Versuchen Sie es noch einmal.',
    arrived: 'Neue Mitteilung: {title}',
    arrivedMany: { one: '{count} neue Mitteilung', other: '{count} neue Mitteilungen' },
    critical: 'Kritisch',
    high: 'Hoch',
  },
};

const css = `
:host {
  all: initial;
  display: inline-block;
  vertical-align: middle;
  color: inherit;
  color-scheme: inherit;
  --text: var(--signalbox-bell-text, light-dark(#1b1c21, #ececf1));
  --soft: var(--signalbox-bell-text-soft, light-dark(#565861, #a5a8b4));
  --surface: var(--signalbox-bell-surface, light-dark(#fff, #1e2026));
  --hover: var(--signalbox-bell-hover, light-dark(#f3f3f7, #282b34));
  --line: var(--signalbox-bell-line, light-dark(#e6e6ec, #33363f));
  --accent: var(--signalbox-bell-accent, light-dark(#4f46e5, #a5a2fb));
  --radius: var(--signalbox-bell-radius, 12px);
  --font: var(--signalbox-bell-font, system-ui, sans-serif);
  --width: min(var(--signalbox-bell-width, 400px), 100vw - 16px);
}
:host([hidden]) { display: none; }
:host([theme=light]) { color-scheme: light; }
:host([theme=dark]) { color-scheme: dark; }
*, ::before, ::after { box-sizing: border-box; }
button, a { font: inherit; color: inherit; text-align: start; text-decoration: none; cursor: pointer; }
button { margin: 0; padding: 0; border: 0; background: none; }
h2, p, ul { margin: 0; padding: 0; font: inherit; }
svg { display: block; flex: none; fill: none; stroke: currentColor; stroke-width: 1.5; stroke-linecap: round; stroke-linejoin: round; }
[hidden] { display: none !important; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: -2px; border-radius: 8px; }
.sr { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.bell {
  position: relative;
  display: grid;
  place-items: center;
  inline-size: var(--signalbox-bell-size, 40px);
  block-size: var(--signalbox-bell-size, 40px);
  border-radius: 50%;
  color: var(--signalbox-bell-color, inherit);
  font: 600 11px/18px var(--font);
}
.bell svg { inline-size: 55%; block-size: 55%; transform-origin: 50% 10%; }
.bell:hover, .bell[aria-expanded=true] { background: color-mix(in srgb, currentColor 12%, transparent); }
.bell:focus-visible { outline-color: currentColor; border-radius: 50%; }
.bell.rings svg { animation: ring .7s ease-in-out; }
.badge {
  position: absolute;
  inset-block-start: 4%;
  inset-inline-start: 52%;
  min-inline-size: 18px;
  block-size: 18px;
  padding-inline: 5px;
  border-radius: 9px;
  background: var(--signalbox-bell-badge-background, #c81e1e);
  color: var(--signalbox-bell-badge-text, #fff);
  text-align: center;
  font-variant-numeric: tabular-nums;
  pointer-events: none;
}

.panel {
  position: fixed;
  inset: auto;
  margin: 0;
  padding: 0;
  inline-size: var(--width);
  max-block-size: min(var(--signalbox-bell-height, 560px), var(--room));
  border: 1px solid var(--line);
  border-radius: var(--radius);
  background: var(--surface);
  color: var(--text);
  box-shadow: var(--signalbox-bell-shadow, 0 12px 32px rgb(0 0 0 / 20%));
  font: 14px/1.45 var(--font);
  overflow: hidden;
  overflow-wrap: anywhere;
}
.panel:popover-open { display: flex; flex-direction: column; animation: appear .14s ease-out; }
.panel:focus { outline: none; }
.head { display: flex; align-items: center; gap: 4px; padding: 8px; padding-inline-start: 16px; border-block-end: 1px solid var(--line); }
h2 { flex: 1; font-size: 15px; font-weight: 650; }
.tool, .link { display: inline-flex; align-items: center; min-block-size: 32px; padding-inline: 8px; border-radius: 8px; font-weight: 500; }
.tool { color: var(--soft); font-size: 13px; }
.tool:hover { background: var(--hover); color: var(--text); }
.link { color: var(--accent); justify-content: center; }
.link:hover { text-decoration: underline; }
.notice { padding: 8px 16px; background: light-dark(#fef6e0, #33290f); color: light-dark(#6b4705, #f4d48c); font-size: 13px; }
ul { flex: 1 1 auto; min-block-size: 0; overflow-y: auto; overscroll-behavior: contain; list-style: none; }
.foot { display: grid; padding: 4px; border-block-start: 1px solid var(--line); }

li { position: relative; display: flex; align-items: flex-start; }
li + li { border-block-start: 1px solid var(--line); }
li:hover { background: var(--hover); }
.main { flex: 1; min-inline-size: 0; display: grid; grid-template-columns: 16px minmax(0, 1fr); gap: 2px 12px; padding: 12px 0; padding-inline: 16px 44px; }
.main > svg { margin-block-start: 2px; }
.main > :not(svg) { grid-column: 2; }
.main:focus-visible { border-radius: 0; }
.title { display: block; color: var(--soft); }
.unread .title { color: var(--text); font-weight: 600; }
.text { color: var(--soft); font-size: 13px; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
[aria-expanded=true] .text { display: block; white-space: pre-line; }
.meta { color: var(--soft); font-size: 12px; }
.mark { position: absolute; inset-block-start: 6px; inset-inline-end: 10px; display: grid; place-items: center; inline-size: 32px; block-size: 32px; border-radius: 50%; color: var(--soft); }
.mark:hover { background: var(--line); }
.mark:focus-visible { border-radius: 50%; }
.mark::before { content: ""; inline-size: 9px; block-size: 9px; border-radius: 50%; border: 1.5px solid currentColor; opacity: 0; }
.unread .mark::before { background: var(--accent); border-color: var(--accent); opacity: 1; }
li:hover .mark::before, .mark:focus-visible::before { opacity: 1; }
.critical { color: light-dark(#c81e1e, #ff7b7b); }
.high { color: light-dark(#b45309, #f5a94b); }
.normal { color: light-dark(#3f6fc4, #7fb0f5); }
.low { color: light-dark(#6a6d78, #9699a6); }
.main > .critical, .main > .high { stroke: none; fill: currentColor; fill-rule: evenodd; }

.message { display: grid; justify-items: center; gap: 4px; padding: 48px 32px; text-align: center; color: var(--soft); }
.message svg { opacity: .5; margin-block-end: 8px; }
.message b { color: var(--text); font-weight: 600; }
.skeleton { display: grid; gap: 10px; padding: 18px 44px; border-block-end: 1px solid var(--line); }
.skeleton::before, .skeleton::after { content: ""; block-size: 10px; border-radius: 5px; background: var(--hover); animation: pulse 1.2s ease-in-out infinite alternate; }
.skeleton::after { inline-size: 60%; }

@keyframes ring { 20% { rotate: 14deg } 40% { rotate: -12deg } 60% { rotate: 8deg } 80% { rotate: -5deg } }
@keyframes appear { from { opacity: 0; translate: 0 -6px } }
@keyframes pulse { to { opacity: .45 } }
@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; } }
@media (hover: none) { .mark::before { opacity: 1; } }
@media (forced-colors: active) { .badge { border: 1px solid; line-height: 16px; } .unread .mark::before { forced-color-adjust: none; background: CanvasText; } }
`;

const drawings = {
  bell: 'M12 3a6 6 0 0 0-6 6c0 5.2-2.2 6.8-2.2 8.2h16.4C20.2 15.8 18 14.2 18 9a6 6 0 0 0-6-6zM9.8 20.2a2.4 2.4 0 0 0 4.4 0',
  sliders: 'M2 5h5M11 5h3M2 11h3M9 11h5M9 3v4M7 9v4',
  // The severities differ by shape as well as by colour. The first two are filled.
  critical: 'M5.3 1.8h5.4l3.5 3.5v5.4l-3.5 3.5H5.3l-3.5-3.5V5.3zM7.1 4h1.8v5H7.1zM7.1 10.3h1.8v1.8H7.1z',
  high: 'M8 1.4 15.2 14H.8zM7.2 5.8h1.6v4H7.2zM7.2 10.8h1.6v1.6H7.2z',
  normal: 'M8 2.3a5.7 5.7 0 1 0 0 11.4A5.7 5.7 0 0 0 8 2.3zM8 7.5v3.3M8 5.2h.01',
  low: 'M8 2.3a5.7 5.7 0 1 0 0 11.4A5.7 5.7 0 0 0 8 2.3zM8 5.2v5M5.8 8.2 8 10.4l2.2-2.2',
};

// place is where this script is from: what is there can be left out of the attributes.
const place = new URL('.', import.meta.url);

const requestTimeout = 30_000;
const socketTimeout = 10_000;
const firstRetry = 500;
const minute = 60_000;

// ---- Elements and addresses -------------------------------------------------------

// make returns an element. Text becomes text nodes, never markup.
function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) set(made, key, value);
  made.append(...children);
  return made;
}

// set sets an attribute, or removes it for null, if that changes anything.
function set(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function draw(name, size = 16) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const path = document.createElementNS(svg.namespaceURI, 'path');
  set(svg, 'viewBox', name === 'bell' ? '0 0 24 24' : '0 0 16 16');
  set(svg, 'width', String(size));
  set(svg, 'height', String(size));
  set(svg, 'aria-hidden', 'true');
  set(path, 'd', drawings[name]);
  svg.append(path);
  return svg;
}

// safeURL is an http or https URL that may be followed, or null.
function safeURL(text, base) {
  if (typeof text !== 'string' || !text.trim()) return null;
  try {
    const url = new URL(text, base);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url : null;
  } catch {
    return null;
  }
}

// lead makes a link of an element. What is not of this page's origin opens beside it.
function lead(element, url) {
  set(element, 'href', url.href);
  set(element, 'rel', 'noopener noreferrer');
  set(element, 'target', url.origin === location.origin ? null : '_blank');
  return element;
}

// plain is the beginning of a Markdown text without its marks.
const plain = (text) => text.slice(0, 2000)
  .replace(/^\s*(?:```+|~~~+).*$/gm, '')
  .replace(/!?\[([^[\]\n]{0,500})\]\([^()\s]*\)/g, '$1')
  .replace(/^[ \t]{0,3}(?:#{1,6}\s+|>\s?|[-*+]\s+)/gm, '')
  .replace(/[*_~`]{1,3}(?=\S)|(?<=\S)[*_~`]{1,3}/g, (mark, at, all) => (/\w/.test(all[at - 1] ?? '') && /\w/.test(all[at + mark.length] ?? '') ? mark : ''))
  .replace(/\n\s*\n+/g, '\n').trim();

// ---- Languages --------------------------------------------------------------------

const languages = new Map();

// language returns the texts and formats of a language tag. The page may add languages
// after the first bell was drawn.
function language(tag) {
  const key = [tag, ...Object.keys(texts)].join();
  if (!languages.has(key)) languages.set(key, newLanguage(tag));
  return languages.get(key);
}

function newLanguage(tag) {
  const [locale] = [tag, 'en'].filter((one) => {
    try {
      return Object.hasOwn(texts, new Intl.Locale(one).language);
    } catch {
      return false;
    }
  });
  const name = new Intl.Locale(locale).language;
  const plurals = new Intl.PluralRules(name);
  const number = new Intl.NumberFormat(locale);
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' });
  const date = new Intl.DateTimeFormat(locale, { dateStyle: 'medium' });
  const exact = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium' });
  return {
    name,
    exact: (at) => exact.format(at),
    t(key, values = {}) {
      let text = texts[name][key] ?? texts.en[key];
      if (typeof text === 'object') text = text[plurals.select(values.count)] ?? text.other;
      return text.replace(/\{(\w+)\}/g, (_, one) => (typeof values[one] === 'number' ? number.format(values[one]) : values[one]));
    },
    ago(at) {
      const minutes = Math.floor((Date.now() - at) / minute);
      if (minutes < 1) return relative.format(0, 'second');
      if (minutes < 60) return relative.format(-minutes, 'minute');
      if (minutes < 24 * 60) return relative.format(-Math.floor(minutes / 60), 'hour');
      if (minutes < 7 * 24 * 60) return relative.format(-Math.floor(minutes / 24 / 60), 'day');
      return date.format(at);
    },
  };
}

// ---- What is known, and how ---------------------------------------------------------

// What the server refused, or that it could not be reached: then status is 0.
class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Feed is what all bells of a page share that show the same inbox: what is known of it,
// and the one connection that keeps that true. Signals only say that something changed:
// what is shown is always what the server said last, or what the reader just did.
class Feed {
  static #open = new Set();

  // join returns the feed of an inbox, a new one if there is none yet.
  static join(bell, { base, user, provider }) {
    const same = (feed) => feed.#base === base && feed.#user === user && feed.#provider === provider;
    const feed = [...Feed.#open].find(same) ?? new Feed(base, user, provider);
    feed.#bells.add(bell);
    bell.feedChanged(feed);
    return feed;
  }

  // unread is null until it is known, rows as long as nobody wanted to see them.
  unread = null;
  rows = null;
  // problem is why nothing newer is known: '', 'failed' or 'signedOut'.
  problem = '';
  // live says whether changes show at once; null while that is not clear yet.
  live = null;
  // unsaved says that the last change was not taken.
  unsaved = false;

  #base;
  #user;
  #provider;
  #bells = new Set();
  #ends = new AbortController();
  #token = null;
  #refused = false;
  #socket = null;
  #socketTimer = 0;
  #retry = firstRetry;
  #retryTimer = 0;
  #lookTimer = 0;
  #looked = Date.now();
  #heard = 0;
  #reading = null;
  #stale = false;
  #soonTimer = 0;
  // Counts what the reader does: what was read meanwhile does not show that yet.
  #changes = 0;
  #changing = 0;
  #arrived = [];
  // Whether signals told of everything since the last reading.
  #followed = false;

  constructor(base, user, provider) {
    this.#base = base;
    this.#user = user;
    this.#provider = provider;
    Feed.#open.add(this);
    const { signal } = this.#ends;
    document.addEventListener('visibilitychange', () => this.#look(true), { signal });
    addEventListener('online', () => {
      this.#looked = 0;
      this.#look(true);
    }, { signal });
    addEventListener('offline', () => this.#socket?.close(), { signal });
    // Not before every bell of this page has joined, and its page set the properties.
    this.#retryTimer = setTimeout(() => this.wake());
    this.#lookTimer = setInterval(() => this.#look(), minute / 3);
  }

  leave(bell) {
    this.#bells.delete(bell);
    if (this.#bells.size > 0) return;
    Feed.#open.delete(this);
    this.#ends.abort();
    for (const timer of [this.#socketTimer, this.#retryTimer, this.#soonTimer]) clearTimeout(timer);
    clearInterval(this.#lookTimer);
    this.#socket?.close(1000);
    this.#socket = null;
  }

  // wake reads what is shown, and connects if there is no connection, or to renew it.
  async wake(renew = false) {
    clearTimeout(this.#retryTimer);
    if (renew && this.live) {
      const old = this.#socket;
      this.#socket = this.live = null;
      this.#followed = false;
      old.close();
    }
    await this.sync();
    if (this.#ends.signal.aborted || this.#socket || this.problem === 'signedOut') return;
    if (this.problem) this.#retryLater();
    else await this.#connect();
  }

  // look is for connections that are dead without saying so: a computer slept, a router
  // forgot, and a script sees no pings. One is renewed when nobody looked for long; if it
  // was only silent for long, the server is asked whether there was nothing to say.
  async #look(shown) {
    if (document.hidden) return;
    const now = Date.now();
    const away = now - this.#looked > minute;
    this.#looked = now;
    if (shown || away) this.wake(away);
    else if (this.live && now - this.#heard > minute) {
      this.#heard = now;
      this.#followed = false;
      const { unread } = this;
      await this.sync();
      if (this.unread !== unread && this.#heard === now) this.wake(true);
    }
  }

  // sync reads again what is shown. Calls while it does so make one more reading.
  sync() {
    if (this.#reading) {
      this.#stale = true;
      return this.#reading;
    }
    this.#stale = false;
    this.#reading = this.#read().finally(() => {
      this.#reading = null;
      if (this.#stale) this.#soon(250);
    });
    return this.#reading;
  }

  #soon(delay) {
    if (this.#ends.signal.aborted) return;
    this.#soonTimer ||= setTimeout(() => {
      this.#soonTimer = 0;
      this.sync();
    }, delay);
  }

  async #read() {
    const { signal } = this.#ends;
    const limit = Math.max(0, ...[...this.#bells].map((bell) => bell.wanted));
    const before = this.#changes;
    const live = Boolean(this.live);
    try {
      const [status, page] = await Promise.all([
        this.#request('notifications/status', null, signal),
        limit > 0 ? this.#request(`notifications?limit=${limit}`, null, signal) : null,
      ]);
      if (signal.aborted) return;
      const back = this.problem === 'signedOut';
      this.problem = '';
      if (back) this.#retryLater();
      if (before !== this.#changes || this.#changing > 0) {
        this.#stale = true;
        return;
      }
      // What was not signalled shows by the number.
      const more = status.unread - (this.unread ?? Infinity);
      if (!this.#followed && more > this.#arrived.length) this.#arrived = Array(more).fill(null);
      this.#followed = live;
      this.unread = status.unread;
      this.rows = page?.notifications ?? this.rows;
      this.#announce();
    } catch (failure) {
      if (signal.aborted) return;
      this.problem = failure.status === 401 ? 'signedOut' : 'failed';
      if (this.problem === 'signedOut') {
        this.unread = this.rows = null;
        this.#socket?.close();
      } else if (!(failure instanceof Failure)) {
        console.warn(`signalbox-bell: ${failure.message}`);
      }
    }
    this.#tell();
  }

  // mark makes notifications read or unread, all of them without identifiers.
  async mark(ids, read) {
    const before = [this.rows, this.unread];
    const at = read ? new Date().toISOString() : null;
    const changed = (n) => (!ids || ids.includes(n.id)) && Boolean(n.read) !== read;
    const known = this.rows?.filter(changed) ?? [];
    const count = known.length;
    // Named one by one if they are all here: what comes this moment is not among them.
    if (count === this.unread) ids ??= known.map(({ id }) => id);
    this.rows = this.rows && this.rows.map((n) => (changed(n) ? { ...n, read: at } : n));
    this.unread = ids ? Math.max(0, this.unread + (read ? -count : count)) : 0;
    this.#changes += 1;
    this.#changing += 1;
    this.unsaved = false;
    this.#tell();
    try {
      // A page that is left by this very click must not take it back.
      await this.#request('notifications/update', ids ? { ids, read } : { filter: { read: !read }, read });
    } catch {
      [this.rows, this.unread] = before;
      this.unsaved = true;
    }
    this.#changing -= 1;
    this.#changes += 1;
    this.#tell();
    this.#soon(0);
  }

  // request returns the decoded answer; a body makes it a POST.
  async #request(path, body, signal) {
    for (let last = false; ; last = true) {
      const asked = this.#credential();
      const token = await asked;
      const response = await this.#fetch(path, body, token, signal);
      if (response.status === 401 && token && !last) {
        this.#refuse(asked);
        continue;
      }
      const json = response.headers.get('Content-Type')?.includes('json');
      const answer = json ? await response.json().catch((error) => { throw new Failure(0, error.message); }) : null;
      if (!response.ok || !answer) throw new Failure(response.status || 500, answer?.error?.message ?? response.statusText);
      return answer;
    }
  }

  async #fetch(path, body, token, signal) {
    const headers = { Accept: 'application/json' };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (this.#user) headers['X-Signalbox-User'] = this.#user;
    if (body) headers['Content-Type'] = 'application/json';
    const late = AbortSignal.timeout(requestTimeout);
    try {
      return await fetch(new URL(`api/${path}`, this.#base), {
        method: body ? 'POST' : 'GET', headers, body: body ? JSON.stringify(body) : undefined, keepalive: Boolean(body),
        credentials: this.#provider || this.#user ? 'omit' : 'include', cache: 'no-store',
        signal: signal ? AbortSignal.any([signal, late]) : late,
      });
    } catch (error) {
      throw new Failure(0, error.message);
    }
  }

  // credential asks for a token, once for all requests until one is refused.
  #credential() {
    if (!this.#provider) return '';
    this.#token ??= this.#ask().catch((error) => {
      this.#token = null;
      throw error;
    });
    return this.#token;
  }

  async #ask() {
    const named = this.#provider;
    const provider = typeof named === 'string' ? named.split('.').reduce((owner, name) => owner?.[name], globalThis) : named;
    if (typeof provider !== 'function') throw new Error(`there is no function ${named} (token-callback)`);
    const refresh = this.#refused;
    this.#refused = false;
    const late = AbortSignal.any([this.#ends.signal, AbortSignal.timeout(requestTimeout)]);
    return new Promise((resolve, reject) => {
      late.onabort = () => reject(late.reason);
      Promise.resolve(provider({ refresh })).then(resolve, reject);
    });
  }

  // refuse forgets a token, unless another one came meanwhile.
  #refuse(asked) {
    if (this.#token !== asked) return;
    this.#token = null;
    this.#refused = true;
  }

  async #connect() {
    let token;
    try {
      token = await this.#credential();
    } catch {
      this.#retryLater();
      return;
    }
    if (this.#ends.signal.aborted || this.#socket) return;
    const url = new URL('api/signals', this.#base);
    url.protocol = url.protocol.replace('http', 'ws');
    if (this.#user) url.searchParams.set('user', this.#user);
    let socket;
    try {
      // Browsers let a page send a token nowhere else.
      socket = new WebSocket(url, token ? [token] : []);
    } catch {
      this.#down();
      return;
    }
    this.#socket = socket;
    // Some proxies neither take a connection nor refuse it.
    this.#socketTimer = setTimeout(() => socket.close(), socketTimeout);
    socket.onopen = () => {
      clearTimeout(this.#socketTimer);
      this.#retry = firstRetry;
      this.live = true;
      this.#heard = Date.now();
      socket.send(JSON.stringify({ action: 'subscribe', channel: 'notifications' }));
      // What came before it was open was not signalled.
      this.#soon(0);
      this.#tell();
    };
    socket.onmessage = ({ data }) => {
      if (this.#socket === socket) this.#hear(data);
    };
    socket.onclose = () => {
      if (this.#socket !== socket) return;
      clearTimeout(this.#socketTimer);
      this.#socket = null;
      this.#down();
    };
  }

  #down() {
    this.live = this.#followed = false;
    this.#tell();
    this.#retryLater();
  }

  // retryLater tries again after a while that grows up to the poll interval. Each try
  // reads first: that is the polling, and tells why there is no connection.
  #retryLater() {
    if (this.#ends.signal.aborted || this.problem === 'signedOut') return;
    const most = Math.min(...[...this.#bells].map((bell) => bell.pollInterval));
    clearTimeout(this.#retryTimer);
    // Not all pages at once after a restart. A page that nobody sees waits until one does.
    this.#retryTimer = setTimeout(() => { if (!document.hidden) this.wake(); }, Math.min(this.#retry, most) * (0.5 + Math.random()));
    this.#retry = Math.min(this.#retry * 2, most);
  }

  #hear(data) {
    this.#heard = Date.now();
    let signal;
    try {
      signal = JSON.parse(data);
    } catch {
      return;
    }
    const { channel, message } = signal ?? {};
    if (channel !== 'notifications' || !message) return;
    const isNew = message.action === 'new_notification';
    if (isNew && this.#arrived.length < 1000) this.#arrived.push(message.notification?.payload?.title ?? null);
        // What everybody gets is not read by everybody at the same moment.
    const toAll = isNew && message.notification?.user === null;
    this.#soon(toAll ? 1000 * Math.random() : 20);
  }

  // announce tells those who do not see the badge, on behalf of all bells.
  #announce() {
    const titles = this.#arrived.splice(0);
    if (titles.length === 0) return;
    for (const bell of this.#bells) bell.ring();
    const title = titles.length === 1 ? titles[0] : null;
    const [first] = this.#bells;
    first.announce(title === null ? 'arrivedMany' : 'arrived', { count: titles.length, title });
  }

  #tell() {
    for (const bell of this.#bells) bell.feedChanged(this);
  }
}

// ---- The element --------------------------------------------------------------------

let sheet;

// The attributes and events are in docs/page.md.
export class SignalboxBell extends HTMLElement {
  static texts = texts;

  static observedAttributes = [
    'app-url', 'base-url', 'guest-user', 'inbox-url', 'limit', 'locale', 'placement', 'poll-interval', 'settings-url', 'theme', 'token-callback',
  ];

  #provider = null;
  #feed = null;
  #joining = false;
  #open = false;
  // Whether the focus is to go back to the button, and whether a key went down on it.
  #returns = false;
  #pressed = false;
  #openEnds = null;
  #clock = 0;
  #told = null;
  #items = new Map();
  #active = '';

  #button = make('button', { type: 'button', class: 'bell', part: 'button', 'aria-haspopup': 'dialog', 'aria-expanded': 'false' });
  #badge = make('span', { class: 'badge', part: 'badge', 'aria-hidden': 'true', hidden: '' });
  #panel = make('section', { class: 'panel', part: 'panel', popover: 'auto', role: 'dialog', 'aria-labelledby': 'title', tabindex: '-1' });
  #title = make('h2', { id: 'title', part: 'title' });
  #markAll = make('button', { type: 'button', class: 'tool', part: 'mark-all' });
  #settings = make('a', { class: 'tool', part: 'settings' });
  #notice = make('p', { class: 'notice', part: 'notice', role: 'status' });
  #list = make('ul', { part: 'list', role: 'list', 'aria-labelledby': 'title' });
  #message = make('div', { part: 'message' });
  #footer = make('div', { class: 'foot', part: 'footer' });
  #inbox = make('a', { class: 'link', part: 'inbox' });
  #live = make('p', { class: 'sr', role: 'status' });

  constructor() {
    super();
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
    }
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [sheet];
    this.#button.append(draw('bell', 22), this.#badge);
    this.#settings.append(draw('sliders'));
    this.#footer.append(this.#inbox);
    this.#panel.append(make('div', { class: 'head', part: 'header' }, this.#title, this.#markAll, this.#settings), this.#notice, this.#list, this.#message, this.#footer);
    root.append(this.#button, this.#panel, this.#live);

    // The browser opens and closes it, by Escape and a click beside it, too.
    this.#button.popoverTargetElement = this.#panel;
    this.#button.addEventListener('pointerenter', () => this.#button.classList.remove('rings'));
    this.#button.addEventListener('keydown', (event) => this.#buttonKey(event));
    // A key by which the panel closes, and the focus comes back, must not open it again.
    this.#button.addEventListener('focus', () => { this.#pressed = false; });
    this.#button.addEventListener('keypress', (event) => { if (!this.#pressed) event.preventDefault(); });
    this.#panel.addEventListener('beforetoggle', ({ newState }) => (newState === 'open' ? this.#opens() : this.#closes()));
    this.#panel.addEventListener('toggle', ({ newState }) => this.#toggled(newState));
    this.#panel.addEventListener('keydown', (event) => this.#panelKey(event));
    this.#panel.addEventListener('focusout', ({ relatedTarget }) => {
      // Who tabs on is done with it.
      if (relatedTarget && !this.#panel.contains(relatedTarget) && relatedTarget !== this.#button) this.#panel.hidePopover();
    });
    this.#markAll.addEventListener('click', () => {
      this.#panel.focus();
      this.#feed?.mark(null, true);
    });
    for (const link of [this.#settings, this.#inbox]) link.addEventListener('click', () => this.#panel.hidePopover());
    this.#list.addEventListener('focusin', ({ target }) => {
      this.#active = target.closest('li').dataset.id;
      this.#order();
    });
  }

  // tokenProvider returns a token, or a promise of one; it is called with {refresh}.
  get tokenProvider() { return this.#provider; }

  set tokenProvider(provider) {
    if (provider !== null && provider !== undefined && typeof provider !== 'function') throw new TypeError('tokenProvider must be a function');
    this.#provider = provider ?? null;
    this.#rejoin();
  }

  // wanted is how many notifications the bell shows just now.
  get wanted() { return this.#open ? Math.round(this.#number('limit', 20, 1, 100)) : 0; }

  // pollInterval is in milliseconds.
  get pollInterval() { return 1000 * this.#number('poll-interval', 30, 1, 3600); }

  connectedCallback() {
    // The property may have been set before there was a setter.
    if (Object.hasOwn(this, 'tokenProvider')) {
      const { tokenProvider } = this;
      delete this.tokenProvider;
      this.tokenProvider = tokenProvider;
    }
    this.#rejoin();
    this.#render();
  }

  disconnectedCallback() {
    this.#rejoin();
  }

  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    this.#rejoin();
    this.#render();
  }

  focus(options) { this.#button.focus(options); }

  // feedChanged is called by the feed; it shows what is known now.
  feedChanged(feed) {
    if (this.#feed && this.#feed !== feed) return;
    this.#render(feed);
    if (feed.unread !== this.#told) {
      this.#told = feed.unread;
      this.#emit('signalbox-unread', { unread: feed.unread });
    }
  }

  // ring shows that something came.
  ring() {
    this.#button.classList.remove('rings');
    // Measuring restarts the animation.
    void this.#button.offsetWidth;
    this.#button.classList.add('rings');
  }

  announce(key, values) {
    const text = this.#language.t(key, values);
    // The same words again are only heard if they differ.
    this.#live.textContent = this.#live.textContent === text ? `${text}\u00a0` : text;
  }

  #number(name, otherwise, least, most) {
    const value = Number.parseFloat(this.getAttribute(name));
    return Number.isNaN(value) ? otherwise : Math.min(Math.max(value, least), most);
  }

  get #base() {
    const url = safeURL(this.getAttribute('base-url'), document.baseURI) ?? place;
    return new URL(url.pathname.replace(/\/?$/, '/'), url);
  }

  // page is the address of a page of Signalbox; an empty attribute is none.
  #page(attribute, path) {
    const given = this.getAttribute(attribute);
    return given === null ? new URL(path, this.#base) : safeURL(given, document.baseURI);
  }

  get #language() {
    const tag = this.getAttribute('locale') || this.closest('[lang]')?.lang || document.documentElement.lang || navigator.language;
    return language(tag);
  }

  #emit(name, detail, cancelable = false) {
    return this.dispatchEvent(new CustomEvent(name, { detail, cancelable, bubbles: true, composed: true }));
  }

  // rejoin takes part in the feed of the inbox that the attributes name.
  #rejoin() {
    if (this.#joining) return;
    this.#joining = true;
    // An element that is only moved is out and in again by then.
    queueMicrotask(() => {
      this.#joining = false;
      const left = this.#feed;
      this.#feed = null;
      if (this.isConnected) {
        const user = this.getAttribute('guest-user') ?? '';
        this.#feed = Feed.join(this, {
          base: this.#base.href, provider: this.#provider ?? this.getAttribute('token-callback') ?? '',
          user: !user || user.includes(':') ? user : `user:${user.includes('/') ? user : `default/${user}`}`,
        });
        if (this.#open) this.#feed.sync();
      } else {
        // A popover that is removed closes without a word.
        this.#closes();
        this.#items.clear();
        this.#list.replaceChildren();
        this.#told = null;
      }
      if (left && left !== this.#feed) left.leave(this);
    });
  }

  // ---- Opening and closing

  #opens() {
    this.#open = true;
    this.#openEnds = new AbortController();
    const { signal } = this.#openEnds;
    this.#place();
    addEventListener('resize', () => this.#place(), { signal });
    document.addEventListener('scroll', ({ target }) => {
      if (target.contains?.(this)) this.#place();
    }, { signal, capture: true, passive: true });
    this.#clock = setInterval(() => this.#render(), minute / 2);
    this.#button.classList.remove('rings');
    set(this.#button, 'aria-expanded', 'true');
    if (this.#feed) {
      this.#feed.unsaved = false;
      this.#render();
      if (this.#feed.problem) this.#feed.wake();
      else this.#feed.sync();
    }
    this.#emit('signalbox-open');
  }

  #closes() {
    this.#open = false;
    this.#openEnds?.abort();
    clearInterval(this.#clock);
    set(this.#button, 'aria-expanded', 'false');
    // Only what was in it is returned: a click elsewhere has moved the focus there.
    this.#returns = this.#panel.contains(this.shadowRoot.activeElement);
  }

  #toggled(state) {
    if (state === 'open') {
      if (!this.#panel.contains(this.shadowRoot.activeElement)) this.#panel.focus({ preventScroll: true });
    } else if (this.#returns) {
      this.#button.focus({ preventScroll: true });
    }
  }

  // place puts the panel beside the button, on the side where there is room.
  #place() {
    const gap = 8;
    const box = this.#button.getBoundingClientRect();
    const [side, edge] = (this.getAttribute('placement') ?? '').split('-');
    const below = innerHeight - box.bottom - 2 * gap;
    const above = box.top - 2 * gap;
    const enough = 320;
    const up = side === 'top' ? above >= enough || above > below : below < enough && above > below;
    const leftward = (edge !== 'start') === (getComputedStyle(this).direction !== 'rtl');
    const { style } = this.#panel;
    style.setProperty('--room', `${up ? above : below}px`);
    style.top = up ? 'auto' : `${box.bottom + gap}px`;
    style.bottom = up ? `${innerHeight - box.top + gap}px` : 'auto';
    style.left = `clamp(${gap}px, ${leftward ? `${box.right}px - var(--width)` : `${box.left}px`}, 100vw - var(--width) - ${gap}px)`;
  }

  #buttonKey(event) {
    this.#pressed = true;
    if (event.key !== 'ArrowDown') return;
    event.preventDefault();
    if (!this.#open) this.#panel.showPopover();
    else this.#focusItem(0);
  }

  #panelKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const items = [...this.#list.children];
    const at = items.findIndex((item) => item.contains(this.shadowRoot.activeElement));
    const last = items.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#focusItem(Math.min(Math.max(to, 0), last));
  }

  #focusItem(at) {
    this.#list.children[at]?.querySelector('.main').focus();
  }

  // ---- Showing

  #render(feed = this.#feed) {
    if (!feed) feed = { unread: null, rows: null, problem: '', live: null, unsaved: false };
    const words = this.#language;
    const { t } = words;
    const unread = feed.unread ?? 0;
    for (const one of [this.#button, this.#panel, this.#live]) set(one, 'lang', words.name);
    set(this.#button, 'aria-label', t(unread ? 'button' : 'title', { count: unread }));
    this.#badge.hidden = unread === 0;
    say(this.#badge, unread > 99 ? '99+' : String(unread));
    if (!this.#open) return;

    const rows = feed.rows?.slice(0, this.wanted) ?? null;
    say(this.#title, t('title'));
    say(this.#markAll, t('markAll'));
    this.#markAll.hidden = unread === 0;
    this.#link(this.#settings, 'settings-url', 'settings');
    for (const name of ['aria-label', 'title']) set(this.#settings, name, t('settings'));
    this.#link(this.#inbox, 'inbox-url', '.');
    this.#footer.hidden = this.#inbox.hidden || feed.problem === 'signedOut';
    say(this.#inbox, t('inbox'));
    const notice = feed.unsaved ? 'notSaved' : !rows ? '' : feed.problem ? 'stale' : feed.live === false ? 'polling' : '';
    say(this.#notice, notice ? t(notice) : '');
    this.#notice.hidden = !notice;
    this.#renderList(rows ?? [], words);
    this.#renderMessage(rows, feed, words);
  }

  #link(element, attribute, path) {
    const url = this.#page(attribute, path);
    element.hidden = !url;
    if (url) lead(element, url);
  }

  // renderMessage says why there is no list: nothing is there, or not yet, or not now.
  #renderMessage(rows, { problem }, { t }) {
    const state = problem && !rows ? problem : !rows ? 'loading' : rows.length === 0 ? 'empty' : '';
    set(this.#panel, 'aria-busy', state === 'loading' ? 'true' : null);
    const shown = `${state} ${t('title')}`;
    if (this.#message.dataset.shown === shown) return;
    this.#message.dataset.shown = shown;
    this.#message.className = state && state !== 'loading' ? 'message' : '';
    this.#message.replaceChildren();
    if (state === 'loading') {
      this.#message.append(make('span', { class: 'sr' }, t('loading')), ...Array.from({ length: 3 }, () => make('div', { class: 'skeleton' })));
    } else if (state) {
      this.#message.append(draw('bell', 36), make('b', {}, t(state)), make('span', {}, t(`${state}Text`)));
      if (state === 'signedOut' && !this.#inbox.hidden) {
        this.#message.append(lead(make('a', { class: 'link' }, t('signIn')), new URL(this.#inbox.href)));
      } else if (state === 'failed') {
        const retry = make('button', { type: 'button', class: 'link', part: 'retry' }, t('retry'));
        retry.addEventListener('click', () => this.#feed?.wake());
        this.#message.append(retry);
      }
    }
  }

  #renderList(rows, words) {
    const focused = this.shadowRoot.activeElement;
    const held = this.#list.contains(focused);
    const items = new Map();
    for (const n of rows) {
      const link = safeURL(n.payload.link, this.#appURL);
      const known = this.#items.get(n.id);
      const item = known && known.href === link?.href ? known : this.#newItem(n.id, link);
      item.update(n, words);
      items.set(n.id, item);
    }
    this.#items = items;
    // Elements that stay are not moved: that would take the focus from them.
    const wanted = [...items.values()].map(({ element }) => element);
    for (const element of [...this.#list.children]) if (!wanted.includes(element)) element.remove();
    wanted.forEach((element, i) => {
      if (this.#list.children[i] !== element) this.#list.insertBefore(element, this.#list.children[i] ?? null);
    });
    this.#list.hidden = rows.length === 0;
    if (!items.has(this.#active)) this.#active = rows[0]?.id ?? '';
    this.#order();
    if (held && this.shadowRoot.activeElement !== focused) (focused.isConnected ? focused : this.#panel).focus({ preventScroll: true });
  }

  // order leaves one notification in the tab order; arrows lead to the others.
  #order() {
    for (const [id, { main, mark }] of this.#items) {
      for (const one of [main, mark]) set(one, 'tabindex', id === this.#active ? '0' : '-1');
    }
  }

  get #appURL() {
    return safeURL(this.getAttribute('app-url'), document.baseURI)?.href ?? document.baseURI;
  }

  // newItem makes the element of a notification, and what keeps it true.
  #newItem(id, link) {
    const main = link ? lead(make('a', { class: 'main', part: 'item-link' }), link) : make('button', { type: 'button', class: 'main', part: 'item-link' });
    const mark = make('button', { type: 'button', class: 'mark', part: 'item-mark' });
    const hint = make('span', { class: 'sr' });
    const [title, text, origin] = [make('bdi'), make('bdi'), make('bdi')];
    const time = make('time', { dir: 'auto' });
    const about = make('span', { class: 'text', part: 'item-text' }, text);
    main.append(
      make('span', { class: 'title', part: 'item-title' }, hint, title), about,
      make('span', { class: 'meta', part: 'item-meta' }, origin, ' · ', time),
    );
    const element = make('li', { part: 'item' }, main, mark);
    element.dataset.id = id;
    let n;
    let severity = '';
    const choose = (event) => {
      const proceeds = event.type === 'auxclick' || this.#emit('signalbox-notification', { id, link: link?.href ?? null, notification: n }, true);
      if (!n.read) this.#feed?.mark([id], true);
      if (!proceeds) {
        event.preventDefault();
        this.#panel.hidePopover();
      } else if (!link) {
        if (main.hasAttribute('aria-expanded')) set(main, 'aria-expanded', String(main.getAttribute('aria-expanded') !== 'true'));
      } else if (event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        this.#panel.hidePopover();
      }
    };
    main.addEventListener('click', choose);
    // The middle button opens links, too.
    if (link) main.addEventListener('auxclick', (event) => { if (event.button === 1) choose(event); });
    mark.addEventListener('click', () => this.#feed?.mark([id], !n.read));
    const update = (now, { t, ago, exact }) => {
      n = now;
      const { payload } = n;
      const read = Boolean(n.read);
      const at = new Date(n.updated ?? n.created);
      const description = plain(String(payload.description ?? ''));
      element.classList.toggle('unread', !read);
      set(element, 'part', read ? 'item' : 'item item-unread');
      if (payload.severity !== severity) {
        severity = payload.severity;
        const known = ['critical', 'high', 'low'].includes(severity) ? severity : 'normal';
        const icon = draw(known);
        set(icon, 'class', known);
        main.querySelector('svg')?.remove();
        main.prepend(icon);
      }
      const level = severity === 'critical' || severity === 'high' ? `${t(severity)}. ` : '';
      say(hint, `${read ? '' : `${t('unread')} `}${level}`);
      say(title, String(payload.title));
      say(text, description);
      about.hidden = !description;
      say(origin, payload.topic ? `${n.origin} / ${payload.topic}` : n.origin);
      say(time, ago(at));
      set(time, 'datetime', at.toISOString());
      set(time, 'title', exact(at));
      const label = t(read ? 'markUnread' : 'markRead', { title: payload.title });
      set(mark, 'aria-label', label);
      set(mark, 'title', label.split(':')[0]);
      if (!link && description) {
        if (!main.hasAttribute('aria-expanded')) set(main, 'aria-expanded', 'false');
      } else {
        set(main, 'aria-expanded', null);
      }
    };
    return { element, main, mark, href: link?.href, update };
  }
}

if (!customElements.get('signalbox-bell')) customElements.define('signalbox-bell', SignalboxBell);
