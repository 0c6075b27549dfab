package retry

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

func TestDecide(t *testing.T) {
	broken := errors.New("broken")
	policy := Policy{MaxAttempts: 3, Min: time.Second, Max: time.Minute}
	tests := []struct {
		name    string
		policy  Policy
		err     error
		before  Tries
		after   Tries
		again   bool
		atLeast time.Duration
		atMost  time.Duration
	}{
		{"first failure", policy, broken, Tries{}, Tries{Attempt: 1}, true, 0, time.Second},
		{"second failure", policy, broken, Tries{Attempt: 1}, Tries{Attempt: 2}, true, 0, 2 * time.Second},
		{"last failure", policy, broken, Tries{Attempt: 2}, Tries{Attempt: 3}, false, 0, 0},
		{"permanent", policy, signalbox.Permanent(broken), Tries{}, Tries{Attempt: 1}, false, 0, 0},
		{"permanent although transient", policy, signalbox.Permanent(signalbox.Transient(broken)), Tries{}, Tries{Attempt: 1}, false, 0, 0},
		{"transient", policy, signalbox.Transient(broken), Tries{Attempt: 2, Waits: 99}, Tries{Attempt: 2, Waits: 100}, true, 0, 30 * time.Second},
		{"asked", policy, signalbox.RetryAfter(broken, time.Hour), Tries{}, Tries{Attempt: 1}, true, time.Hour, 66 * time.Minute},
		{"asked too much", policy, signalbox.RetryAfter(broken, math.MaxInt64), Tries{}, Tries{Attempt: 1}, true, 24 * time.Hour, 27 * time.Hour},
		{"unlimited", Policy{MaxAttempts: Unlimited, Min: time.Second, Max: time.Minute}, broken, Tries{Attempt: 1 << 40}, Tries{Attempt: 1<<40 + 1}, true, 0, time.Minute},
		{"no overflow", Policy{MaxAttempts: 99, Min: time.Hour, Max: 2 * time.Hour}, broken, Tries{Attempt: 40}, Tries{Attempt: 41}, true, 0, 2 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 200 {
				tries := tt.before
				delay, again := tt.policy.Decide(tt.err, &tries)
				if again != tt.again || tries != tt.after {
					t.Fatalf("again %v, tries %+v; want %v, %+v", again, tries, tt.again, tt.after)
				}
				if delay < tt.atLeast || delay > tt.atMost {
					t.Fatalf("delay %v; want %v to %v", delay, tt.atLeast, tt.atMost)
				}
			}
		})
	}
}

// The jitter is full: the delays use the whole range that doubles.
func TestDelaySpreads(t *testing.T) {
	policy := Policy{MaxAttempts: Unlimited}.WithDefaults()
	var low, high int
	for range 1000 {
		tries := Tries{Attempt: 6} // the 7th failure: up to 64 s
		delay, _ := policy.Decide(errors.New("broken"), &tries)
		if delay < 16*time.Second {
			low++
		}
		if delay > 48*time.Second {
			high++
		}
	}
	if low < 100 || high < 100 {
		t.Errorf("%d delays in the lowest quarter and %d in the highest, of 1000", low, high)
	}
}

func TestWithDefaults(t *testing.T) {
	want := Policy{MaxAttempts: 8, Min: time.Second, Max: 5 * time.Minute}
	if got := (Policy{}).WithDefaults(); got != want {
		t.Errorf("%+v; want %+v", got, want)
	}
	want = Policy{MaxAttempts: Unlimited, Min: time.Hour, Max: time.Hour}
	if got := (Policy{MaxAttempts: Unlimited, Min: time.Hour, Max: time.Minute}).WithDefaults(); got != want {
		t.Errorf("%+v; want %+v", got, want)
	}
}

func TestText(t *testing.T) {
	tests := []struct {
		name, in string
		limit    int
		want     string
	}{
		{"fits", "short", 5, "short"},
		{"cut", "longer text", 8, "longe…"},
		{"cut between characters", "ääää", 7, "ää…"},
		{"NUL", "a\x00b", 10, "ab"},
		{"not UTF-8", "a\xffb", 10, "a\uFFFDb"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Text(tt.in, tt.limit); got != tt.want || !utf8.ValidString(got) {
				t.Errorf("%q; want %q", got, tt.want)
			}
		})
	}
	if got := ErrorText(errors.New(strings.Repeat("x", 2*MaxErrorText))); len(got) != MaxErrorText {
		t.Errorf("%d bytes; want %d", len(got), MaxErrorText)
	}
	if got := ErrorText(nil); got != "" {
		t.Errorf("%q for nil", got)
	}
}
