// Package bell holds the tests of the bell: the real binary, a foreign page on another
// origin with a strict Content-Security-Policy of its own, and a real browser that shows
// it. They need Chromium.
package bell
