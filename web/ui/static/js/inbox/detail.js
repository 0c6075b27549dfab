// One notification in full, and what became of it.
import { Failure, get } from '../kit/api.js';
import { html, useEffect, useRef, useState } from '../kit/html.js';
import { Icon, Severity } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { external, linkLabel, safeURL } from '../kit/links.js';
import { markdown } from '../kit/markdown.js';
import { root } from '../kit/place.js';
import { useStore } from '../kit/store.js';
import { toast } from '../kit/toasts.js';
import { Time, clock } from '../kit/time.js';
import { address } from './filter.js';
import { set } from './actions.js';
import { keep, opened, settled } from './list.js';
import { Metadata } from './metadata.js';
import { SnoozeMenu, canSnooze } from './snooze.js';
import { Trace } from './trace.js';

/** useNotification is the row if it is loaded, else what the API has. */
function useNotification(id, known) {
  const [failure, setFailure] = useState(null);
  const { n: shown, turn } = useStore(opened);
  // Who opens a row has marked it as read; here it is for those who come by its address.
  // Who then marks it as unread has the last word.
  const seen = useRef(false);
  const show = (n) => {
    opened.set({ n });
    setFailure(null);
    if (!seen.current && !n.read && !n.snoozedUntil) {
      keep(n.id);
      set('read', [n], true, { quiet: true });
    }
    seen.current = true;
  };
  useEffect(() => {
    if (known) {
      show(known);
      return undefined;
    }
    const stop = new AbortController();
    // What was just done to it would not be in the answer yet.
    const read = async () => {
      await settled();
      const before = opened.state.n;
      const n = await get(`notifications/${encodeURIComponent(id)}`, {}, stop.signal);
      if (stop.signal.aborted) return;
      // What was done to it meanwhile is not in the answer.
      if (before?.id === id && opened.state.n !== before) await read();
      else show(n);
    };
    read().catch((error) => { if (!stop.signal.aborted) setFailure(error); });
    return () => stop.abort();
  }, [id, known, turn]);
  return { n: known ?? (shown?.id === id ? shown : null), failure };
}

function Links({ payload }) {
  const links = (payload.additionalLinks ?? []).map(({ url, title }) => ({ url: safeURL(url), title, text: url }));
  if (links.length === 0) return null;
  return html`<section class="detail-section"><h3>${t('detail.links')}</h3><ul class="links">
    ${links.map(({ url, title, text }, i) => html`<li key=${i}>${url
    ? html`<a ...${external(url)}><${Icon} name="link" size="14" /><bdi>${title || linkLabel(url)}</bdi></a>`
    : html`<bdi class="hint">${title || text}</bdi>`}</li>`)}
  </ul></section>`;
}

async function copyAddress(id) {
  try {
    await navigator.clipboard.writeText(new URL(address({ view: 'all' }, id), root).href);
    toast({ text: t('copied') });
  } catch {
    toast({ text: t('copy.failed'), kind: 'error' });
  }
}

function Actions({ n }) {
  const mark = t(n.read ? 'mark.unread' : 'mark.read');
  return html`<div class="detail-actions">
    ${!n.snoozedUntil && html`<button type="button" class="button" aria-label=${mark} onClick=${() => set('read', [n], !n.read)}><${Icon} name=${n.read ? 'dot' : 'check'} filled=${Boolean(n.read)} /><span class="detail-word">${mark}</span><span class="detail-short">${t(n.read ? 'bulk.unread' : 'bulk.read')}</span></button>`}
    <button type="button" class="button" aria-pressed=${n.saved ? 'true' : 'false'} aria-label=${t(n.saved ? 'view.saved' : 'save')} onClick=${() => set('saved', [n], !n.saved)}><${Icon} name="bookmark" filled=${Boolean(n.saved)} /><span class="detail-word">${t(n.saved ? 'view.saved' : 'save')}</span></button>
    ${canSnooze() && html`<${SnoozeMenu} notifications=${[n]} className="button" word="detail-word" />`}
    ${navigator.clipboard && html`<button type="button" class="button" aria-label=${t('copy')} title=${t('copy')} onClick=${() => copyAddress(n.id)}><${Icon} name="link" /></button>`}
  </div>`;
}

export function Detail({ id, known, onClose }) {
  const { n, failure } = useNotification(id, known);
  const back = html`<button type="button" class="icon-button detail-close" aria-label=${t('close')} title=${`${t('close')} (Esc)`} onClick=${onClose}><${Icon} name="back" /><${Icon} name="close" /></button>`;
  if (!n) {
    return html`<div class="detail-head">${back}</div>${failure && html`<div class="blank"><h2>${t(failure instanceof Failure && failure.status === 404 ? 'detail.gone' : 'error.title')}</h2><p>${failure.status === 404 ? t('detail.gone.text') : failure.message}</p></div>`}`;
  }
  const { title, description, link, severity, topic, metadata } = n.payload;
  const url = safeURL(link);
  return html`<div class="detail-head">${back}<${Actions} n=${n} /></div>
    <article class="detail" aria-labelledby="detail-title">
      <h2 id="detail-title"><${Severity} value=${severity} label=${t(`severity.${severity}`)} size="20" /><bdi>${title}</bdi></h2>
      <p class="detail-meta">
        <span class="chip"><bdi>${n.origin}</bdi></span>${topic && html`<span class="chip"><bdi>${topic}</bdi></span>`}
        ${n.user === null && html`<span class="chip" title=${t('broadcast.text')}><${Icon} name="people" size="12" />${t('broadcast')}</span>`}
        <span>${n.updated && `${t('detail.updated')} `}<${Time} at=${n.updated ?? n.created} long /></span>${n.snoozedUntil && html`<span class="chip"><${Icon} name="clock" size="12" />${t('snoozed.until', { at: clock(n.snoozedUntil) })}</span>`}
      </p>
      ${url ? html`<p><a class="button primary" ...${external(url)} title=${url.href}><${Icon} name="open" />${t('detail.open')} <span class="button-detail">${linkLabel(url)}</span></a></p>`
    : link && html`<p class="hint">${t('detail.unsafe')}: <bdi>${link}</bdi></p>`}
      ${description && html`<div class="prose" dir="auto">${markdown(description)}</div>`}
      <${Links} payload=${n.payload} />
      <${Metadata} value=${metadata} />
      <${Trace} n=${n} />
    </article>`;
}
