// Package smtpfake is a mail server in the process of a test: it keeps what it
// takes, counts connections, and misbehaves as it is told. It listens on a free
// port of 127.0.0.1, and is for tests only.
package smtpfake
