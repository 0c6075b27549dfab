package storage

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// choiceProbes bounds what one query looks up. A notification needs three
// probes, so one query serves at least ten thousand of them.
const choiceProbes = 30_000

// choicesForQueries look choices up by the beginning of the primary key, which
// has those of all channels side by side. SQLite is told to begin with the
// probes.
var choicesForQueries = map[database.Dialect]string{
	database.Postgres: `SELECT s.user_ref, s.channel, s.origin, s.topic, s.enabled
FROM unnest($1::text[], $2::text[], $3::text[]) AS r(user_ref, origin_key, topic_key)
JOIN settings AS s ON s.user_ref = r.user_ref AND s.origin_key = r.origin_key AND s.topic_key = r.topic_key`,
	database.SQLite: `SELECT s.user_ref, s.channel, s.origin, s.topic, s.enabled
FROM (SELECT value ->> 0 AS user_ref, value ->> 1 AS origin_key, value ->> 2 AS topic_key FROM json_each($1)) AS r
CROSS JOIN settings AS s ON s.user_ref = r.user_ref AND s.origin_key = r.origin_key AND s.topic_key = r.topic_key`,
}

// choiceProbe is the beginning of a key of settings.
type choiceProbe struct{ user, origin, topic string }

// ChoicesFor implements [signalbox.SettingsStore].
func (s *Store) ChoicesFor(ctx context.Context, about []signalbox.Received) (map[string][]signalbox.Choice, error) {
	probes := probesOf(about)
	found := make(map[string][]signalbox.Choice)
	for len(probes) > 0 {
		part := probes[:min(len(probes), choiceProbes)]
		probes = probes[len(part):]
		users, origins, topics := make([]string, len(part)), make([]string, len(part)), make([]string, len(part))
		for i, p := range part {
			users[i], origins[i], topics[i] = p.user, p.origin, p.topic
		}
		rows, err := s.read.query(ctx, choicesForQueries[s.db.Dialect], s.placesArgs(users, origins, topics)...)
		if err := each(rows, err, func(rows *sql.Rows) error {
			var (
				user string
				c    signalbox.Choice
			)
			err := rows.Scan(&user, &c.Channel, &c.Origin, &c.Topic, &c.Enabled)
			found[user] = append(found[user], c)
			return err
		}); err != nil {
			return nil, fmt.Errorf("storage: choices: %w", database.Classify(err))
		}
	}
	return found, nil
}

// probesOf returns what to look up: for each notification the user's choices for
// its topic, its origin and the channels.
func probesOf(about []signalbox.Received) []choiceProbe {
	known := make(map[choiceProbe]struct{}, 2*len(about))
	probes := make([]choiceProbe, 0, 2*len(about))
	add := func(p choiceProbe) {
		if _, twice := known[p]; !twice {
			known[p] = struct{}{}
			probes = append(probes, p)
		}
	}
	for _, a := range about {
		if a.User == "" || !storable(a.User) || !storable(a.Origin) || !storable(a.Topic) {
			continue // nobody can have chosen about it
		}
		origin, topic := signalbox.FoldID(a.Origin), signalbox.FoldID(a.Topic)
		add(choiceProbe{a.User, "", ""})
		add(choiceProbe{a.User, origin, ""})
		add(choiceProbe{a.User, origin, topic})
	}
	return probes
}

// ChoicesOf implements [signalbox.SettingsStore].
func (s *Store) ChoicesOf(ctx context.Context, user string) ([]signalbox.Choice, error) {
	if user == "" {
		return nil, errNoUser
	}
	list := []signalbox.Choice{}
	if !storable(user) {
		return list, nil
	}
	rows, err := s.read.query(ctx, `SELECT channel, origin, topic, enabled FROM settings
WHERE user_ref = $1 ORDER BY origin_key, topic_key, channel_key`, user)
	err = each(rows, err, func(rows *sql.Rows) error {
		var c signalbox.Choice
		err := rows.Scan(&c.Channel, &c.Origin, &c.Topic, &c.Enabled)
		list = append(list, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("storage: choices: %w", database.Classify(err))
	}
	return list, nil
}

// saveQueries store choices. PostgreSQL takes them as arrays, SQLite as JSON.
var saveQueries = map[database.Dialect]string{
	database.Postgres: `INSERT INTO settings AS s (user_ref, updated, origin_key, topic_key, channel_key, channel, origin, topic, enabled)
SELECT $1, $2::timestamptz, r.* FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::boolean[])
	AS r(origin_key, topic_key, channel_key, channel, origin, topic, enabled)` + saveConflict,
	database.SQLite: `INSERT INTO settings AS s (user_ref, updated, origin_key, topic_key, channel_key, channel, origin, topic, enabled)
SELECT $1, $2, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
FROM json_each($3) WHERE true` + saveConflict,
}

// saveConflict leaves rows alone that say the same already: pages send
// everything they show.
const saveConflict = `
ON CONFLICT (user_ref, origin_key, topic_key, channel_key) DO UPDATE
SET enabled = excluded.enabled, updated = excluded.updated,
	channel = excluded.channel, origin = excluded.origin, topic = excluded.topic
WHERE s.enabled <> excluded.enabled`

// keyedChoice is a choice and its key.
type keyedChoice struct {
	signalbox.Choice
	key signalbox.ChoiceKey
}

// SaveChoices implements [signalbox.SettingsStore].
func (s *Store) SaveChoices(ctx context.Context, user string, choices []signalbox.Choice) error {
	if user == "" {
		return errNoUser
	}
	keyed, err := keyedChoices(choices)
	if err != nil || len(keyed) == 0 {
		return err
	}
	args := append([]any{user, s.db.Dialect.TimeArg(s.now())}, s.choiceArgs(keyed)...)
	err = s.db.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, saveQueries[s.db.Dialect], args...); err != nil {
			return err
		}
		var count int
		rows, err := tx.QueryContext(ctx, `SELECT count(*) FROM settings WHERE user_ref = $1`, user)
		if err := each(rows, err, func(rows *sql.Rows) error { return rows.Scan(&count) }); err != nil {
			return err
		}
		if count > signalbox.MaxChoices {
			return signalbox.Errorf(signalbox.CodeInput, "request/body would make more than %d choices in all", signalbox.MaxChoices)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("storage: save choices: %w", err)
	}
	return nil
}

// ForgetChoice implements [signalbox.SettingsStore].
func (s *Store) ForgetChoice(ctx context.Context, user string, about signalbox.ChoiceKey) error {
	if user == "" {
		return errNoUser
	}
	if !storable(user) || !storable(about.Channel) || !storable(about.Origin) || !storable(about.Topic) {
		return nil // nobody can have chosen about it
	}
	err := s.db.InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM settings
WHERE user_ref = $1 AND origin_key = $2 AND topic_key = $3 AND channel_key = $4`,
			user, about.Origin, about.Topic, about.Channel)
		return err
	})
	if err != nil {
		return fmt.Errorf("storage: forget a choice: %w", err)
	}
	return nil
}

// keyedChoices returns choices in the order of their keys, in which concurrent
// statements lock them, each switch once: the last choice counts.
func keyedChoices(choices []signalbox.Choice) ([]keyedChoice, error) {
	keyed := make([]keyedChoice, 0, len(choices))
	at := make(map[signalbox.ChoiceKey]int, len(choices))
	for i, c := range choices {
		if c.Channel == "" || c.Origin == "" && c.Topic != "" || !storable(c.Channel) || !storable(c.Origin) || !storable(c.Topic) {
			return nil, fmt.Errorf("storage: choice %d is about nothing: %+v", i, c)
		}
		one := keyedChoice{c, c.Key()}
		if earlier, twice := at[one.key]; twice {
			keyed[earlier] = one
			continue
		}
		at[one.key] = len(keyed)
		keyed = append(keyed, one)
	}
	slices.SortFunc(keyed, func(a, b keyedChoice) int {
		return cmp.Or(
			cmp.Compare(a.key.Origin, b.key.Origin),
			cmp.Compare(a.key.Topic, b.key.Topic),
			cmp.Compare(a.key.Channel, b.key.Channel),
		)
	})
	return keyed, nil
}

func (s *Store) choiceArgs(keyed []keyedChoice) []any {
	if s.db.Dialect == database.SQLite {
		list := make([][7]any, len(keyed))
		for i, k := range keyed {
			list[i] = [7]any{k.key.Origin, k.key.Topic, k.key.Channel, k.Channel, k.Origin, k.Topic, k.Enabled}
		}
		encoded, _ := json.Marshal(list) // strings and booleans always encode
		return []any{string(encoded)}
	}
	var texts [6][]string
	enabled := make([]bool, len(keyed))
	for i, k := range keyed {
		for column, text := range [6]string{k.key.Origin, k.key.Topic, k.key.Channel, k.Channel, k.Origin, k.Topic} {
			texts[column] = append(texts[column], text)
		}
		enabled[i] = k.Enabled
	}
	return []any{texts[0], texts[1], texts[2], texts[3], texts[4], texts[5], enabled}
}
