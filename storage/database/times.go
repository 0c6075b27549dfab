package database

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// TimeArg turns a time into an argument of the dialect: timestamptz on
// PostgreSQL, microseconds since 1970 on SQLite. The zero time is NULL.
func (d Dialect) TimeArg(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	if d == SQLite {
		return t.UnixMicro()
	}
	return t.UTC().Truncate(time.Microsecond)
}

// Time scans a time of either dialect, in UTC; NULL is the zero time.
type Time struct{ time.Time }

// Scan implements [database/sql.Scanner].
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		t.Time = time.Time{}
	case time.Time:
		t.Time = v.UTC()
	case int64:
		t.Time = time.UnixMicro(v).UTC()
	default:
		return fmt.Errorf("cannot scan %T as a time", src)
	}
	return nil
}

// Value refuses: an argument needs [Dialect.TimeArg], which knows the dialect.
func (t Time) Value() (driver.Value, error) {
	return nil, fmt.Errorf("database.Time is for scanning; use Dialect.TimeArg")
}
