package web_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
)

// inbox is an in-memory [signalbox.Inbox] that also remembers what it was asked.
type inbox struct {
	mu   sync.Mutex
	rows []signalbox.Notification
	// err fails every call.
	err error

	users   []string
	filters []signalbox.Filter
	pages   []signalbox.Page
}

func (i *inbox) selected(user string, f signalbox.Filter) ([]*signalbox.Notification, error) {
	i.users = append(i.users, user)
	i.filters = append(i.filters, f)
	if i.err != nil {
		return nil, i.err
	}
	var list []*signalbox.Notification
	for k := range i.rows {
		n := &i.rows[k]
		if (n.User == user || n.User == "") && matches(n, f) {
			list = append(list, n)
		}
	}
	slices.SortFunc(list, func(a, b *signalbox.Notification) int {
		if c := b.Arrived().Compare(a.Arrived()); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	return list, nil
}

func matches(n *signalbox.Notification, f signalbox.Filter) bool {
	text := strings.ToLower(n.Payload.Title + "\n" + n.Payload.Description)
	return (len(f.IDs) == 0 || slices.Contains(f.IDs, n.ID)) &&
		(f.Topic == "" || f.Topic == n.Payload.Topic) &&
		(f.Origin == "" || f.Origin == n.Origin) &&
		(f.Search == "" || strings.Contains(text, strings.ToLower(f.Search))) &&
		(f.Read == nil || *f.Read == !n.Read.IsZero()) &&
		(f.Saved == nil || *f.Saved == !n.Saved.IsZero()) &&
		(f.Snoozed == !n.SnoozedUntil.IsZero() || !f.Snoozed && len(f.IDs) > 0) &&
		!n.Arrived().Before(f.CreatedAfter) &&
		(f.MinimumSeverity == "" || n.Payload.Severity.Rank() >= f.MinimumSeverity.Rank())
}

func (i *inbox) List(_ context.Context, user string, f signalbox.Filter, page signalbox.Page) ([]signalbox.Notification, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pages = append(i.pages, page)
	selected, err := i.selected(user, f)
	if err != nil {
		return nil, err
	}
	var list []signalbox.Notification
	for _, n := range selected {
		if a := page.After; a == nil || n.Arrived().Before(a.Arrived) || n.Arrived().Equal(a.Arrived) && n.ID < a.ID {
			list = append(list, *n)
		}
	}
	list = list[min(page.Offset, len(list)):]
	if page.HasLimit {
		list = list[:min(page.Limit, len(list))]
	}
	return list, nil
}

func (i *inbox) Count(_ context.Context, user string, f signalbox.Filter) (int, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	selected, err := i.selected(user, f)
	return len(selected), err
}

func (i *inbox) Get(_ context.Context, user, id string) (signalbox.Notification, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	selected, err := i.selected(user, signalbox.Filter{IDs: []string{id}})
	if err != nil {
		return signalbox.Notification{}, err
	}
	if len(selected) == 0 {
		return signalbox.Notification{}, signalbox.Errorf(signalbox.CodeNotFound, "Notification not found")
	}
	return *selected[0], nil
}

func (i *inbox) Status(_ context.Context, user string) (signalbox.Status, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	selected, err := i.selected(user, signalbox.Filter{})
	var status signalbox.Status
	for _, n := range selected {
		if n.Read.IsZero() {
			status.Unread++
		} else {
			status.Read++
		}
	}
	for k := range i.rows {
		if n := &i.rows[k]; (n.User == user || n.User == "") && !n.SnoozedUntil.IsZero() {
			status.Snoozed++
		}
	}
	return status, err
}

func (i *inbox) Topics(_ context.Context, user string, f signalbox.Filter) ([]string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	selected, err := i.selected(user, f)
	var topics []string
	for _, n := range selected {
		if topic := n.Payload.Topic; topic != "" && !slices.Contains(topics, topic) {
			topics = append(topics, topic)
		}
	}
	slices.Sort(topics)
	return topics, err
}

func (i *inbox) Update(_ context.Context, user string, f signalbox.Filter, change signalbox.Change, limit int) (signalbox.Updated, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	selected, err := i.selected(user, f)
	var updated signalbox.Updated
	set := func(at *time.Time, to *bool, id string, ids *[]string, total *int) {
		if to == nil || *to == !at.IsZero() {
			return
		}
		*at = time.Time{}
		if *to {
			*at = epoch
		}
		if *total++; len(*ids) < limit {
			*ids = append(*ids, id)
		}
	}
	for _, n := range selected {
		if until := change.SnoozedUntil; until != nil && !until.Equal(n.SnoozedUntil) {
			n.SnoozedUntil = *until
			updated.Snoozed++
			updated.SnoozedIDs = append(updated.SnoozedIDs, n.ID)
		}
		set(&n.Read, change.Read, n.ID, &updated.ReadIDs, &updated.Read)
		set(&n.Saved, change.Saved, n.ID, &updated.SavedIDs, &updated.Saved)
	}
	return updated, err
}

// submitter is a [signalbox.Submitter] that keeps what it is given.
type submitter struct {
	mu          sync.Mutex
	submissions []signalbox.Submission
	// answer makes the answer; by default everything is accepted.
	answer func(context.Context, signalbox.Submission) (signalbox.Submitted, error)
}

func (s *submitter) Submit(ctx context.Context, submission signalbox.Submission) (signalbox.Submitted, error) {
	s.mu.Lock()
	s.submissions = append(s.submissions, submission)
	answer := s.answer
	s.mu.Unlock()
	if answer != nil {
		return answer(ctx, submission)
	}
	return accepted(submission), nil
}

func (s *submitter) answerWith(answer func(context.Context, signalbox.Submission) (signalbox.Submitted, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *submitter) taken() []signalbox.Submission {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.submissions)
}

func accepted(submission signalbox.Submission) signalbox.Submitted {
	var submitted signalbox.Submitted
	for range submission.Requests {
		submitted.Receipts = append(submitted.Receipts, signalbox.Receipt{ID: idOf(len(submitted.Receipts)), Status: signalbox.StatusAccepted})
	}
	return submitted
}

// signaler is a [signalbox.Signaler] that keeps what it is given.
type signaler struct {
	mu   sync.Mutex
	sent []signalbox.Signal
}

func (s *signaler) Signal(_ context.Context, signals ...signalbox.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, signals...)
}

func (s *signaler) take() []signalbox.Signal {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}
