// What narrows a list for admins. It stands in the address.
import { useEffect, useRef, useState } from '../kit/html.js';
import { go, href, params } from '../kit/router.js';

const typingPause = 400;

export const readFilter = (names) => Object.fromEntries(names.map((name) => [name, params().get(name) ?? '']));

/**
 * useTyped is what is chosen and typed of a page's filter, and what sets a part of it:
 * set(name) when the typing pauses, set(name, 0) at once.
 */
export function useTyped(page, filter) {
  const timer = useRef(0);
  const [typed, setTyped] = useState(filter);
  useEffect(() => () => clearTimeout(timer.current), []);
  const set = (name, pause = typingPause) => (value) => {
    const next = { ...typed, [name]: value };
    setTyped(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => go(href(page, Object.fromEntries(Object.entries(next).map(([key, text]) => [key, text.trim()]))), { replace: true }), pause);
  };
  return [typed, set];
}
