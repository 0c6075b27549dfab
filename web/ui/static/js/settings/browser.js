// Choices about this browser only.
import { canNotify, chime } from '../arrivals.js';
import { html } from '../kit/html.js';
import { languages, loadLanguage, t } from '../kit/i18n.js';
import { prefer, preferences } from '../kit/preferences.js';
import { useStore } from '../kit/store.js';
import { toast } from '../kit/toasts.js';

function Toggle({ label, text, on, onChange, disabled }) {
  return html`<label class="toggle-row"><span><span class="toggle-label">${label}</span>${text && html`<span class="hint">${text}</span>`}</span>
    <button type="button" role="switch" class="switch" aria-checked=${on ? 'true' : 'false'} aria-label=${label} disabled=${disabled} onClick=${() => onChange(!on)}><span class="knob" /></button></label>`;
}

function Choice({ label, value, options, onPick }) {
  return html`<label class="toggle-row"><span class="toggle-label">${label}</span>
    <select class="pick" value=${value} onChange=${(event) => onPick(event.currentTarget.value)}>${options.map(([option, text]) => html`<option key=${option} value=${option} selected=${option === value}>${text}</option>`)}</select></label>`;
}

async function setDesktop(on) {
  if (on && await Notification.requestPermission() !== 'granted') {
    toast({ text: t('desktop.denied'), kind: 'error' });
    return;
  }
  prefer('desktop', on ? 'on' : 'off');
}

export function Browser({ onLanguage }) {
  const { desktop, sound, shortcuts, theme, language } = useStore(preferences);
  const pickLanguage = async (tag) => {
    prefer('language', tag);
    await loadLanguage();
    onLanguage();
  };
  return html`<div class="toggles">
    <${Toggle} label=${t('desktop')} text=${t(canNotify() ? 'desktop.text' : 'desktop.impossible')} on=${canNotify() && desktop === 'on' && Notification.permission === 'granted'} disabled=${!canNotify()} onChange=${setDesktop} />
    <${Toggle} label=${t('sound')} on=${sound === 'on'} onChange=${(on) => { prefer('sound', on ? 'on' : 'off'); if (on) chime(); }} />
    <${Toggle} label=${t('shortcuts')} text=${t('shortcuts.text')} on=${shortcuts === 'on'} onChange=${(on) => prefer('shortcuts', on ? 'on' : 'off')} />
    <${Choice} label=${t('theme')} value=${theme} options=${['system', 'light', 'dark'].map((one) => [one, t(`theme.${one}`)])} onPick=${(one) => prefer('theme', one)} />
    <${Choice} label=${t('language')} value=${language} options=${[['', t('language.browser')], ...Object.entries(languages)]} onPick=${pickLanguage} />
  </div>`;
}
