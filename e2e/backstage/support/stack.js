// Backstage and Signalbox side by side, each with the configuration file of this
// folder, on free ports of 127.0.0.1.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.js';
import { createDatabase } from './postgres.js';
import { freePorts, startServer } from './server.js';

const here = file => fileURLToPath(new URL(file, import.meta.url));
const appConfig = here('../backstage/app-config.yaml');

// What Backstage makes of catalog.yaml once it has processed it: an entity, and what
// it is related to.
const relations = [
  ['group/default/engineering', 'parentOf', 'group:default/platform'],
  ['group/default/platform', 'hasMember', 'user:development/guest'],
  ['group/default/sales', 'hasMember', 'user:default/stranger'],
  ['user/development/guest', 'memberOf', 'group:default/platform'],
  ['component/default/checkout', 'ownedBy', 'group:default/platform'],
];

// startStack starts everything and returns where it is. What has to be undone runs
// in stop, in reverse order, also if the start fails.
export async function startStack() {
  const undo = [];
  const servers = [];
  const stack = {
    output: () => servers.map(server => server.output()).join('\n'),
    async stop() {
      while (undo.length > 0) {
        await undo.pop()();
      }
    },
  };
  for (const signal of ['SIGINT', 'SIGTERM']) {
    const stop = () => stack.stop().finally(() => process.exit(1));
    process.once(signal, stop);
    undo.push(() => process.off(signal, stop));
  }
  const serve = async options => {
    const server = await startServer(options);
    servers.push(server);
    undo.push(server.stop);
    return server;
  };

  try {
    const directory = await mkdtemp(join(tmpdir(), 'e2e-backstage-'));
    undo.push(() => rm(directory, { recursive: true, force: true }));
    stack.database = await createDatabase(required('SIGNALBOX_TEST_POSTGRES_URL'));
    undo.push(stack.database.drop);

    const [backstagePort, signalboxPort] = await freePorts(2);
    stack.backstageUrl = `http://127.0.0.1:${backstagePort}`;
    stack.signalboxUrl = `http://127.0.0.1:${signalboxPort}`;
    stack.appUrl = 'http://backstage.example.com';
    stack.serviceToken = randomBytes(24).toString('hex');
    // Variables that the two would take for configuration stay out.
    const inherited = Object.entries(process.env).filter(([name]) => !/^(SIGNALBOX|APP_CONFIG)_/.test(name));
    const env = {
      ...Object.fromEntries(inherited),
      E2E_APP_URL: stack.appUrl,
      E2E_BACKSTAGE_PORT: backstagePort,
      E2E_BACKSTAGE_URL: stack.backstageUrl,
      E2E_CATALOG: here('../backstage/catalog.yaml'),
      E2E_DATABASE_URL: stack.database.url,
      E2E_SERVICE_TOKEN: stack.serviceToken,
      E2E_SIGNALBOX_DATA: join(directory, 'data'),
      E2E_SIGNALBOX_PORT: signalboxPort,
      E2E_SIGNALBOX_URL: stack.signalboxUrl,
    };
    // Signalbox first: it must not need Backstage to start.
    await serve({
      name: 'Signalbox',
      command: required('SIGNALBOX_BIN'),
      args: ['serve', '--config', appConfig, '--config', here('../signalbox.yaml')],
      env,
      readyUrl: `${stack.signalboxUrl}/api/signals/health`,
    });
    await listensTooEarly(backstagePort);
    stack.backstage = await serve({
      name: 'Backstage',
      command: process.execPath,
      args: [here('../backstage/backend.js'), '--config', appConfig],
      env: { ...env, NODE_ENV: 'production', LOG_LEVEL: process.env.LOG_LEVEL ?? 'warn' },
      readyUrl: `${stack.backstageUrl}/.backstage/health/v1/readiness`,
    });
    await catalogIsComplete(stack);
  } catch (error) {
    await stack.stop();
    throw error;
  }
  return stack;
}

function required(variable) {
  const value = process.env[variable];
  if (!value) {
    throw new Error(`${variable} is not set: run "make e2e-backstage", which sees to it`);
  }
  return value;
}

// Backstage listens before its plugins are there, and answers 404 until then. That
// Signalbox asks for the events bus just in that moment is rare; here it always does.
async function listensTooEarly(port) {
  let asked = false;
  const server = createServer((req, res) => {
    asked ||= req.url.startsWith('/api/events/bus/');
    res.writeHead(404, { connection: 'close' }).end();
  }).listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
    await eventually('Signalbox asks for the events bus', () => asked);
  } finally {
    server.close();
    server.closeAllConnections();
  }
  await once(server, 'close');
}

// Backstage reads catalog.yaml after it is ready. Before that, the guest would get a
// token without groups, and groups would have no members.
async function catalogIsComplete({ backstageUrl, serviceToken }) {
  for (const [entity, type, targetRef] of relations) {
    await eventually(`catalog: ${entity} ${type} ${targetRef}`, async () => {
      const response = await fetch(`${backstageUrl}/api/catalog/entities/by-name/${entity}`, {
        headers: { Authorization: `Bearer ${serviceToken}` },
      });
      const found = await response.json();
      return found.relations?.some(r => r.type === type && r.targetRef === targetRef);
    }, { timeout: 60_000 });
  }
}
