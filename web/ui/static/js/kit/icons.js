// Icons are drawn inline, so that they have the colour of the text.
import { html } from './html.js';

const paths = {
  inbox: 'M2.5 9.5h3l1 2h3l1-2h3M2.5 9.5v3a1 1 0 0 0 1 1h9a1 1 0 0 0 1-1v-3M2.5 9.5l2-6a1 1 0 0 1 1-.7h5a1 1 0 0 1 1 .7l2 6',
  bookmark: 'M4.5 2.5h7a.5.5 0 0 1 .5.5v10.5L8 10.7l-4 2.8V3a.5.5 0 0 1 .5-.5z',
  clock: 'M8 4.8V8l2.2 1.4M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  stack: 'M2.5 8 8 10.8 13.5 8M2.5 10.8 8 13.6l5.5-2.8M8 2.4 2.5 5.2 8 8l5.5-2.8z',
  gear: 'M8 10.2a2.2 2.2 0 1 0 0-4.4 2.2 2.2 0 0 0 0 4.4zM12.9 9.6l1.1 1-1.3 2.3-1.5-.5-1.3.8L9.6 14.6H6.4l-.3-1.4-1.3-.8-1.5.5L2 10.6l1.1-1V8 6.4L2 5.4l1.3-2.3 1.5.5 1.3-.8.3-1.4h3.2l.3 1.4 1.3.8 1.5-.5L14 5.4l-1.1 1z',
  search: 'M7 12a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM10.7 10.7 14 14',
  check: 'm3 8.6 3.2 3.2L13 4.8',
  dot: 'M8 4.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z',
  close: 'm4 4 8 8M12 4l-8 8',
  back: 'M9.8 3 4.8 8l5 5',
  open: 'M6.5 3.5h-3v9h9v-3M9 2.8h4.2V7M13 3 7.5 8.5',
  link: 'M6.8 9.2 9.2 6.8M7.5 4.7l1.3-1.3a2.7 2.7 0 0 1 3.8 3.8l-1.3 1.3M8.5 11.3l-1.3 1.3a2.7 2.7 0 0 1-3.8-3.8l1.3-1.3',
  filter: 'M2.5 4h11M4.5 8h7M6.5 12h3',
  sun: 'M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9',
  moon: 'M13.3 9.6A5.7 5.7 0 0 1 6.4 2.7a5.7 5.7 0 1 0 6.9 6.9z',
  keyboard: 'M2 4.5h12v7H2zM4.5 7h.01M7 7h.01M9.5 7h.01M11.7 7h.01M5 9.3h6',
  lock: 'M4 7.5h8v6H4zM5.7 7.5V5.3a2.3 2.3 0 0 1 4.6 0v2.2',
  chevron: 'm6 3.5 4.5 4.5L6 12.5',
  undo: 'M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M3 6.5 6 3.5M3 6.5l3 3',
  bell: 'M8 2a4 4 0 0 0-4 4c0 3.5-1.5 4.5-1.5 5.5h11C13.5 10.5 12 9.5 12 6a4 4 0 0 0-4-4zM6.5 13.5a1.6 1.6 0 0 0 3 0',
  alert: 'M8 5v3.4M8 10.9h.01M14 8A6 6 0 1 1 2 8a6 6 0 0 1 12 0z',
  offline: 'm2.5 2.5 11 11M5 8.6a4.3 4.3 0 0 1 2.3-1M11 8.6a4.3 4.3 0 0 0-.7-.5M2.7 6.3a7.6 7.6 0 0 1 2-1.3M13.3 6.3a7.6 7.6 0 0 0-5.6-2M8 11.8h.01',
  shield: 'M8 1.8 13 3.6v3.9c0 3-2 5.3-5 6.7-3-1.4-5-3.7-5-6.7V3.6zM5.8 8l1.6 1.6 2.9-3.1',
  send: 'M14 2 7.3 8.7M14 2 9.8 14l-2.5-5.3L2 6.2z',
  people: 'M6 7.5a2.3 2.3 0 1 0 0-4.6 2.3 2.3 0 0 0 0 4.6zM1.8 13.2a4.2 4.2 0 0 1 8.4 0M10.5 3.2a2.2 2.2 0 0 1 0 4.1M11.8 9.4a4.2 4.2 0 0 1 2.4 3.8',
};

/** Icon is an ornament, unless it has a label. */
export function Icon({ name, label, size = 16, filled = false }) {
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 16 16" fill=${filled ? 'currentColor' : 'none'}
    stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round"
    role=${label ? 'img' : null} aria-label=${label ?? null} aria-hidden=${label ? null : 'true'}><path d=${paths[name]} /></svg>`;
}

const severities = {
  // Shapes differ as well as colours.
  critical: () => html`<path d="M5.3 1.8h5.4l3.5 3.5v5.4l-3.5 3.5H5.3l-3.5-3.5V5.3z" fill="currentColor" /><path d="M8 4.6v4M8 11.2h.01" stroke="var(--surface)" stroke-width="1.8" stroke-linecap="round" />`,
  high: () => html`<path d="M8 2 14.6 13.5H1.4z" fill="currentColor" stroke="currentColor" stroke-width="1.2" stroke-linejoin="round" /><path d="M8 6.3v3.2M8 11.6h.01" stroke="var(--surface)" stroke-width="1.6" stroke-linecap="round" />`,
  normal: () => html`<circle cx="8" cy="8" r="5.7" fill="none" stroke="currentColor" stroke-width="1.5" /><path d="M8 7.5v3.3M8 5.2h.01" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" />`,
  low: () => html`<circle cx="8" cy="8" r="5.7" fill="none" stroke="currentColor" stroke-width="1.5" stroke-dasharray="2 2.2" /><path d="M8 5.5v4.6M5.9 8.2 8 10.3l2.1-2.1" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" />`,
};

export function Severity({ value, label, size = 16 }) {
  const known = Object.hasOwn(severities, value) ? value : 'normal';
  return html`<svg class="severity severity-${known}" width=${size} height=${size} viewBox="0 0 16 16" role="img" aria-label=${label}><title>${label}</title>${severities[known]()}</svg>`;
}
