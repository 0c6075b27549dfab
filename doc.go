// Package signalbox is the domain of Signalbox, a self-hosted notification
// router: the nouns every other package speaks (send request, notification,
// revision, delivery, signal, principal), the seams between them, the coded
// errors, and the rules that hold whatever the adapter (validation, limits,
// entity references, identifiers).
//
// # How a notification travels
//
// A sender POSTs a [SendRequest]. It is validated ([Validator]),
// stored durably on the SQL pub/sub and answered. The pipeline then resolves
// its [Recipients], applies every [Processor], decides per channel what a user
// gets, and hands the resulting [Notification] values to a [Committer], which
// stores them and everything that must happen next in one transaction. Only
// after that commit are [Signal] messages emitted and the queue message
// acknowledged.
//
// # Imports
//
// This package imports the standard library only. Adapters (web, storage,
// pipeline, processors, channels) import it; cmd wires them together.
package signalbox
