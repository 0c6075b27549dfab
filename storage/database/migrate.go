package database

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/signalbox/signalbox/migrations"
)

// Migrate brings the schema up to date and returns the version it is at now.
// Several instances may call it at once on PostgreSQL: an advisory lock lets one
// through at a time.
func (db *DB) Migrate(ctx context.Context) (version int64, err error) {
	provider, err := db.migrator()
	if err != nil {
		return 0, err
	}
	applied, err := provider.Up(ctx)
	if err != nil {
		return 0, fmt.Errorf("database: migrate: %w", err)
	}
	var took time.Duration
	for _, result := range applied {
		took += result.Duration
		db.config.Logger.LogAttrs(ctx, slog.LevelDebug, "migration",
			slog.Int64("version", result.Source.Version), slog.Duration("took", result.Duration))
	}
	version, err = provider.GetDBVersion(ctx)
	if err == nil && len(applied) > 0 {
		db.config.Logger.LogAttrs(ctx, slog.LevelInfo, "migrated",
			slog.Int64("version", version), slog.Int("migrations", len(applied)), slog.Duration("took", took))
	}
	return version, err
}

func (db *DB) migrator() (*goose.Provider, error) {
	folder, err := fs.Sub(migrations.FS, string(db.Dialect))
	if err != nil {
		return nil, fmt.Errorf("database: migrations: %w", err)
	}
	dialect, options := goose.DialectSQLite3, []goose.ProviderOption{goose.WithLogger(goose.NopLogger())}
	if db.Dialect == Postgres {
		dialect = goose.DialectPostgres
		locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // every second, for 5 minutes
		if err != nil {
			return nil, fmt.Errorf("database: migration lock: %w", err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(dialect, db.schema, folder, options...)
	if err != nil {
		return nil, fmt.Errorf("database: migrations: %w", err)
	}
	return provider, nil
}
