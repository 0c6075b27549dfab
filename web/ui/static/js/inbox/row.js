// One notification in the list.
import { Component, html } from '../kit/html.js';
import { Icon, Severity } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { plain } from '../kit/markdown.js';
import { Time } from '../kit/time.js';
import { revised } from './filter.js';
import { set } from './actions.js';
import { SnoozeMenu } from './snooze.js';

const previews = new WeakMap();

function preview(payload) {
  if (!previews.has(payload)) previews.set(payload, plain(payload.description ?? ''));
  return previews.get(payload);
}

/** Row is drawn again only if what it shows changes: scrolling moves many of them. */
export class Row extends Component {
  shouldComponentUpdate(next) {
    return ['n', 'top', 'height', 'position', 'size', 'active', 'open', 'ticked', 'address', 'snoozes'].some((name) => next[name] !== this.props[name]);
  }

  render(props) {
    return draw(props);
  }
}

// A row has one place in the tab order; what is in it is reached from there.
function draw({ n, top, height, position, size, active, open, ticked, onOpen, onTick, onFocus, address, snoozes }) {
  const { title, severity, topic } = n.payload;
  const text = preview(n.payload);
  const inOrder = active ? 0 : -1;
  const choose = (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button !== 0) return;
    event.preventDefault();
    onOpen(n);
  };
  return html`<li class=${`row${n.read ? '' : ' unread'}${open ? ' open' : ''}${ticked ? ' ticked' : ''}${text ? '' : ' brief'}`}
    style=${{ transform: `translateY(${top}px)`, height: `${height}px` }} aria-posinset=${position} aria-setsize=${size} data-id=${n.id} onfocusin=${() => onFocus(n)}>
    <label class="row-lead" onClick=${(event) => { event.preventDefault(); event.currentTarget.control.focus({ preventScroll: true }); setTimeout(() => onTick(n, event.shiftKey)); }}>
      <input type="checkbox" class="tick" checked=${ticked} tabindex=${inOrder} aria-label=${t('row.select', { title })} />
      <span class="unread-dot" />
    </label>
    <${Severity} value=${severity} label=${t(`severity.${severity}`)} />
    <a class="row-main" href=${address} tabindex=${inOrder} onClick=${choose} aria-current=${open ? 'true' : null} aria-describedby=${`about-${n.id}`}>
      <span class="row-title">${!n.read && html`<span class="sr">${t('row.unread')} </span>`}<bdi>${title}</bdi></span>
    </a>
    <span class="row-time">${n.saved && html`<${Icon} name="bookmark" filled size="12" label=${t('view.saved')} />`}${n.snoozedUntil && html`<${Icon} name="clock" size="12" label=${t('row.until')} />`}<${Time} at=${revised(n)} /></span>
    <span class="row-about" id=${`about-${n.id}`}>
      <span class="row-from"><bdi>${n.origin}</bdi>${topic && html`<span class="slash" aria-hidden="true">/</span><bdi>${topic}</bdi>`}</span>
      ${text && html`<span class="row-preview"><bdi>${text}</bdi></span>`}
    </span>
    <span class="row-actions">
      ${!n.snoozedUntil && html`<button type="button" class="icon-button" tabindex=${inOrder} aria-label=${t(n.read ? 'mark.unread' : 'mark.read')} title=${`${t(n.read ? 'mark.unread' : 'mark.read')} (e)`}
        onClick=${() => set('read', [n], !n.read)}><${Icon} name=${n.read ? 'dot' : 'check'} filled=${Boolean(n.read)} /></button>`}
      <button type="button" class="icon-button" tabindex=${inOrder} aria-pressed=${n.saved ? 'true' : 'false'} aria-label=${t('save')} title=${`${t(n.saved ? 'unsave' : 'save')} (s)`}
        onClick=${() => set('saved', [n], !n.saved)}><${Icon} name="bookmark" filled=${Boolean(n.saved)} /></button>
      ${snoozes && html`<${SnoozeMenu} notifications=${[n]} tabindex=${inOrder} />`}
    </span>
  </li>`;
}
