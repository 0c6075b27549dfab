// Package directorytest holds every [signalbox.Directory] to the promises of that
// interface, and has a Backstage catalog to test against.
package directorytest
