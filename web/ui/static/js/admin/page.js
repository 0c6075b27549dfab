// The pages for admins: how the router is doing, and what it needs a person for.
import { html, useEffect } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { follow, href, useRoute } from '../kit/router.js';
import { session } from '../kit/session.js';
import { useStore } from '../kit/store.js';
import { Deliveries } from './deliveries.js';
import { Letters } from './letters.js';
import { Overview } from './overview.js';
import { Send } from './send.js';
import { Tokens } from './tokens.js';

const tabs = { '': Overview, 'dead-letters': Letters, deliveries: Deliveries, tokens: Tokens, send: Send };
const names = { '': 'admin.overview', 'dead-letters': 'admin.letters', deliveries: 'admin.deliveries', tokens: 'admin.tokens', send: 'admin.send' };

const address = (tab) => href(tab ? `admin/${tab}` : 'admin');

export function Page() {
  const { path } = useRoute();
  const { state, admin } = useStore(session);
  // On a phone the row of pages is wider than the screen.
  useEffect(() => document.querySelector('.tab[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' }), [path, admin]);
  if (state === 'unknown') return html`<main id="main" class="blank" aria-busy="true"></main>`;
  if (!admin) {
    return html`<main class="blank" id="main" tabindex="-1"><${Icon} name="lock" size="32" /><h1>${t('admin.refused')}</h1><p>${t('admin.refused.text')}</p></main>`;
  }
  const asked = path.slice('admin/'.length);
  const tab = Object.hasOwn(tabs, asked) ? asked : '';
  return html`<main class="settings" id="main" tabindex="-1" aria-labelledby="admin-title"><div class="settings-content admin">
    <header class="settings-head"><h1 id="admin-title">${t('admin')}</h1></header>
    <nav class="tabs" aria-label=${t('admin')}><ul>${Object.keys(tabs).map((one) => html`<li key=${one}><a class="tab" href=${address(one)} onClick=${follow} aria-current=${one === tab ? 'page' : null}>${t(names[one])}</a></li>`)}</ul></nav>
    <${tabs[tab]} key=${tab} />
  </div></main>`;
}
