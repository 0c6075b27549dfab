package bus

import (
	"testing"
	"time"
)

func TestOverflowIsToldOnceAMinute(t *testing.T) {
	var o overflow
	now := time.Now()
	for _, step := range []struct {
		after   time.Duration
		dropped int64
		tell    bool
	}{
		{0, 1, true},
		{time.Second, 0, false},
		{overflowQuiet - time.Nanosecond, 0, false},
		{overflowQuiet, 3, true},
		{overflowQuiet + time.Second, 0, false},
		{time.Hour, 2, true},
	} {
		if dropped, tell := o.drop(now.Add(step.after)); dropped != step.dropped || tell != step.tell {
			t.Errorf("after %s: %d, %t; want %d, %t", step.after, dropped, tell, step.dropped, step.tell)
		}
	}
}
