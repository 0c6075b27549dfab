// A form to send a notification, which shows who gets it where before it goes.
import { post } from '../kit/api.js';
import { Pick, Text } from '../kit/fields.js';
import { html, useEffect, useRef, useState } from '../kit/html.js';
import { Icon, Severity } from '../kit/icons.js';
import { number, t } from '../kit/i18n.js';
import { markdown } from '../kit/markdown.js';
import { go, href } from '../kit/router.js';
import { toast } from '../kit/toasts.js';
import { severities } from '../inbox/filter.js';
import { channelName } from '../inbox/trace.js';

const empty = { to: 'entity', refs: '', exclude: '', title: '', description: '', link: '', severity: 'normal', topic: '', scope: '' };

const list = (text) => text.split(/[\s,;]+/).filter(Boolean);

function bodyOf(form) {
  const payload = { title: form.title, severity: form.severity };
  for (const field of ['description', 'link', 'topic', 'scope']) if (form[field].trim()) payload[field] = form[field];
  if (form.to === 'broadcast') return { recipients: { type: 'broadcast' }, payload };
  const exclude = list(form.exclude);
  return { recipients: { type: 'entity', entityRef: list(form.refs), ...(exclude.length > 0 && { excludeEntityRef: exclude }) }, payload };
}

// The same key makes a repetition of a request send nothing twice.
const newKey = () => [...crypto.getRandomValues(new Uint8Array(16))].map((n) => n.toString(16).padStart(2, '0')).join('');

function Refs({ refs, title }) {
  if (refs.count === 0) return null;
  const others = refs.count - refs.first.length;
  return html`<p class="refs">${title && html`<strong>${title}</strong> `}${refs.first.map((ref, i) => html`${i > 0 ? ', ' : ''}<bdi key=${ref}>${ref}</bdi>`)}${others > 0 ? ` ${t('admin.preview.others', { count: others })}` : ''}</p>`;
}

function Reach({ channel, outcomes }) {
  return html`<li class="reach"><strong>${channelName(channel)}</strong>
    ${outcomes.length === 0 ? html`<span class="hint">${t('admin.preview.nobody')}</span>` : html`<ul>${outcomes.map((o) => html`<li key=${`${o.to} ${o.rule}`} class=${o.delivered ? 'trace-delivered' : 'trace-suppressed'}>
      <${Icon} name=${o.delivered ? 'check' : 'close'} size="14" /><span>${t(`admin.preview.${o.to}.${o.delivered ? 'get' : 'not'}`, { count: o.count })} <span class="hint">${o.text}</span></span></li>`)}</ul>`}
  </li>`;
}

function Preview({ form, preview, busy, onSend }) {
  const heading = useRef(null);
  useEffect(() => heading.current.focus(), []);
  const { users, unknown, broadcast, channels } = preview;
  const reaches = channels.some(({ outcomes }) => outcomes.some((o) => o.delivered));
  const whom = broadcast ? t('admin.preview.broadcast') : t('admin.preview.count', { count: users.count });
  return html`<section class="card preview" aria-labelledby="preview-title"><h2 id="preview-title" tabindex="-1" ref=${heading}>${t('admin.preview')}</h2>
    <div class="previewed"><${Severity} value=${form.severity} label=${t(`severity.${form.severity}`)} /><div><strong><bdi>${form.title}</bdi></strong>
      ${form.description.trim() && html`<div class="prose">${markdown(form.description)}</div>`}</div></div>
    <p class="whom"><${Icon} name="people" />${whom}</p>
    <${Refs} refs=${users} />
    ${unknown.count > 0 && html`<div class="note"><${Refs} refs=${unknown} title=${t('admin.preview.unknown')} /></div>`}
    <ul class="trace reaches">${channels.map((c) => html`<${Reach} key=${c.channel} ...${c} />`)}</ul>
    <p class="hint">${t('admin.preview.text')}</p>
    <div class="dialog-actions"><button type="button" class="button primary" disabled=${busy || !reaches} onClick=${onSend}><${Icon} name="send" />${broadcast ? t('admin.send.everyone') : t('admin.send.now')}</button></div>
  </section>`;
}

export function Send() {
  const [form, setForm] = useState(empty);
  const [preview, setPreview] = useState(null);
  const [failure, setFailure] = useState(null);
  const [busy, setBusy] = useState(false);
  const key = useRef('');
  const first = useRef(null);
  const latest = useRef(form);
  latest.current = form;
  // What was previewed is what is sent: a change takes the preview away.
  const set = (patch) => {
    setForm((old) => ({ ...old, ...patch }));
    setPreview(null);
    setFailure(null);
  };
  const attempt = async (what) => {
    setBusy(true);
    setFailure(null);
    try {
      await what();
    } catch (error) {
      setFailure(error);
    }
    setBusy(false);
  };
  const look = (event) => {
    event.preventDefault();
    const asked = form;
    attempt(async () => {
      const answer = await post('notifications/admin/preview', bodyOf(asked));
      key.current = newKey();
      if (latest.current === asked) setPreview(answer);
    });
  };
  const send = () => attempt(async () => {
    const { id } = await post('notifications/admin/send', bodyOf(form), { 'Idempotency-Key': key.current });
    set(empty);
    toast({ text: t('admin.sent'), action: { label: t('admin.sent.see'), run: () => go(href('admin/deliveries', { id })) } });
    first.current?.querySelector('input')?.focus();
  });
  return html`<section class="card" aria-labelledby="send-title"><h2 id="send-title">${t('admin.send')}</h2><p class="hint">${t('admin.send.text')}</p>
    <form class="form" ref=${first} onSubmit=${look}>
      <fieldset class="choices"><legend>${t('admin.send.to')}</legend>
        ${['entity', 'broadcast'].map((to) => html`<label class="check" key=${to}><input type="radio" name="to" checked=${form.to === to} onChange=${() => set({ to })} /><span>${t(`admin.send.to.${to}`)}</span></label>`)}
      </fieldset>
      ${form.to === 'entity' && html`<${Text} label=${t('admin.send.refs')} rows="2" required value=${form.refs} onText=${(refs) => set({ refs })} hint=${t('admin.send.refs.text')} placeholder="user:default/jane group:default/team-a" spellcheck=${false} />`}
      <${Text} label=${t('admin.send.title')} required maxlength="1000" value=${form.title} onText=${(title) => set({ title })} spellcheck=${true} />
      <${Text} label=${t('admin.send.description')} rows="5" value=${form.description} onText=${(description) => set({ description })} hint=${t('admin.send.description.text')} />
      <div class="fields">
        <${Pick} label=${t('severity')} value=${form.severity} options=${severities.map((one) => [one, t(`severity.${one}`)])} onPick=${(severity) => set({ severity })} />
        <${Text} label=${t('topic')} value=${form.topic} onText=${(topic) => set({ topic })} />
        <${Text} label=${t('admin.send.link')} value=${form.link} onText=${(link) => set({ link })} />
      </div>
      <details><summary>${t('admin.send.more')}</summary><div class="fields">
        <${Text} label=${t('admin.send.scope')} value=${form.scope} onText=${(scope) => set({ scope })} hint=${t('admin.send.scope.text')} />
        ${form.to === 'entity' && html`<${Text} label=${t('admin.send.exclude')} value=${form.exclude} onText=${(exclude) => set({ exclude })} hint=${t('admin.send.exclude.text')} />`}
      </div></details>
      ${failure && html`<p class="error-text" role="alert">${failure.offline ? t('error.offline') : failure.message}</p>`}
      ${!preview && html`<div class="dialog-actions"><button type="submit" class="button primary" disabled=${busy}>${t('admin.send.preview')}</button></div>`}
    </form>
  </section>
  ${preview && html`<${Preview} form=${form} preview=${preview} busy=${busy} onSend=${send} />`}`;
}
