// What narrows a list for admins. It stands in the address.
import { useEffect, useRef, useState } from '../kit/html.js';
import { go, href, params } from '../kit/router.js';

const typingPause = 400;

export const readFilter = (names) => Object.fromEntries(names.map((name) => [name, (params().get(name) ?? '').trim()]));

/**
 * useTyped is what is chosen and typed of a page's filter, and what sets a part of it:
 * set(name) when the typing pauses, set(name, 0) at once.
 */
export function useTyped(page, filter) {
  const timer = useRef(0);
  const [typed, setTyped] = useState(filter);
  const here = JSON.stringify(filter);
  const made = useRef(here);
  useEffect(() => {
    // The address was changed by something else, such as a link to the page: what was
    // being typed is of no use. After a change of ours somebody may be typing on.
    if (made.current !== here) {
      clearTimeout(timer.current);
      setTyped(filter);
    }
    made.current = here;
  }, [here]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const set = (name, pause = typingPause) => (value) => {
    const next = { ...typed, [name]: value };
    setTyped(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      const wanted = Object.fromEntries(Object.entries(next).map(([key, text]) => [key, text.trim()]));
      made.current = JSON.stringify(wanted);
      go(href(page, wanted), { replace: true });
    }, pause);
  };
  return [typed, set];
}
