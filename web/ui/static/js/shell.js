// The frame around every page: where one can go, who one is, and whether the page is
// up to date.
import { html, useEffect, useState } from './kit/html.js';
import { Icon } from './kit/icons.js';
import { number, t } from './kit/i18n.js';
import { Menu } from './kit/menu.js';
import { rootRequest } from './kit/api.js';
import { prefer, preferences } from './kit/preferences.js';
import { useRedraw } from './kit/redraw.js';
import { follow, href, params, useRoute } from './kit/router.js';
import { displayName, guest, session, signOut } from './kit/session.js';
import { useStore } from './kit/store.js';
import { Toasts, toast } from './kit/toasts.js';
import { Help } from './help.js';
import { counts } from './inbox/counts.js';
import { address, readFilter, views } from './inbox/filter.js';
import { Inbox } from './inbox/view.js';
import { help } from './keys.js';
import { live } from './live.js';

const viewIcons = { unread: 'inbox', saved: 'bookmark', snoozed: 'clock', all: 'stack' };

// Pages that are not the inbox are fetched when somebody goes there. An address that
// no page has is the inbox, too.
const pages = {
  settings: { icon: 'gear', load: () => import('./settings/page.js') },
  admin: { icon: 'shield', load: () => import('./admin/page.js'), forAdmins: true },
};

function NavLink({ to, icon, label, count, current }) {
  return html`<li><a class="nav-link" href=${to} onClick=${follow} aria-current=${current ? 'page' : null}>
    <${Icon} name=${icon} /><span class="nav-label">${label}</span>
    ${count ? html`<span class="count" aria-label=${t('total', { count })}>${count > 9999 ? `${number(9999)}+` : number(count)}</span>` : null}
  </a></li>`;
}

function Nav({ path, view }) {
  const { unread, snoozed } = useStore(counts);
  const admin = useStore(session, (s) => s.admin);
  const shown = views.filter((one) => one !== 'snoozed' || snoozed !== null);
  const count = { unread, snoozed };
  return html`<nav class="nav" aria-label=${t('nav')}>
    <ul>${shown.map((one) => html`<${NavLink} key=${one} to=${address({ view: one })} icon=${viewIcons[one]}
      label=${t(`view.${one}`)} count=${count[one]} current=${path === '' && view === one} />`)}</ul>
    <ul class="nav-pages">${Object.entries(pages).filter(([, { forAdmins }]) => admin || !forAdmins).map(([name, { icon }]) => html`<${NavLink} key=${name} to=${href(name)} icon=${icon}
      label=${t(name)} current=${path === name} />`)}</ul>
  </nav>`;
}

function Connection() {
  const { state } = useStore(live);
  return html`<span class="connection connection-${state}" title=${t(`live.${state}`)}><span class="connection-dot" /><span class="connection-text">${t(`live.${state}.short`)}</span></span>`;
}

function ThemeMenu() {
  const { theme } = useStore(preferences);
  return html`<${Menu} label=${t('theme')} button=${html`<${Icon} name=${theme === 'dark' ? 'moon' : 'sun'} />`}
    items=${['system', 'light', 'dark'].map((one) => ({ label: t(`theme.${one}`), checked: one === theme, run: () => prefer('theme', one) }))} />`;
}

function User() {
  const { state, user, logout } = useStore(session);
  const name = displayName(user ?? guest()) || t('guest');
  return html`<div class="user">
    <span class="avatar" aria-hidden="true">${[...name][0].toUpperCase()}</span>
    <span class="user-name" title=${user ?? guest()}>${name}</span>
    ${state === 'in' && logout && html`<button type="button" class="quiet-button" onClick=${() => signOut().catch(() => toast({ text: t('error.title'), kind: 'error' }))}>${t('logout')}</button>`}
  </div>`;
}

function SignIn() {
  const { login } = useStore(session);
  const back = login ? `${login}${login.includes('?') ? '&' : '?'}returnTo=${encodeURIComponent(location.pathname + location.search)}` : null;
  return html`<main class="blank" id="main" tabindex="-1">
    <${Icon} name="lock" size="32" />
    <h1>${t('signin.title')}</h1>
    <p>${t(login ? 'signin.text' : 'signin.elsewhere')}</p>
    ${back ? html`<a class="button primary" href=${back}>${t('signin')}</a>` : html`<button type="button" class="button" onClick=${() => location.reload()}>${t('retry')}</button>`}
  </main>`;
}

// A newer version may have taken the place of this one; its document names the files
// there are. Once a minute at most, and only if the server answers: without it, loading
// the page again would leave none.
async function reload() {
  if (Date.now() - (history.state?.reloaded ?? 0) < 60_000) throw new Error('reloaded already');
  await rootRequest('auth/session');
  history.replaceState({ reloaded: Date.now() }, '');
  location.reload();
}

function Lazy({ name }) {
  const [Page, setPage] = useState(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    let current = true;
    setPage(null);
    pages[name].load().then((module) => { if (current) setPage(() => module.Page); }, reload).catch(() => {
      if (current) setPage(() => Missing);
    });
    return () => { current = false; };
  }, [name, tries]);
  return Page ? html`<${Page} onRetry=${() => setTries(tries + 1)} />` : html`<main id="main" class="blank" tabindex="-1" aria-busy="true"></main>`;
}

function Missing({ onRetry }) {
  return html`<main id="main" class="blank" tabindex="-1"><${Icon} name="offline" size="32" /><h1>${t('error.title')}</h1><p>${t('error.offline.text')}</p>
    <button type="button" class="button" onClick=${onRetry}>${t('retry')}</button></main>`;
}

export function Shell() {
  const { path } = useRoute();
  const key = useRedraw();
  const { state } = useStore(session);
  const connection = useStore(live, (s) => s.state);
  const filter = readFilter(params());
  const [first] = path.split('/');
  const page = Object.hasOwn(pages, first) ? first : '';
  return html`<div class="shell" key=${key}>
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById('main')?.focus(); }}>${t('skip')}</a>
    <header class="bar">
      <a class="brand" href=${href('')} onClick=${follow}><span class="brand-mark"><${Icon} name="bell" /></span><span class="brand-name">Signalbox</span></a>
      <${Nav} path=${page} view=${filter.view} />
      <div class="bar-end">
        <${User} />
        <div class="bar-tools">
          <${Connection} />
          <button type="button" class="icon-button keys-button" aria-label=${t('shortcuts')} title=${t('shortcuts')} onClick=${() => help.set({ shown: true })}><${Icon} name="keyboard" /></button>
          <${ThemeMenu} />
        </div>
      </div>
    </header>
    <div class="banner-place" role="status">
      ${state !== 'out' && (connection === 'polling' || connection === 'offline') && html`<p class="banner"><${Icon} name="offline" />${t(`live.${connection}`)}</p>`}
    </div>
    ${state === 'out' ? html`<${SignIn} />` : page ? html`<${Lazy} name=${page} />` : html`<${Inbox} filter=${filter} id=${params().get('id') ?? ''} />`}
    <${Help} />
    <${Toasts} />
  </div>`;
}
