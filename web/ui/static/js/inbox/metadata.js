// What the sender added for machines, readable for people.
import { html } from '../kit/html.js';
import { t } from '../kit/i18n.js';
import { external, linkLabel, safeURL } from '../kit/links.js';

const isPlain = (value) => value === null || typeof value !== 'object';
const addresses = /^https?:\/\//i;

function Value({ value }) {
  if (!isPlain(value)) return html`<pre tabindex="0"><code>${JSON.stringify(value, null, 2)}</code></pre>`;
  const url = typeof value === 'string' && addresses.test(value) ? safeURL(value) : null;
  return url ? html`<a ...${external(url)}><bdi>${linkLabel(url)}</bdi></a>` : html`<bdi>${String(value)}</bdi>`;
}

export function Metadata({ value }) {
  const entries = Object.entries(value ?? {});
  if (entries.length === 0) return null;
  return html`<section class="detail-section"><h3>${t('detail.metadata')}</h3>
    <dl class="metadata">${entries.map(([key, one]) => html`<div key=${key}><dt><bdi>${key}</bdi></dt><dd><${Value} value=${one} /></dd></div>`)}</dl>
  </section>`;
}
