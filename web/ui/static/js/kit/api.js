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
  if (guest()) headers['X-Signalbox-User'] = guest();
  const ends = AbortSignal.timeout(timeout);
  let response;
  let answer;
  try {
    response = await fetch(url, {
      method, headers, body: body === undefined ? undefined : JSON.stringify(body),
      credentials: 'same-origin', cache: 'no-store', signal: signal ? AbortSignal.any([signal, ends]) : ends,
    });
    answer = response.headers.get('Content-Type')?.includes('json') ? await response.json() : null;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, String(error.message ?? error));
  }
  if (response.status === 401 && base === api) signedOut();
  if (!response.ok) throw new Failure(response.status, answer?.error?.message ?? response.statusText);
  return answer;
}

export const get = (path, query, signal) => request(path, { query, signal });
export const post = (path, body, headers) => request(path, { method: 'POST', body, headers });
export const remove = (path, query) => request(path, { method: 'DELETE', query });

/** Requests about who is signed in are not below the API. */
export const rootRequest = (path, options) => request(path, { ...options, base: root });
