// Package pgcluster starts private PostgreSQL clusters for tests: real servers
// with durable settings, on a free loopback port, that a test may restart, halt
// or crash. It works as root, where PostgreSQL itself refuses to run, by
// dropping to an unprivileged account.
//
// It knows nothing of Signalbox and imports only the standard library and pgx.
// It is for tests and tools on Unix systems: every database user of the machine
// may log in to such a cluster without a password.
package pgcluster
