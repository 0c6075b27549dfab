// The settings: what reaches one, where, when, and how this browser tells.
import { html, useEffect } from '../kit/html.js';
import { t } from '../kit/i18n.js';
import { redraw } from '../kit/redraw.js';
import { session } from '../kit/session.js';
import { useStore } from '../kit/store.js';
import { bind } from '../keys.js';
import { Tokens } from '../admin/tokens.js';
import { settingsChanges } from '../inbox/sync.js';
import { SendTest } from '../sendtest.js';
import { Browser } from './browser.js';
import { Matrix } from './matrix.js';
import { Schedule } from './schedule.js';
import { read, switches } from './switches.js';

export function Page() {
  const { failure, channels } = useStore(switches);
  const changes = useStore(settingsChanges, (s) => s.count);
  const { user, signIn } = useStore(session);
  useEffect(() => { read(); }, [changes]);
  useEffect(() => bind({ '/': () => document.getElementById('search')?.focus() }), []);
  return html`<main class="settings" id="main" tabindex="-1" aria-labelledby="settings-title"><div class="settings-content">
    <header class="settings-head"><h1 id="settings-title">${t('settings')}</h1><${SendTest} /></header>
    <section class="card" aria-labelledby="matrix-title"><h2 id="matrix-title">${t('matrix.title')}</h2><p class="hint">${t('matrix.text')}</p>
      ${failure && !channels ? html`<div class="blank"><h2>${t(failure.offline ? 'error.offline' : 'error.title')}</h2><p>${failure.offline ? t('error.offline.text') : failure.message}</p><button type="button" class="button" onClick=${() => read()}>${t('retry')}</button></div>`
    : channels ? html`<${Matrix} />` : html`<p class="hint" aria-busy="true">${t('loading')}</p>`}
    </section>
    <section class="card" aria-labelledby="schedule-title"><h2 id="schedule-title">${t('schedule.title')}</h2><p class="hint">${t('schedule.text')}</p><${Schedule} /></section>
    <section class="card" aria-labelledby="browser-title"><h2 id="browser-title">${t('browser.title')}</h2><p class="hint">${t('browser.text')}</p><${Browser} onLanguage=${redraw} /></section>
    ${user && signIn !== 'guest' && html`<${Tokens} own />`}
  </div></main>`;
}
