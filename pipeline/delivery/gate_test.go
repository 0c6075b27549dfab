package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// Many messages to one target take the time that its rate allows, and hold up no
// other target.
func TestTargetRate(t *testing.T) {
	for _, instances := range []int{1, 3} {
		t.Run(fmt.Sprint(instances), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				c := &fakeChannel{name: "Fake", limits: channels.Limits{Concurrency: 2, PerTarget: channels.Rate{Every: time.Second, Burst: 3}}}
				e, err := New(Deps{Store: m, Channels: []channels.Channel{c}, Instances: func() int { return instances }}, Config{})
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				for n := range 33 {
					m.plan(planned(t, "Fake", n, "", to("C1")))
				}
				for n := range 10 {
					m.plan(planned(t, "Fake", 100+n, "", to(fmt.Sprint("D", n))))
				}
				defer m.consume(e)()
				m.settled(t, time.Hour)
				var last, others time.Duration
				for _, call := range c.made() {
					if took := call.at.Sub(began); call.Target.Address == "C1" {
						last = max(last, took)
					} else {
						others = max(others, took)
					}
				}
				burst := 3 / instances
				want := time.Duration(33-burst) * time.Duration(instances) * time.Second
				if last < want || last > want+time.Second {
					t.Errorf("33 messages to one target took %s; want %s", last, want)
				}
				if others > time.Second {
					t.Errorf("the other targets waited %s", others)
				}
				// Each was put back at most once: it needs no second slot.
				if got := metric(t, e.metrics.postponed.WithLabelValues("Fake", reasonLimited)); got > 33 {
					t.Errorf("put back %v times", got)
				}
			})
		})
	}
}

// The channel's rate bounds all calls, and the messages wait in the consumers'
// hands.
func TestChannelRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake", limits: channels.Limits{Timeout: 5 * time.Second, PerChannel: channels.Rate{Every: 200 * time.Millisecond}}}
		e := newEngine(t, m, Config{}, c)
		began := time.Now()
		for n := range 101 {
			m.plan(planned(t, "Fake", n, "", to(fmt.Sprint(n))))
		}
		defer m.consume(e)()
		m.settled(t, time.Hour)
		calls := c.made()
		if took := calls[len(calls)-1].at.Sub(began); took < 20*time.Second || took > 21*time.Second {
			t.Errorf("101 calls took %s; want 20s", took)
		}
		if got := metric(t, e.metrics.postponed.WithLabelValues("Fake", reasonLimited)); got != 0 {
			t.Errorf("put back %v times", got)
		}
	})
}

// A rate that is slower than any lease neither loses nor hurries anything.
func TestSlowChannelRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake", limits: channels.Limits{PerChannel: channels.Rate{Every: time.Minute}}}
		began := time.Now()
		for n := range 10 {
			m.plan(planned(t, "Fake", n, "", to(fmt.Sprint(n))))
		}
		e := newEngine(t, m, Config{}, c)
		defer m.consume(e)()
		m.settled(t, time.Hour)
		calls := c.made()
		for i, call := range calls {
			if earliest := time.Duration(i) * time.Minute; call.at.Sub(began) < earliest {
				t.Errorf("call %d after %s", i, call.at.Sub(began))
			}
		}
		if took := calls[9].at.Sub(began); took > 11*time.Minute {
			t.Errorf("10 calls took %s", took)
		}
		// Four consumers that hold each message for five seconds at least.
		if got := metric(t, e.metrics.postponed.WithLabelValues("Fake", reasonLimited)); got > 4*12*10 {
			t.Errorf("put back %v times", got)
		}
	})
}

// A limit of the whole channel pauses all of it, and uses up no attempt; that of a
// target pauses only this one.
func TestPauses(t *testing.T) {
	for _, whole := range []bool{true, false} {
		t.Run(fmt.Sprintf("whole=%v", whole), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				var limited time.Time
				c := &fakeChannel{name: "Fake"}
				c.act = func(_ context.Context, d channels.Delivery) (channels.Sent, error) {
					if d.Target.Address != "C1" || !limited.IsZero() {
						return channels.Sent{}, nil
					}
					limited = time.Now()
					if whole {
						return channels.Sent{}, channels.ChannelLimited(errors.New("slow down"), time.Minute)
					}
					return channels.Sent{}, channels.TargetLimited(errors.New("slow down"), time.Minute)
				}
				e := newEngine(t, m, Config{Concurrency: 1}, c)
				m.plan(planned(t, "Fake", 1, "", to("C1")))
				for n := range 50 {
					m.plan(planned(t, "Fake", 2+n, "", to(fmt.Sprintf("C%d", 1+n%2))))
				}
				stop := m.consume(e)
				time.Sleep(30 * time.Second)
				health := e.Health()[0]
				if paused := health.PausedUntil.Sub(limited) == time.Minute; paused != whole || health.LastError != "slow down" {
					t.Errorf("health %+v", health)
				}
				m.settled(t, time.Hour)
				stop()
				for i, call := range c.made()[1:] {
					if after := call.at.Sub(limited); after < time.Minute && (whole || call.Target.Address == "C1") {
						t.Errorf("call %d to %s after %s", i, call.Target.Address, after)
					} else if call.Target.Address == "C2" && !whole && after > time.Second {
						t.Errorf("the other target waited %s", after)
					} else if after > 70*time.Second {
						t.Errorf("call %d after %s", i, after)
					}
				}
				if got := m.statuses()[signalbox.DeliveryDelivered]; got != 51 {
					t.Errorf("%d delivered", got)
				}
				if whole {
					// One consumer held each message as long as it could.
					if got := metric(t, e.metrics.postponed.WithLabelValues("Fake", reasonPaused)); got > 13 {
						t.Errorf("put back %v times in a minute", got)
					}
				}
			})
		})
	}
}

// A dead channel is left alone after a few calls, tried now and then, and recovers
// by itself. The other channel notices nothing.
func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var up atomic.Bool
		dead := &fakeChannel{name: "Dead", limits: channels.Limits{Timeout: 5 * time.Second}}
		dead.act = func(context.Context, channels.Delivery) (channels.Sent, error) {
			if !up.Load() {
				return channels.Sent{}, errors.New("connection refused")
			}
			return channels.Sent{}, nil
		}
		healthy := &fakeChannel{name: "Healthy"}
		e := newEngine(t, m, Config{}, dead, healthy)
		began := time.Now()
		for n := range 200 {
			m.plan(planned(t, "Dead", n, "", to(fmt.Sprint(n))), planned(t, "Healthy", n, "", to(fmt.Sprint(n))))
		}
		stop := m.consume(e)
		time.Sleep(time.Second)
		if got := m.statuses()[signalbox.DeliveryDelivered]; got != 200 {
			t.Errorf("%d delivered on the other channel", got)
		}
		if health := e.Health()[0]; health.State != StateOpen || health.Failures < 5 || health.Failures > 8 || health.PausedUntil.Sub(began) < 14*time.Second {
			t.Errorf("health %+v", health)
		}
		if got := metric(t, e.metrics.breaker.WithLabelValues("Dead")); got != 2 {
			t.Errorf("breaker_state %v", got)
		}
		time.Sleep(10 * time.Minute)
		// Five to open it, what was under way, and one trial each 15 s.
		if calls := len(dead.made()); calls < 30 || calls > 8+41 {
			t.Errorf("%d calls in 10 minutes", calls)
		}
		if got := metric(t, e.metrics.postponed.WithLabelValues("Dead", reasonBreaker)); got > 4*6*10+10 {
			t.Errorf("put back %v times in 10 minutes", got)
		}
		up.Store(true)
		back := time.Now()
		m.settled(t, time.Hour)
		stop()
		if took := time.Since(back); took > 6*time.Minute { // the longest backoff is 5
			t.Errorf("it took %s to recover", took)
		}
		health := e.Health()[0]
		if health.State != StateClosed || health.Failures != 0 || !health.LastSuccess.After(health.LastFailure) || health.InFlight != 0 {
			t.Errorf("health %+v", health)
		}
	})
}

// Only plain failures open the breaker: the others are answers.
func TestBreakerIgnoresAnswers(t *testing.T) {
	answer := errors.New("answer")
	for name, err := range map[string]error{
		"permanent":   signalbox.Permanent(answer),
		"suppressed":  channels.Suppressed(signalbox.RuleNoAddress, "none"),
		"retry after": signalbox.RetryAfter(answer, time.Hour),
		"target":      channels.TargetLimited(answer, time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				c := &fakeChannel{name: "Fake", act: failing(err)}
				e := newEngine(t, m, Config{}, c)
				for n := range 20 {
					m.plan(planned(t, "Fake", n, "", to(fmt.Sprint(n))))
				}
				stop := m.consume(e)
				time.Sleep(time.Second)
				if state := e.Health()[0].State; state != StateClosed || len(c.made()) != 20 {
					t.Errorf("%s after %d calls", state, len(c.made()))
				}
				stop()
			})
		})
	}
}

// Targets that are found in a cache do not hide that the calls fail.
func TestBreakerWithResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeResolver{fakeChannel: fakeChannel{name: "Fake", act: failing(errors.New("connection refused"))}}
		c.resolve = func(_ context.Context, d channels.Delivery, _ string) (channels.Targets, error) {
			return channels.Targets{Targets: []channels.Target{{Address: string(d.Audience)}}}, nil
		}
		e := newEngine(t, m, Config{MaxAge: 5 * time.Minute}, c)
		for n := range 50 {
			m.plan(planned(t, "Fake", n, signalbox.Audience(fmt.Sprint("user:default/", n))))
		}
		defer m.consume(e)()
		time.Sleep(time.Second)
		if state := e.Health()[0].State; state != StateOpen || len(c.made()) > 8 {
			t.Errorf("%s after %d calls", state, len(c.made()))
		}
		m.settled(t, time.Hour)
		if calls := len(c.made()); calls > 8+20 {
			t.Errorf("%d calls in 5 minutes", calls)
		}
		if got := m.statuses()[signalbox.DeliveryFailed]; got != 50 {
			t.Errorf("%v", m.statuses())
		}
	})
}

// A half-open breaker whose trial never comes to a call is not stuck.
func TestBreakerTrialUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		var up atomic.Bool
		c := &fakeChannel{name: "Fake", limits: channels.Limits{Concurrency: 1}}
		c.act = func(context.Context, channels.Delivery) (channels.Sent, error) {
			if !up.Load() {
				return channels.Sent{}, signalbox.Transient(errors.New("no network"))
			}
			return channels.Sent{}, nil
		}
		e := newEngine(t, m, Config{BreakerFailures: 1, Retry: retry.Policy{Min: time.Minute, Max: time.Minute}}, c)
		m.plan(planned(t, "Fake", 1, "user:default/anna", scope("s")))
		stop := m.consume(e)
		time.Sleep(time.Second)
		up.Store(true)
		// Somebody else has the thread when the trial comes.
		key := signalbox.ThreadKey{Channel: "Fake", Address: "user:default/anna", Origin: "ci", Scope: "s"}
		time.Sleep(time.Second)
		m.mu.Lock()
		m.threads[key].by, m.threads[key].until = "another", time.Now().Add(3*time.Minute)
		m.mu.Unlock()
		m.settled(t, 5*time.Minute)
		stop()
		if state := e.Health()[0].State; state != StateClosed || len(c.made()) != 2 {
			t.Errorf("%s after %d calls", state, len(c.made()))
		}
	})
}

// Stop gives back what waits in hand.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake", limits: channels.Limits{PerChannel: channels.Rate{Every: 3 * time.Second}}}
		e := newEngine(t, m, Config{}, c)
		for n := range 10 {
			m.plan(planned(t, "Fake", n, "", to(fmt.Sprint(n))))
		}
		stop := m.consume(e)
		time.Sleep(time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("it took %s to stop", took)
		}
		if calls := len(c.made()); calls != 1 || len(m.rows) != 9 {
			t.Errorf("%d calls, %d rows", calls, len(m.rows))
		}
		for id, r := range m.rows {
			if r.leases != 0 {
				t.Errorf("row %d keeps its lease", id)
			}
		}
	})
}

// Another attempt needs another slot, and so does one whose slot was in a pause.
func TestAttemptsKeepTheRate(t *testing.T) {
	busy := errors.New("not now")
	for name, err := range map[string]error{
		"retry after":     signalbox.RetryAfter(busy, time.Second),
		"target limited":  channels.TargetLimited(busy, 5*time.Second),
		"channel limited": channels.ChannelLimited(busy, 5*time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMemory()
				c := &fakeChannel{name: "Fake", limits: channels.Limits{PerTarget: channels.Rate{Every: 2 * time.Second}}}
				c.act = func(_ context.Context, d channels.Delivery) (channels.Sent, error) {
					if d.Attempt < 3 {
						return channels.Sent{}, err
					}
					return channels.Sent{}, nil
				}
				e := newEngine(t, m, Config{Retry: retry.Policy{Max: time.Second}}, c)
				for n := range 6 {
					m.plan(planned(t, "Fake", n, "", to("C1")))
				}
				defer m.consume(e)()
				m.settled(t, time.Hour)
				calls := c.made()
				for i := range calls[1:] {
					if apart := calls[i+1].at.Sub(calls[i].at); apart < 1900*time.Millisecond {
						t.Errorf("calls %d and %d are %s apart", i, i+1, apart)
					}
				}
				if len(calls) != 18 {
					t.Errorf("%d calls", len(calls))
				}
			})
		})
	}
}

// A limit of a target that is not known yet is taken for the channel's.
func TestLimitedWhileResolving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeResolver{fakeChannel: fakeChannel{name: "Fake"}}
		began, asked := time.Now(), 0
		c.resolve = func(context.Context, channels.Delivery, string) (channels.Targets, error) {
			if asked++; asked == 1 {
				return channels.Targets{}, channels.TargetLimited(errors.New("slow down"), time.Minute)
			}
			if time.Since(began) < time.Minute {
				t.Errorf("asked again after %s", time.Since(began))
			}
			return channels.Targets{Targets: []channels.Target{{Address: "U1"}}}, nil
		}
		defer m.consume(newEngine(t, m, Config{Concurrency: 1}, c))()
		m.plan(planned(t, "Fake", 1, "user:default/anna"), planned(t, "Fake", 2, "user:default/bob"))
		m.settled(t, time.Hour)
		if len(c.made()) != 2 {
			t.Errorf("%d calls", len(c.made()))
		}
	})
}

// Slots that were missed or lie in a pause are taken anew, so that they do not come
// all at once.
func TestMissedSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake", limits: channels.Limits{PerTarget: channels.Rate{Every: 5 * time.Second}}}
		for n := range 20 {
			m.plan(planned(t, "Fake", n, "", to("C1")))
		}
		stop := m.consume(newEngine(t, m, Config{}, c))
		time.Sleep(7 * time.Second)
		stop()
		if calls := len(c.made()); calls != 2 {
			t.Errorf("%d calls; want 2", calls)
		}
		time.Sleep(10 * time.Minute) // nobody is there
		began := time.Now()
		stop = m.consume(newEngine(t, m, Config{}, c))
		m.settled(t, time.Hour)
		stop()
		calls := c.made()
		if took := calls[19].at.Sub(began); took < 17*5*time.Second {
			t.Errorf("18 calls took %s", took)
		}
	})
}

func TestTargetsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTargets(channels.Rate{Every: time.Hour})
		all.most = 3
		now := time.Now()
		for _, name := range []string{"a", "b", "c", "a", "d"} {
			all.reserve(name, now, 1)
		}
		if len(all.byName) != 3 || all.recent.Len() != 3 || all.byName["b"] != nil {
			t.Errorf("%v", all.byName)
		}
		if wait := all.reserve("a", now, 1); wait < time.Hour {
			t.Errorf("a was forgotten: %s", wait)
		}
		if !all.pausedUntil("x").IsZero() || len(all.byName) != 3 {
			t.Error("asking makes an entry")
		}
	})
}

// The reserved shares follow the number of instances.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(channels.Rate{Every: time.Second, Burst: 4})
		var waits []time.Duration
		for range 3 {
			waits = append(waits, b.reserve(time.Now(), 2).Delay())
		}
		time.Sleep(time.Hour)
		for range 6 {
			waits = append(waits, b.reserve(time.Now(), 0).Delay())
		}
		// A larger share does not make up for what was not used before.
		want := []time.Duration{0, 0, 2 * time.Second, 0, 0, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Error(diff)
		}
		if newBucket(channels.Rate{Burst: 3}) != nil {
			t.Error("a rate without an interval limits")
		}
	})
}

// Revisions that wait for a thread take nothing of the channel's rate.
func TestThreadWaitTakesNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		c := &fakeChannel{name: "Fake", limits: channels.Limits{Concurrency: 8, PerChannel: channels.Rate{Every: time.Second, Burst: 1}}}
		// Another process claimed the thread, and died.
		m.threads[signalbox.ThreadKey{Channel: "Fake", Address: "user:default/anna", Origin: "ci", Scope: "hot"}] = &thread{by: "dead", until: time.Now().Add(testLease)}
		for n := range 20 {
			m.plan(planned(t, "Fake", n, "user:default/anna", scope("hot")))
		}
		for n := range 20 {
			m.plan(planned(t, "Fake", 100+n, "user:default/bob"))
		}
		stop := m.consume(newEngine(t, m, Config{}, c))
		time.Sleep(testLease - time.Second)
		stop()
		if got := len(c.made()); got < 18 {
			t.Errorf("%d of 20 were sent in %s at one a second", got, testLease)
		}
	})
}
