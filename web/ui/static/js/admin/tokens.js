// API tokens: whose there are, new ones, and their end.
import { get, post, remove } from '../kit/api.js';
import { Dialog } from '../kit/dialog.js';
import { Pick, Text } from '../kit/fields.js';
import { html, useEffect, useRef, useState } from '../kit/html.js';
import { Icon } from '../kit/icons.js';
import { t } from '../kit/i18n.js';
import { session } from '../kit/session.js';
import { useStore } from '../kit/store.js';
import { Time, short } from '../kit/time.js';
import { toast } from '../kit/toasts.js';
import { More, usePages } from './pages.js';
import { Stale, State, Sure, Table, failed } from './parts.js';

const api = 'notifications/tokens';
const kinds = ['inbox', 'read', 'send'];
const days = [7, 30, 90, 365];
const dayLength = 86_400_000;

function Secret({ token, onClose }) {
  const field = useRef(null);
  const [said, setSaid] = useState('');
  useEffect(() => field.current.select(), []);
  const copy = async () => {
    field.current.select();
    try {
      await navigator.clipboard.writeText(token.token);
      setSaid(t('admin.token.copied'));
    } catch {
      setSaid(t('copy.failed'));
    }
  };
  return html`<${Dialog} title=${t('admin.token.made', { name: token.name })} once onClose=${onClose}>
    <p>${t('admin.token.once')}</p>
    <div class="secret"><input ref=${field} class="input" type="text" readonly value=${token.token} aria-label=${t('admin.token')} />
      <button type="button" class="button" onClick=${copy}>${t('admin.copy')}</button></div>
    <p class="hint" role="status">${said}</p>
    <div class="dialog-actions"><button type="button" class="button primary" onClick=${onClose}>${t('admin.token.kept')}</button></div>
  <//>`;
}

// Without admin, one's own are made, that may no more than read and change one's inbox.
function New({ admin, onMade, onClose }) {
  const [form, setForm] = useState({ name: '', kind: 'inbox', admin: false, whom: '', days: '90' });
  const [failure, setFailure] = useState(null);
  const [busy, setBusy] = useState(false);
  const set = (patch) => setForm((old) => ({ ...old, ...patch }));
  const sends = form.kind === 'send';
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    const whom = form.whom.trim();
    try {
      onMade(await post(api, {
        name: form.name, scopes: [form.kind, ...(form.admin ? ['admin'] : [])],
        ...(sends ? { origin: whom } : whom && { user: whom }),
        expires: new Date(Date.now() + Number(form.days) * dayLength).toISOString(),
      }));
    } catch (error) {
      setBusy(false);
      setFailure(error);
    }
  };
  return html`<${Dialog} title=${t('admin.token.new')} onClose=${onClose}>
    <form class="form" onSubmit=${submit}>
      <${Text} label=${t('admin.token.name')} value=${form.name} onText=${(name) => set({ name })} autofocus required maxlength="100" hint=${t('admin.token.name.text')} />
      <fieldset class="choices"><legend>${t('admin.token.may')}</legend>
        ${kinds.filter((kind) => admin || kind !== 'send').map((kind) => html`<label class="check" key=${kind}><input type="radio" name="kind" value=${kind} checked=${form.kind === kind} onChange=${() => set({ kind, whom: '' })} /><span>${t(`admin.scope.${kind}`)}</span></label>`)}
        ${admin && html`<label class="check"><input type="checkbox" class="tick" checked=${form.admin} onChange=${(event) => set({ admin: event.currentTarget.checked })} /><span>${t('admin.scope.admin')}</span></label>`}
      </fieldset>
      ${sends ? html`<${Text} key="origin" label=${t('origin')} value=${form.whom} onText=${(whom) => set({ whom })} required hint=${t('admin.token.origin.text')} />`
    : admin && html`<${Text} key="user" label=${t('admin.token.user')} value=${form.whom} onText=${(whom) => set({ whom })} placeholder=${session.state.user ?? ''} hint=${t('admin.token.user.text')} />`}
      <${Pick} label=${t('admin.token.works')} value=${form.days} options=${days.map((n) => [String(n), t('admin.days', { count: n })])} onPick=${(n) => set({ days: n })} />
      ${failure && html`<p class="error-text" role="alert">${failure.offline ? t('error.offline') : failure.message}</p>`}
      <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>${t('cancel')}</button>
        <button type="submit" class="button primary" disabled=${busy}>${t('admin.token.create')}</button></div>
    </form>
  <//>`;
}

/** Tokens lists everybody's, or with own those of who is signed in. */
export function Tokens({ own = false }) {
  const { signIn } = useStore(session);
  const [whose, setWhose] = useState(own ? 'own' : 'all');
  const pages = usePages((cursor, signal) => get(api, { all: whose === 'all' || null, cursor }, signal), { name: 'tokens', keyOf: ({ id }) => id, key: whose });
  const { answer, rows, again } = pages;
  const [open, setOpen] = useState(null);
  const revoke = async (token) => {
    try {
      await remove(`${api}/${encodeURIComponent(token.id)}`);
      toast({ text: t('admin.token.revoked', { name: token.name }) });
    } catch (error) {
      failed(error);
    }
    again();
  };
  const columns = [
    { label: t('admin.token.name'), className: 'main-cell', cell: (k) => html`<strong><bdi>${k.name}</bdi></strong><div class="hint"><bdi>${k.user ?? k.origin}</bdi></div>` },
    { label: t('admin.token.may'), cell: (k) => html`<span class="chips">${k.scopes.map((scope) => html`<span class="chip" key=${scope}>${scope}</span>`)}</span>` },
    { label: t('admin.state'), cell: (k) => html`<span class="state state-${k.state}">${t(`admin.token.state.${k.state}`)}</span>${k.state === 'active' && html`<div class="hint">${t('admin.token.until', { at: short(k.expires) })}</div>`}` },
    { label: t('admin.token.used'), cell: (k) => (k.lastUsed ? html`<${Time} at=${k.lastUsed} />` : html`<span class="hint">${t('admin.never')}</span>`) },
    { label: t('admin.token.creator'), cell: (k) => html`<bdi>${k.createdBy}</bdi>` },
    { label: t('admin.token.revoke'), hidden: true, className: 'end-cell', cell: (k) => k.state === 'active' && html`<button type="button" class="quiet-button danger-text" aria-label=${t('admin.token.revoke.name', { name: k.name })} onClick=${() => setOpen({ revoking: k })}>${t('admin.token.revoke')}</button>` },
  ];
  const guests = signIn === 'guest';
  return html`<section class="card" aria-labelledby="tokens-title">
    <div class="card-head"><h2 id="tokens-title">${t('admin.tokens')}</h2>
      ${!guests && html`<button type="button" class="button primary" onClick=${() => setOpen({ creating: true })}>${t('admin.token.new')}</button>`}</div>
    <p class="hint">${t('admin.tokens.text')}</p>
    ${guests && html`<p class="note"><${Icon} name="lock" size="14" />${t('admin.tokens.guest')}</p>`}
    ${!own && html`<div class="fields"><${Pick} label=${t('admin.token.whose')} value=${whose} options=${[['all', t('admin.token.all')], ['own', t('admin.token.own')]]} onPick=${setWhose} /></div>`}
    ${!answer ? html`<${State} ...${pages} />`
    : rows.length === 0 ? html`<p class="hint empty">${t('admin.tokens.none')}</p>`
      : html`<${Stale} ...${pages} /><${Table} label=${t('admin.tokens')} columns=${columns} rows=${rows} keyOf=${(k) => k.id} />`}
    <${More} pages=${pages} />
  </section>
  ${open?.creating && html`<${New} admin=${!own} onClose=${() => setOpen(null)} onMade=${(token) => { setOpen({ made: token }); again(); }} />`}
  ${open?.made && html`<${Secret} token=${open.made} onClose=${() => setOpen(null)} />`}
  ${open?.revoking && html`<${Sure} title=${t('admin.token.sure', { name: open.revoking.name })} text=${t('admin.token.sure.text')} label=${t('admin.token.revoke')} onClose=${() => setOpen(null)} onSure=${() => revoke(open.revoking)} />`}`;
}
