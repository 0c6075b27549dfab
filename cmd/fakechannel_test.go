package cmd_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// fakeChannel does as it is told, and remembers what it was given.
type fakeChannel struct {
	name string

	mu         sync.Mutex
	err        error
	deliveries []channels.Delivery
}

func (f *fakeChannel) Name() string { return f.name }

func (f *fakeChannel) Deliver(_ context.Context, d channels.Delivery) (channels.Sent, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deliveries = append(f.deliveries, d)
	return channels.Sent{ID: "id-7", Reply: "250 taken"}, f.err
}

// fail makes it fail with err, or not if it is nil.
func (f *fakeChannel) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeChannel) taken() []channels.Delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]channels.Delivery(nil), f.deliveries...)
}

// roomChannel has what a channel may have besides.
type roomChannel struct {
	fakeChannel
	check   error
	resolve error
	targets channels.Targets
	// hangs makes Check wait for the end of its context.
	hangs bool
}

func (r *roomChannel) Takes(a signalbox.Audience, _ bool) bool { return a.IsEntity() }

func (r *roomChannel) Limits() channels.Limits {
	return channels.Limits{Concurrency: 3, PerChannel: channels.Rate{Every: time.Second}, PerTarget: channels.Rate{Every: time.Minute, Burst: 2}}
}

func (r *roomChannel) Check(ctx context.Context) error {
	if r.hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	return r.check
}

func (r *roomChannel) Resolve(_ context.Context, d channels.Delivery, _ string) (channels.Targets, error) {
	if d.Audience == "" {
		return channels.Targets{Targets: []channels.Target{d.Target}}, r.resolve
	}
	return r.targets, r.resolve
}

var errRefused = errors.New("the room is closed")
