package processors

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/signalbox/signalbox"
)

// Recipients is the stage that finds out which users each request is for.
type Recipients struct {
	directory signalbox.Directory
}

// NewRecipients makes the stage.
func NewRecipients(directory signalbox.Directory) *Recipients {
	return &Recipients{directory: directory}
}

// Name returns "recipients".
func (*Recipients) Name() string { return "recipients" }

// Process resolves the recipients of every live item, each distinct set once per
// batch. References that nobody knows end up in [signalbox.Item.Unknown]. A
// directory that cannot tell, or does not within the batch's patience, fails only
// the items that need it, with a transient error.
func (r *Recipients) Process(ctx context.Context, batch *signalbox.Batch) error {
	live := batch.Live()
	answers := r.resolve(ctx, batch, live)
	for _, item := range live {
		switch {
		case item.Users != nil:
		case item.Request.Recipients.Type == signalbox.RecipientsBroadcast:
			item.Users = []string{""}
		default:
			answer := answers[keyOf(&item.Request.Recipients)]
			if answer.err != nil {
				item.Fail(r.Name(), answer.err)
				continue
			}
			// Items that ask for the same share what they get.
			item.Users, item.Unknown = answer.Users, answer.Unknown
		}
	}
	return nil
}

// answer is what the directory said of one set of references.
type answer struct {
	signalbox.Resolution
	refs, exclude []string
	err           error
}

// keyOf identifies a set of references. No reference holds the separators.
func keyOf(r *signalbox.Recipients) string {
	return strings.Join(r.EntityRefs, " ") + "\n" + strings.Join(r.ExcludeEntityRefs, " ")
}

// concurrentQuestions is how many sets of one batch are asked about at a time: a
// directory that is far away can then bring their lookups together.
const concurrentQuestions = 16

// resolve asks the directory once for each distinct set of references.
func (r *Recipients) resolve(ctx context.Context, batch *signalbox.Batch, items []*signalbox.Item) map[string]*answer {
	answers := make(map[string]*answer, len(items))
	for _, item := range items {
		to := &item.Request.Recipients
		if item.Users == nil && to.Type != signalbox.RecipientsBroadcast {
			answers[keyOf(to)] = &answer{refs: to.EntityRefs, exclude: to.ExcludeEntityRefs}
		}
	}
	if !batch.Deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, batch.Deadline, signalbox.ErrPatience)
		defer cancel()
	}
	var wait sync.WaitGroup
	slots := make(chan struct{}, concurrentQuestions)
	for _, a := range answers {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			a.Resolution, a.err = r.ask(ctx, a.refs, a.exclude)
		})
	}
	wait.Wait()
	return answers
}

// ask returns what the directory says; a panic of it is an error. What was cut
// off by the patience waits on its own, and delays nobody.
func (r *Recipients) ask(ctx context.Context, refs, exclude []string) (resolution signalbox.Resolution, err error) {
	err = signalbox.Guard(func() (err error) {
		resolution, err = r.directory.Resolve(ctx, refs, exclude)
		return err
	})
	if bug := (*signalbox.PanicError)(nil); errors.As(err, &bug) {
		return resolution, fmt.Errorf("directory: %w", err)
	}
	if err != nil && errors.Is(context.Cause(ctx), signalbox.ErrPatience) {
		err = signalbox.Transient(fmt.Errorf("%w: %w", signalbox.ErrPatience, err))
	}
	return resolution, err
}
