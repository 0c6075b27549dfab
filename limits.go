package signalbox

import "time"

// Limits of what a caller may send. Characters are Unicode code points. What is
// beyond a limit is refused with a message that names the field; nothing is ever
// cut.
const (
	// MaxTitle bounds the title of a notification, in characters.
	MaxTitle = 1_000
	// MaxDescription bounds the description, in characters.
	MaxDescription = 20_000
	// MaxLink bounds every link, in characters.
	MaxLink = 2_048
	// MaxAdditionalLinks bounds the number of additional links.
	MaxAdditionalLinks = 20
	// MaxLinkTitle bounds the title of an additional link, in characters.
	MaxLinkTitle = 255
	// MaxTopic, MaxScope, MaxIcon and MaxOrigin are in characters.
	MaxTopic  = 255
	MaxScope  = 255
	MaxIcon   = 255
	MaxOrigin = 255
	// MaxMetadata bounds metadata, in bytes of JSON without insignificant white
	// space.
	MaxMetadata = 32 << 10
	// MaxDepth bounds how deeply arrays and objects may be nested in a value
	// whose shape is the sender's own: metadata, signal messages, unknown fields.
	MaxDepth = 64
	// MaxEntityRef bounds one entity reference as it is sent, in bytes.
	MaxEntityRef = 255
	// MaxEntityRefs and MaxExcludeEntityRefs bound the recipients of one request.
	MaxEntityRefs        = 1_000
	MaxExcludeEntityRefs = 1_000
	// MaxBatch bounds the send requests of one batch.
	MaxBatch = 1_000
	// MaxWarnings bounds the warnings of one receipt.
	MaxWarnings = 20

	// MaxUpdateIDs bounds the identifiers of one update.
	MaxUpdateIDs = 1_000
	// MaxSearch bounds the text that a list is searched for, in characters.
	MaxSearch = 1_000

	// MaxChoices bounds the choices of one user, and of one request to save some.
	MaxChoices = 10_000
	// MaxSeenTopics bounds the origins and topics that a settings page lists
	// because they reached the user.
	MaxSeenTopics = 1_000

	// MaxSignalChannel bounds the name of a signal channel, in characters.
	MaxSignalChannel = 255
	// MaxSignalMessage bounds the message of a published signal, in bytes of JSON.
	MaxSignalMessage = 64 << 10

	// MaxIdempotencyKey bounds an idempotency key, in bytes of printable ASCII.
	MaxIdempotencyKey = 255
	// MaxWait bounds how long a sender may wait for its notifications.
	MaxWait = 60 * time.Second
)
