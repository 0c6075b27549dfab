// Package channels owns the seam of the outside channels: ways out of Signalbox
// that a user can switch, such as Slack or email. Each channel is a package of
// its own below this one; channels/channeltest is the contract that all of them
// obey. It imports the root package only.
package channels

import (
	"context"
	"time"

	"github.com/signalbox/signalbox"
)

// Channel sends notifications to one kind of place outside. What it must have is
// here; what it may have besides are the optional interfaces [Selector],
// [Resolver], [Limited], [Checker] and [signalbox.Filtered].
//
// Obligations: Deliver may be called more than once for the same delivery (after
// a crash or a failure) and concurrently for different ones; it returns soon
// after ctx is done; no error holds a secret. A channel keeps nothing that must
// survive: queueing, retries, limits and the record of what was sent are the
// delivery engine's.
type Channel interface {
	// Name is what users see and settings name, such as "Slack". It must be
	// stable, unique among processors and channels, and match
	// ^[A-Za-z0-9_.-]{1,40}$. "Web" is taken.
	Name() string
	// Deliver makes one attempt. Its error says what follows:
	//
	//	[Suppressed]            it is not to be sent, and why
	//	[signalbox.Permanent]   give up
	//	[ChannelLimited]        wait so long with everything on this channel
	//	[TargetLimited]         wait so long with everything to this target
	//	[signalbox.RetryAfter]  try this one again, not before so long
	//	any other               the channel may be down: try again with backoff;
	//	                        after several in a row calls are paused for a while
	Deliver(ctx context.Context, delivery Delivery) (Sent, error)
}

// Delivery is one revision of a notification on its way to one target.
type Delivery struct {
	// ID is the same on every attempt, and no other delivery has it.
	ID string
	// Notification is as it is stored in the inbox. Its User is empty unless
	// Audience is a user.
	Notification signalbox.Notification
	// Audience is whom it is for.
	Audience signalbox.Audience
	// Named is set for a user who was named as a recipient, not reached through a
	// group or as an owner.
	Named bool
	// Via are the entities other than users that were named as recipients, without
	// those that were excluded. It is set for entities, and for users who were not
	// named: those that they were reached through are among them.
	Via []string
	// Target is where to send it: what Resolve returned. Without a [Resolver] only
	// the address of a direct target is set.
	Target Target
	// Attempt counts from 1.
	Attempt int
	// Previous is what was sent to the same target of the same scope before, for
	// channels that can update or continue it; nil if there is nothing, and for
	// notifications without a scope.
	Previous *Sent
}

// Target is a place of a channel.
type Target struct {
	// Address is in the channel's own terms, in a canonical form: equal addresses
	// are the same place.
	Address string
	// Display is the address as people know it; Address if it is empty.
	Display string
	// Limit is what [Limits.PerTarget] and [TargetLimited] go by, such as the
	// domain of an email address; Address if it is empty.
	Limit string
}

// Sent is what a provider took.
type Sent struct {
	// ID is the provider's identifier of it, for the trace.
	ID string
	// Reply is what the provider answered, for the trace. No secret.
	Reply string
	// State is for the channel itself: it comes back in [Delivery.Previous]. At
	// most 4 KiB.
	State string
}

// Selector is a [Channel] that does not want a delivery for every audience.
// Without it a channel takes users and broadcasts.
type Selector interface {
	// Takes is asked for each audience before anything is stored. It must be quick
	// and ask nobody: what needs a question is for Resolve to find out. named is
	// as in [Delivery].
	Takes(audience signalbox.Audience, named bool) bool
}

// Resolver is a [Channel] that finds out where a delivery goes.
type Resolver interface {
	// Resolve returns the targets of a delivery. With one of them the delivery goes
	// there; several become deliveries of their own, so that each is retried by
	// itself. For none the error is [Suppressed]. cursor is empty at first, and
	// then what the previous call returned in Next. Errors are as of Deliver.
	Resolve(ctx context.Context, delivery Delivery, cursor string) (Targets, error)
}

// Targets is a part of the targets of a delivery.
type Targets struct {
	// Targets are at most [MaxTargets].
	Targets []Target
	// Next continues the list; empty at its end.
	Next string
}

// MaxTargets is how many targets Resolve may return at a time.
const MaxTargets = 500

// Limited is a [Channel] with limits of its own.
type Limited interface {
	// Limits is asked once, when the router starts.
	Limits() Limits
}

// Limits bounds what a channel is asked to do. Zero fields have the defaults.
type Limits struct {
	// Concurrency is how many calls may be under way at a time in one process.
	// Defaults to 4, at most 64.
	Concurrency int
	// Timeout bounds a call. Defaults to, and is at most, the pipeline's
	// processor timeout.
	Timeout time.Duration
	// PerChannel bounds deliveries (a Resolve and the Deliver that follows count
	// once), PerTarget those with the same Target.Limit. Several instances share
	// them. Default to no limit.
	PerChannel, PerTarget Rate
}

// Rate is a token bucket: one call per Every, and up to Burst at once after a
// pause. The zero value does not limit.
type Rate struct {
	Every time.Duration
	Burst int
}

// Checker is a [Channel] that can tell whether it would work.
type Checker interface {
	// Check asks the provider whether the credentials are good, and sends nothing.
	// The error tells the operator what to do, and holds no secret.
	Check(ctx context.Context) error
}
