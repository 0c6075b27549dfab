package storage

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
)

// maxStatements bounds the prepared statements of a handle. The filters and
// orders that pages use are few; what goes beyond is compiled each time.
const maxStatements = 128

// queryer is what *sql.DB and *sql.Tx have in common.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// reading is what reads: [statements], each query for itself, or a [snapshot].
type reading interface {
	query(ctx context.Context, text string, args ...any) (*sql.Rows, error)
}

// snapshot is a transaction whose queries see the same moment.
type snapshot struct{ tx *sql.Tx }

func (s snapshot) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	return s.tx.QueryContext(ctx, text, args...)
}

// statements runs queries, prepared once on SQLite. pgx caches prepared
// statements per connection by itself. They are closed with the database.
type statements struct {
	db      *sql.DB
	prepare bool

	mu     sync.Mutex
	byText map[string]*sql.Stmt
}

// get returns the prepared statement for text; ok is false when there is none and
// text is to be run as it is. It uses the handle, so on SQLite it must not be
// called for a new text while a transaction holds the one writing connection.
func (s *statements) get(ctx context.Context, text string) (stmt *sql.Stmt, ok bool, err error) {
	if !s.prepare {
		return nil, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.byText[text]; ok {
		return stmt, true, nil
	}
	if len(s.byText) >= maxStatements {
		return nil, false, nil
	}
	stmt, err = s.db.PrepareContext(ctx, text) //nolint:sqlclosecheck // kept, and closed with the database
	if err != nil {
		return nil, false, fmt.Errorf("prepare: %w", err)
	}
	if s.byText == nil {
		s.byText = make(map[string]*sql.Stmt)
	}
	s.byText[text] = stmt
	return stmt, true, nil
}

// query runs a query outside any transaction.
func (s *statements) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, ok, err := s.get(ctx, text) //nolint:sqlclosecheck // kept, and closed with the database
	switch {
	case err != nil:
		return nil, err
	case ok:
		return stmt.QueryContext(ctx, args...)
	default:
		return s.db.QueryContext(ctx, text, args...)
	}
}

// each calls scan for every row and closes rows.
func each(rows *sql.Rows, err error, scan func(rows *sql.Rows) error) error {
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // Err below tells what went wrong
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
