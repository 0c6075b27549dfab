// Package child ties processes that tests start to the tests. It imports nothing of
// Signalbox.
package child
