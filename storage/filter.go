package storage

import (
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// statement is an SQL text in the making, with its arguments.
type statement struct {
	strings.Builder

	dialect database.Dialect
	args    []any
}

// newStatement starts a statement whose first parameter, $1, is the user: there
// is no statement of an inbox without it.
func (s *Store) newStatement(user string) *statement {
	return &statement{dialect: s.db.Dialect, args: []any{user}}
}

// arg adds an argument and returns its placeholder.
func (s *statement) arg(value any) string {
	s.args = append(s.args, value)
	return "$" + strconv.Itoa(len(s.args))
}

// timeArg adds a time. PostgreSQL must be told the type where it is selected
// rather than compared.
func (s *statement) timeArg(t time.Time) string {
	placeholder := s.arg(s.dialect.TimeArg(t))
	if s.dialect == database.Postgres {
		placeholder += "::timestamptz"
	}
	return placeholder
}

func (s *statement) write(parts ...string) {
	for _, part := range parts {
		s.WriteString(part)
	}
}

// source is one of the tables that an inbox is made of.
type source struct {
	// from is what follows FROM; $1 is the user.
	from string
	// where restricts it to the user's rows.
	where string
	// isRead and isSaved are conditions, notRead and notSaved their opposites. What
	// is snoozed is never read.
	isRead, notRead, isSaved, notSaved string
	// snooze is when the last snooze of the current revision ends or ended; arrived
	// is what lists are ordered by.
	snooze, arrived string
	// snoozed and awake are conditions, each other's opposites, with %s for now.
	snoozed, awake string
	// columns are those of rowColumns and revised, which is arrived.
	columns string
}

var (
	ownRows = source{
		from: "notifications AS n", where: "n.user_ref = $1",
		// Spelled as the partial indexes are.
		isRead: "n.read IS NOT NULL", notRead: "n.read IS NULL",
		isSaved: "n.saved IS NOT NULL", notSaved: "n.saved IS NULL",
		snooze: "n.snoozed_until", arrived: "n.revised",
		snoozed: "n.snoozed_until > %s", awake: "(n.snoozed_until IS NULL OR n.snoozed_until <= %s)",
		columns: rowColumns + ", revised",
	}
	// The same in the order of another index, for those that are or were snoozed:
	// that is also their place.
	snoozedRows = ownRows.placedBy("n.snoozed_until", rowColumns+", snoozed_until AS revised")
	// The marks of a broadcast count only for the revision that they were made on.
	broadcastRows = broadcasts(
		"broadcasts AS n LEFT JOIN broadcast_flags AS f ON f.user_ref = $1 AND f.broadcast_id = n.id", "1 = 1",
		"CASE WHEN f.snoozed_revision >= n.revision THEN f.snoozed_until END",
		"CASE WHEN f.snoozed_revision >= n.revision THEN f.snoozed_until ELSE n.revised END")

	// A list reads broadcasts as two sources, so that each is in the order of an
	// index: those in the place that they have for everyone, and those that a snooze
	// of the user moved, which are few.
	unmovedBroadcasts = broadcasts(broadcastRows.from,
		"(f.snoozed_revision IS NULL OR f.snoozed_revision < n.revision)", broadcastRows.snooze, "n.revised")
	movedBroadcasts = broadcasts("broadcast_flags AS f JOIN broadcasts AS n ON n.id = f.broadcast_id",
		"f.user_ref = $1 AND f.snoozed_revision >= n.revision AND f.snoozed_until IS NOT NULL", "f.snoozed_until", "f.snoozed_until")
)

// placedBy is src with another column for the order.
func (src source) placedBy(arrived, columns string) source {
	src.arrived, src.columns = arrived, columns
	return src
}

// listed are the sources of a list, each in the order of an index.
func listed(filter signalbox.Filter) []source {
	if filter.Snoozed {
		return []source{snoozedRows, movedBroadcasts}
	}
	return []source{ownRows, unmovedBroadcasts, movedBroadcasts}
}

// broadcasts returns a source of broadcasts n with the user's flags f.
func broadcasts(from, where, snooze, arrived string) source {
	return source{
		from: from, where: where, snooze: snooze, arrived: arrived,
		isRead: "(f.read IS NOT NULL AND f.read_revision >= n.revision)", notRead: "(f.read IS NULL OR f.read_revision < n.revision)",
		isSaved: "f.saved IS NOT NULL", notSaved: "f.saved IS NULL",
		snoozed: "(f.snoozed_until > %s AND f.snoozed_revision >= n.revision)",
		awake:   "(f.snoozed_until IS NULL OR f.snoozed_until <= %s OR f.snoozed_revision < n.revision)",
		columns: contentColumns + `, '' AS user_ref,
	CASE WHEN f.read_revision >= n.revision THEN f.read END AS read, f.saved AS saved, ` + snooze + " AS snoozed_until, " + arrived + " AS revised",
	}
}

// at adds a time to a condition with %s for it.
func (s *statement) at(condition string, now time.Time) string {
	return strings.Replace(condition, "%s", s.timeArg(now), 1)
}

// condition returns what follows WHERE for the rows of src that filter selects now.
// The filter must be one that selectsNothing does not know.
func (s *statement) condition(src source, filter signalbox.Filter, now time.Time) string {
	terms := []string{src.where}
	add := func(parts ...string) { terms = append(terms, strings.Join(parts, "")) }
	switch {
	case filter.Snoozed:
		add(s.at(src.snoozed, now))
	case len(filter.IDs) == 0:
		add(s.at(src.awake, now))
	}
	if len(filter.IDs) > 0 {
		add(anyUUID(s.dialect, "n.id", s.arg(listArg(s.dialect, uuidsOf(filter.IDs)))))
	}
	if filter.Topic != "" {
		add("n.topic = ", s.arg(filter.Topic))
	}
	if filter.Origin != "" {
		add("n.origin = ", s.arg(filter.Origin))
	}
	if filter.Read != nil {
		add(pick(*filter.Read, src.isRead, src.notRead))
	}
	if filter.Saved != nil {
		add(pick(*filter.Saved, src.isSaved, src.notSaved))
	}
	if !filter.CreatedAfter.IsZero() {
		add(src.arrived, " >= ", s.timeArg(filter.CreatedAfter))
	}
	if filter.MinimumSeverity != "" {
		add("n.severity >= ", s.arg(filter.MinimumSeverity.Rank()))
	}
	if filter.Search != "" {
		// A function rather than LIKE: no character has a special meaning. The
		// two databases name it differently.
		function := "strpos"
		if s.dialect == database.SQLite {
			function = "instr"
		}
		add(function, "(n.search, ", s.arg(folded(filter.Search)), ") > 0")
	}
	return strings.Join(terms, " AND ")
}

// selectsNothing reports whether no row can match, because of values that can
// be in no row and that PostgreSQL would refuse.
func selectsNothing(filter signalbox.Filter) bool {
	return len(filter.IDs) > 0 && len(uuidsOf(filter.IDs)) == 0 ||
		!storable(filter.Topic) || !storable(filter.Origin) || !storable(filter.Search)
}

// searchText is what a search looks at: title and description, folded by
// ourselves because SQLite folds ASCII only.
func searchText(payload signalbox.Payload) string {
	return folded(payload.Title + "\n" + payload.Description)
}

func folded(s string) string { return strings.ToLower(s) }

func pick[T any](condition bool, yes, no T) T {
	if condition {
		return yes
	}
	return no
}
