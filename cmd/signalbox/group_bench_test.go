package main

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

// BenchmarkGroup measures one POST to a group: rows made readable per second,
// until the last member has it, and that as a share of what multi-row INSERTs
// into the same empty table, indexes and counters included, reach in the same
// run.
func BenchmarkGroup(b *testing.B) {
	for _, members := range []int{1000, 50_000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			eachDatabase(b, func(b *testing.B, url string) {
				org := filepath.Join(b.TempDir(), "org.yaml")
				if err := os.WriteFile(org, []byte(groupOf(members)), 0o600); err != nil {
					b.Fatal(err)
				}
				db := storagetest.Open(b, url)
				s := start(b, b.TempDir(), url, "SIGNALBOX_DIRECTORY_FILES="+org)
				out := newSender(s, 1)
				last := fmt.Sprintf("user:default/u%d", members-1)
				for range b.N {
					raw := rawInserts(b, db, members)
					begun := time.Now()
					if err := out.post(`{"recipients":{"type":"entity","entityRef":"group:default/all"},"payload":{"title":"All hands",`+
						`"description":"The pipeline reached its last stage; 214 checks passed, 3 were skipped."}}`, http.StatusAccepted, ""); err != nil {
						b.Fatal(err)
					}
					eventuallyFast(b, 5*time.Minute, func() bool {
						// Counting rows takes what the server could use: first the last member.
						var n int
						return db.Reader.QueryRow("SELECT 1 FROM notifications WHERE user_ref = $1", last).Scan(&n) == nil && db.Reader.QueryRow("SELECT count(*) FROM notifications").Scan(&n) == nil && n >= members
					})
					rate := float64(members) / time.Since(begun).Seconds()
					b.ReportMetric(rate, "readable/s")
					b.ReportMetric(raw, "raw-rows/s")
					b.ReportMetric(rate/raw, "of-raw")
					empty(b, db)
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(megabytes(s), "resident-MB")
			})
		})
	}
}

// groupOf is a catalog file with one group of so many members.
func groupOf(members int) string {
	var text strings.Builder
	text.WriteString("apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata: {name: all}\nspec: {type: team, children: []}\n")
	for i := range members {
		fmt.Fprintf(&text, "---\napiVersion: backstage.io/v1alpha1\nkind: User\nmetadata: {name: u%d}\nspec: {memberOf: [all]}\n", i)
	}
	return text.String()
}

// rawInserts returns how many rows per second plain INSERTs reach, 1,000 rows in
// a transaction, and leaves the table empty. On PostgreSQL that is one statement
// of many rows; on SQLite, without a network between, a prepared one per row is
// faster.
func rawInserts(b *testing.B, db *database.DB, rows int) float64 {
	b.Helper()
	const (
		perCommit = 1000
		columns   = 8
		text      = "INSERT INTO notifications (id, user_ref, origin, revised, created, request_id, search, title, severity, revision) VALUES "
	)
	perStatement := perCommit
	if db.Dialect == database.SQLite {
		perStatement = 1
	}
	var values strings.Builder
	for i := range perStatement {
		if i > 0 {
			values.WriteByte(',')
		}
		n := columns * i
		fmt.Fprintf(&values, "($%d,$%d,$%d,$%d,$%d,$%d,$%d,$%d,1,1)", n+1, n+2, n+3, n+4, n+5, n+6, n+7, n+8)
	}
	now := db.Dialect.TimeArg(time.Now())
	begun := time.Now()
	for done := 0; done < rows; done += perCommit {
		if err := db.InTx(b.Context(), func(tx *sql.Tx) error {
			insert, err := tx.Prepare(text + values.String())
			if err != nil {
				return err
			}
			defer insert.Close()
			for first := done; first < done+perCommit; first += perStatement {
				var args []any
				for i := range perStatement {
					args = append(args, uuid.Must(uuid.NewV7()).String(), fmt.Sprintf("user:default/u%d", first+i), "ci", now, now,
						uuid.NewString(), "all hands the pipeline reached its last stage; 214 checks passed, 3 were skipped.", "All hands")
				}
				if _, err := insert.Exec(args...); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	rate := float64(rows) / time.Since(begun).Seconds()
	empty(b, db)
	return rate
}

// empty removes all notifications and counts.
func empty(b *testing.B, db *database.DB) {
	b.Helper()
	if err := db.InTx(b.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("DELETE FROM notifications")
		return err
	}); err != nil {
		b.Fatal(err)
	}
}
