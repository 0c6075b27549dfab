// A button for who wants to see that notifications arrive, and where.
import { post } from './kit/api.js';
import { html } from './kit/html.js';
import { Icon } from './kit/icons.js';
import { t } from './kit/i18n.js';
import { toast } from './kit/toasts.js';

async function send() {
  try {
    await post('notifications/test', {});
    toast({ text: t('test.sent') });
  } catch (failure) {
    toast({ text: t('error.failed', { message: failure.message }), kind: 'error' });
  }
}

export function SendTest() {
  return html`<button type="button" class="button" onClick=${send}><${Icon} name="bell" />${t('test')}</button>`;
}
