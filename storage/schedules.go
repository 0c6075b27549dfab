package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// storedSchedule is a schedule as JSON.
type storedSchedule struct {
	TimeZone string       `json:"timeZone,omitempty"`
	Digest   storedDigest `json:"digest,omitzero"`
	Quiet    *storedQuiet `json:"quiet,omitempty"`
}

type storedDigest struct {
	Every signalbox.DigestEvery `json:"every,omitempty"`
	At    signalbox.ClockTime   `json:"at,omitempty"`
	Below signalbox.Severity    `json:"below,omitempty"`
}

type storedQuiet struct {
	From  signalbox.ClockTime `json:"from"`
	To    signalbox.ClockTime `json:"to"`
	Below signalbox.Severity  `json:"below,omitempty"`
}

// ScheduleOf implements [signalbox.ScheduleStore].
func (s *Store) ScheduleOf(ctx context.Context, user string) (signalbox.Schedule, bool, error) {
	if !storable(user) {
		return signalbox.Schedule{}, false, nil
	}
	var text string
	err := s.db.Reader.QueryRowContext(ctx, "SELECT schedule FROM schedules WHERE user_ref = $1", user).Scan(&text)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return signalbox.Schedule{}, false, nil
	case err != nil:
		return signalbox.Schedule{}, false, fmt.Errorf("storage: schedule: %w", database.Classify(err))
	}
	var stored storedSchedule
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return signalbox.Schedule{}, false, fmt.Errorf("storage: schedule: %w", err)
	}
	return signalbox.Schedule{
		TimeZone: stored.TimeZone, Digest: signalbox.DigestTimes(stored.Digest), Quiet: (*signalbox.QuietHours)(stored.Quiet),
	}, true, nil
}

// SaveSchedule implements [signalbox.ScheduleStore].
func (s *Store) SaveSchedule(ctx context.Context, user string, schedule signalbox.Schedule) error {
	stored := storedSchedule{TimeZone: schedule.TimeZone, Digest: storedDigest(schedule.Digest), Quiet: (*storedQuiet)(schedule.Quiet)}
	text, err := json.Marshal(stored)
	if err != nil {
		return fmt.Errorf("storage: schedule: %w", err)
	}
	if _, err := s.db.Writer.ExecContext(ctx, `INSERT INTO schedules (user_ref, schedule, updated) VALUES ($1, $2, $3)
ON CONFLICT (user_ref) DO UPDATE SET schedule = excluded.schedule, updated = excluded.updated`,
		user, string(text), s.db.Dialect.TimeArg(s.now())); err != nil {
		return fmt.Errorf("storage: schedule: %w", database.Classify(err))
	}
	return nil
}

// ForgetSchedule implements [signalbox.ScheduleStore].
func (s *Store) ForgetSchedule(ctx context.Context, user string) error {
	if !storable(user) {
		return nil
	}
	if _, err := s.db.Writer.ExecContext(ctx, "DELETE FROM schedules WHERE user_ref = $1", user); err != nil {
		return fmt.Errorf("storage: schedule: %w", database.Classify(err))
	}
	return nil
}
