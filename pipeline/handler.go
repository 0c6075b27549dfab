package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/pipeline/delivery"
	"github.com/signalbox/signalbox/pipeline/isolate"
	"github.com/signalbox/signalbox/pipeline/retry"
)

// work is one message on its way: its entries, and the batch made of them.
type work struct {
	entries []entry
	batch   *signalbox.Batch
	// position is the message's in the queue.
	position int64
	// fanouts are the items that have so many recipients that they become
	// messages of their own, by index.
	fanouts map[int]*fanout
}

// Bounds on how often a message is leased. More than a few times means that its
// consumers die or run out of time, perhaps because of it: it must not take
// others along, nor come back for ever.
const (
	splitAfterLeases = 3
	buryAfterLeases  = 10
)

// errLeases is why a message is given up that no consumer could finish.
var errLeases = errors.New("its consumers died or ran out of time, again and again")

// handle processes one message of TopicNotifications or TopicRetry. A returned
// error puts the message back: it means that the infrastructure failed. What is
// wrong with single requests is settled in the commit.
func (p *Pipeline) handle(ctx context.Context, msg *message.Message, topic string, patience time.Duration) error {
	entries, err := decodeEnvelope(msg.Payload)
	if err != nil {
		return p.bury(ctx, msg, topic, err)
	}
	position := p.deps.Position(msg)
	w := &work{entries: entries, batch: &signalbox.Batch{}, position: position, fanouts: make(map[int]*fanout)}
	for i := range entries {
		e := &w.entries[i]
		if e.Revision == 0 {
			e.Revision = position*positionsPerMessage + int64(i)
		}
		w.batch.Items = append(w.batch.Items, &signalbox.Item{Request: e.Request, Revision: e.Revision, Users: e.Users})
	}
	switch leases := p.deps.Leases(msg); {
	case leases > buryAfterLeases && len(entries) == 1:
		return p.giveUp(ctx, entries[0])
	case leases > splitAfterLeases && len(entries) > 1:
		return p.split(ctx, w)
	}
	if err := p.run(ctx, w, patience); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // interrupted: what failed, failed for that reason
	}
	p.metrics.processed.Add(float64(len(entries)))
	return p.settle(ctx, w)
}

// run takes the batch through the chain, within a bound that leaves time for the
// commit before the lease ends.
func (p *Pipeline) run(ctx context.Context, w *work, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, p.config.ProcessorTimeout)
	defer cancel()
	w.batch.Deadline = time.Now().Add(min(patience, p.config.ProcessorTimeout))
	p.chain[0].process(ctx, w.batch)
	if err := p.fanOut(w); err != nil {
		return err
	}
	p.chain[1].process(ctx, w.batch)
	return nil
}

// split makes a message of each request, so that the one that is the trouble
// comes back alone.
func (p *Pipeline) split(ctx context.Context, w *work) error {
	var c signalbox.Commit
	for _, e := range w.entries {
		e.Alone = true
		payload, err := encodeSingle(e)
		if err != nil {
			return err
		}
		c.Messages = append(c.Messages, signalbox.Message{Topic: TopicRetry, ID: e.Request.ID, Payload: payload})
	}
	_, err := p.deps.Committer.Commit(ctx, c)
	return err
}

// giveUp keeps a request as a dead letter that no consumer could finish.
func (p *Pipeline) giveUp(ctx context.Context, e entry) error {
	p.log.LogAttrs(ctx, slog.LevelError, "a request is given up", slog.String("request", e.Request.ID), slog.Any("error", errLeases))
	dead, err := p.deadLetter(e, "lease", errLeases)
	if err != nil {
		return err
	}
	_, err = p.deps.Committer.Commit(ctx, signalbox.Commit{
		DeadLetters: []signalbox.DeadLetter{*dead},
		Requests: []signalbox.RequestRecord{{
			ID: e.Request.ID, Origin: e.Request.Origin, Created: e.Request.Created, Updated: p.now(),
			Status: signalbox.RequestFailed, Stage: "lease", Error: errLeases.Error(), Attempts: dead.Attempts,
		}},
	})
	return err
}

// settle commits the work as a whole; when the data of one request makes that
// impossible, it commits request by request, so that only that one fails.
func (p *Pipeline) settle(ctx context.Context, w *work) error {
	err := p.commit(ctx, w)
	if err == nil || signalbox.IsTransient(err) {
		return err
	}
	if len(w.entries) == 1 {
		return p.giveBack(ctx, w, err)
	}
	p.log.LogAttrs(ctx, slog.LevelWarn, "a batch could not be committed, trying its requests one by one", slog.Any("error", err))
	for i := range w.entries {
		single := &work{
			entries:  w.entries[i : i+1],
			batch:    &signalbox.Batch{Items: w.batch.Items[i : i+1]},
			position: w.position,
			fanouts:  map[int]*fanout{},
		}
		if split := w.fanouts[i]; split != nil {
			single.fanouts[0] = split
		}
		err := p.commit(ctx, single)
		if err != nil && !signalbox.IsTransient(err) {
			err = p.giveBack(ctx, single, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// giveBack sets aside a single request whose commit failed because of its data.
func (p *Pipeline) giveBack(ctx context.Context, w *work, cause error) error {
	w.batch.Items[0].Err = nil
	w.batch.Items[0].Fail("store", cause)
	return p.commit(ctx, w)
}

// commit stores in one transaction what the items became: inbox rows, the
// messages for channels and post processors, and the items that failed. Only
// then are senders answered and signals emitted.
func (p *Pipeline) commit(ctx context.Context, w *work) error {
	c, err := p.plan(w)
	if err != nil {
		return err
	}
	outcomes, err := p.deps.Committer.Commit(ctx, c.commit)
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	p.announce(ctx, w, c, outcomes)
	return nil
}

// plan is a commit, and how the items find their rows in it.
type plan struct {
	commit signalbox.Commit
	// rowOf[i][j] is the row of w.batch.Items[i].Routed[j]; -1 without one.
	rowOf [][]int
	// given tells which items no longer concern a sender that waits: they were
	// given up, or became messages of their own.
	given map[int]bool
	// left tells which items left the batch for messages of their own.
	left map[int]bool
	// told is the panic whose stack was logged last: all items of a stage share one.
	told *signalbox.PanicError
}

// publishOnce adds messages that are published once, however often the message at
// hand is processed.
func (c *plan) publishOnce(key string, messages ...signalbox.Message) {
	c.commit.Once = append(c.commit.Once, signalbox.OnceMessages{Key: key, Messages: messages})
}

func (p *Pipeline) plan(w *work) (*plan, error) {
	c := &plan{rowOf: make([][]int, len(w.batch.Items)), given: make(map[int]bool), left: make(map[int]bool)}
	var inbox []signalbox.Notification
	for i, item := range w.batch.Items {
		if item.Err != nil {
			if err := p.planFailure(c, i, w.entries[i], item, w.position); err != nil {
				return nil, err
			}
			continue
		}
		if split := w.fanouts[i]; split != nil {
			c.publishOnce(split.key, split.messages...)
			c.given[i], c.left[i] = split.final, true
			continue
		}
		c.rowOf[i] = make([]int, len(item.Routed))
		for j := range item.Routed {
			c.rowOf[i][j] = -1
			r := &item.Routed[j]
			switch n := &r.Notification; {
			case slices.Contains(r.Channels, signalbox.ChannelWeb):
				c.rowOf[i][j] = len(inbox)
				inbox = append(inbox, *n)
			case r.Audience.IsUser(), r.Audience == signalbox.Everyone:
				// It has no row to be remembered by; without this, what is off from
				// the start could never be found and switched on.
				c.commit.Received = append(c.commit.Received, signalbox.Received{User: n.User, Origin: n.Origin, Topic: n.Payload.Topic})
			}
		}
	}
	folded, index := rows(inbox)
	for i := range c.rowOf {
		for j, row := range c.rowOf[i] {
			if row >= 0 {
				c.rowOf[i][j] = index[row]
			}
		}
	}
	c.commit.Notifications = folded
	p.planDeliveries(c, w)
	p.planRecords(c, w)
	return c, nil
}

func (p *Pipeline) planFailure(c *plan, i int, e entry, item *signalbox.Item, position int64) error {
	again, dead, err := p.setAside(e, item.Stage, item.Err)
	if err != nil {
		return err
	}
	level := slog.LevelWarn
	record := signalbox.RequestRecord{
		ID: item.Request.ID, Origin: item.Request.Origin, Created: item.Request.Created, Updated: p.now(),
		Status: signalbox.RequestRetrying, Stage: item.Stage, Error: retry.ErrorText(item.Err), Attempts: e.Attempt + e.Waits + 1,
		Unknown: item.Unknown,
	}
	if again != nil {
		// If the message at hand comes back, this attempt is not doubled.
		c.publishOnce(fmt.Sprintf("retry/%d/%s", position, e.key()), *again)
	} else {
		level = slog.LevelError
		c.commit.DeadLetters = append(c.commit.DeadLetters, *dead)
		c.given[i] = true
		record.Status = signalbox.RequestFailed
	}
	if attempted(&e, item.Err) {
		c.commit.Requests = append(c.commit.Requests, record)
	}
	why := []slog.Attr{slog.Any("error", item.Err)}
	if bug := (*signalbox.PanicError)(nil); errors.As(item.Err, &bug) && bug != c.told {
		why, c.told = isolate.Attrs(item.Err), bug
	}
	p.log.LogAttrs(context.Background(), level, "a request failed", append([]slog.Attr{
		slog.String("request", item.Request.ID), slog.String("origin", item.Request.Origin),
		slog.String("stage", item.Stage), slog.Int("attempt", e.Attempt+1), slog.Int("waits", e.Waits),
		slog.Bool("deadLetter", dead != nil),
	}, why...)...)
	return nil
}

// announce answers the senders that wait and emits the signals. It runs after
// the commit: nobody hears of what a rollback could take back.
func (p *Pipeline) announce(ctx context.Context, w *work, c *plan, outcomes []signalbox.Outcome) {
	p.signal(ctx, outcomes)
	now := p.now()
	for i, item := range w.batch.Items {
		if item.Err == nil && !c.left[i] {
			p.metrics.latency.Observe(now.Sub(item.Request.Created).Seconds())
		}
		if w.entries[i].Waiter == "" || ((item.Err != nil || c.left[i]) && !c.given[i]) {
			continue
		}
		var made []signalbox.Notification
		for _, row := range c.rowOf[i] {
			if row >= 0 && len(made) < maxWaitedNotifications {
				made = append(made, outcomes[row].Notification)
			}
		}
		p.answer(w.entries[i], made, item.Err == nil && !c.given[i])
	}
}

// signalBatch bounds how many signals are in memory at a time.
const signalBatch = 256

// signal tells the receivers of what the commit added or revised.
func (p *Pipeline) signal(ctx context.Context, outcomes []signalbox.Outcome) {
	listening := p.deps.Listening == nil || p.deps.Listening()
	signals := make([]signalbox.Signal, 0, min(len(outcomes), signalBatch))
	for i := range outcomes {
		if !outcomes[i].Changed {
			continue
		}
		p.metrics.stored.Inc()
		if !listening {
			continue
		}
		signal, err := newNotificationSignal(&outcomes[i].Notification)
		if err != nil {
			continue // it is a signal: the client finds the notification when it looks
		}
		if signals = append(signals, signal); len(signals) == signalBatch {
			p.deps.Signaler.Signal(ctx, signals...)
			signals = signals[:0]
		}
	}
	if len(signals) > 0 {
		p.deps.Signaler.Signal(ctx, signals...)
	}
}

// answer tells the sender that waits, here or on another instance.
func (p *Pipeline) answer(e entry, made []signalbox.Notification, ok bool) {
	if e.Waiter == p.instance {
		p.waiters.resolve(e.Request.ID, made, ok)
		return
	}
	if p.deps.Announcer == nil {
		return
	}
	result := result{Waiter: e.Waiter, RequestID: e.Request.ID, OK: ok}
	for _, n := range made {
		result.Notifications = append(result.Notifications, delivery.NotificationFrom(n))
	}
	if payload, err := json.Marshal(result); err == nil {
		p.deps.Announcer.Announce(payload)
	}
}

// result tells another instance what became of a request.
type result struct {
	Waiter        string                  `json:"waiter"`
	RequestID     string                  `json:"request"`
	OK            bool                    `json:"ok"`
	Notifications []delivery.Notification `json:"notifications,omitempty"`
}

// Announced takes what another instance announced.
func (p *Pipeline) Announced(payload []byte) {
	var r result
	if err := json.Unmarshal(payload, &r); err != nil || r.Waiter != p.instance {
		return
	}
	made := make([]signalbox.Notification, 0, len(r.Notifications))
	for _, n := range r.Notifications {
		made = append(made, n.Notification())
	}
	p.waiters.resolve(r.RequestID, made, r.OK)
}

// newNotificationSignal tells the receivers of a notification of its current
// revision.
func newNotificationSignal(n *signalbox.Notification) (signalbox.Signal, error) {
	body, err := json.Marshal(struct {
		Action         string                  `json:"action"`
		NotificationID string                  `json:"notification_id"`
		Notification   *signalbox.Notification `json:"notification"`
	}{signalbox.ActionNewNotification, n.ID, n})
	if err != nil {
		return signalbox.Signal{}, fmt.Errorf("signal: %w", err)
	}
	s := signalbox.Signal{Channel: signalbox.SignalChannelNotifications, Message: body, Broadcast: n.IsBroadcast()}
	if !s.Broadcast {
		s.Recipients = []string{n.User}
	}
	return s, nil
}

// bury keeps a message that cannot be read as a dead letter.
func (p *Pipeline) bury(ctx context.Context, msg *message.Message, topic string, cause error) error {
	p.metrics.deadLetters.WithLabelValues("decode").Inc()
	p.log.LogAttrs(ctx, slog.LevelError, "a message cannot be read",
		slog.String("topic", topic), slog.String("message", msg.UUID), slog.Any("error", cause))
	_, err := p.deps.Committer.Commit(ctx, signalbox.Commit{DeadLetters: []signalbox.DeadLetter{{
		ID: fmt.Sprintf("%s/%d", topic, p.deps.Position(msg)), Topic: topic, Payload: msg.Payload, Stage: "decode",
		Error: retry.ErrorText(cause), Attempts: 1, Created: p.now(), Died: p.now(),
	}}})
	if err != nil && !signalbox.IsTransient(err) {
		err = errors.Join(err, cause)
	}
	return err
}
