package pipeline

import (
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

// maxNamed bounds the users that the parts of one batch name: the messages that
// name them are published in one commit.
const maxNamed = 100_000

// fanOut keeps a batch from becoming more than can be processed and committed
// together, now that it is known who gets what, and routes what stays.
//
//   - A request with many recipients becomes messages on TopicFanout, one per part,
//     that name their users: memory is bounded, other notifications are not delayed,
//     and after a crash in the middle only the parts that are missing are made.
//   - A request for which there is no room beside the others becomes such a message
//     as it is.
func (p *Pipeline) fanOut(w *work) error {
	rows, bytes, named := 0, 0, 0
	for i, item := range w.batch.Items {
		if item.Err != nil {
			continue
		}
		users, size := len(item.Users), len(item.Users)*item.Request.Payload.Size()
		shared := p.sharedOf(&w.entries[i], item)
		var err error
		switch part := partRows(&item.Request.Payload); {
		case w.entries[i].Part == 0 && users > part && (named == 0 || named+users <= maxNamed):
			named += users
			w.fanouts[i], err = inParts(w.entries[i], item, part)
		case w.entries[i].Part == 0 && users > part,
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

// inParts makes a message for each part of a request's recipients.
func inParts(e entry, item *signalbox.Item, size int) (*fanout, error) {
	split := &fanout{key: "fanout/" + e.key(), final: true}
	e.Request, e.Waiter = item.Request, ""
	for users := range slices.Chunk(item.Users, size) {
		e.Part++
		e.Users = users
		payload, err := encodeSingle(e)
		if err != nil {
			return nil, err
		}
		split.messages = append(split.messages, signalbox.Message{Topic: TopicFanout, ID: e.key(), Payload: payload})
	}
	return split, nil
}

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
