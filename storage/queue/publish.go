package queue

import (
	"context"
	"database/sql"
	"fmt"

	watermillsql "github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/storage/database"
)

// maxInsert bounds the rows of one INSERT: SQLite takes 32,766 parameters, six
// for each row, and neither database gains from longer statements.
const maxInsert = 1000

// Publish stores messages durably, all or none, and wakes their consumers. It
// returns after the commit. Errors are classified, see [database.Classify].
func (q *Queue) Publish(ctx context.Context, msgs ...signalbox.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	groups := byTopic(ctx, msgs)
	var err error
	if len(groups) == 1 && len(msgs) <= maxInsert {
		// One statement is a transaction of its own.
		err = publishGroup(q.durable, groups[0])
	} else {
		err = q.db.InTx(ctx, func(tx *sql.Tx) error { return q.publishGroups(tx, groups) })
	}
	if err != nil {
		return database.Classify(fmt.Errorf("queue: publish: %w", err))
	}
	for _, group := range groups {
		q.wake(group.topic, len(group.msgs))
	}
	return nil
}

// PublishTx stores messages in the caller's transaction. The caller calls
// [Queue.Wake] after the commit. Errors are classified, see
// [database.Classify].
func (q *Queue) PublishTx(ctx context.Context, tx *sql.Tx, msgs ...signalbox.Message) error {
	if len(msgs) == 0 {
		return nil
	}
	if err := q.publishGroups(tx, byTopic(ctx, msgs)); err != nil {
		return database.Classify(fmt.Errorf("queue: publish: %w", err))
	}
	return nil
}

// publisherOn is the library's publisher with our adapter.
func (q *Queue) publisherOn(on watermillsql.ContextExecutor) (*watermillsql.Publisher, error) {
	p, err := watermillsql.NewPublisher(on, watermillsql.PublisherConfig{
		SchemaAdapter: schemaAdapter{dialect: q.db.Dialect},
	}, q.logger)
	if err != nil {
		return nil, fmt.Errorf("queue: publisher: %w", err)
	}
	return p, nil
}

// group holds the messages of one topic, in order.
type group struct {
	topic string
	msgs  []*message.Message
}

func byTopic(ctx context.Context, msgs []signalbox.Message) []group {
	var groups []group
	at := map[string]int{}
	for i := range msgs {
		place, ok := at[msgs[i].Topic]
		if !ok {
			place = len(groups)
			at[msgs[i].Topic] = place
			groups = append(groups, group{topic: msgs[i].Topic})
		}
		groups[place].msgs = append(groups[place].msgs, newMessage(ctx, msgs[i]))
	}
	return groups
}

func newMessage(ctx context.Context, m signalbox.Message) *message.Message {
	msg := message.NewMessageWithContext(ctx, m.ID, m.Payload)
	for key, value := range m.Metadata {
		msg.Metadata[key] = value
	}
	delete(msg.Metadata, delayKey)
	if m.Delay > 0 {
		msg.Metadata[delayKey] = m.Delay.String()
	}
	return msg
}

func (q *Queue) publishGroups(tx *sql.Tx, groups []group) error {
	p, err := q.publisherOn(watermillsql.TxFromStdSQL(tx))
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := publishGroup(p, group); err != nil {
			return err
		}
	}
	return nil
}

func publishGroup(p *watermillsql.Publisher, g group) error {
	if g.topic == "" {
		return signalbox.Permanent(fmt.Errorf("message %q has no topic", g.msgs[0].UUID))
	}
	for len(g.msgs) > 0 {
		n := min(maxInsert, len(g.msgs))
		if err := p.Publish(g.topic, g.msgs[:n]...); err != nil {
			return err
		}
		g.msgs = g.msgs[n:]
	}
	return nil
}
