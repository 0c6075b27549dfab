package web

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

var errWrong = signalbox.Errorf(signalbox.CodeAuthentication, "Invalid token")

// gate is failures with a clock of its own.
type gate struct {
	*failures
	at      time.Time
	reports []failureReport
}

func newGate() *gate {
	g := &gate{at: time.Unix(1_800_000_000, 0)}
	g.failures = newFailures(func() time.Time { return g.at }, func(r failureReport) { g.reports = append(g.reports, r) })
	return g
}

// try makes an attempt with a credential that comes to err, and returns how long the
// client has to wait instead.
func (g *gate) try(addr, secret string, err error) time.Duration {
	a, wait := g.begin(netip.MustParseAddr(addr), secret)
	if wait == 0 {
		a.end(err)
	}
	return wait
}

// exhaust fails until nothing is looked at any more, and returns how often.
func (g *gate) exhaust(addr string) int {
	for n := range 10_000 {
		if g.try(addr, "wrong", errWrong) > 0 {
			return n
		}
	}
	return -1
}

const (
	office = "192.0.2.1"
	home   = "192.0.2.2"
)

func TestFailuresAreLimited(t *testing.T) {
	g := newGate()
	if n := g.exhaust(office); n != failureBurst {
		t.Errorf("%d failures at once", n)
	}
	if wait := g.try(office, "right", nil); wait <= 0 || wait > time.Second {
		t.Errorf("a right guess would show: wait %s", wait)
	}
	if wait := g.try(home, "right", nil); wait != 0 {
		t.Errorf("another address has to wait %s", wait)
	}
	g.at = g.at.Add(time.Second)
	if n := g.exhaust(office); n != failureRate {
		t.Errorf("%d more after a second", n)
	}
	g.at = g.at.Add(time.Hour)
	if n := g.exhaust(office); n != failureBurst {
		t.Errorf("%d more after an hour", n)
	}
}

func TestOthersAtTheSameAddressGoOn(t *testing.T) {
	g := newGate()
	if wait := g.try(office, "right", nil); wait != 0 {
		t.Fatal(wait)
	}
	g.exhaust(office)
	for range 3 {
		if wait := g.try(office, "right", nil); wait != 0 {
			t.Errorf("what was right before has to wait %s", wait)
		}
	}
	// Being right somewhere else says nothing.
	if wait := g.try(home, "also right", nil); wait != 0 {
		t.Fatal(wait)
	}
	if wait := g.try(office, "also right", nil); wait == 0 {
		t.Error("what was right elsewhere is looked at")
	}
	// What is right no longer has had its chance.
	g.try(office, "right", errWrong)
	if wait := g.try(office, "right", errWrong); wait == 0 {
		t.Error("what was right once is looked at for ever")
	}
}

func TestOnlyWrongCredentialsCount(t *testing.T) {
	g := newGate()
	for range 2 * failureBurst {
		for _, err := range []error{
			nil, errors.New("broken"), signalbox.Errorf(signalbox.CodeNotAllowed, "no"), signalbox.Unavailable("later", time.Second, nil),
		} {
			if wait := g.try(office, "x", err); wait > 0 {
				t.Fatalf("wait %s after %v", wait, err)
			}
		}
	}
	if len(g.reports) > 0 {
		t.Error(g.reports)
	}
}

// A client that failed has no more attempts under way than failures left.
func TestAttemptsUnderWayCount(t *testing.T) {
	g := newGate()
	g.try(office, "wrong", errWrong)
	var under []attempt
	for range 10 * failureBurst {
		a, wait := g.begin(netip.MustParseAddr(office), "wrong")
		if wait > 0 {
			break
		}
		under = append(under, a)
	}
	if len(under) != failureBurst-1 {
		t.Errorf("%d attempts at once", len(under))
	}
	for _, a := range under {
		a.end(nil)
	}
	g.remove() // they were right
	if n := g.exhaust(office); n != failureBurst-1 {
		t.Errorf("right ones cost %d failures", failureBurst-1-n)
	}
	// Who never failed has no limit, and pays for that later, up to a point.
	var first []attempt
	for range 10 * failureBurst {
		a, wait := g.begin(netip.MustParseAddr(home), "wrong")
		if wait > 0 {
			t.Fatal(wait)
		}
		first = append(first, a)
	}
	for _, a := range first {
		a.end(errWrong)
	}
	if wait := g.try(home, "wrong", errWrong); wait < failureBurst/failureRate*time.Second || wait > 11*time.Second {
		t.Errorf("wait %s", wait)
	}
}

// remove forgets what was right.
func (g *gate) remove() { g.proven = recent[uint64, struct{}]{limit: maxProven} }

func TestIPv6NetworksAreOneClient(t *testing.T) {
	g := newGate()
	g.exhaust("2001:db8::1")
	if g.try("2001:db8::ffff:2", "wrong", errWrong) == 0 {
		t.Error("the same /64 has more")
	}
	if g.try("2001:db8:0:1::1", "wrong", errWrong) > 0 {
		t.Error("another /64 has to wait")
	}
}

func TestFailureReports(t *testing.T) {
	g := newGate()
	want := func(reports ...failureReport) {
		t.Helper()
		if diff := cmp.Diff(reports, g.reports, cmp.AllowUnexported(failureReport{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Error(diff)
		}
		g.reports = nil
	}
	addr := netip.MustParseAddr(office)
	first := failureReport{addr: addr, failed: 1, reason: "Invalid token"}
	g.try(office, "wrong", errWrong)
	want(first) // at once
	g.exhaust(office)
	g.at = g.at.Add(tellEvery - time.Second)
	g.flush(false)
	want()
	g.at = g.at.Add(time.Second)
	g.flush(false)
	want(failureReport{addr: addr, failed: failureBurst - 1, limited: 1, reason: "Invalid token"})
	g.at = g.at.Add(time.Hour)
	g.flush(false)
	want()
	g.try(office, "wrong", errWrong)
	g.try(office, "wrong", errWrong)
	want(first)
	// What is not told yet is told in the end.
	ended, end := context.WithCancel(t.Context())
	end()
	g.run(ended)
	want(first)
}

// Whole networks cannot fill the memory or the log.
func TestManyFailingClients(t *testing.T) {
	g := newGate()
	const most, clients = 150, 2000
	g.failing.limit, g.proven.limit = most, most
	for n := range uint32(clients) {
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], n)
		a, _ := g.begin(netip.AddrFrom4(ip), "wrong")
		a.end(errWrong)
	}
	if kept := len(g.failing.young) + len(g.failing.old); kept < most || kept > 2*most {
		t.Errorf("%d clients are kept", kept)
	}
	if n := len(g.reports); n != 100 {
		t.Errorf("%d lines at once", n)
	}
	for range 2 * most {
		g.at = g.at.Add(time.Second)
		g.flush(false)
	}
	told := 0
	for _, r := range g.reports {
		told += r.failed + r.others
	}
	if n := len(g.reports); told != clients || n > 100+2*most {
		t.Errorf("%d failures of %d were told of, in %d lines", told, clients, n)
	}
	for n := range 10 * most {
		g.try(home, strconv.Itoa(n), nil)
	}
	if kept := len(g.proven.young) + len(g.proven.old); kept < most || kept > 2*most {
		t.Errorf("%d credentials are kept", kept)
	}
}

// A client that keeps failing is not forgotten for others that come and go.
func TestRecentKeepsWhatIsUsed(t *testing.T) {
	var gone []int
	r := recent[int, int]{limit: 3, gone: func(v int) { gone = append(gone, v) }}
	r.put(0, 0)
	for n := 1; n < 20; n++ {
		r.put(n, n)
		if _, ok := r.get(0); !ok {
			t.Fatalf("forgotten after %d", n)
		}
	}
	if _, ok := r.get(1); ok || len(gone) < 10 {
		t.Errorf("kept for ever: %v are gone", gone)
	}
	if slices.Contains(gone, 0) {
		t.Errorf("%v", gone)
	}
	r.remove(0)
	if _, ok := r.get(0); ok {
		t.Error("removed and there")
	}
}
