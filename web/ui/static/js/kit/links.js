// Addresses come from senders. Only those that lead somewhere are links: a script is
// not somewhere.
import { appURL } from './place.js';

const allowed = new Set(['http:', 'https:', 'mailto:']);

/** safeURL is a URL that may be followed, or null. */
export function safeURL(text, base = appURL) {
  if (typeof text !== 'string' || !text.trim()) return null;
  try {
    const url = new URL(text, base);
    return allowed.has(url.protocol) ? url : null;
  } catch {
    return null;
  }
}

/** external are the attributes of a link that a sender chose. */
export const external = (url) => ({ href: url.href, target: '_blank', rel: 'noopener noreferrer' });

/** linkLabel names a link that has no title of its own. */
export function linkLabel(url) {
  if (url.protocol === 'mailto:') return url.pathname;
  const path = url.pathname === '/' ? '' : url.pathname;
  const text = url.host === appURL.host ? path || '/' : url.host + path;
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
