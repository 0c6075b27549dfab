// Signalbox as the notifications and signals backend of a real Backstage: the plugins'
// and the frontend's own clients, with Backstage's tokens.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { call } from './support/call.js';
import { notificationsClient, signalClient } from './support/clients.js';
import { eventually } from './support/eventually.js';
import { newSigningKey } from './support/keys.js';
import { startStack } from './support/stack.js';

const guest = 'user:development/guest';

describe('Signalbox behind a real Backstage', { timeout: 300_000 }, () => {
  let stack;
  let token;
  let inbox;
  let failed = false;

  before(async () => {
    stack = await startStack();
    token = await signIn();
    inbox = notificationsClient(stack.signalboxUrl, token);
  }, { timeout: 200_000 });

  after(async () => {
    if (failed) {
      console.error(stack.output());
    }
    await stack?.stop();
  }, { timeout: 60_000 });

  // check is a test after whose failure the servers' output is shown.
  const check = (name, run) => test(name, { timeout: 60_000 }, async t => {
    try {
      await run(t);
    } catch (error) {
      failed = true;
      throw error;
    }
  });

  const backstage = (path, options) => call(`${stack.backstageUrl}/api${path}`, options);
  const signalbox = (path, options) => call(`${stack.signalboxUrl}/api${path}`, options);

  async function signIn() {
    const { status, body } = await backstage('/auth/guest/refresh', { method: 'POST' });
    assert.equal(status, 200);
    assert.equal(body.backstageIdentity.identity.userEntityRef, guest);
    return body.backstageIdentity.token;
  }

  // send has the plugin call notifications.send().
  async function send(recipients, payload) {
    const { status, body } = await backstage('/e2e/send', { method: 'POST', token, body: { recipients, payload } });
    assert.deepEqual({ status, body }, { status: 200, body: {} });
  }

  const sendTo = (entityRef, payload) => send({ type: 'entity', entityRef }, payload);

  // mint has the plugin make a token for another plugin: its own ("plugin"), or on
  // behalf of the guest ("user").
  async function mint(kind, targetPluginId) {
    const { status, body } = await backstage(`/e2e/tokens/${kind}`, { method: 'POST', token, body: { targetPluginId } });
    assert.equal(status, 200);
    return body.token;
  }

  const arrival = title => eventually(`"${title}" is in the inbox`, async () => {
    const { notifications } = await inbox.getNotifications({ search: title });
    return notifications[0];
  });

  const refused = (answer, status, name) => assert.deepEqual(
    { status: answer.status, name: answer.body?.error?.name, statusCode: answer.body?.response?.statusCode },
    { status, name, statusCode: status },
  );

  describe('notifications.send() of a plugin', () => {
    for (const [what, entityRef] of [
      ['a user', guest],
      ['a group', 'group:default/platform'],
      ['a group of groups', 'group:default/engineering'],
      ['an owned component', 'component:default/checkout'],
      ['all of them', [guest, 'group:default/platform', 'group:default/engineering', 'component:default/checkout']],
    ]) {
      check(`reaches the guest by ${what}`, async () => {
        const title = `to ${what} ${randomUUID()}`;
        await sendTo(entityRef, { title, description: 'from the plugin', link: '/catalog', severity: 'high', topic: 'reach', metadata: { a: 1 } });
        const notification = await arrival(title);
        assert.equal(notification.user, guest);
        assert.equal(notification.origin, 'plugin:e2e');
        assert.equal(notification.read, null);
        const { description, link, severity, topic } = notification.payload;
        assert.deepEqual({ description, severity, topic }, { description: 'from the plugin', severity: 'high', topic: 'reach' });
        assert.equal(new URL(link, stack.appUrl).href, `${stack.appUrl}/catalog`);
        assert.equal((await inbox.getNotifications({ search: title })).totalCount, 1);
      });
    }

    check('reaches nobody else', async () => {
      const title = randomUUID();
      await sendTo('group:default/sales', { title: `for sales ${title}` });
      await send(
        { type: 'entity', entityRef: 'group:default/engineering', excludeEntityRef: guest },
        { title: `without the guest ${title}` },
      );
      // What was sent before has been processed when the last one is there.
      await sendTo(guest, { title: `for the guest ${title}` });
      await arrival(`for the guest ${title}`);
      const { notifications } = await inbox.getNotifications({ search: title });
      assert.deepEqual(notifications.map(n => n.payload.title), [`for the guest ${title}`]);
    });

    check('reaches everyone by a broadcast', async () => {
      const title = `broadcast ${randomUUID()}`;
      await send({ type: 'broadcast' }, { title });
      const notification = await arrival(title);
      assert.equal(notification.user, null);
      assert.equal(notification.origin, 'plugin:e2e');
    });

    check('updates what has the same scope', async () => {
      const scope = randomUUID();
      await sendTo('group:default/platform', { title: `first ${scope}`, scope });
      const first = await arrival(`first ${scope}`);
      await sendTo('group:default/platform', { title: `second ${scope}`, scope });
      const second = await arrival(`second ${scope}`);
      assert.equal(second.id, first.id);
      assert.equal((await inbox.getNotifications({ search: scope })).totalCount, 1);
    });

    check('fails for the plugin if the request is invalid', async () => {
      const { body } = await backstage('/e2e/send', {
        method: 'POST', token, body: { recipients: { type: 'entity', entityRef: guest }, payload: {} },
      });
      assert.match(body.error.message, /status 400/);
    });
  });

  describe('NotificationsClient with a user token', () => {
    check('lists, filters and pages', async () => {
      const mark = randomUUID();
      await sendTo(guest, { title: `low ${mark}`, severity: 'low', topic: `topic ${mark}` });
      await arrival(`low ${mark}`);
      await sendTo(guest, { title: `critical ${mark}`, severity: 'critical', topic: `topic ${mark}` });
      await arrival(`critical ${mark}`);
      const titles = async options => {
        const { totalCount, notifications } = await inbox.getNotifications({ search: mark, ...options });
        return [totalCount, ...notifications.map(n => n.payload.title.split(' ')[0])];
      };
      assert.deepEqual(await titles(), [2, 'critical', 'low']);
      assert.deepEqual(await titles({ sort: 'created', sortOrder: 'asc' }), [2, 'low', 'critical']);
      assert.deepEqual(await titles({ limit: 1, offset: 1 }), [2, 'low']);
      assert.deepEqual(await titles({ minimumSeverity: 'high' }), [1, 'critical']);
      assert.deepEqual(await titles({ topic: `topic ${mark}`, read: false }), [2, 'critical', 'low']);
      assert.deepEqual(await titles({ read: true }), [0]);
      assert.deepEqual(await titles({ createdAfter: new Date(Date.now() + 3_600_000) }), [0]);
    });

    check('gets one notification', async () => {
      const title = `one ${randomUUID()}`;
      await sendTo(guest, { title });
      const { id } = await arrival(title);
      const notification = await inbox.getNotification(id);
      assert.equal(notification.id, id);
      assert.equal(notification.payload.title, title);
      await assert.rejects(inbox.getNotification(randomUUID()), { statusCode: 404 });
    });

    check('marks as read and saved, and counts', async () => {
      const title = `mark ${randomUUID()}`;
      await sendTo(guest, { title });
      const { id } = await arrival(title);
      const before = await inbox.getStatus();

      const [marked] = await inbox.updateNotifications({ ids: [id], read: true, saved: true });
      assert.equal(marked.id, id);
      assert.ok(marked.read && marked.saved);
      assert.deepEqual(await inbox.getStatus(), { ...before, unread: before.unread - 1, read: before.read + 1 });
      assert.deepEqual((await inbox.getNotifications({ saved: true, read: true, search: title })).notifications.map(n => n.id), [id]);

      const [unmarked] = await inbox.updateNotifications({ ids: [id], read: false, saved: false });
      assert.equal(unmarked.read, null);
      assert.equal(unmarked.saved, null);
      assert.deepEqual(await inbox.getStatus(), before);
    });

    check('changes settings, which are obeyed', async () => {
      const topic = `settings ${randomUUID()}`;
      await sendTo(guest, { title: `first ${topic}`, topic });
      await arrival(`first ${topic}`);
      const settings = await inbox.getNotificationSettings();
      const find = ({ channels }) => channels.find(c => c.id === 'Web').origins.find(o => o.id === 'plugin:e2e').topics.find(t => t.id === topic);
      assert.equal(find(settings).enabled, true);

      find(settings).enabled = false;
      assert.equal(find(await inbox.updateNotificationSettings(settings)).enabled, false);
      assert.equal(find(await inbox.getNotificationSettings()).enabled, false);
      await sendTo(guest, { title: `second ${topic}`, topic });
      await sendTo(guest, { title: `third ${topic}` });
      await arrival(`third ${topic}`);
      assert.equal((await inbox.getNotifications({ search: `second ${topic}` })).totalCount, 0);
      await assert.rejects(inbox.updateNotificationSettings({ channels: [{ id: 'Nope', origins: [] }] }), { statusCode: 400 });
    });

    check('lists topics', async () => {
      const topic = `topic ${randomUUID()}`;
      await sendTo(guest, { title: topic, topic });
      await arrival(topic);
      assert.deepEqual(await inbox.getTopics({ search: topic }), { topics: [topic] });
      assert.ok((await inbox.getTopics()).topics.includes(topic));
    });
  });

  describe('SignalClient with a user token', () => {
    check('hears of what is new, and of what is read elsewhere', async () => {
      const client = signalClient(stack.signalboxUrl, token);
      const heard = [];
      const { unsubscribe } = client.subscribe('notifications', message => heard.push(message));
      try {
        // Nothing tells a client that its subscription has begun: send until it has.
        const first = await eventually('a signal', async () => {
          await sendTo('group:default/platform', { title: `signal ${randomUUID()}` });
          return heard[0];
        }, { interval: 500 });
        assert.equal(first.action, 'new_notification');
        const notification = await inbox.getNotification(first.notification_id);
        assert.equal(notification.origin, 'plugin:e2e');

        await inbox.updateNotifications({ ids: [notification.id], read: true });
        await eventually('a signal of the reading', () => heard.some(
          m => m.action === 'notification_read' && m.notification_ids.includes(notification.id),
        ));
      } finally {
        stop(client, unsubscribe);
      }
    });

    check('hears what a plugin publishes by its signals service', async () => {
      const client = signalClient(stack.signalboxUrl, token);
      const heard = [];
      const { unsubscribe } = client.subscribe('e2e', message => heard.push(message));
      const publish = async (recipients, message) => {
        const { status, body } = await backstage('/e2e/publish', { method: 'POST', token, body: { recipients, channel: 'e2e', message } });
        assert.deepEqual({ status, body }, { status: 200, body: {} });
      };
      try {
        await eventually('a signal to everyone', async () => {
          await publish({ type: 'broadcast' }, { to: 'everyone' });
          return heard.some(m => m.to === 'everyone');
        }, { interval: 500 });
        await publish({ type: 'user', entityRef: 'user:default/somebody-else' }, { to: 'somebody else' });
        await publish({ type: 'user', entityRef: [guest, 'user:default/somebody-else'] }, { to: 'the guest' });
        await eventually('a signal to the guest', () => heard.some(m => m.to === 'the guest'));
        assert.ok(!heard.some(m => m.to === 'somebody else'));
      } finally {
        stop(client, unsubscribe);
      }
    });
  });

  describe('who may do what', () => {
    const body = { recipients: { type: 'entity', entityRef: guest }, payload: { title: 'refused' } };
    const sendAs = as => signalbox('/notifications', { method: 'POST', token: as, body });
    const readAs = as => signalbox('/notifications/status', { token: as });

    check('users may not send', async () => {
      refused(await sendAs(token), 403, 'NotAllowedError');
    });

    check('plugins on behalf of a user are that user', async () => {
      const onBehalf = await mint('user', 'notifications');
      refused(await sendAs(onBehalf), 403, 'NotAllowedError');
      // Something that was sent before may arrive between the two.
      await eventually('the counts of the guest', async () => {
        const { status, body: counts } = await readAs(onBehalf);
        assert.equal(status, 200);
        assert.deepEqual(counts, await inbox.getStatus());
        return true;
      });
    });

    check('services have no inbox', async () => {
      refused(await readAs(await mint('plugin', 'notifications')), 403, 'NotAllowedError');
      refused(await readAs(stack.serviceToken), 403, 'NotAllowedError');
    });

    check('external services send as their subject', async () => {
      const title = `external ${randomUUID()}`;
      const { status } = await signalbox('/notifications', {
        method: 'POST', token: stack.serviceToken, body: { ...body, payload: { title } },
      });
      assert.ok(status === 202 || status === 200, `status ${status}`);
      assert.equal((await arrival(title)).origin, 'e2e-ci');
    });

    check('nobody without a token', async () => {
      refused(await sendAs(undefined), 401, 'AuthenticationError');
      refused(await readAs(undefined), 401, 'AuthenticationError');
    });

    for (const [what, make] of [
      ['a token that is none', async () => 'garbage'],
      ['a token with a broken signature', async () => token.replace(/[^.]+$/, signature => signature.split('').reverse().join(''))],
      ['a token without a signature', async () => {
        const [, claims] = token.split('.');
        return `${Buffer.from('{"alg":"none","typ":"vnd.backstage.user"}').toString('base64url')}.${claims}.`;
      }],
      ['a plugin token for another plugin', () => mint('plugin', 'catalog')],
      ['a plugin token on behalf of a user for another plugin', () => mint('user', 'catalog')],
      ['a user token by a key that Backstage does not have', async () =>
        (await newSigningKey()).userToken(`${stack.backstageUrl}/api/auth`, guest)],
    ]) {
      check(`nobody with ${what}`, async () => {
        const bad = await make();
        refused(await sendAs(bad), 401, 'AuthenticationError');
        refused(await readAs(bad), 401, 'AuthenticationError');
        assert.equal(await socketAnswer(bad), 401);
      });
    }

    check('tokens count until they expire, by a key that Backstage has since added', async () => {
      const key = await newSigningKey();
      await key.addTo(stack.database);
      const issuer = `${stack.backstageUrl}/api/auth`;
      assert.equal((await readAs(await key.userToken(issuer, guest))).status, 200);
      refused(await readAs(await key.userToken(issuer, guest, { issued: -7200, expires: -3600 })), 401, 'AuthenticationError');
      refused(await readAs(await key.userToken(issuer, guest, { audience: 'elsewhere' })), 401, 'AuthenticationError');
    });

    check('sockets need a token, which is echoed', async () => {
      assert.equal(await socketAnswer(undefined), 401);
      assert.equal(await socketAnswer(token), token);
    });

    // Without this, recipients would not prove that Signalbox's tokens are good.
    check('nobody reads the catalog without a token', async () => {
      refused(await backstage('/catalog/entities'), 401, 'AuthenticationError');
    });

    check('keys for the tokens that Signalbox mints are public, and only their public half', async () => {
      for (const plugin of ['notifications', 'signals']) {
        const { status, body: { keys } } = await signalbox(`/${plugin}/.backstage/auth/v1/jwks.json`);
        assert.equal(status, 200);
        assert.ok(keys.length > 0);
        for (const key of keys) {
          assert.ok(key.kid && key.alg && key.kty, JSON.stringify(key));
          assert.equal(key.d, undefined);
        }
      }
    });
  });

  // The last test: Backstage does not come back.
  check('users keep their inbox while Backstage is away', async () => {
    await inbox.getStatus();
    await stack.backstage.stop();
    await inbox.getStatus();
    assert.equal(await socketAnswer(token), token);
  });

  // stop ends a SignalClient, which has no way to stop trying.
  function stop(client, unsubscribe) {
    client.reconnect = () => {};
    unsubscribe();
    clearTimeout(client.reconnectTo);
  }

  // socketAnswer opens a signals socket and returns the subprotocol that the server
  // chose, or the status it refused with.
  async function socketAnswer(as) {
    const socket = new WebSocket(`${stack.signalboxUrl.replace('http', 'ws')}/api/signals`, as, { handshakeTimeout: 10_000 });
    try {
      return await Promise.race([
        once(socket, 'open').then(() => socket.protocol),
        new Promise(resolve => { socket.once('unexpected-response', (_, response) => resolve(response.statusCode)); }),
      ]);
    } finally {
      socket.on('error', () => {}); // of a handshake that is cut off here
      socket.terminate();
    }
  }
});
