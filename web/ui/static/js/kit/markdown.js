// Markdown, as much of it as notifications use, to elements. Text stays text: nothing
// here makes markup of a string, pictures are links, and only safe addresses are.
import { h } from './html.js';
import { external, safeURL } from './links.js';

const deepest = 6;

/** markdown returns the elements of a text. */
export const markdown = (text) => blocks(text.replace(/\r\n?/g, '\n').split('\n'), 0);

const fence = /^ {0,3}(```+|~~~+)/;
const heading = /^ {0,3}(#{1,6})\s(.*)/s;
const rule = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const quote = /^ {0,3}> ?/;
const item = /^( {0,3})([-*+]|\d{1,9}[.)])(\s+)(.*)$/;

const starts = (line) => fence.test(line) || heading.test(line) || rule.test(line) || quote.test(line) || item.test(line);

function blocks(lines, depth) {
  const made = [];
  let i = 0;
  while (i < lines.length) {
    const line = lines[i];
    if (!line.trim()) {
      i += 1;
      continue;
    }
    const opened = fence.exec(line);
    if (opened) {
      const end = lines.findIndex((other, at) => at > i && other.trim().startsWith(opened[1]));
      const stop = end < 0 ? lines.length : end;
      made.push(h('pre', { tabindex: 0 }, h('code', null, lines.slice(i + 1, stop).join('\n'))));
      i = stop + 1;
      continue;
    }
    const titled = heading.exec(line);
    if (titled) {
      // The notification's own title is above them.
      made.push(h(`h${Math.min(titled[1].length + 3, 6)}`, null, inline(titled[2].trim().replace(/(?:^|\s)#+$/, ''))));
      i += 1;
      continue;
    }
    if (rule.test(line)) {
      made.push(h('hr'));
      i += 1;
      continue;
    }
    if (quote.test(line) && depth < deepest) {
      const from = i;
      while (i < lines.length && quote.test(lines[i])) i += 1;
      made.push(h('blockquote', null, blocks(lines.slice(from, i).map((one) => one.replace(quote, '')), depth + 1)));
      continue;
    }
    if (item.test(line) && depth < deepest) {
      const [block, after] = readList(lines, i, depth);
      made.push(block);
      i = after;
      continue;
    }
    const columns = tableColumns(lines, i);
    if (columns) {
      const from = i;
      i += 2;
      while (i < lines.length && lines[i].includes('|') && !starts(lines[i])) i += 1;
      made.push(table(columns, lines.slice(from + 2, i).map(cells)));
      continue;
    }
    const from = i;
    do i += 1; while (i < lines.length && lines[i].trim() && !starts(lines[i]) && !tableColumns(lines, i));
    made.push(h('p', null, inline(lines.slice(from, i).map((one) => one.trim()).join('\n'))));
  }
  return made;
}

/** cells are those of one line of a table; a bar that is meant has a backslash. */
const cells = (line) => line.trim().replace(/^\|/, '').replace(/(?<!\\)\|$/, '').split(/(?<!\\)\|/).map((cell) => cell.trim());

const dashes = /^:?-+:?$/;

/** tableColumns are the heads of a table that begins at a line, or null. */
function tableColumns(lines, i) {
  if (!lines[i].includes('|') || !lines[i + 1]?.includes('-')) return null;
  const marks = cells(lines[i + 1]);
  const heads = cells(lines[i]);
  return marks.length === heads.length && marks.every((mark) => dashes.test(mark)) ? heads : null;
}

function table(columns, rows) {
  const row = (kind, texts) => h('tr', null, columns.map((_, i) => h(kind, null, inline(texts[i] ?? ''))));
  return h('div', { class: 'table-box', tabindex: 0 }, h('table', null, h('thead', null, row('th', columns)), h('tbody', null, rows.map((texts) => row('td', texts)))));
}

function readList(lines, from, depth) {
  const first = item.exec(lines[from]);
  const ordered = /\d/.test(first[2]);
  const items = [];
  let i = from;
  while (i < lines.length) {
    const found = item.exec(lines[i]);
    if (!found || /\d/.test(found[2]) !== ordered || rule.test(lines[i])) break;
    const indent = found[1].length + found[2].length + Math.min(found[3].length, 4);
    const content = [found[4]];
    i += 1;
    while (i < lines.length && (lines[i].trim() ? lines[i].search(/\S/) >= Math.min(indent, 2) : /^\s{2,}\S/.test(lines[i + 1] ?? ''))) {
      content.push(lines[i].slice(Math.min(indent, Math.max(lines[i].search(/\S/), 0))));
      i += 1;
    }
    items.push(h('li', null, content.length === 1 ? inline(found[4]) : blocks(content, depth + 1)));
    while (i < lines.length && !lines[i].trim() && item.test(lines[i + 1] ?? '')) i += 1;
  }
  const start = ordered ? Number.parseInt(first[2], 10) : null;
  return [h(ordered ? 'ol' : 'ul', start > 1 ? { start } : null, items), i];
}

// One alternative each: code, link or picture, address, strong, emphasis, struck.
// None can match the same text in two ways, so that no input takes long.
const spans = /(?<!`)(`+)(?!`)([^`]+)\1(?!`)|!?\[([^[\]\n]{0,500})\]\(([^()\s]{1,2048})(?:\s+"[^"\n]{0,200}")?\)|<?(https?:\/\/[^\s<>"'`]{1,2048})>?|(\*\*|__)(?=\S)([^\n]{0,1000}?\S)\6(?![\w])|(?<![\w*])([*_])(?=[^\s*_])([^\n*_]{1,1000}?)(?<!\s)\8(?![\w*])|~~(?=\S)([^\n~]{1,1000})~~/g;

function inline(text, depth = 0) {
  const made = [];
  let end = 0;
  for (const found of text.matchAll(spans)) {
    const [whole, , code, label, target, bare, , strong, , emphasis, struck] = found;
    if (found.index > end) made.push(text.slice(end, found.index));
    end = found.index + whole.length;
    const inner = (part) => (depth < 3 ? inline(part, depth + 1) : part);
    if (code !== undefined) made.push(h('code', null, code));
    else if (label !== undefined) made.push(link(target, inner(label || target), whole));
    else if (bare !== undefined) {
      // What ends a sentence does not belong to the address.
      const address = bare.replace(/[.,;:!?)\]]+$/, '');
      made.push(link(address, address, address), bare.slice(address.length));
    } else if (strong !== undefined) made.push(h('strong', null, inner(strong)));
    else if (emphasis !== undefined) made.push(h('em', null, inner(emphasis)));
    else made.push(h('del', null, inner(struck)));
  }
  made.push(text.slice(end));
  return made.map((part) => (typeof part === 'string' ? part.replace(/\\([\\`*_{}[\]()#+.!~>|-])/g, '$1') : part));
}

function link(target, content, otherwise) {
  const url = safeURL(target);
  return url ? h('a', external(url), content) : otherwise;
}

/** plain is the beginning of a text without its marks, on one line, for lists. */
export function plain(text, length = 200) {
  return text.slice(0, length * 2)
    .replace(/^\s*(?:```+|~~~+).*$/gm, ' ')
    .replace(/!?\[([^[\]\n]{0,500})\]\([^()\s]*\)/g, '$1')
    .replace(/^\s{0,3}(?:#{1,6}\s+|>\s?|[-*+]\s+)/gm, '')
    .replace(/[*_~`]{1,3}(?=\S)|(?<=\S)[*_~`]{1,3}/g, (mark, at, all) => (/\w/.test(all[at - 1] ?? '') && /\w/.test(all[at + mark.length] ?? '') ? mark : ''))
    .replace(/^[ \t]*\|?(?:[ :]*-[ :-]*\|)+[ :-]*$/gm, '')
    .replace(/^[ \t]*\||\|[ \t]*$/gm, '')
    .replace(/\s+/g, ' ').trim().slice(0, length);
}
