package pipeline

import (
	"fmt"

	"github.com/signalbox/signalbox"
)

// maxPartRows bounds the recipients of one part of a request.
const maxPartRows = 1000

// partRows is how many recipients of a payload are processed and committed
// together.
func partRows(p *signalbox.Payload) int {
	return min(maxPartRows, max(1, maxCommitBytes/2/p.Size()))
}

// fanOut takes the items out of the batch that have more recipients than are
// processed together. Each becomes messages on TopicFanout, one per part, that
// name their users: memory is bounded, other notifications are not delayed, and
// after a crash in the middle only the parts that are missing are made.
func (p *Pipeline) fanOut(w *work) error {
	for i, item := range w.batch.Items {
		size := partRows(&item.Request.Payload)
		if item.Err != nil || item.Users != nil || len(item.Routed) <= size {
			continue
		}
		split := &fanout{key: "fanout/" + w.entries[i].key()}
		for part := 1; len(item.Routed) > 0; part++ {
			n := min(size, len(item.Routed))
			e := w.entries[i]
			e.Request, e.Part, e.Waiter = item.Request, part, ""
			e.Users = make([]string, n)
			for j := range n {
				e.Users[j] = item.Routed[j].Notification.User
			}
			payload, err := encodeSingle(e)
			if err != nil {
				return err
			}
			split.messages = append(split.messages, signalbox.Message{
				Topic: TopicFanout, ID: fmt.Sprintf("%s/%d", e.Request.ID, part), Payload: payload,
			})
			item.Routed = item.Routed[n:]
		}
		item.Routed = nil
		w.fanouts[i] = split
	}
	return nil
}

// fanout is what became of a request with many recipients.
type fanout struct {
	// key makes the parts be published once.
	key      string
	messages []signalbox.Message
}
