package pipeline

import (
	"context"

	"github.com/signalbox/signalbox"
)

// chain runs stages one after the other.
type chain []signalbox.Stage

// process runs the stages on batch. A stage that fails as a whole, or panics,
// fails the live items, each of which is then settled by itself.
func (c chain) process(ctx context.Context, batch *signalbox.Batch) {
	for _, stage := range c {
		if err := signalbox.Guard(func() error { return stage.Process(ctx, batch) }); err != nil {
			for _, item := range batch.Live() {
				item.Fail(stage.Name(), err)
			}
		}
	}
}
