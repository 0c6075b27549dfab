// The settings: what reaches one, where, when, and how this browser tells.
import { html, useEffect, useState } from '../kit/html.js';
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
  const [scheduled, setScheduled] = useState(false);
  // Nothing is shown that would move once the cards above it know how tall they are.
  const known = scheduled && Boolean(failure || channels);
  useEffect(() => { read(); }, [changes]);
  useEffect(() => bind({ '/': () => document.getElementById('search')?.focus() }), []);
  return html`<main class="settings" id="main" tabindex="-1" aria-labelledby="settings-title"><div class="settings-content">
    <header class="settings-head"><h1 id="settings-title">${t('settings')}</h1><${SendTest} /></header>
    ${!known && html`<p class="hint" aria-busy="true">${t('loading')}</p>`}
    <div class="settings-cards" hidden=${!known}>
    <section class="card" aria-labelledby="matrix-title"><h2 id="matrix-title">${t('matrix.title')}</h2><p class="hint">${t('matrix.text')}</p>
      ${failure && !channels ? html`<div class="blank"><h2>${t(failure.offline ? 'error.offline' : 'error.title')}</h2><p>${failure.offline ? t('error.offline.text') : failure.message}</p><button type="button" class="button" onClick=${() => read()}>${t('retry')}</button></div>`
    : channels && html`<${Matrix} />`}
    </section>
    <section class="card" aria-labelledby="schedule-title"><h2 id="schedule-title">${t('schedule.title')}</h2><p class="hint">${t('schedule.text')}</p><${Schedule} onKnown=${() => setScheduled(true)} /></section>
    <section class="card" aria-labelledby="browser-title"><h2 id="browser-title">${t('browser.title')}</h2><p class="hint">${t('browser.text')}</p><${Browser} onLanguage=${redraw} /></section>
    ${user && signIn !== 'guest' && html`<${Tokens} own />`}
    </div>
  </div></main>`;
}
