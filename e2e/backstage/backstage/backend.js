// A Backstage backend as an adopter runs it, without the notifications and signals
// backends: app-config.yaml points its discovery at Signalbox. Run by the tests with
// "node backend.js --config app-config.yaml" and the environment that file names.
import { createBackend } from '@backstage/backend-defaults';
import { e2ePlugin } from './plugin.js';

const backend = createBackend();
backend.add(import('@backstage/plugin-auth-backend'));
backend.add(import('@backstage/plugin-auth-backend-module-guest-provider'));
backend.add(import('@backstage/plugin-catalog-backend'));
backend.add(import('@backstage/plugin-events-backend'));
backend.add(e2ePlugin);
await backend.start();
