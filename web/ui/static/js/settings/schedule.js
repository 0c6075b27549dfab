// When what is sent outside comes: digests, quiet hours, and by which clock.
import { get, post, remove } from '../kit/api.js';
import { Field, Pick } from '../kit/fields.js';
import { html, useEffect, useRef, useState } from '../kit/html.js';
import { t } from '../kit/i18n.js';
import { useStore } from '../kit/store.js';
import { toast } from '../kit/toasts.js';
import { settingsChanges } from '../inbox/sync.js';

const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
const belows = ['critical', 'high', 'normal'];
const typingPause = 500;

const bodyOf = ({ timeZone, digest, quietHours }) => ({ timeZone, digest, quietHours });

function zones(current) {
  const all = Intl.supportedValuesOf('timeZone');
  return [...new Set(['UTC', here, current, ...all])].filter(Boolean).sort();
}

function Clock({ label, value, onPick }) {
  const timer = useRef(0);
  // By then something else may have been chosen.
  const latest = useRef(onPick);
  latest.current = onPick;
  const pick = (event) => {
    const text = event.currentTarget.value;
    clearTimeout(timer.current);
    // The hour is typed before the minute.
    if (text && text !== value) timer.current = setTimeout(() => latest.current(text), typingPause);
  };
  return html`<${Field} label=${label}><input class="pick" type="time" value=${value} onChange=${pick} /><//>`;
}

const belowOptions = () => belows.map((one) => [one, t('schedule.below', { severity: t(`severity.${one}`) })]);

/** Schedule calls onKnown when it has something to show. */
export function Schedule({ onKnown }) {
  const [shown, setShown] = useState(null);
  const [failure, setFailure] = useState(null);
  const changes = useStore(settingsChanges, (s) => s.count);
  // Saves go out one after the other. What was asked for before or during one is not
  // shown: it may be older than what the next change is to build on.
  const saving = useRef({ last: Promise.resolve(), count: 0 }).current;
  const asked = useRef(0);
  const load = async () => {
    const mine = ++asked.current;
    const found = await get('notifications/schedule');
    if (mine !== asked.current || saving.count > 0) return;
    setShown(found);
    setFailure(null);
  };
  const read = () => load().catch(setFailure).then(onKnown);
  useEffect(() => { if (saving.count === 0) read(); }, [changes]);
  if (!shown) return failure && html`<p class="error-text">${failure.offline ? t('error.offline') : failure.message}</p><div><button type="button" class="button" onClick=${read}>${t('retry')}</button></div>`;

  const put = async (schedule) => {
    // The next change builds on this one, even before the answer is there.
    setShown((old) => ({ ...old, ...bodyOf(schedule ?? old.default), chosen: Boolean(schedule) }));
    saving.count++;
    const send = () => (schedule ? post('notifications/schedule', bodyOf(schedule)) : remove('notifications/schedule'));
    const done = saving.last.then(send, send);
    saving.last = done;
    try {
      await done;
    } finally {
      saving.count--;
      if (saving.count === 0) await load().catch(() => setShown(shown));
    }
  };
  const save = async (schedule, text = t('done.schedule')) => {
    const before = shown.chosen ? shown : null;
    const wrong = (error) => toast({ text: t('error.failed', { message: error.message }), kind: 'error' });
    try {
      await put(schedule);
      toast({ text, action: { label: t('undo'), run: () => put(before).then(() => toast({ text: t('done.undone') }), wrong) } });
    } catch (error) {
      wrong(error);
    }
  };
  // Who has chosen nothing yet most likely means the clock on the wall.
  const form = shown.chosen ? shown : { ...shown, timeZone: here || shown.timeZone };
  const { digest, quietHours: quiet } = form;
  const set = (patch) => save({ ...form, ...patch });
  return html`<div class="schedule">
    <fieldset><legend>${t('digest')}</legend>
      <p class="hint">${t('digest.text')}</p>
      <div class="fields">
        <${Pick} label=${t('digest.every')} value=${digest.every} options=${['never', 'hourly', 'daily'].map((one) => [one, t(`digest.${one}`)])} onPick=${(every) => set({ digest: { ...digest, every } })} />
        ${digest.every === 'daily' && html`<${Clock} label=${t('digest.at')} value=${digest.at} onPick=${(at) => set({ digest: { ...digest, at } })} />`}
        ${digest.every !== 'never' && html`<${Pick} label=${t('digest.what')} value=${digest.below} options=${belowOptions()} onPick=${(below) => set({ digest: { ...digest, below } })} />`}
      </div>
    </fieldset>
    <fieldset><legend>${t('quiet')}</legend>
      <p class="hint">${t('quiet.text')}</p>
      <div class="fields">
        <label class="check"><input type="checkbox" class="tick" checked=${Boolean(quiet)} onChange=${(event) => set({ quietHours: event.currentTarget.checked ? { from: '22:00', to: '07:00', below: 'critical' } : null })} />${t('quiet.on')}</label>
        ${quiet && html`
          <${Clock} label=${t('quiet.from')} value=${quiet.from} onPick=${(from) => set({ quietHours: { ...quiet, from } })} />
          <${Clock} label=${t('quiet.to')} value=${quiet.to} onPick=${(to) => set({ quietHours: { ...quiet, to } })} />
          <${Pick} label=${t('digest.what')} value=${quiet.below} options=${belowOptions()} onPick=${(below) => set({ quietHours: { ...quiet, below } })} />`}
      </div>
    </fieldset>
    <fieldset><legend>${t('zone')}</legend>
      <div class="fields">
        <${Pick} label=${t('zone.label')} value=${form.timeZone} options=${zones(form.timeZone).map((one) => [one, one.replaceAll('_', ' ')])} onPick=${(timeZone) => set({ timeZone })} />
        ${shown.chosen && html`<button type="button" class="quiet-button" onClick=${() => save(null, t('done.scheduleReset'))}>${t('schedule.reset')}</button>`}
      </div>
    </fieldset>
  </div>`;
}
