// The one place that knows which library draws the page.
export {
  Component, h, html, render, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState,
} from '../../vendor/htm-preact.js';
