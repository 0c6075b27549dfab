package signalbox

import "context"

// Processor is a pluggable step of the pipeline. It takes part in the phases
// whose method it has, which are those of Backstage's notification processors:
//
//	ProcessOptions  once per send request, before recipients are resolved   [OptionsProcessor]
//	PreProcess      for each recipient, before the notification is stored   [PreProcessor]
//	PostProcess     for each recipient, after the notification was stored   [PostProcessor]
//
// A processor must have at least one of them. Processors run in the order in
// which they were added.
//
// Obligations: every phase may run more than once for the same input (after a
// crash or a failure), so it must be idempotent; it must be safe for concurrent
// use and return soon after ctx is done. A phase that fails, panics or takes too
// long hurts only the notification it was given: that one is set aside, retried
// with backoff, and becomes a dead letter when its attempts are used up (at once
// for [Permanent] errors, no sooner than asked for [RetryAfter] errors).
type Processor interface {
	// Name identifies the processor in logs, metrics, topics and dead letters.
	// It must be stable, unique among processors and channels, and match
	// ^[A-Za-z0-9_.-]{1,40}$.
	Name() string
}

// OptionsProcessor is a [Processor] of the options phase.
type OptionsProcessor interface {
	Processor
	// ProcessOptions may change recipients and payload of the request; ID,
	// Origin and Created stay as they were. What it leaves is validated again.
	ProcessOptions(ctx context.Context, request *SendRequest) error
}

// PreProcessor is a [Processor] of the per-recipient phase.
type PreProcessor interface {
	Processor
	// PreProcess may change the payload of the notification; what it leaves is
	// validated again. It returns keep=false to drop the notification for this
	// recipient. A broadcast passes once, with an empty User, and so does what goes
	// to a group's own place or a direct target.
	PreProcess(ctx context.Context, notification *Notification) (keep bool, err error)
}

// PostProcessor is a [Processor] of the after-storing phase.
type PostProcessor interface {
	Processor
	// PostProcess runs after the commit that stored the notification, from a
	// durable queue of the processor's own: it delays neither the inbox nor
	// another processor, and is run again after a crash. A broadcast passes
	// once, with an empty User.
	PostProcess(ctx context.Context, notification Notification) error
}
