// Requests to the API, and what can go wrong with them.
import { api, root } from './place.js';
import { guest, signedOut } from './session.js';

const timeout = 30_000;

/** Failure is an answer that is an error, or none: then status is 0. */
export class Failure extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }

  get offline() { return this.status === 0; }

  /** passing says that the same may succeed a little later. */
  get passing() { return this.status === 0 || this.status === 429 || this.status >= 500; }
}

/** request returns the decoded answer; path is relative to the API. */
export async function request(path, { method = 'GET', query, body, signal, base = api, headers: more } = {}) {
  const url = new URL(path, base);
  for (const [key, value] of Object.entries(query ?? {})) {
    for (const one of [value].flat()) {
      if (one !== undefined && one !== null && one !== '') url.searchParams.append(key, one);
    }
  }
  const headers = { Accept: 'application/json', ...more };
  if (method !== 'GET') {
    headers['Content-Type'] = 'application/json';
    headers['X-Requested-With'] = 'signalbox';
  }
  // A header takes no other characters; no name that the server knows has them.
  if (guest()) headers['X-Signalbox-User'] = guest().replace(/[^ -~]+/g, encodeURIComponent);
  const ends = AbortSignal.timeout(timeout);
  let response;
  let answer;
  try {
    response = await fetch(url, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin', cache: 'no-store', redirect: 'manual', signal: signal ? AbortSignal.any([signal, ends]) : ends,
    });
    answer = response.headers.get('Content-Type')?.includes('json') ? await response.json() : null;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, String(error.message ?? error));
  }
  // The API redirects nobody. A proxy before it does, to where one signs in.
  const status = response.type === 'opaqueredirect' ? 401 : response.status;
  if (status === 401 && base === api) signedOut();
  if (!response.ok) throw new Failure(status, answer?.error?.message ?? response.statusText);
  // Somebody else answered: nothing was read or stored.
  if (!answer) throw new Failure(0, response.statusText);
  return answer;
}

export const get = (path, query, signal) => request(path, { query, signal });
export const post = (path, body, headers) => request(path, { method: 'POST', body, headers });
export const remove = (path, query) => request(path, { method: 'DELETE', query });

/** Requests about who is signed in are not below the API. */
export const rootRequest = (path, options) => request(path, { ...options, base: root });
