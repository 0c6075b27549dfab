package pipeline

import (
	"slices"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/pipeline/delivery"
)

// postPhase is the after-storing phase of a processor.
type postPhase struct {
	name string
	// filter keeps notifications from it.
	filter signalbox.PayloadFilter
}

// planDeliveries makes the commit record what becomes of every notification on
// every channel, as far as the inbox does not tell, and publish what is to be
// delivered: for exactly those revisions that the commit brings into being.
func (p *Pipeline) planDeliveries(c *plan, w *work) {
	if !p.tells(c, w) {
		return
	}
	now := p.now()
	c.commit.Deliveries = func(outcomes []signalbox.Outcome) ([]signalbox.NewDelivery, error) {
		var list []signalbox.NewDelivery
		for i, item := range w.batch.Items {
			for j, row := range c.rowOf[i] {
				r := routedDelivery{p: p, item: item, routed: &item.Routed[j], current: true}
				r.record = signalbox.DeliveryRecord{
					DeliveryKey:    signalbox.DeliveryKey{RequestID: item.Request.ID, Audience: r.routed.Audience, Target: r.routed.Target},
					NotificationID: r.routed.Notification.ID, Origin: item.Request.Origin,
					Created: item.Request.Created, Updated: now,
				}
				r.notification = r.routed.Notification
				if row >= 0 {
					list = r.stored(list, outcomes[row])
				}
				var err error
				if list, err = r.deliveries(list); err != nil {
					return nil, err
				}
			}
		}
		return list, nil
	}
}

// tells reports whether there is anything to record beside the inbox.
func (p *Pipeline) tells(c *plan, w *work) bool {
	for i, item := range w.batch.Items {
		for j := range c.rowOf[i] {
			r := &item.Routed[j]
			if len(p.posts) > 0 || len(r.Suppressed) > 0 || len(r.Channels) > 1 || c.rowOf[i][j] < 0 || r.Notification.Payload.Scope != "" {
				return true
			}
		}
	}
	return false
}

// routedDelivery makes the deliveries of one notification.
type routedDelivery struct {
	p            *Pipeline
	item         *signalbox.Item
	routed       *signalbox.Routed
	notification signalbox.Notification
	record       signalbox.DeliveryRecord
	// current is false if a newer revision exists or this one was stored before.
	current bool
	// repeated is set if it was there before: then everything is recorded.
	repeated bool
}

// stored takes note of what became of the notification's row, and records it if
// the row does not tell.
func (r *routedDelivery) stored(list []signalbox.NewDelivery, outcome signalbox.Outcome) []signalbox.NewDelivery {
	mine := outcome.Notification.RequestID == r.item.Request.ID
	r.current = outcome.Changed && mine
	r.repeated = !outcome.Changed && mine
	if r.repeated || outcome.Notification.ID == r.record.NotificationID {
		return list // it was recorded when it was stored, or the row tells
	}
	record := r.record
	record.Channel, record.NotificationID = signalbox.ChannelWeb, outcome.Notification.ID
	r.record.NotificationID = outcome.Notification.ID
	if r.current {
		r.notification = outcome.Notification
		record.Status, record.Attempts = signalbox.DeliveryDelivered, 1
	} else {
		record.Status, record.Rule = signalbox.DeliverySuppressed, signalbox.RuleSuperseded
	}
	return append(list, signalbox.NewDelivery{DeliveryRecord: record})
}

// deliveries records what does not go to channels, and publishes what does.
func (r *routedDelivery) deliveries(list []signalbox.NewDelivery) ([]signalbox.NewDelivery, error) {
	if r.repeated {
		return list, nil
	}
	for _, s := range r.routed.Suppressed {
		record := r.record
		record.Channel, record.Status, record.Rule = s.Channel, signalbox.DeliverySuppressed, s.Rule
		list = append(list, signalbox.NewDelivery{DeliveryRecord: record})
	}
	var through []string
	if !r.routed.Named || r.routed.Audience.IsEntity() {
		through = via(r.item)
	}
	for _, channel := range r.routed.Channels {
		if channel == signalbox.ChannelWeb {
			continue
		}
		record := r.record
		record.Channel = channel
		one, err := r.plan(record, func() (signalbox.NewDelivery, error) {
			return delivery.Plan(record, r.notification, r.routed.Named, through, channels.Target{Address: r.routed.Target})
		})
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	if r.routed.Dropped || !r.routed.Audience.IsUser() && r.routed.Audience != signalbox.Everyone {
		return list, nil
	}
	payload := &r.notification.Payload
	for _, post := range r.p.posts {
		if post.filter.Drops(payload.Topic, payload.Severity) != "" {
			continue
		}
		record := r.record
		record.Channel = post.name
		one, err := r.plan(record, func() (signalbox.NewDelivery, error) {
			return delivery.PlanProcessor(record, r.notification)
		})
		if err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// plan makes a delivery, unless a newer revision came first.
func (r *routedDelivery) plan(record signalbox.DeliveryRecord, deliver func() (signalbox.NewDelivery, error)) (signalbox.NewDelivery, error) {
	if !r.current {
		record.Status, record.Rule = signalbox.DeliverySuppressed, signalbox.RuleSuperseded
		return signalbox.NewDelivery{DeliveryRecord: record}, nil
	}
	one, err := deliver()
	return one, signalbox.Permanent(err)
}

// planRecords records of requests what neither the inbox nor their deliveries tell.
func (p *Pipeline) planRecords(c *plan, w *work) {
	for i, item := range w.batch.Items {
		e := &w.entries[i]
		record := signalbox.RequestRecord{
			ID: item.Request.ID, Origin: item.Request.Origin, Created: item.Request.Created, Updated: p.now(),
			Status: signalbox.RequestProcessed, Recipients: len(item.Users), Unknown: item.Unknown,
		}
		if e.Part > 0 {
			record.Recipients = 0 // the whole was recorded when it was split
		}
		switch split := w.fanouts[i]; {
		case item.Err != nil:
			continue // see planFailure
		case split != nil && !split.final:
			continue // it was put off, whole
		case split != nil && e.Part == 0, len(item.Unknown) > 0, e.Redriven, e.Attempt+e.Waits > 0,
			e.Part == 0 && (len(item.Users) == 0 || speaks(item)):
			c.commit.Requests = append(c.commit.Requests, record)
		}
	}
}

// speaks reports whether a request has deliveries beside the inbox, whose records
// do not tell how many recipients it had.
func speaks(item *signalbox.Item) bool {
	return slices.ContainsFunc(item.Routed, func(r signalbox.Routed) bool {
		return len(r.Suppressed) > 0 || len(r.Channels) != 1 || r.Channels[0] != signalbox.ChannelWeb
	})
}
