// The real clients of Backstage's frontend, with the interfaces that they find in a
// browser. They are imported by file: the packages' entry points need React.
import { register } from 'node:module';
import { WebSocket } from 'ws';

register('./esm-hook.js', import.meta.url);
const packages = new URL('../node_modules/@backstage/', import.meta.url);
const { NotificationsClient } = await import(new URL('plugin-notifications/dist/api/NotificationsClient.esm.js', packages));
const { SignalClient } = await import(new URL('plugin-signals/dist/api/SignalClient.esm.js', packages));

// Node has one of its own from version 22 on. Like browsers, this one fails if the
// server does not choose the subprotocol that carries the token; unlike there, an
// error that nobody listens to would end the process.
globalThis.WebSocket = class extends WebSocket {
  constructor(...args) {
    super(...args);
    this.on('error', () => {});
  }
};

const discovery = signalboxUrl => ({ getBaseUrl: async plugin => `${signalboxUrl}/api/${plugin}` });

export function notificationsClient(signalboxUrl, token) {
  return new NotificationsClient({
    discoveryApi: discovery(signalboxUrl),
    fetchApi: {
      fetch: (url, init) => fetch(url, { ...init, headers: { ...init?.headers, Authorization: `Bearer ${token}` } }),
    },
  });
}

export function signalClient(signalboxUrl, token) {
  return SignalClient.create({
    discoveryApi: discovery(signalboxUrl),
    identity: { getCredentials: async () => ({ token }) },
  });
}
