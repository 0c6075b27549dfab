// Package email owns the channel "Email": who gets a mail, what it looks like,
// and how it is handed to a mail server, to sendmail or to a file. It imports the
// root package, channels, and libraries for mail, Markdown and DKIM.
//
// Every delivery is one message to one recipient. Its bytes derive from the
// delivery alone (signatures aside), so that a second attempt after a crash is
// the same message, with the same Message-ID.
package email
