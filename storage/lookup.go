package storage

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// lookUp calls found with the stored row of each entry that has one: by its
// scope, else by its identifier.
func (s *Store) lookUp(ctx context.Context, q queryer, entries []*entry, found func(e *entry, n signalbox.Notification)) error {
	for _, broadcast := range []bool{true, false} {
		byID := make(map[string]*entry)
		byPlace := make(map[place]*entry)
		var ids, users, origins, scopes []string
		for _, e := range entries {
			if e.kind().broadcast != broadcast {
				continue
			}
			byID[e.notification.ID] = e
			ids = append(ids, e.notification.ID)
			if e.kind().scoped {
				byPlace[e.place()] = e
				users = append(users, e.notification.User)
				origins = append(origins, e.notification.Origin)
				scopes = append(scopes, e.notification.Payload.Scope)
			}
		}
		if len(ids) == 0 {
			continue
		}
		columns := pick(broadcast, prefixed(contentColumns)+", '', NULL, NULL, NULL", prefixed(rowColumns))
		from := " FROM " + tableOf(kind{broadcast: broadcast}) + " AS n"
		rows, err := q.QueryContext(ctx,
			"SELECT "+columns+from+" WHERE "+anyUUID(s.db.Dialect, "n.id", "$1"), listArg(s.db.Dialect, ids))
		stored, err := scanNotifications(s.now(), rows, err)
		if err != nil {
			return wrap("look up", err)
		}
		for _, n := range stored {
			found(byID[n.ID], n)
		}
		if len(scopes) == 0 {
			continue
		}
		// Behind the identifiers, so that the row of the scope wins.
		join := " JOIN " + s.places() + " ON n.origin = r.origin AND n.scope = r.scope" + pick(broadcast, "", " AND n.user_ref = r.user_ref")
		rows, err = q.QueryContext(ctx, "SELECT "+columns+from+join, s.placesArgs(users, origins, scopes)...)
		stored, err = scanNotifications(s.now(), rows, err)
		if err != nil {
			return wrap("look up", err)
		}
		for _, n := range stored {
			found(byPlace[place{n.User, n.Origin, n.Payload.Scope}], n)
		}
	}
	return nil
}

// prefixed qualifies columns of the table n.
func prefixed(columns string) string {
	names := strings.Split(columns, ",")
	for i, name := range names {
		names[i] = "n." + strings.TrimSpace(name)
	}
	return strings.Join(names, ", ")
}

// places is a table r of (user_ref, origin, scope) made of placesArgs.
func (s *Store) places() string {
	if s.db.Dialect == database.Postgres {
		return "unnest($1::text[], $2::text[], $3::text[]) AS r(user_ref, origin, scope)"
	}
	return "(SELECT value ->> 0 AS user_ref, value ->> 1 AS origin, value ->> 2 AS scope FROM json_each($1)) AS r"
}

func (s *Store) placesArgs(users, origins, scopes []string) []any {
	if s.db.Dialect == database.Postgres {
		return []any{users, origins, scopes}
	}
	list := make([][3]string, len(users))
	for i := range users {
		list[i] = [3]string{users[i], origins[i], scopes[i]}
	}
	encoded, _ := json.Marshal(list) // strings always encode
	return []any{string(encoded)}
}

// markStored finds entries whose identifier is stored with another scope, and takes
// them out of the next attempt.
func (s *Store) markStored(ctx context.Context, entries []*entry) error {
	err := s.lookUp(ctx, s.db.Writer, entries, func(e *entry, n signalbox.Notification) {
		if n.ID == e.notification.ID && n.Payload.Scope != e.notification.Payload.Scope {
			e.settled = true
		}
	})
	return database.Classify(err)
}
