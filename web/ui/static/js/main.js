// Starts the page.
import { html, render } from './kit/html.js';
import { loadLanguage } from './kit/i18n.js';
import { params, route } from './kit/router.js';
import { loadSession } from './kit/session.js';
import { announceArrivals } from './arrivals.js';
import { readFilter } from './inbox/filter.js';
import { openList } from './inbox/list.js';
import { start } from './inbox/sync.js';
import { listenToKeys } from './keys.js';
import { Shell } from './shell.js';
import { keepTitle } from './title.js';

// What takes a round trip begins first, and all at once.
if (route.state.path === '') openList(readFilter(params()));
loadSession();
await loadLanguage();
start();
keepTitle();
announceArrivals();
listenToKeys();
render(html`<${Shell} />`, document.getElementById('app'));
