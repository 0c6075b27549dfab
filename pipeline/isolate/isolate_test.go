package isolate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/pipeline/isolate"
)

func TestCallReturnsWhatItReturns(t *testing.T) {
	i, failure := isolate.New(1, time.Second), errors.New("no")
	for _, want := range []error{nil, failure} {
		if got := i.Call(t.Context(), func() error { return want }); !errors.Is(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// TestAPanicsStackIsForTheLog: the error's text is stored, and shown to senders.
func TestAPanicsStackIsForTheLog(t *testing.T) {
	err := fmt.Errorf("shouty: %w", isolate.New(1, 0).Call(t.Context(), func() error { panic("oops") }))
	if err.Error() != "shouty: panic: oops" {
		t.Errorf("text %q", err)
	}
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).LogAttrs(t.Context(), slog.LevelWarn, "failed", isolate.Attrs(err)...)
	if log := b.String(); !strings.Contains(log, `error="shouty: panic: oops"`) || !strings.Contains(log, "isolate_test.go") {
		t.Errorf("logged %s", log)
	}
}

func TestLateness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := isolate.New(2, time.Second)
		for after, want := range map[time.Duration]error{900 * time.Millisecond: nil, 1100 * time.Millisecond: isolate.ErrLate} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			returned := make(chan struct{})
			err := i.Call(ctx, func() error {
				defer close(returned)
				<-ctx.Done()
				<-time.After(after)
				return nil
			})
			if !errors.Is(err, want) {
				t.Errorf("%s late: %v, want %v", after, err, want)
			}
			<-returned
			cancel()
		}
	})
}

// TestCallsThatHangAreBounded, and no longer count when they return after all.
func TestCallsThatHangAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, release := isolate.New(3, 0), make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		hang := func() error {
			<-release
			return nil
		}
		for range 3 {
			if i.Full() {
				t.Fatal("it is full too early")
			}
			if err := i.Call(ctx, hang); !errors.Is(err, isolate.ErrLate) {
				t.Fatal(err)
			}
		}
		if err := i.Call(ctx, hang); !i.Full() || !errors.Is(err, isolate.ErrStuck) || !signalbox.IsTransient(err) {
			t.Errorf("one more: %v", err)
		}
		close(release)
		synctest.Wait()
		if err := i.Call(t.Context(), func() error { return nil }); i.Full() || err != nil {
			t.Errorf("after they returned: %v", err)
		}
	})
}

// TestCountsStayRight when calls end at the moment at which they are given up.
func TestCountsStayRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := isolate.New(1, 0)
		for range 1000 {
			ctx, cancel := context.WithCancel(t.Context())
			err := i.Call(ctx, func() error {
				cancel()
				return nil
			})
			if err != nil && !errors.Is(err, isolate.ErrLate) {
				t.Fatal(err)
			}
			synctest.Wait()
			if i.Full() {
				t.Fatal("what returned still counts")
			}
		}
	})
}
