package binary

import (
	"database/sql"
	"net/url"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver of the server's database
)

// Age makes notifications with a title older, and what became of them, as if they had
// come earlier. Pages have to ask anew to see it.
func (s *Server) Age(title string, by time.Duration) {
	s.T.Helper()
	address := url.URL{Scheme: "file", Path: filepath.Join(s.Data, "signalbox.db"), RawQuery: "_pragma=busy_timeout(30000)"}
	db, err := sql.Open("sqlite", address.String())
	if err != nil {
		s.T.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	changed := int64(0)
	for _, table := range []string{"notifications", "broadcasts"} {
		for _, statement := range []string{
			`UPDATE deliveries SET created = created - ?1, updated = updated - ?1 WHERE request_id IN (SELECT request_id FROM ` + table + ` WHERE title = ?2)`,
			`UPDATE ` + table + ` SET created = created - ?1, updated = updated - ?1, revised = revised - ?1 WHERE title = ?2`,
		} {
			result, err := db.ExecContext(s.T.Context(), statement, by.Microseconds(), title)
			if err != nil {
				s.T.Fatal(err)
			}
			changed, err = result.RowsAffected()
			if err != nil {
				s.T.Fatal(err)
			}
		}
		if changed > 0 {
			return
		}
	}
	s.T.Fatalf("there is no notification %q", title)
}
