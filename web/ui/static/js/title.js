// The unread count in the title and the icon of the tab.
import { number, t } from './kit/i18n.js';
import { drawn } from './kit/redraw.js';
import { route } from './kit/router.js';
import { counts } from './inbox/counts.js';

function icon(unread) {
  // What can be read in 16 pixels.
  const count = unread > 99 ? '99+' : unread;
  const badge = unread ? `<circle cx="21" cy="11" r="11" fill="#dc2626"/><text x="21" y="16" fill="#fff" font-family="system-ui,sans-serif" font-weight="700" font-size="${unread > 99 ? 11 : 15}" text-anchor="middle">${count}</text>` : '';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#4f46e5"/><path d="M7 17.5h5l1.6 3h4.8l1.6-3h5V22a2.5 2.5 0 0 1-2.5 2.5h-13A2.5 2.5 0 0 1 7 22z" fill="#fff"/><path d="M10.5 13.5a8 8 0 0 1 11 0M7.4 10.2a12.4 12.4 0 0 1 17.2 0" fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round"/>${badge}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

function update() {
  const unread = counts.state.unread ?? 0;
  const page = t(['settings', 'admin'].find((one) => route.state.path.split('/')[0] === one) ?? 'inbox');
  document.title = `${unread ? `(${number(unread)}) ` : ''}${page} · Signalbox`;
  document.querySelector('link[rel=icon]').href = icon(unread);
}

export function keepTitle() {
  update();
  counts.subscribe(update);
  route.subscribe(update);
  drawn.subscribe(update);
}
