// Choices that are about this browser and not about the user.
import { onRemembered, recall, remember } from './memory.js';
import { Store } from './store.js';

const defaults = { theme: 'system', desktop: 'off', sound: 'off', shortcuts: 'on', language: '' };

export const preferences = new Store(
  Object.fromEntries(Object.entries(defaults).map(([key, value]) => [key, recall(key) ?? value])),
);

function apply(key, value) {
  preferences.set({ [key]: value });
  if (key !== 'theme') return;
  if (value === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = value;
}

export function prefer(key, value) {
  remember(key, value === defaults[key] ? null : value);
  apply(key, value);
}

for (const key of Object.keys(defaults)) onRemembered(key, (value) => apply(key, value ?? defaults[key]));
