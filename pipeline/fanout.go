package pipeline

import (
	"fmt"
	"slices"

	"github.com/signalbox/signalbox"
)

// maxPartRows bounds the recipients of one part of a request.
const maxPartRows = 1000

// partRows is how many recipients of a payload are processed and committed
// together.
func partRows(p *signalbox.Payload) int {
	return min(maxPartRows, max(1, maxCommitBytes/2/p.Size()))
}

// Bounds of what is published in one commit.
const (
	// maxNamed bounds the users that the parts of one batch name. A single request
	// beyond it names all of its own.
	maxNamed = 100_000
	// maxParts bounds the messages that a request, or a part of one, becomes.
	maxParts = 64
)

// partMessages is how many messages with a payload are published together.
func partMessages(p *signalbox.Payload) int {
	return min(maxParts, max(2, maxCommitBytes/p.Size()))
}

// fanOut keeps a batch from becoming more than can be processed and committed
// together, now that it is known who gets what, and routes what stays.
//
//   - A request with many recipients becomes messages on TopicFanout, one per part,
//     that name their users: memory is bounded, other notifications are not delayed,
//     and after a crash in the middle only the parts that are missing are made. Each
//     message has the payload, so there are only so many at a time: parts that are
//     too large become parts in turn.
//   - A request for which there is no room beside the others becomes such a message
//     as it is.
func (p *Pipeline) fanOut(w *work) error {
	rows, bytes, named, published := 0, 0, 0, 0
	for i, item := range w.batch.Items {
		if item.Err != nil {
			continue
		}
		users, size := len(item.Users), len(item.Users)*item.Request.Payload.Size()
		shared := p.sharedOf(&w.entries[i], item)
		var err error
		part := partRows(&item.Request.Payload)
		messages := partMessages(&item.Request.Payload)
		copies := min(messages, ceil(users, part)) * item.Request.Payload.Size()
		switch {
		case users > part && (named == 0 || named+users <= maxNamed && published+copies <= maxCommitBytes):
			named, published = named+users, published+copies
			w.fanouts[i], err = inParts(w.entries[i], item, part, messages)
		case users > part,
			rows > 0 && (rows+users > maxCommitRows || bytes+size > maxCommitBytes):
			w.fanouts[i], err = alone(w.entries[i])
		default:
			rows, bytes = rows+users+len(shared), bytes+size
			item.Routed = append(p.routeUsers(item), shared...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inParts makes messages for the recipients of a request, or of a part of one: one
// for each size of them, or for as many times that as it takes to make no more than
// limit.
func inParts(e entry, item *signalbox.Item, size, limit int) (*fanout, error) {
	split := &fanout{key: "fanout/" + e.key(), final: true}
	if e.Part > 0 { // the first of its parts has its number, but fewer users
		split.key += fmt.Sprintf("+%d", len(item.Users))
	}
	step := ceil(ceil(len(item.Users), size), limit)
	part := max(1, e.Part)
	e.Request, e.Waiter = item.Request, ""
	for users := range slices.Chunk(item.Users, step*size) {
		e.Part, e.Users = part, users
		part += step
		payload, err := encodeSingle(e)
		if err != nil {
			return nil, err
		}
		split.messages = append(split.messages, signalbox.Message{Topic: TopicFanout, ID: e.key(), Payload: payload})
	}
	return split, nil
}

func ceil(n, unit int) int { return (n + unit - 1) / unit }

// alone makes a message of a request that is processed by itself.
func alone(e entry) (*fanout, error) {
	e.Alone = true
	payload, err := encodeSingle(e)
	if err != nil {
		return nil, err
	}
	return &fanout{
		key:      "alone/" + e.key(),
		messages: []signalbox.Message{{Topic: TopicFanout, ID: e.key(), Payload: payload}},
	}, nil
}

// fanout is what became of a request that was too large for its batch.
type fanout struct {
	// key makes the messages be published once.
	key      string
	messages []signalbox.Message
	// final is set if a sender that waits need not wait any more.
	final bool
}
