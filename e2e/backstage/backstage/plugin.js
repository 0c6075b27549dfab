// The plugin "e2e": what a backend plugin of an adopter does with notifications and
// signals, on demand. All of its routes take a user's token.
import express from 'express';
import { coreServices, createBackendPlugin } from '@backstage/backend-plugin-api';
import { notificationService } from '@backstage/plugin-notifications-node';
import { signalsServiceRef } from '@backstage/plugin-signals-node';

export const e2ePlugin = createBackendPlugin({
  pluginId: 'e2e',
  register(env) {
    env.registerInit({
      deps: {
        auth: coreServices.auth,
        httpAuth: coreServices.httpAuth,
        httpRouter: coreServices.httpRouter,
        notifications: notificationService,
        signals: signalsServiceRef,
      },
      async init({ auth, httpAuth, httpRouter, notifications, signals }) {
        // Express 4 does not catch what async handlers throw.
        const handle = answer => (req, res, next) => {
          answer(req).then(body => res.json(body)).catch(next);
        };
        const router = express.Router();
        router.use(express.json());
        router.post('/send', handle(async req => {
          await httpAuth.credentials(req, { allow: ['user'] });
          await notifications.send(req.body);
          return {};
        }));
        router.post('/publish', handle(async req => {
          await httpAuth.credentials(req, { allow: ['user'] });
          await signals.publish(req.body);
          return {};
        }));
        // Mints a token for a call to a plugin: the plugin's own, or on behalf of
        // the user who asks.
        router.post('/tokens/:kind', handle(async req => {
          const user = await httpAuth.credentials(req, { allow: ['user'] });
          return auth.getPluginRequestToken({
            onBehalfOf: req.params.kind === 'user' ? user : await auth.getOwnServiceCredentials(),
            targetPluginId: req.body.targetPluginId,
          });
        }));
        httpRouter.use(router);
      },
    });
  },
});
