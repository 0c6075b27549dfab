package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// txAttempts bounds how often a transaction that the database rolled back
// (deadlock) is run again.
const txAttempts = 3

// InTx runs fn in a transaction of Writer and commits it. fn is run again when
// the database rolled it back for a deadlock, so it must have no effect beside
// its statements. Errors are classified, see [Classify].
func (db *DB) InTx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	var err error
	for range txAttempts {
		if err = db.inTx(ctx, fn); !rolledBack(err) {
			break
		}
	}
	return Classify(err)
}

func (db *DB) inTx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	// READ COMMITTED: the database's default could have been changed, and
	// ON CONFLICT relies on seeing what others committed meanwhile.
	options := &sql.TxOptions{Isolation: sql.LevelReadCommitted}
	if db.Dialect == SQLite {
		options = nil
	}
	tx, err := db.Writer.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// Does nothing after a commit or rollback. When fn panics, a transaction left
	// open would keep SQLite's one writing connection for ever.
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		if rollbackErr := tx.Rollback(); rollbackErr != nil && !errors.Is(rollbackErr, sql.ErrTxDone) {
			return errors.Join(err, fmt.Errorf("rollback: %w", rollbackErr))
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// InSnapshot runs fn in a transaction of Reader whose queries all see the database as
// of the first one. fn must only read. Errors are classified, see [Classify].
func (db *DB) InSnapshot(ctx context.Context, fn func(tx *sql.Tx) error) error {
	options := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	if db.Dialect == SQLite {
		options.Isolation = sql.LevelDefault // it knows no other, and this is what it does
	}
	tx, err := db.Reader.BeginTx(ctx, options)
	if err != nil {
		return Classify(fmt.Errorf("begin: %w", err))
	}
	defer tx.Rollback() // nothing was written
	return Classify(fn(tx))
}
