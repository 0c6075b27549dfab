package storage

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// Commit implements [signalbox.Committer]. A commit that comes down to one
// statement is that statement, without BEGIN and COMMIT around it.
func (s *Store) Commit(ctx context.Context, c signalbox.Commit) ([]signalbox.Outcome, error) {
	entries, err := entriesOf(c.Notifications)
	if err != nil {
		return nil, fmt.Errorf("storage: commit: %w", err)
	}
	outcomes := make([]signalbox.Outcome, len(entries))
	seen := s.unseen(entries, c.Received)
	if len(entries)+len(seen) == 0 && rowsOnly(c) {
		return outcomes, nil
	}
	if err := s.prepareWrites(ctx); err != nil {
		return nil, fmt.Errorf("storage: commit: %w", database.Classify(err))
	}
	var published []signalbox.Message
	for range violationAttempts {
		published, err = s.commit(ctx, c, entries, seen, outcomes)
		if !database.Violates(err) {
			break
		}
		// The identifier is there, but not where a scope leads. Either the same
		// commit runs elsewhere and was not visible yet: then a second try sees
		// it. Or the request was processed before with another scope: then the
		// row is there already.
		if settleErr := s.markStored(ctx, entries); settleErr != nil {
			err = settleErr
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("storage: commit: %w", err)
	}
	s.seen.add(seen, s.now())
	if len(published) > 0 {
		s.queue.Wake(topicsOf(published)...)
	}
	return outcomes, nil
}

// violationAttempts bounds how often work is done again after a violation that
// a concurrent transaction can have caused.
const violationAttempts = 3

// rowsOnly reports whether a commit has nothing but notifications, as far as is
// known before them.
func rowsOnly(c signalbox.Commit) bool {
	return len(c.Messages)+len(c.DeadLetters)+len(c.Once)+len(c.Requests) == 0 && c.Deliveries == nil
}

// commit runs one attempt and returns the messages that it published.
func (s *Store) commit(ctx context.Context, c signalbox.Commit, entries []*entry, seen []signalbox.Received, outcomes []signalbox.Outcome) (published []signalbox.Message, err error) {
	batches := batchesOf(entries)
	if len(batches) == 1 && len(seen) == 0 && rowsOnly(c) &&
		(s.db.Dialect == database.Postgres || len(batches[0].entries) == 1) {
		forget(entries)
		err := database.Classify(s.writeBatch(ctx, nil, batches[0]))
		switch {
		case err == nil:
			return nil, database.Classify(s.report(ctx, s.db.Reader, entries, outcomes))
		case !signalbox.IsTransient(err) || ctx.Err() != nil:
			return nil, err
		}
		// A deadlock, most likely: transactions try that again.
	}
	err = s.db.InTx(ctx, func(tx *sql.Tx) error {
		forget(entries)
		if err := s.lockCounts(ctx, tx, lockedUsers(batches)); err != nil {
			return err
		}
		for _, b := range batches {
			if err := s.writeBatch(ctx, tx, b); err != nil {
				return err
			}
		}
		if err := s.report(ctx, tx, entries, outcomes); err != nil {
			return err
		}
		if err := s.bury(ctx, tx, c.DeadLetters); err != nil {
			return err
		}
		if err := s.recordSeen(ctx, tx, seen); err != nil {
			return err
		}
		if published, err = s.messages(ctx, tx, c, outcomes); err != nil {
			return err
		}
		if err := s.recordRequests(ctx, tx, c.Requests); err != nil {
			return err
		}
		if len(published) == 0 {
			return nil
		}
		if err := s.queue.PublishTx(ctx, tx, published...); err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		return nil
	})
	return published, err
}

// messages are those of the commit, those of keys that nobody claimed before, and
// those of the deliveries that it adds.
func (s *Store) messages(ctx context.Context, tx *sql.Tx, c signalbox.Commit, outcomes []signalbox.Outcome) ([]signalbox.Message, error) {
	messages, err := s.publishOnce(ctx, tx, c.Once, s.now())
	if err != nil {
		return nil, err
	}
	messages = slices.Concat(c.Messages, messages)
	if c.Deliveries == nil {
		return messages, nil
	}
	deliveries, err := c.Deliveries(outcomes)
	if err != nil {
		return nil, fmt.Errorf("deliveries: %w", err)
	}
	further, err := s.addDeliveries(ctx, tx, deliveries)
	return append(messages, further...), err
}

// forget drops what an attempt that was rolled back did.
func forget(entries []*entry) {
	for _, e := range entries {
		e.changed, e.stored = false, signalbox.Notification{}
	}
}

// report turns entries into outcomes; what the commit left as it was is read.
func (s *Store) report(ctx context.Context, q queryer, entries []*entry, outcomes []signalbox.Outcome) error {
	var unchanged []*entry
	for _, e := range entries {
		outcomes[e.index] = signalbox.Outcome{Notification: pick(e.changed, e.stored, e.notification), Changed: e.changed}
		if !e.changed {
			unchanged = append(unchanged, e)
		}
	}
	for len(unchanged) > 0 {
		part := unchanged[:min(len(unchanged), batchRows)]
		unchanged = unchanged[len(part):]
		if err := s.lookUp(ctx, q, part, func(e *entry, n signalbox.Notification) {
			outcomes[e.index].Notification = n
		}); err != nil {
			return err
		}
	}
	return nil
}

// topicsOf lists the topics of messages, sorted, each as often as it has messages.
func topicsOf(messages []signalbox.Message) []string {
	topics := make([]string, len(messages))
	for i, m := range messages {
		topics[i] = m.Topic
	}
	slices.Sort(topics)
	return topics
}
