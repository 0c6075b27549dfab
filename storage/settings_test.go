package storage_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/processors"
	"github.com/signalbox/signalbox/storage"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// statementLog counts the statements that a database is asked to run.
type statementLog struct {
	mu    sync.Mutex
	texts []string
}

func (l *statementLog) add(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts = append(l.texts, text)
}

// take returns the statements since the last call.
func (l *statementLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	texts := l.texts
	l.texts = nil
	return texts
}

// logged returns a handle like db that logs its statements.
func logged(t *testing.T, db *sql.DB, dsn string, log *statementLog) *sql.DB {
	t.Helper()
	handle := sql.OpenDB(&loggingConnector{driver: db.Driver(), dsn: dsn, log: log})
	handle.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := handle.Close(); err != nil {
			t.Error(err)
		}
	})
	return handle
}

type loggingConnector struct {
	driver driver.Driver
	dsn    string
	log    *statementLog
}

func (c *loggingConnector) Driver() driver.Driver { return c.driver }

func (c *loggingConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	return &loggingConn{conn, c.log}, err
}

// loggingConn passes everything on, as both drivers have it.
type loggingConn struct {
	driver.Conn
	log *statementLog
}

func (c *loggingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.log.add(query)
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c *loggingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.log.add(query)
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *loggingConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	c.log.add("BEGIN")
	return c.Conn.(driver.ConnBeginTx).BeginTx(ctx, options)
}

func (c *loggingConn) CheckNamedValue(value *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(value)
	}
	return driver.ErrSkip
}

func (c *loggingConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	return &loggingStmt{stmt, query, c.log}, err
}

type loggingStmt struct {
	driver.Stmt
	text string
	log  *statementLog
}

func (s *loggingStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	s.log.add(s.text)
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

func (s *loggingStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	s.log.add(s.text)
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// openLogged returns a store whose statements are logged.
func openLogged(t *testing.T, url string) (*storage.Store, *statementLog) {
	t.Helper()
	db := storagetest.Open(t, url)
	dsn := strings.TrimPrefix(url, "sqlite:")
	if db.Dialect == database.Postgres {
		config, err := db.ListenConfig()
		if err != nil {
			t.Fatal(err)
		}
		dsn = stdlib.RegisterConnConfig(config)
		t.Cleanup(func() { stdlib.UnregisterConnConfig(dsn) })
	}
	log := &statementLog{}
	handle := logged(t, db.Writer, dsn, log)
	counted := &database.DB{Dialect: db.Dialect, Writer: handle, Reader: handle, Leaser: handle}
	return open(t, counted, &tableQueue{db: counted}, time.Now), log
}

// The settings of a batch are read in one query, whatever the number of its users,
// origins, topics and channels.
func TestOneQueryPerBatch(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		store, log := openLogged(t, url)
		names := []string{"Web", "Slack", "Email"}
		policy := signalbox.NewSettingsPolicy(signalbox.SettingsConfig{Channels: names})
		stage := processors.NewSettings(processors.NewUserSettings(policy, store), names)
		batch := &signalbox.Batch{}
		for i := range 4 {
			item := &signalbox.Item{}
			for u := range 1000 {
				n := madeFor(i*1000+u, fmt.Sprintf("user:default/u%d", u))
				n.Payload.Topic = fmt.Sprintf("topic-%d", i)
				item.Routed = append(item.Routed, signalbox.Routed{Notification: n, Audience: signalbox.UserAudience(n.User), Channels: names})
			}
			batch.Items = append(batch.Items, item)
		}
		if err := store.SaveChoices(t.Context(), "user:default/u17", []signalbox.Choice{{Channel: "Slack", Origin: "CI", Topic: "Topic-2"}}); err != nil {
			t.Fatal(err)
		}
		log.take()
		if err := stage.Process(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if queries := log.take(); len(queries) != 1 {
			t.Errorf("%d statements: %q", len(queries), queries)
		}
		suppressed := 0
		for i, item := range batch.Items {
			for u, routed := range item.Routed {
				suppressed += len(routed.Suppressed)
				if mine := i == 2 && u == 17; mine == slices.Contains(routed.Channels, "Slack") {
					t.Errorf("item %d, user %d: channels %v", i, u, routed.Channels)
				}
			}
		}
		if suppressed != 1 {
			t.Errorf("%d suppressions", suppressed)
		}
	})
}

// What is known to have been seen costs no statement.
func TestKnownSeenCostsNothing(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		store, log := openLogged(t, url)
		seen := func(statements []string) (n int) {
			for _, text := range statements {
				if strings.Contains(text, "settings_seen") {
					n++
				}
			}
			return n
		}
		next := 0
		for round, want := range []int{1, 0, 0} {
			var rows []signalbox.Notification
			for u := range 1000 {
				next++
				n := madeFor(next, fmt.Sprintf("user:default/u%d", u))
				n.Payload.Topic = "t"
				rows = append(rows, n)
			}
			if round == 2 {
				rows = rows[:1] // one row, one statement
			}
			log.take()
			if _, err := store.Commit(t.Context(), signalbox.Commit{Notifications: rows}); err != nil {
				t.Fatal(err)
			}
			statements := log.take()
			if got := seen(statements); got != want {
				t.Errorf("round %d: %d statements about what was seen, want %d", round, got, want)
			}
			if round == 2 && len(statements) != 1 {
				t.Errorf("a commit of one row: %q", statements)
			}
		}
	})
}
