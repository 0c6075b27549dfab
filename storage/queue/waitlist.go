package queue

import "sync"

// waitList knows which consumers are idle. A wake-up goes to one of them; if
// none is idle it is kept for the next that would become so. Hence no wake-up is
// lost between a consumer's empty query and its sleep, and one message does not
// wake them all.
//
// The first of a topic's idle consumers watches the clock for the others: see
// [subscription.wait].
type waitList struct {
	mu     sync.Mutex
	topics map[string]*idleTopic
}

type idleTopic struct {
	// consumers counts the subscriptions, idle or not.
	consumers int
	// kept counts wake-ups that found nobody idle, at most one per consumer.
	kept int
	// idle are the idle consumers; idle[0] watches the clock.
	idle []*waiter
}

// waiter is one consumer's place in the list.
type waiter struct {
	// woken holds a token when there may be a message.
	woken chan struct{}
	// watch holds a token when the consumer is to watch the clock from now on, or
	// to look at the clock again.
	watch chan struct{}
}

func newWaiter() *waiter {
	return &waiter{woken: make(chan struct{}, 1), watch: make(chan struct{}, 1)}
}

// join and leave tell that a topic has a consumer more or less.
func (l *waitList) join(topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.topics == nil {
		l.topics = map[string]*idleTopic{}
	}
	t := l.topics[topic]
	if t == nil {
		t = &idleTopic{}
		l.topics[topic] = t
	}
	t.consumers++
}

// leave reports whether a kept wake-up is now nobody's here.
func (l *waitList) leave(topic string) (orphaned bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[topic]
	t.consumers--
	if t.consumers == 0 {
		delete(l.topics, topic)
		return t.kept > 0
	}
	t.kept = min(t.kept, t.consumers)
	return false
}

// wake wakes one idle consumer of the topic. Without one it keeps the wake-up
// and reports false.
func (l *waitList) wake(topic string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[topic]
	if t == nil {
		return false
	}
	if !t.wakeOne() {
		t.kept = min(t.kept+1, t.consumers)
		return false
	}
	return true
}

// wakeIdle wakes one idle consumer of the topic if there is one.
func (l *waitList) wakeIdle(topic string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.topics[topic]; t != nil {
		t.wakeOne()
	}
}

// wakeAll gives every consumer a wake-up.
func (l *waitList) wakeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.topics {
		for t.wakeOne() {
		}
		t.kept = t.consumers
	}
}

// wakeOne takes the last of the list, so that the one who watches the clock is
// taken last.
func (t *idleTopic) wakeOne() bool {
	if len(t.idle) == 0 {
		return false
	}
	last := len(t.idle) - 1
	t.idle[last].woken <- struct{}{}
	t.idle[last] = nil
	t.idle = t.idle[:last]
	return true
}

// enter makes w idle, or returns false when a wake-up was kept. If nudge is set,
// whoever watches the clock looks at it again.
func (l *waitList) enter(topic string, w *waiter, nudge bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[topic]
	if t.kept > 0 {
		t.kept--
		return false
	}
	select {
	case <-w.watch: // left over from the last time
	default:
	}
	t.idle = append(t.idle, w)
	if len(t.idle) == 1 || nudge {
		t.idle[0].nudge()
	}
	return true
}

// exit makes w busy. It reports false if w was woken already; the wake-up is then
// the caller's.
func (l *waitList) exit(topic string, w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[topic]
	for i, other := range t.idle {
		if other != w {
			continue
		}
		t.idle = append(t.idle[:i], t.idle[i+1:]...)
		if i == 0 && len(t.idle) > 0 {
			t.idle[0].nudge()
		}
		return true
	}
	<-w.woken
	return false
}

// nudge leaves at most one token. The list's lock is held.
func (w *waiter) nudge() {
	select {
	case w.watch <- struct{}{}:
	default:
	}
}
