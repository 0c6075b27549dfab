// Lists for admins that are read page by page.
import { html, useEffect, useState } from '../kit/html.js';
import { t } from '../kit/i18n.js';
import { failed, useLoad } from './parts.js';

/**
 * usePages reads the first page of a list as useLoad does, and further ones when asked.
 * load takes a cursor ('' for the first page) and answers {[name]: rows, nextCursor}.
 * While there is more than the first page it is not read again by itself: further pages
 * go on where it ended. again begins anew.
 */
export function usePages(load, { name, keyOf, key = '', every = 0 }) {
  const [turn, setTurn] = useState(0);
  const [more, setMore] = useState(null);
  // An answer to what was asked of another list, or before it began anew, is of no use.
  const of = `${turn} ${key}`;
  const behind = more?.of === of ? more : null;
  const first = useLoad((signal) => load('', signal), key, behind ? 0 : every);
  useEffect(() => setMore(null), [key]);
  // Where the list before this one went on says nothing about this one.
  const last = behind?.last ?? (first.of === key ? first.answer : null);
  const known = new Set();
  const rows = [...(first.answer?.[name] ?? []), ...(behind?.rows ?? [])].filter((row) => !known.has(keyOf(row)) && known.add(keyOf(row)));
  const readMore = async () => {
    try {
      const page = await load(last.nextCursor);
      setMore((old) => ({ of, last: page, rows: [...(old?.of === of ? old.rows : []), ...page[name]] }));
    } catch (failure) {
      failed(failure);
    }
  };
  const again = () => {
    setTurn((n) => n + 1);
    first.again();
  };
  return { ...first, again, rows, last, readMore };
}

/** More asks for the next page of a list, if there is one. */
export function More({ pages: { last, readMore } }) {
  return last?.nextCursor && html`<button type="button" class="button more" onClick=${readMore}>${t('admin.more')}</button>`;
}
