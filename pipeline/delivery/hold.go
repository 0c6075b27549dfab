package delivery

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// Schedules know when users want what is sent outside. [signalbox.Schedules]
// implements it.
type Schedules interface {
	Clock(ctx context.Context, user string) (signalbox.Clock, error)
}

// Explainer decides anew about what was held: its user may have changed the settings
// meanwhile.
type Explainer interface {
	// Explain returns, for each notification, one decision for each of channels.
	Explain(ctx context.Context, notifications []*signalbox.Notification, channels []string) ([][]signalbox.SettingsDecision, error)
}

// digest is what the delivery at hand carries along.
type digest struct {
	value channels.Digest
	// members are the records of the others; own is the rule against its own
	// notification, empty if the digest tells of it.
	members []signalbox.DeliveryRecord
	own     signalbox.Rule
}

// wait holds a delivery to a user back for as long as the user's schedule says, and
// finds out what it carries along then. It returns nothing if the attempt goes on.
func (a *attempt) wait(ctx context.Context) (*signalbox.Settlement, error) {
	c, m := a.consumer, &a.message
	if c.engine.schedules == nil || !c.channel || !m.Key.Audience.IsUser() {
		return nil, nil //nolint:nilnil // The attempt goes on.
	}
	clock, err := c.engine.schedules.Clock(ctx, string(m.Key.Audience))
	if err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	now, severity := time.Now(), m.Notification.Payload.Severity
	// What became several deliveries of their own is not put together again.
	digests := c.digest != nil && m.Key.Target == ""
	switch {
	case m.Window.After(now):
		return a.holdAgain(ctx, m.Window, m.Held) // it came back early: clocks differ
	case m.Window.IsZero():
		if at, rule := clock.Release(now, severity, digests); at.After(now) {
			return some(a.holdUntilDue(at, rule))
		}
		return nil, nil //nolint:nilnil // The attempt goes on.
	}
	if end := clock.QuietUntil(now, severity); !end.IsZero() {
		return a.holdAgain(ctx, end, signalbox.RuleQuietHours)
	}
	if !digests {
		return a.decideAgain(ctx)
	}
	part, held, err := c.engine.store.ClaimDigest(ctx, m.Key, now)
	if err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	switch part {
	case signalbox.DigestLeads:
		return a.lead(ctx, clock, held)
	case signalbox.DigestTaken:
		return &signalbox.Settlement{}, nil // the one that took it settles it
	case signalbox.DigestLate:
		if at, rule := clock.Release(now, severity, digests); at.After(now) {
			return some(a.holdUntilDue(at, rule))
		}
	case signalbox.DigestGone:
		if ended, err := a.ended(ctx); ended != nil || err != nil {
			return ended, err
		}
	}
	return a.decideAgain(ctx) // it goes alone
}

// holdAgain puts back what was held before. A digest that another process sent may have
// carried it along meanwhile.
func (a *attempt) holdAgain(ctx context.Context, until time.Time, rule signalbox.Rule) (*signalbox.Settlement, error) {
	if a.consumer.digest != nil {
		if ended, err := a.ended(ctx); ended != nil || err != nil {
			return ended, err
		}
	}
	return some(a.holdUntilDue(until, rule))
}

// ended returns the end of the message if its delivery has come to one without it.
func (a *attempt) ended(ctx context.Context) (*signalbox.Settlement, error) {
	record, found, err := a.consumer.engine.store.Delivery(ctx, a.message.Key)
	if err != nil {
		return nil, fmt.Errorf("delivery: %w", err)
	}
	if found && record.Status != signalbox.DeliveryQueued {
		return &signalbox.Settlement{}, nil
	}
	return nil, nil //nolint:nilnil // The attempt goes on.
}

// holdUntilDue puts the message back until a time. Its age counts from then; of one that
// has failed before it does not grow meanwhile.
func (a *attempt) holdUntilDue(until time.Time, rule signalbox.Rule) (signalbox.Settlement, error) {
	c, m := a.consumer, &a.message
	until = until.UTC()
	m.Window, m.Held = until, rule
	if m.Tries.Attempt == 0 {
		m.Since = until
	} else {
		m.Since = m.Since.Add(time.Until(until))
	}
	c.engine.metrics.postponed.WithLabelValues(c.name, reasonSchedule).Inc()
	settlement, err := a.putBack(max(0, time.Until(until)), "")
	settlement.Record.Rule = rule
	if err != nil || c.digest == nil || m.Key.Target != "" {
		return settlement, err
	}
	payload, err := json.Marshal(heldMessage{
		NotificationID: m.NotificationID, Origin: m.Origin, Rule: m.Rule, Created: m.Created,
		Notification: NotificationFrom(digestText(m.Notification)),
	})
	if err != nil {
		return signalbox.Settlement{}, fmt.Errorf("delivery: hold: %w", err)
	}
	settlement.Held = &signalbox.HeldDelivery{DeliveryKey: m.Key, Due: until, Payload: payload}
	return settlement, nil
}

// heldMessage is what a digest is told of a delivery that it carries along.
type heldMessage struct {
	NotificationID string         `json:"notificationId"`
	Origin         string         `json:"origin"`
	Rule           signalbox.Rule `json:"rule,omitempty"`
	Created        time.Time      `json:"created,omitzero"`
	Notification   Notification   `json:"notification"`
}

// digestText leaves of a notification what a digest has room for.
func digestText(n signalbox.Notification) signalbox.Notification {
	p := &n.Payload
	p.Metadata, p.AdditionalLinks = nil, nil
	if utf8.RuneCountInString(p.Description) > channels.MaxDigestText {
		p.Description = string([]rune(p.Description)[:channels.MaxDigestText-1]) + "…"
	}
	return n
}

// decideAgain suppresses what was held and is not wanted any more.
func (a *attempt) decideAgain(ctx context.Context) (*signalbox.Settlement, error) {
	rules, err := a.consumer.muted(ctx, []*signalbox.Notification{&a.message.Notification})
	if err != nil || rules[0] == "" {
		return nil, err
	}
	return some(a.suppressed(rules[0], rules[0].Text()), nil)
}

// muted returns, for each notification, the rule that keeps it from the channel now;
// empty if none does.
func (c *consumer) muted(ctx context.Context, notifications []*signalbox.Notification) ([]signalbox.Rule, error) {
	rules := make([]signalbox.Rule, len(notifications))
	if c.engine.explainer == nil {
		return rules, nil
	}
	decisions, err := c.engine.explainer.Explain(ctx, notifications, []string{c.name})
	if err != nil {
		return nil, fmt.Errorf("delivery: settings: %w", err)
	}
	if len(decisions) != len(notifications) {
		return nil, fmt.Errorf("delivery: settings: %d decisions about %d notifications", len(decisions), len(notifications))
	}
	for i, d := range decisions {
		if len(d) != 1 {
			return nil, fmt.Errorf("delivery: settings: %d decisions about one channel", len(d))
		}
		if !d[0].Delivered {
			rules[i] = cmp.Or(d[0].Rule, signalbox.RuleDecider)
		}
	}
	return rules, nil
}

// tooOften gives up a delivery that was leased too often, with what it carried along:
// the messages of those are gone. One that is carried along itself, or is not due,
// does not end here.
func (a *attempt) tooOften(ctx context.Context) signalbox.Settlement {
	if !a.message.Window.IsZero() {
		var settlement *signalbox.Settlement
		// What fails there may be why it was leased so often.
		err := signalbox.Guard(func() (err error) {
			ctx, cancel := context.WithTimeout(ctx, a.consumer.timeout)
			defer cancel()
			settlement, err = a.wait(ctx)
			return err
		})
		if err == nil && settlement != nil {
			settled := a.withMembers(*settlement)
			settled.Lease = a.lease
			return settled
		}
	}
	return a.withMembers(a.giveUp(ctx, errLeases))
}

// member is one delivery of a digest.
type member struct {
	record       signalbox.DeliveryRecord
	notification signalbox.Notification
	own          bool
	updates      int
}

// lead makes the digest of what is held. It returns nothing if the attempt goes on:
// with the digest, or alone if nothing else is left.
func (a *attempt) lead(ctx context.Context, clock signalbox.Clock, held []signalbox.HeldDelivery) (*signalbox.Settlement, error) {
	m := &a.message
	members := make([]*member, 0, len(held))
	notifications := make([]*signalbox.Notification, 0, len(held))
	for _, h := range held {
		one := &member{own: h.DeliveryKey == m.Key}
		var told heldMessage
		if err := json.Unmarshal(h.Payload, &told); err != nil {
			return nil, fmt.Errorf("delivery: digest: %w", err)
		}
		one.notification = told.Notification.Notification()
		one.record = signalbox.DeliveryRecord{
			DeliveryKey: h.DeliveryKey, NotificationID: told.NotificationID, Origin: told.Origin, Rule: told.Rule, Created: told.Created,
		}
		members = append(members, one)
		notifications = append(notifications, &one.notification)
	}
	rules, err := a.consumer.muted(ctx, notifications)
	if err != nil {
		return nil, err
	}
	supersede(members, rules)
	d := &digest{value: channels.Digest{ID: m.Key.ID(), User: string(m.Key.Audience), End: m.Window.In(clock.Zone())}}
	var shown []*member
	for i, one := range members {
		if rules[i] != "" {
			one.record.Status, one.record.Rule, one.record.Detail = signalbox.DeliverySuppressed, rules[i], rules[i].Text()
		} else {
			shown = append(shown, one)
		}
		if one.own {
			d.own = rules[i]
		} else {
			d.members = append(d.members, one.record)
		}
	}
	slices.SortStableFunc(shown, func(x, y *member) int {
		return cmp.Or(cmp.Compare(y.notification.Payload.Severity.Rank(), x.notification.Payload.Severity.Rank()),
			y.notification.Revised().Compare(x.notification.Revised()))
	})
	for i, one := range shown {
		if i == channels.MaxDigestItems {
			d.value.More = len(shown) - i
			break
		}
		d.value.Items = append(d.value.Items, channels.DigestItem{Notification: one.notification, Updates: one.updates})
	}
	a.digest = d
	switch {
	case len(shown) == 0:
		return some(a.suppressed(d.own, d.own.Text()), nil)
	case len(shown) == 1 && d.own == "":
		d.value.Items = nil // alone, and as it is
	}
	return nil, nil //nolint:nilnil // The attempt goes on.
}

// supersede keeps the newest revision of every scope.
func supersede(members []*member, rules []signalbox.Rule) {
	type scope struct{ origin, scope string }
	newest := make(map[scope]int)
	for i, one := range members {
		key := scope{one.notification.Origin, one.notification.Payload.Scope}
		if key.scope == "" || rules[i] != "" {
			continue
		}
		other, twice := newest[key]
		if !twice {
			newest[key] = i
			continue
		}
		last, first := i, other
		if members[other].notification.Revision > one.notification.Revision {
			last, first = other, i
		}
		newest[key] = last
		members[last].updates += members[first].updates + 1
		rules[first] = signalbox.RuleSuperseded
	}
}

// carriesDigest reports whether a digest is to be sent.
func (a *attempt) carriesDigest() bool { return a.digest != nil && len(a.digest.value.Items) > 0 }

// digestToSend is what the channel gets: values of its own.
func (a *attempt) digestToSend() channels.Digest {
	d := a.digest.value
	d.Target, d.Attempt = a.message.Target, a.message.Calls+1
	d.Items = slices.Clone(d.Items)
	return d
}

// withMembers completes the settlement of a delivery that was held: when it has come
// to an end, so have those that it carried along.
func (a *attempt) withMembers(s signalbox.Settlement) signalbox.Settlement {
	if a.message.Window.IsZero() || s.Postponed != nil || a.consumer.digest == nil || s.Record.RequestID == "" {
		return s
	}
	// A dead letter may be tried again, with all of them.
	s.Unhold = s.DeadLetter == nil
	if a.digest == nil {
		return s
	}
	s.Members = slices.Clone(a.digest.members)
	for i := range s.Members {
		record := &s.Members[i]
		record.Updated, record.Attempts = s.Record.Updated, s.Record.Attempts
		if record.Status == "" {
			record.Status, record.Detail = s.Record.Status, s.Record.Detail
			record.Address, record.ProviderID = s.Record.Address, s.Record.ProviderID
			if s.Record.Status == signalbox.DeliverySuppressed {
				record.Rule = s.Record.Rule
			}
		}
	}
	if a.carriesDigest() && s.Record.Status == signalbox.DeliveryDelivered {
		text := fmt.Sprintf("In a digest of %d", len(a.digest.value.Items)+a.digest.value.More)
		for i := range s.Members {
			if s.Members[i].Status == signalbox.DeliveryDelivered {
				s.Members[i].Detail = withReply(text, s.Members[i].Detail)
			}
		}
		s.Record.Detail = withReply(text, s.Record.Detail)
		if own := a.digest.own; own != "" {
			s.Record.Status, s.Record.Rule, s.Record.Detail = signalbox.DeliverySuppressed, own, own.Text()
		}
	}
	return s
}

func withReply(text, reply string) string {
	if reply == "" {
		return text
	}
	return text + ": " + reply
}
