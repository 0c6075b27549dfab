package bus_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/e2e/output"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/signalbox/signalbox/storage/bus"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

const patience = 20 * time.Second

// end is a bus whose messages are collected.
type end struct {
	*bus.Bus
	listening chan struct{}
	got       chan string
}

func open(t testing.TB, db *database.DB, config bus.Config) *end {
	t.Helper()
	e := &end{listening: make(chan struct{}, 100), got: make(chan string, 100_000)}
	config.OnListen = func() { e.listening <- struct{}{} }
	var err error
	if e.Bus, err = bus.Open(db, config); err != nil {
		t.Fatal(err)
	}
	e.Handle("m", func(payload []byte) { e.got <- string(payload) })
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func (e *end) waitListening(t testing.TB) {
	t.Helper()
	select {
	case <-e.listening:
	case <-time.After(patience):
		t.Fatal("the bus does not listen")
	}
}

func (e *end) next(t testing.TB) string {
	t.Helper()
	select {
	case payload := <-e.got:
		return payload
	case <-time.After(patience):
		t.Fatal("no message came")
	}
	return ""
}

// pair opens two instances that know of each other.
func pair(t testing.TB, db *database.DB) (a, b *end) {
	t.Helper()
	return pairOf(t, db, bus.Config{})
}

// pairOf is pair with a configuration for the first.
func pairOf(t testing.TB, db *database.DB, config bus.Config) (a, b *end) {
	t.Helper()
	a = open(t, db, config)
	a.waitListening(t)
	b = open(t, db, bus.Config{})
	b.waitListening(t)
	connected(t, a, b)
	connected(t, b, a)
	return a, b
}

// connected sends until something comes: the first messages may be lost while
// the other's hello is on its way.
func connected(t testing.TB, from, to *end) {
	t.Helper()
	mark := fmt.Sprintf("mark %d", time.Now().UnixNano())
	deadline := time.After(patience)
	for {
		from.Send("m", []byte(mark))
		select {
		case <-to.got:
			from.Send("m", []byte("end of marks"))
			for to.next(t) != "end of marks" {
			}
			return
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatal("no message came")
		}
	}
}

func postgres(t testing.TB) *database.DB {
	t.Helper()
	url := storagetest.PostgresURL(t)
	leak := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leak) })
	return storagetest.Open(t, url)
}

func TestDelivery(t *testing.T) {
	a, b := pair(t, postgres(t))
	big := strings.Repeat("größer als 8 kB ", 20_000)
	var want []string
	for i := range 2000 {
		want = append(want, fmt.Sprint(i))
	}
	want = append(want, "", "nul \x00 and no text \xff", big)
	for _, payload := range want {
		a.Send("m", []byte(payload))
	}
	var got []string
	for range want {
		got = append(got, b.next(t))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	// Its own messages do not come back.
	b.Send("m", []byte("reply"))
	if first := a.next(t); first != "reply" {
		t.Errorf("the sender heard %.50q", first)
	}
	if stats := a.Stats(); stats.Notifies > stats.Sent/10 {
		t.Errorf("%d messages took %d statements: they are not gathered", stats.Sent, stats.Notifies)
	}
	if stats := a.Stats(); stats.Dropped != 0 {
		t.Errorf("%d messages were dropped", stats.Dropped)
	}
}

func TestSendOnce(t *testing.T) {
	a, b := pair(t, postgres(t))
	before := b.Stats().Received
	for range 10_000 {
		a.SendOnce("m", []byte("wake"))
	}
	a.Send("m", []byte("last"))
	for b.next(t) != "last" {
	}
	if n := b.Stats().Received - before; n > 1000 {
		t.Errorf("10,000 equal wake-ups were sent %d times", n)
	}
	// One after the others were sent is sent again.
	a.SendOnce("m", []byte("wake"))
	if got := b.next(t); got != "wake" {
		t.Errorf("got %q", got)
	}
}

func TestReconnect(t *testing.T) {
	db := postgres(t)
	a, b := pair(t, db)
	for range 2 {
		terminate(t, db, "signalbox-listen", "signalbox-notify")
		a.waitListening(t)
		b.waitListening(t)
		connected(t, a, b)
		connected(t, b, a)
	}
	if n := a.Stats().Listens; n != 3 {
		t.Errorf("listening began %d times, want 3", n)
	}
}

// A sender whose session was ended while it idled notices before anything is lost.
func TestSenderReconnects(t *testing.T) {
	db := postgres(t)
	a, b := pair(t, db)
	terminate(t, db, "signalbox-notify")
	a.Send("m", []byte("first"))
	if got := b.next(t); got != "first" {
		t.Errorf("got %q", got)
	}
	if stats := a.Stats(); stats.Dropped != 0 || stats.Listens != 1 {
		t.Errorf("%+v", stats)
	}
}

// terminate ends sessions of the buses.
func terminate(t testing.TB, db *database.DB, names ...string) {
	t.Helper()
	if _, err := db.Writer.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = ANY ($1)`, names); err != nil {
		t.Fatal(err)
	}
}

// Whoever is alone does not trouble the database; whoever comes is heard.
func TestAlone(t *testing.T) {
	db := postgres(t)
	a := open(t, db, bus.Config{})
	a.waitListening(t)
	for range 100 {
		a.Send("m", []byte("x"))
	}
	deadline := time.Now().Add(patience)
	for a.Stats().Alone < 100 {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", a.Stats())
		}
		time.Sleep(time.Millisecond)
	}
	if stats := a.Stats(); stats.Notifies != 0 || stats.Dropped != 0 {
		t.Errorf("alone: %+v", stats)
	}
	// Other channels of the same database are not company.
	other := open(t, db, bus.Config{Channel: "other"})
	other.waitListening(t)
	other.Send("m", []byte("x"))
	a.Send("m", []byte("x"))

	b := open(t, db, bus.Config{})
	b.waitListening(t)
	start := time.Now()
	connected(t, a, b)
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("the newcomer was overlooked for %s", took)
	}
	if stats := other.Stats(); stats.Received != 0 || stats.Notifies != 0 {
		t.Errorf("another channel: %+v", stats)
	}
}

func TestBounds(t *testing.T) {
	var log output.Buffer
	a, b := pairOf(t, postgres(t), bus.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	before := a.Stats().Dropped
	a.Send("m", make([]byte, bus.MaxMessage+1))
	a.Send("No Kind", nil)
	a.Send("", nil)
	if n := a.Stats().Dropped - before; n != 3 {
		t.Errorf("%d were dropped, want 3", n)
	}
	// More than the queue takes: some are dropped, none blocks, and it goes on.
	for range 100 {
		a.Send("m", make([]byte, bus.MaxMessage))
	}
	if n := a.Stats().Dropped - before; n < 50 {
		t.Errorf("only %d were dropped", n)
	}
	if n := strings.Count(log.String(), "are dropped"); n != 1 {
		t.Errorf("%d lines tell of the overflow, want 1", n)
	}
	deadline := time.Now().Add(patience)
	for {
		a.Send("m", []byte("last"))
		if b.next(t) == "last" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing comes any more")
		}
	}
}

// Closing sends what was queued.
func TestClose(t *testing.T) {
	a, b := pair(t, postgres(t))
	for i := range 1000 {
		a.Send("m", []byte(fmt.Sprint(i)))
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if got := b.next(t); got != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", got, i)
		}
	}
	a.Send("m", []byte("after")) // neither blocks nor fails
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

// An instance starts and stops without its database.
func TestUnreachable(t *testing.T) {
	url := storagetest.PostgresURL(t)
	leak := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leak)
	db, err := database.Open(context.Background(), database.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var name string
	if err := db.Reader.QueryRow("SELECT current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	server, err := sql.Open("pgx", os.Getenv(storagetest.PostgresEnv))
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := server.Exec("ALTER DATABASE " + name + " ALLOW_CONNECTIONS false"); err != nil {
		t.Fatal(err)
	}
	b, err := bus.Open(db, bus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b.Send("m", []byte("x"))
	deadline := time.Now().Add(patience)
	for b.Stats().Dropped == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", b.Stats())
		}
		time.Sleep(time.Millisecond)
	}
	b.Send("m", []byte("x"))
	start := time.Now()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("closing took %s", took)
	}
	if diff := cmp.Diff(bus.Stats{Dropped: 2}, b.Stats()); diff != "" {
		t.Error(diff)
	}
}

func TestSQLiteHasNoBus(t *testing.T) {
	leak := goleak.IgnoreCurrent()
	defer goleak.VerifyNone(t, leak)
	db, err := database.Open(context.Background(), database.Config{URL: storagetest.SQLiteURL(t)})
	if err != nil {
		t.Fatal(err)
	}
	b, err := bus.Open(db, bus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	b.Handle("m", func([]byte) { t.Error("a message came") })
	b.Send("m", []byte("x"))
	b.SendOnce("m", []byte("x"))
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(bus.Stats{}, b.Stats()); diff != "" {
		t.Error(diff)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	for _, channel := range []string{"Upper", "a b", `a"b`, strings.Repeat("a", 64)} {
		if _, err := bus.Open(&database.DB{}, bus.Config{Channel: channel}); err == nil {
			t.Errorf("channel %q was accepted", channel)
		}
	}
}

// BenchmarkBus is the way of one message there and back, and of many one way.
func BenchmarkBus(b *testing.B) {
	near, far := pair(b, postgres(b))
	b.Run("round-trip", func(b *testing.B) {
		for b.Loop() {
			near.Send("m", []byte("x"))
			far.next(b)
			far.Send("m", []byte("x"))
			near.next(b)
		}
	})
	b.Run("throughput", func(b *testing.B) {
		b.ReportAllocs()
		payload := []byte(strings.Repeat("x", 300))
		const burst = 1000
		for b.Loop() {
			for range burst {
				near.Send("m", payload)
			}
			for range burst {
				far.next(b)
			}
		}
		b.ReportMetric(burst*float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	})
}
