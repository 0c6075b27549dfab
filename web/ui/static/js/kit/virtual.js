// A list that draws only the rows in view, so that its length does not matter.
import { html, useEffect, useLayoutEffect, useRef, useState } from './html.js';

const beyond = 8;

/** layout returns where each item begins; the last entry is the height of all. */
export function layout(items, heightOf) {
  const tops = new Float64Array(items.length + 1);
  for (let i = 0; i < items.length; i += 1) tops[i + 1] = tops[i] + heightOf(items[i]);
  return tops;
}

/** indexAt is the item at a height. */
export function indexAt(tops, y) {
  let low = 0;
  let high = tops.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle] <= y) low = middle;
    else high = middle - 1;
  }
  return Math.max(low, 0);
}

/**
 * Virtual draws items by draw(item, index, top, height). The item at index pinned is always
 * drawn: it may have the focus. onEnd is called as the end comes into view. reveal
 * takes a function that scrolls to an item.
 */
export function Virtual({ items, keyOf, heightOf, draw, pinned = -1, onEnd, onTop, reveal, after, label, className = '' }) {
  const scroller = useRef(null);
  const [view, setView] = useState({ top: 0, height: 800 });
  const tops = layout(items, heightOf);
  const height = tops[items.length];
  const first = Math.max(indexAt(tops, view.top) - beyond, 0);
  const last = Math.min(indexAt(tops, view.top + view.height) + beyond, items.length - 1);

  // What is in view stays where it is when something comes above it.
  const anchor = useRef(null);
  useLayoutEffect(() => {
    const was = anchor.current;
    const element = scroller.current;
    if (was && element.scrollTop > 0) {
      const at = items.findIndex((item) => keyOf(item) === was.key);
      if (at >= 0 && tops[at] !== was.top) element.scrollTop += tops[at] - was.top;
    }
    const at = indexAt(tops, element.scrollTop);
    anchor.current = items[at] ? { key: keyOf(items[at]), top: tops[at] } : null;
  });

  useEffect(() => {
    const element = scroller.current;
    const measure = () => {
      setView((old) => {
        const now = { top: element.scrollTop, height: element.clientHeight };
        return old.top === now.top && old.height === now.height ? old : now;
      });
      if (element.scrollTop === 0) onTopRef.current?.();
    };
    const sizes = new ResizeObserver(measure);
    sizes.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      sizes.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, []);
  const onTopRef = useRef(onTop);
  onTopRef.current = onTop;

  useEffect(() => {
    if (items.length > 0 && view.top + view.height * 2 > height) onEnd?.();
  });

  if (reveal) {
    reveal.current = (index) => {
      const element = scroller.current;
      if (tops[index] < element.scrollTop) element.scrollTop = tops[index] - (index === 1 ? tops[1] : 0);
      else if (tops[index + 1] > element.scrollTop + element.clientHeight) element.scrollTop = tops[index + 1] - element.clientHeight;
    };
  }

  const drawn = [];
  for (let i = first; i <= last; i += 1) drawn.push(i);
  if (pinned >= 0 && pinned < items.length && (pinned < first || pinned > last)) drawn.push(pinned);
  return html`<div class="scroller" ref=${scroller} tabindex="-1">
    <ul class=${`rows ${className}`} style=${{ height: `${height}px` }} aria-label=${label}>
      ${drawn.sort((a, b) => a - b).map((i) => draw(items[i], i, tops[i], tops[i + 1] - tops[i]))}
    </ul>
    ${after}
  </div>`;
}
