package queue

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox/storage/database"
)

// Metadata keys with this prefix belong to the queue. They are set on what is
// received and are not stored with what is published.
const (
	reservedPrefix = "signalbox.queue."
	positionKey    = reservedPrefix + "position"
	leasesKey      = reservedPrefix + "leases"
	delayKey       = reservedPrefix + "delay"
	blamedKey      = reservedPrefix + "blamed"
)

// Position returns the place of a received message in the queue: positive, and
// higher for what was published later. It is 0 for any other message.
func Position(msg *message.Message) int64 {
	position, _ := strconv.ParseInt(msg.Metadata.Get(positionKey), 10, 64)
	return position
}

// Leases returns how often a received message was leased, this time included: 1
// at the first delivery. A high count tells of a message whose consumers die.
// It is 0 for any other message.
func Leases(msg *message.Message) int {
	leases, _ := strconv.Atoi(msg.Metadata.Get(leasesKey))
	return leases
}

// Blame says of a received message, before it is nacked, that the reason may be the
// message itself: its lease counts then, as if the consumer had died.
func Blame(msg *message.Message) { msg.Metadata.Set(blamedKey, "true") }

// schemaAdapter tells the library how to insert and how to lease.
type schemaAdapter struct {
	dialect database.Dialect
	// lease is how long rows stay invisible, n how many are leased.
	lease time.Duration
	n     int
	// floor leaves out rows that became visible before it.
	floor time.Time
}

var _ watermillsql.SchemaAdapter = schemaAdapter{}

func (a schemaAdapter) InsertQuery(params watermillsql.InsertQueryParams) (watermillsql.Query, error) {
	entries := make([]entry, len(params.Msgs))
	for i, msg := range params.Msgs {
		metadata, delay, err := encodeMetadata(msg.Metadata)
		if err != nil {
			return watermillsql.Query{}, fmt.Errorf("message %q: %w", msg.UUID, err)
		}
		payload := []byte(msg.Payload)
		if payload == nil {
			payload = []byte{} // nil would be NULL
		}
		entries[i] = entry{uuid: msg.UUID, payload: payload, metadata: metadata, delay: delay}
	}
	return insertStatement(a.dialect, params.Topic, entries), nil
}

func (a schemaAdapter) SelectQuery(params watermillsql.SelectQueryParams) (watermillsql.Query, error) {
	return leaseStatement(a.dialect, params.Topic, a.n, a.lease, a.floor), nil
}

func (schemaAdapter) UnmarshalMessage(params watermillsql.UnmarshalMessageParams) (watermillsql.Row, error) {
	var row leasedRow
	if err := params.Row.Scan(&row); err != nil {
		return watermillsql.Row{}, fmt.Errorf("could not scan a leased row: %w", err)
	}
	msg := message.NewMessage(row.uuid, row.payload)
	if row.metadata != "{}" {
		// A row that a person damaged must not stop the rows behind it.
		if json.Unmarshal([]byte(row.metadata), &msg.Metadata) != nil || msg.Metadata == nil {
			msg.Metadata = message.Metadata{}
		}
	}
	msg.Metadata[positionKey] = strconv.FormatInt(row.id, 10)
	msg.Metadata[leasesKey] = strconv.Itoa(row.leases)
	return watermillsql.Row{Offset: row.id, Msg: msg}, nil
}

// SchemaInitializingQueries returns nothing: the migrations own the schema.
func (schemaAdapter) SchemaInitializingQueries(watermillsql.SchemaInitializingQueriesParams) ([]watermillsql.Query, error) {
	return nil, nil
}

func (schemaAdapter) SubscribeIsolationLevel() sql.IsolationLevel { return sql.LevelReadCommitted }

// offsetsAdapter tells the library how to acknowledge.
type offsetsAdapter struct {
	dialect database.Dialect
}

var _ watermillsql.OffsetsAdapter = offsetsAdapter{}

// AckMessageQuery removes the rows up to LastRow. The library's own queue
// adapter removes all of them, and so loses what a batch had behind LastRow.
func (a offsetsAdapter) AckMessageQuery(params watermillsql.AckMessageQueryParams) (watermillsql.Query, error) {
	ids := make([]int64, 0, len(params.Rows))
	for _, row := range params.Rows {
		ids = append(ids, row.Offset)
		if row.Offset == params.LastRow.Offset {
			return ackStatement(a.dialect, ids), nil
		}
	}
	return watermillsql.Query{}, fmt.Errorf("row %d is not in the batch", params.LastRow.Offset)
}

func (offsetsAdapter) ConsumedMessageQuery(watermillsql.ConsumedMessageQueryParams) (watermillsql.Query, error) {
	return watermillsql.Query{}, nil
}

func (offsetsAdapter) NextOffsetQuery(watermillsql.NextOffsetQueryParams) (watermillsql.Query, error) {
	return watermillsql.Query{}, nil
}

func (offsetsAdapter) SchemaInitializingQueries(watermillsql.OffsetsSchemaInitializingQueriesParams) ([]watermillsql.Query, error) {
	return nil, nil
}

func (offsetsAdapter) BeforeSubscribingQueries(watermillsql.BeforeSubscribingQueriesParams) ([]watermillsql.Query, error) {
	return nil, nil
}

// encodeMetadata returns what is stored, and the delay that [newMessage] put in.
func encodeMetadata(metadata message.Metadata) (string, time.Duration, error) {
	var delay time.Duration
	kept := len(metadata)
	for key, value := range metadata {
		if !strings.HasPrefix(key, reservedPrefix) {
			continue
		}
		kept--
		if key == delayKey {
			parsed, err := time.ParseDuration(value)
			if err != nil {
				return "", 0, fmt.Errorf("delay: %w", err)
			}
			delay = parsed
		}
	}
	if kept == 0 {
		return "{}", delay, nil
	}
	if kept < len(metadata) {
		stored := make(message.Metadata, kept)
		for key, value := range metadata {
			if !strings.HasPrefix(key, reservedPrefix) {
				stored[key] = value
			}
		}
		metadata = stored
	}
	encoded, err := json.Marshal(metadata)
	if err != nil {
		return "", 0, fmt.Errorf("metadata: %w", err)
	}
	return string(encoded), delay, nil
}
