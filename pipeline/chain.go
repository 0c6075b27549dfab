package pipeline

import (
	"context"
	"fmt"

	"github.com/signalbox/signalbox"
)

// chain runs stages one after the other.
type chain []signalbox.Stage

// process runs the stages on batch until one fails as a whole. A stage that
// panics fails the live items.
func (c chain) process(ctx context.Context, batch *signalbox.Batch) error {
	for _, stage := range c {
		if err := protect(func() error { return stage.Process(ctx, batch) }); err != nil {
			if signalbox.IsTransient(err) {
				return fmt.Errorf("%s: %w", stage.Name(), err)
			}
			for _, item := range batch.Live() {
				item.Fail(stage.Name(), err)
			}
			return nil
		}
	}
	return nil
}
