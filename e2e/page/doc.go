// Package page holds the tests of the web page: they start the real binary, and drive
// it with a real browser as a reader would. They need Chromium.
package page
