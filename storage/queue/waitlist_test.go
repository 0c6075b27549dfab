package queue

import "testing"

func woken(w *waiter) bool {
	select {
	case <-w.woken:
		return true
	default:
		return false
	}
}

func watches(w *waiter) bool {
	select {
	case <-w.watch:
		return true
	default:
		return false
	}
}

func TestWaitListWakesOneEach(t *testing.T) {
	var l waitList
	a, b, c := newWaiter(), newWaiter(), newWaiter()
	for _, w := range []*waiter{a, b, c} {
		l.join("t")
		if !l.enter("t", w, false) {
			t.Fatal("a wake-up was there before any")
		}
	}
	if !watches(a) || watches(b) || watches(c) {
		t.Error("not exactly the first watches the clock")
	}
	if !l.wake("t") || !woken(c) || woken(a) || woken(b) {
		t.Error("not exactly the last was woken")
	}
	if l.wake("other") {
		t.Error("a topic without consumers was woken")
	}
	if !l.exit("t", a) || !watches(b) {
		t.Error("nobody took over the clock")
	}
	if !l.wake("t") || l.exit("t", b) {
		t.Error("a consumer that was woken left as if it was not")
	}
}

func TestWaitListKeepsWakeUps(t *testing.T) {
	var l waitList
	a, b := newWaiter(), newWaiter()
	l.join("t")
	l.join("t")
	for range 5 {
		if l.wake("t") {
			t.Fatal("woke somebody who is not there")
		}
	}
	// Both look once, and then sleep.
	for _, w := range []*waiter{a, b} {
		if l.enter("t", w, false) {
			t.Fatal("slept in spite of a wake-up")
		}
	}
	for _, w := range []*waiter{a, b} {
		if !l.enter("t", w, false) {
			t.Error("more wake-ups were kept than there are consumers")
		}
	}
	if watches(b) {
		t.Error("the second watches")
	}
	watches(a)
	l.exit("t", b)
	if !l.enter("t", b, true) || !watches(a) {
		t.Error("the one who watches was not nudged")
	}
	l.wakeAll()
	if !woken(a) || !woken(b) {
		t.Error("not all were woken")
	}
	l.leave("t")
	if !l.leave("t") {
		t.Error("the last left, and a kept wake-up was forgotten")
	}
	if len(l.topics) != 0 {
		t.Error("a topic without consumers is kept")
	}
}
