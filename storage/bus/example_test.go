package bus_test

import (
	"github.com/signalbox/signalbox/storage/bus"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
)

// Wake-ups of a queue between instances: those for which nobody here is idle go
// out, those of others come in, and after an outage everybody looks once.
func Example() {
	_ = func(db *database.DB, q *queue.Queue) (*bus.Bus, error) {
		b, err := bus.Open(db, bus.Config{OnListen: q.WakeAll})
		if err != nil {
			return nil, err
		}
		b.Handle("wake", func(topic []byte) { q.WakeLocal(string(topic)) })
		q.OnWake(func(topics []string) {
			for _, topic := range topics {
				b.SendOnce("wake", []byte(topic))
			}
		})
		return b, nil
	}
}
