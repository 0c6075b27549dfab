// Texts, numbers and their plurals in the language of the reader.
import { assets } from './place.js';
import { recall } from './memory.js';

/** languages are those that there is a file for, in their own names. */
export const languages = { en: 'English', de: 'Deutsch' };
const rightToLeft = new Set(['ar', 'fa', 'he', 'ur']);

let texts = {};
let plurals = new Intl.PluralRules('en');
let numbers = new Intl.NumberFormat('en');

/** locale is what Intl formats by: the reader's region, if its language is shown. */
export let locale = 'en';

export async function loadLanguage() {
  const wanted = [recall('language'), ...navigator.languages].filter(Boolean);
  const language = wanted.map((tag) => tag.split('-')[0].toLowerCase()).find((tag) => tag in languages) ?? 'en';
  texts = (await import(new URL(`i18n/${language}.js`, assets))).default;
  locale = navigator.languages.find((tag) => tag.split('-')[0].toLowerCase() === language) ?? language;
  plurals = new Intl.PluralRules(language);
  numbers = new Intl.NumberFormat(locale);
  document.documentElement.lang = language;
  document.documentElement.dir = rightToLeft.has(language) ? 'rtl' : 'ltr';
}

/** t is the text of a key with {names} replaced; count chooses the plural. */
export function t(key, values = {}) {
  let text = texts[key] ?? key;
  if (typeof text === 'object') text = text[plurals.select(values.count)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === 'number' ? numbers.format(value) : value;
  });
}

export const has = (key) => key in texts;
export const number = (value) => numbers.format(value);
