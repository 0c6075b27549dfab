package signalbox

import (
	"context"
	"errors"
	"time"
)

// Stage is one built-in step of the pipeline. It works on a whole batch, so that
// a step that asks a database or a directory does so once per batch. Custom
// steps are easier to write as a [Processor].
type Stage interface {
	// Name identifies the stage in dead letters, logs and metrics.
	Name() string
	// Process does the stage's work on every live item. The failure of one item
	// is recorded with [Item.Fail] and leaves the others alone. A returned error
	// fails every live item. Items that fail with a [Transient] error are tried
	// again until they succeed, others as often as the retry policy says.
	Process(ctx context.Context, batch *Batch) error
}

// Batch is what one queue message carries through the chain.
type Batch struct {
	Items []*Item
	// Deadline is when custom processors and the directory have to be through with
	// the whole batch, all of them together. An item that is not through by then is
	// set aside, so that it delays no other. Zero means no bound but the context's.
	Deadline time.Time
}

// Live returns the items that have not failed.
func (b *Batch) Live() []*Item {
	live := make([]*Item, 0, len(b.Items))
	for _, item := range b.Items {
		if item.Err == nil {
			live = append(live, item)
		}
	}
	return live
}

// Item is one send request on its way through the chain.
type Item struct {
	Request SendRequest
	// Revision is the request's position in the queue, see
	// [Notification.Revision].
	Revision int64
	// Users are the receiving users; "" stands for everybody. The recipients stage
	// sets them, unless they are set: then the request was resolved before, and
	// this item is one part of what it became.
	Users []string
	// Routed is what the request becomes: one entry per recipient, or one for a
	// broadcast, which goes to all channels at first. The pipeline makes it of
	// Users.
	Routed []Routed
	// Unknown are references of the recipients that the directory does not know.
	// They kept nobody else from being reached. The recipients stage fills it.
	Unknown []string

	// Err is why the item failed and Stage where; nil while it is live.
	Err   error
	Stage string
}

// Fail takes the item out of the batch: later stages do not see it.
func (i *Item) Fail(stage string, err error) {
	if i.Err == nil {
		i.Err, i.Stage = err, stage
	}
}

// Routed is a notification and the channels it goes to.
type Routed struct {
	// Notification is what is sent. Its User is empty unless Audience is a user.
	Notification Notification
	// Audience is whom it is for. Only users and [Everyone] have an inbox.
	Audience Audience
	// Target is the address of a direct target, see [DirectTarget].
	Target string
	// Named is set for a user who was named as a recipient, not reached through a
	// group or as an owner.
	Named bool
	// Channels are the names of the channels that are to get it; [ChannelWeb]
	// is the inbox. It may be shared with others: replace it, do not change it.
	Channels []string
	// Suppressed are the channels that do not get it, and why.
	Suppressed []Suppression
	// Dropped is set if a processor decided that nobody gets it.
	Dropped bool
}

// Suppression is that a notification does not go to a channel.
type Suppression struct {
	Channel string
	Rule    Rule
}

// Suppress takes the notification away from the channels that decide returns a rule
// for.
func (r *Routed) Suppress(decide func(channel string) Rule) {
	var kept []string
	before := len(r.Suppressed)
	for i, channel := range r.Channels {
		rule := decide(channel)
		switch taken := len(r.Suppressed) > before; {
		case rule != "" && !taken:
			kept = append(make([]string, 0, len(r.Channels)), r.Channels[:i]...)
			fallthrough
		case rule != "":
			r.Suppressed = append(r.Suppressed, Suppression{Channel: channel, Rule: rule})
		case taken:
			kept = append(kept, channel)
		}
	}
	if len(r.Suppressed) > before {
		r.Channels = kept
	}
}

// ErrPatience is why an item was set aside that a custom processor or the directory
// did not finish by [Batch.Deadline]. It is tried again on its own, with more time.
var ErrPatience = errors.New("did not finish in time")
