// The reader's switches: what holds, what of it is a choice, and how to change it.
import { get, post, remove } from '../kit/api.js';
import { t } from '../kit/i18n.js';
import { Store } from '../kit/store.js';
import { toast } from '../kit/toasts.js';

/** channels is null until they are read. chosen has the keys of the reader's choices. */
export const switches = new Store({ channels: null, chosen: new Map(), canForget: false, failure: null });

const fold = (text) => (text ?? '').toLowerCase();

/** keyOf is what makes two switches the same; without topic or origin it is the whole. */
export const keyOf = ({ channel, origin, topic }) => JSON.stringify([fold(channel), fold(origin), fold(topic)]);

/** read reads the switches; known is the answer that already has them. */
export async function read(known) {
  try {
    const [page, own] = await Promise.all([
      known ?? get('notifications/settings'),
      get('notifications/settings/choices').catch((failure) => {
        if (failure.status === 404) return null;
        throw failure;
      }),
    ]);
    switches.set({
      channels: page.channels, canForget: own !== null, failure: null,
      chosen: new Map((own?.choices ?? []).map((choice) => [keyOf(choice), choice.enabled])),
    });
  } catch (failure) {
    switches.set({ failure });
  }
}

/** requestOf is the body that changes one switch and no other. */
function requestOf({ channel, origin, topic }, enabled) {
  const topics = topic ? [{ id: topic, enabled }] : [];
  const origins = origin ? [{ id: origin, ...(topic ? {} : { enabled }), topics }] : [];
  return { channels: [{ id: channel, ...(origin ? {} : { enabled }), origins }] };
}

const choose = (at, enabled) => post('notifications/settings', requestOf(at, enabled));

const forget = (at) => remove('notifications/settings/choices', { channel: at.channel, origin: at.origin, topic: at.topic });

/** change makes a choice, or with null takes it back, and offers to undo that. */
export async function change(at, enabled, text) {
  const before = switches.state.chosen.get(keyOf(at)) ?? null;
  const shown = shownAt(at);
  const apply = async (value, otherwise) => {
    if (value === null && switches.state.canForget) await read(await forget(at));
    else await read(await choose(at, value ?? otherwise));
  };
  try {
    await apply(enabled, true);
  } catch (failure) {
    toast({ text: t('error.failed', { message: failure.message }), kind: 'error' });
    return;
  }
  const undo = () => apply(before, shown).then(
    () => toast({ text: t('done.undone') }),
    (failure) => toast({ text: t('error.failed', { message: failure.message }), kind: 'error' }),
  );
  toast({ text, action: { label: t('undo'), run: undo } });
}

/** find is the switch as the API shows it. */
export function find({ channel, origin, topic }) {
  const c = switches.state.channels?.find((one) => one.id === channel);
  const o = origin ? c?.origins.find((one) => one.id === origin) : c;
  return topic ? o?.topics.find((one) => one.id === topic) : o;
}

const shownAt = (at) => find(at)?.enabled ?? true;

/** sourceOf says why a switch is as it is. */
export function sourceOf(at) {
  const { chosen } = switches.state;
  const found = find(at);
  if (found?.locked) return found.enabled ? 'required' : 'refused';
  if (chosen.has(keyOf(at))) return 'own';
  if (at.topic && chosen.has(keyOf({ ...at, topic: '' }))) return 'origin';
  if (at.origin && chosen.has(keyOf({ channel: at.channel }))) return 'channel';
  return 'default';
}
