package storagetest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/signalbox/signalbox"
)

// DeadLetters holds an implementation of [signalbox.DeadLetterStore] to its
// contract. open returns a fixture of its own each time.
func DeadLetters(t *testing.T, open func(t *testing.T) Fixture) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, f Fixture)
	}{
		{"everything is kept, and shown", showLetters},
		{"a list has pages", pageLetters},
		{"a filter chooses the same for all", filterLetters},
		{"what is redriven is on its queue and no letter any more", redriveLetters},
		{"records say that it is on its way again", redriveRecords},
		{"a request of several letters", redriveParts},
		{"what dies again meanwhile stays dead", redriveEnds},
		{"all or nothing", redriveFails},
		{"many, in two places at once", takeConcurrently},
		{"large payloads", redriveLarge},
		{"dropped", dropLetters},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

// letter returns the nth dead letter, which died n seconds after start.
func letter(n int64, change ...func(*signalbox.DeadLetter)) signalbox.DeadLetter {
	id := requestID(start, n)
	made := signalbox.DeadLetter{
		ID: fmt.Sprintf("%s/recipients", id), Topic: "notifications.retry", Payload: fmt.Appendf(nil, `{"n":%d}`, n),
		Stage: "recipients", Error: "no", Attempts: 8, RequestID: id, Origin: "ci",
		Created: start, Died: start.Add(time.Duration(n) * time.Second),
	}
	for _, c := range change {
		c(&made)
	}
	return made
}

// undelivered makes a dead letter one of a delivery.
func undelivered(channel string, audience signalbox.Audience) func(*signalbox.DeadLetter) {
	return func(d *signalbox.DeadLetter) {
		d.Delivery = signalbox.DeliveryKey{RequestID: d.RequestID, Audience: audience, Channel: channel, Target: "#room"}
		d.ID, d.Topic, d.Stage = d.Delivery.ID(), "deliveries."+channel, channel
	}
}

// bury stores dead letters.
func bury(t *testing.T, s signalbox.Committer, letters ...signalbox.DeadLetter) {
	t.Helper()
	if _, err := s.Commit(t.Context(), signalbox.Commit{DeadLetters: letters}); err != nil {
		t.Fatal(err)
	}
}

// letters returns those that a filter chooses, read in pages of a size.
func letters(t *testing.T, s signalbox.DeadLetterStore, filter signalbox.DeadLetterFilter, size int) []signalbox.DeadLetter {
	t.Helper()
	all := []signalbox.DeadLetter{}
	for cursor := ""; ; {
		page, err := s.DeadLetters(t.Context(), filter, cursor, size)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Letters) > size || page.Next != "" && len(page.Letters) < size {
			t.Fatalf("a page of %d has %d letters, next %q", size, len(page.Letters), page.Next)
		}
		all = append(all, page.Letters...)
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

func letterIDs(letters []signalbox.DeadLetter) []string {
	ids := []string{}
	for _, d := range letters {
		ids = append(ids, d.ID)
	}
	return ids
}

// redrive and drop do so and check how many there were.
func redrive(t *testing.T, s signalbox.DeadLetterStore, filter signalbox.DeadLetterFilter, want int) {
	t.Helper()
	n, err := s.Redrive(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "redriven", n, want)
}

func drop(t *testing.T, s signalbox.DeadLetterStore, filter signalbox.DeadLetterFilter, want int) {
	t.Helper()
	n, err := s.Drop(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "dropped", n, want)
}

func showLetters(t *testing.T, f Fixture) {
	ofRequest := letter(1)
	ofDelivery := letter(2, undelivered("Slack", "group:default/ops"), func(d *signalbox.DeadLetter) {
		d.Payload = []byte{0, 1, 255}
		d.Delivery.Target = "C1\x00"
		d.History = []signalbox.Failure{{At: start, Error: "first\x00"}, {At: start.Add(time.Second), Error: "second <&>"}}
	})
	bury(t, f.Store, ofRequest, ofDelivery)
	ofDelivery.Delivery.Target = "C1\uFFFD"
	for _, want := range []signalbox.DeadLetter{ofRequest, ofDelivery} {
		got, err := f.Store.DeadLetter(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "letter", got, want, cmpopts.EquateEmpty())
	}
	ofRequest.Payload, ofDelivery.Payload = nil, nil
	equal(t, "list", letters(t, f.Store, signalbox.DeadLetterFilter{}, 10), []signalbox.DeadLetter{ofDelivery, ofRequest}, cmpopts.EquateEmpty())

	// The latest word counts, history included.
	ofDelivery.History = append(ofDelivery.History, signalbox.Failure{At: start.Add(time.Hour), Error: "third"})
	ofDelivery.Died = start.Add(time.Hour)
	bury(t, f.Store, ofDelivery)
	got, err := f.Store.DeadLetter(t.Context(), ofDelivery.ID)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "history", got.History, ofDelivery.History)

	for _, id := range []string{"", "none", "a\x00", "\xff"} {
		if _, err := f.Store.DeadLetter(t.Context(), id); signalbox.ErrorCode(err) != signalbox.CodeNotFound {
			t.Errorf("letter %q: %v, want not found", id, err)
		}
	}
}

func pageLetters(t *testing.T, f Fixture) {
	equal(t, "none", len(letters(t, f.Store, signalbox.DeadLetterFilter{}, 3)), 0)
	var all []signalbox.DeadLetter
	for i := range int64(10) {
		// Three at a time died together.
		all = append(all, letter(i, func(d *signalbox.DeadLetter) { d.Died = start.Add(time.Duration(i/3) * time.Microsecond) }))
	}
	bury(t, f.Store, all...)
	slices.Reverse(all)
	for _, size := range []int{1, 2, 3, 5, 10, 11} {
		equal(t, fmt.Sprintf("pages of %d", size), letterIDs(letters(t, f.Store, signalbox.DeadLetterFilter{}, size)), letterIDs(all))
	}
	// What dies while somebody reads neither repeats nor hides anything.
	page, err := f.Store.DeadLetters(t.Context(), signalbox.DeadLetterFilter{}, "", 4)
	if err != nil {
		t.Fatal(err)
	}
	bury(t, f.Store, letter(50))
	rest, err := f.Store.DeadLetters(t.Context(), signalbox.DeadLetterFilter{}, page.Next, 100)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "read on", append(letterIDs(page.Letters), letterIDs(rest.Letters)...), letterIDs(all))
	equal(t, "no limit, no letters", len(func() []signalbox.DeadLetter {
		page, err := f.Store.DeadLetters(t.Context(), signalbox.DeadLetterFilter{}, "", 0)
		if err != nil || page.Next != "" {
			t.Fatal(err, page.Next)
		}
		return page.Letters
	}()), 0)
	place := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, cursor := range []string{
		"x", "====", page.Next + "A", page.Next[1:],
		place(`null`), place(`["1"]`), place(`["1","a","b"]`), place(`["a","a"]`), place(`["1","\u0000"]`),
		place(`["9999999999999999999","a"]`), place(`["300000000000000000","a"]`), place(`["-300000000000000000","a"]`),
	} {
		if _, err := f.Store.DeadLetters(t.Context(), signalbox.DeadLetterFilter{}, cursor, 1); signalbox.ErrorCode(err) != signalbox.CodeInput {
			t.Errorf("cursor %q: %v, want a mistake of the caller", cursor, err)
		}
	}
}

// filtered are filters, and which of four letters they choose.
func filtered() map[string]struct {
	filter signalbox.DeadLetterFilter
	want   []int
} {
	type choice = struct {
		filter signalbox.DeadLetterFilter
		want   []int
	}
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	return map[string]choice{
		"all":              {signalbox.DeadLetterFilter{}, []int{3, 2, 1, 0}},
		"ids":              {signalbox.DeadLetterFilter{IDs: []string{letter(1).ID, "none", "a\x00b", letter(0).ID, letter(0).ID}}, []int{1, 0}},
		"unknown id":       {signalbox.DeadLetterFilter{IDs: []string{"none"}}, nil},
		"impossible ids":   {signalbox.DeadLetterFilter{IDs: []string{"a\x00", "\xff"}}, nil},
		"stage":            {signalbox.DeadLetterFilter{Stage: "Slack"}, []int{3}},
		"stage, exactly":   {signalbox.DeadLetterFilter{Stage: "slack"}, nil},
		"impossible stage": {signalbox.DeadLetterFilter{Stage: "\x00"}, nil},
		"origin":           {signalbox.DeadLetterFilter{Origin: "cd"}, []int{2}},
		"request":          {signalbox.DeadLetterFilter{RequestID: letter(1).RequestID}, []int{1}},
		"since":            {signalbox.DeadLetterFilter{After: at(1)}, []int{3, 2, 1}},
		"until":            {signalbox.DeadLetterFilter{Before: at(1)}, []int{0}},
		"between":          {signalbox.DeadLetterFilter{After: at(1), Before: at(3)}, []int{2, 1}},
		"together":         {signalbox.DeadLetterFilter{After: at(1), Origin: "ci", Stage: "recipients", IDs: []string{letter(1).ID, letter(0).ID}}, []int{1}},
	}
}

func fourLetters() []signalbox.DeadLetter {
	return []signalbox.DeadLetter{
		letter(0), letter(1), letter(2, func(d *signalbox.DeadLetter) { d.Origin = "cd" }), letter(3, undelivered("Slack", alice)),
	}
}

func filterLetters(t *testing.T, f Fixture) {
	all := fourLetters()
	for name, c := range filtered() {
		t.Run(name, func(t *testing.T) {
			for _, act := range []func(*testing.T, signalbox.DeadLetterStore, signalbox.DeadLetterFilter, int){redrive, drop} {
				bury(t, f.Store, all...)
				var want, left []string
				for i := len(all) - 1; i >= 0; i-- {
					if slices.Contains(c.want, i) {
						want = append(want, all[i].ID)
					} else {
						left = append(left, all[i].ID)
					}
				}
				equal(t, "chosen", letterIDs(letters(t, f.Store, c.filter, 2)), want, cmpopts.EquateEmpty())
				act(t, f.Store, c.filter, len(want))
				equal(t, "left", letterIDs(letters(t, f.Store, signalbox.DeadLetterFilter{}, 9)), left, cmpopts.EquateEmpty())
			}
		})
	}
}

func redriveLetters(t *testing.T, f Fixture) {
	all := fourLetters()
	bury(t, f.Store, all...)
	f.Woken()
	redrive(t, f.Store, signalbox.DeadLetterFilter{}, 4)
	var want []signalbox.Message
	for _, d := range all { // those that died first go first
		want = append(want, signalbox.Message{Topic: d.Topic, ID: d.RequestID, Payload: d.Payload})
	}
	equal(t, "published", f.Published(t), want)
	equal(t, "woken", f.Woken(), []string{"deliveries.Slack", "notifications.retry", "notifications.retry", "notifications.retry"})
	redrive(t, f.Store, signalbox.DeadLetterFilter{}, 0)
	equal(t, "woken for nothing", len(f.Woken()), 0)
	// A letter of something that could not be read has no request.
	bury(t, f.Store, letter(1, func(d *signalbox.DeadLetter) { d.ID, d.RequestID, d.Stage = "notifications/7", "", "decode" }))
	redrive(t, f.Store, signalbox.DeadLetterFilter{Stage: "decode"}, 1)
	equal(t, "published", f.Published(t)[4].ID, "notifications/7")
}

func redriveRecords(t *testing.T, f Fixture) {
	key := func(n int64, status signalbox.DeliveryStatus) (signalbox.DeadLetter, signalbox.NewDelivery) {
		d := letter(n, undelivered("Slack", alice), func(d *signalbox.DeadLetter) { d.Delivery.Target = "C\x00" })
		return d, signalbox.NewDelivery{DeliveryRecord: signalbox.DeliveryRecord{
			DeliveryKey: d.Delivery, NotificationID: requestID(start, 100+n), Origin: "ci", Status: status,
			Detail: "no", Attempts: 8, Next: start.Add(time.Hour), Created: start, Updated: start,
		}}
	}
	failed, failedRecord := key(1, signalbox.DeliveryFailed)
	delivered, deliveredRecord := key(2, signalbox.DeliveryDelivered)
	dropped, droppedRecord := key(3, signalbox.DeliveryFailed)
	forgotten, _ := key(4, signalbox.DeliveryFailed)
	request, another := letter(5), letter(6)
	if _, err := f.Store.Commit(t.Context(), signalbox.Commit{
		Deliveries: func([]signalbox.Outcome) ([]signalbox.NewDelivery, error) {
			return []signalbox.NewDelivery{failedRecord, deliveredRecord, droppedRecord}, nil
		},
		Requests: []signalbox.RequestRecord{
			{ID: request.RequestID, Origin: "ci", Created: start, Status: signalbox.RequestFailed, Stage: "recipients", Error: "no", Attempts: 8, Updated: start},
			{ID: another.RequestID, Origin: "ci", Created: start, Status: signalbox.RequestProcessed, Recipients: 1, Updated: start},
		},
		DeadLetters: []signalbox.DeadLetter{failed, delivered, dropped, forgotten, request, another},
	}); err != nil {
		t.Fatal(err)
	}
	drop(t, f.Store, signalbox.DeadLetterFilter{IDs: []string{dropped.ID}}, 1)
	redrive(t, f.Store, signalbox.DeadLetterFilter{}, 5)

	now := f.Clock.Now()
	for _, c := range []struct {
		record signalbox.DeliveryRecord
		want   func(*signalbox.DeliveryRecord)
	}{
		{failedRecord.DeliveryRecord, func(r *signalbox.DeliveryRecord) {
			r.Status, r.Next, r.Updated = signalbox.DeliveryQueued, time.Time{}, now
		}},
		{deliveredRecord.DeliveryRecord, func(*signalbox.DeliveryRecord) {}},
		{droppedRecord.DeliveryRecord, func(*signalbox.DeliveryRecord) {}},
	} {
		want := c.record
		want.Target = "C\uFFFD"
		c.want(&want)
		got, _, err := f.Store.Delivery(t.Context(), c.record.DeliveryKey)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "record", got, want)
	}
	for id, want := range map[string]signalbox.RequestStatus{request.RequestID: signalbox.RequestRetrying, another.RequestID: signalbox.RequestProcessed} {
		trace, err := f.Store.RequestTrace(t.Context(), id, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "status of "+id, trace.Request.Status, want)
	}
}

// redriveParts: a request is on its way again when none of its parts is a dead letter
// any more.
func redriveParts(t *testing.T, f Fixture) {
	part := func(n int64, number int) signalbox.DeadLetter {
		return letter(n, func(d *signalbox.DeadLetter) { d.ID = fmt.Sprintf("%s/%d/settings", d.RequestID, number) })
	}
	record := func(n int64, status signalbox.RequestStatus) signalbox.RequestRecord {
		return signalbox.RequestRecord{ID: letter(n).RequestID, Origin: "ci", Created: start, Status: status, Updated: start}
	}
	fail := func(n int64, letters ...signalbox.DeadLetter) {
		t.Helper()
		if _, err := f.Store.Commit(t.Context(), signalbox.Commit{
			Requests: []signalbox.RequestRecord{record(n, signalbox.RequestFailed)}, DeadLetters: letters,
		}); err != nil {
			t.Fatal(err)
		}
	}
	status := func(n int64, what string, want signalbox.RequestStatus) {
		t.Helper()
		equal(t, what, trace(t, f.Store, letter(n).RequestID, "", 10).Request.Status, want)
	}
	only := func(d signalbox.DeadLetter) signalbox.DeadLetterFilter {
		return signalbox.DeadLetterFilter{IDs: []string{d.ID}}
	}

	// The letters of a delivery, and of other requests, do not matter.
	delivery := letter(1, undelivered("Slack", alice))
	delivery.ID = delivery.RequestID + "/Slack/" + delivery.ID
	bury(t, f.Store, delivery, part(0, 1), part(2, 1))
	fail(1, part(1, 1), part(1, 2))
	redrive(t, f.Store, only(part(1, 2)), 1)
	status(1, "one is left", signalbox.RequestFailed)
	redrive(t, f.Store, only(part(1, 1)), 1)
	status(1, "none is left", signalbox.RequestRetrying)
	if _, err := f.Store.Commit(t.Context(), signalbox.Commit{Requests: []signalbox.RequestRecord{record(1, signalbox.RequestProcessed)}}); err != nil {
		t.Fatal(err)
	}
	status(1, "it came through", signalbox.RequestProcessed)

	fail(3, part(3, 1), part(3, 2))
	redrive(t, f.Store, signalbox.DeadLetterFilter{RequestID: letter(3).RequestID}, 2)
	status(3, "both at once", signalbox.RequestRetrying)

	fail(4, part(4, 1), part(4, 2))
	redrive(t, f.Store, only(part(4, 1)), 1)
	drop(t, f.Store, only(part(4, 2)), 1)
	status(4, "the rest was dropped", signalbox.RequestFailed)

	// Of two that each take one, the later finds none left.
	for n := int64(10); n < 40; n++ {
		fail(n, part(n, 1), part(n, 2))
		var wait sync.WaitGroup
		for i, store := range []Store{f.Store, f.Other} {
			wait.Go(func() {
				if _, err := store.Redrive(context.Background(), only(part(n, i+1))); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		status(n, "each at the same time", signalbox.RequestRetrying)
	}
}

// redriveEnds lets letters die again while they are redriven, as what still fails
// does.
func redriveEnds(t *testing.T, f Fixture) {
	const count = 600
	var all []signalbox.DeadLetter
	for i := range int64(count) {
		all = append(all, letter(i))
	}
	for range 20 {
		bury(t, f.Store, all...)
		again := redriveDying(t, f, all)
		drop(t, f.Store, signalbox.DeadLetterFilter{}, len(letters(t, f.Store, signalbox.DeadLetterFilter{}, 2*count)))
		if again {
			return
		}
	}
	t.Error("nothing died again meanwhile: the test says nothing")
}

// redriveDying redrives all, and reports whether some of them died again before
// that was done.
func redriveDying(t *testing.T, f Fixture, all []signalbox.DeadLetter) bool {
	var (
		again atomic.Bool
		done  = make(chan struct{})
		wait  sync.WaitGroup
	)
	defer wait.Wait()
	defer close(done)
	wait.Go(func() {
		for died := start.Add(time.Hour); ; died = died.Add(time.Second) {
			select {
			case <-done:
				return
			default:
			}
			page, err := f.Store.DeadLetters(context.Background(), signalbox.DeadLetterFilter{}, "", 2*len(all))
			if err != nil {
				t.Error(err)
				return
			}
			dead := make(map[string]bool)
			for _, d := range page.Letters {
				dead[d.ID] = true
			}
			c := signalbox.Commit{}
			for _, d := range all {
				if !dead[d.ID] {
					d.Died = died
					c.DeadLetters = append(c.DeadLetters, d)
				}
			}
			if _, err := f.Store.Commit(context.Background(), c); err != nil {
				t.Error(err)
				return
			}
			if len(c.DeadLetters) > 0 {
				again.Store(true)
			}
		}
	})
	redrive(t, f.Store, signalbox.DeadLetterFilter{}, len(all))
	return again.Load()
}

func redriveFails(t *testing.T, f Fixture) {
	bury(t, f.Store, fourLetters()...)
	f.Woken()
	broken := errors.New("no")
	f.FailPublishing(broken)
	if n, err := f.Store.Redrive(t.Context(), signalbox.DeadLetterFilter{}); !errors.Is(err, broken) || n != 0 {
		t.Fatalf("redrive: %d, %v, want the publisher's error", n, err)
	}
	f.FailPublishing(nil)
	equal(t, "letters", len(letters(t, f.Store, signalbox.DeadLetterFilter{}, 10)), 4)
	equal(t, "published", len(f.Published(t)), 0)
	equal(t, "woken", len(f.Woken()), 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Store.Redrive(ctx, signalbox.DeadLetterFilter{}); !signalbox.IsTransient(err) {
		t.Errorf("redrive: %v, want a transient error", err)
	}
	if _, err := f.Store.Drop(ctx, signalbox.DeadLetterFilter{}); !signalbox.IsTransient(err) {
		t.Errorf("drop: %v, want a transient error", err)
	}
}

// takeConcurrently redrives and drops at the same time: each letter goes one way,
// once.
func takeConcurrently(t *testing.T, f Fixture) {
	const count = 700
	var all []signalbox.DeadLetter
	for i := range int64(count) {
		all = append(all, letter(i))
	}
	bury(t, f.Store, all...)
	var (
		wait              sync.WaitGroup
		mu                sync.Mutex
		redriven, dropped int
	)
	for i := range 6 {
		store, take, sum := f.Store, signalbox.DeadLetterStore.Redrive, &redriven
		if i%2 == 0 {
			store = f.Other
		}
		if i%3 == 0 {
			take, sum = signalbox.DeadLetterStore.Drop, &dropped
		}
		wait.Go(func() {
			n, err := take(store, context.Background(), signalbox.DeadLetterFilter{})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			*sum += n
		})
	}
	wait.Wait()
	// What one of them had locked, the others passed by.
	left := len(letters(t, f.Store, signalbox.DeadLetterFilter{}, 1000))
	equal(t, "redriven, dropped and left", redriven+dropped+left, count)
	equal(t, "published", len(f.Published(t)), redriven)
}

func redriveLarge(t *testing.T, f Fixture) {
	var all []signalbox.DeadLetter
	for i := range int64(7) {
		all = append(all, letter(i, func(d *signalbox.DeadLetter) { d.Payload = []byte(strings.Repeat("x", 1<<20+int(i))) }))
	}
	bury(t, f.Store, all...)
	redrive(t, f.Store, signalbox.DeadLetterFilter{}, len(all))
	published := f.Published(t)
	for i := range all {
		equal(t, "payload", len(published[i].Payload), len(all[i].Payload))
	}
}

func dropLetters(t *testing.T, f Fixture) {
	var all []signalbox.DeadLetter
	for i := range int64(401) {
		all = append(all, letter(i))
	}
	bury(t, f.Store, all...)
	f.Woken()
	drop(t, f.Store, signalbox.DeadLetterFilter{IDs: []string{all[7].ID}}, 1)
	drop(t, f.Store, signalbox.DeadLetterFilter{}, 400)
	equal(t, "left", len(letters(t, f.Store, signalbox.DeadLetterFilter{}, 10)), 0)
	equal(t, "published", len(f.Published(t)), 0)
	equal(t, "woken", len(f.Woken()), 0)
}
