package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/signalbox/signalbox"
)

// Rules checks what a custom processor left behind.
type Rules interface {
	// Request checks a request after ProcessOptions.
	Request(request *signalbox.SendRequest) error
	// Payload checks the payload of a notification after PreProcess.
	Payload(payload *signalbox.Payload) error
}

// newOptionsStage returns the stage that runs the options phase of a processor on
// what filter lets through; the rest passes it by.
func newOptionsStage(processor signalbox.OptionsProcessor, rules Rules, filter signalbox.PayloadFilter, hasChannel func(name string) bool) signalbox.Stage {
	return &optionsStage{processor: processor, rules: rules, filter: filter, hasChannel: hasChannel, isolation: newIsolation(processor.Name())}
}

type optionsStage struct {
	processor  signalbox.OptionsProcessor
	rules      Rules
	filter     signalbox.PayloadFilter
	hasChannel func(name string) bool
	isolation  *isolation
}

func (s *optionsStage) Name() string { return s.processor.Name() }

func (s *optionsStage) Process(ctx context.Context, batch *signalbox.Batch) error {
	ctx, cancel := patient(ctx, batch)
	defer cancel()
	live := batch.Live()
	s.isolation.each(ctx, len(live), func(ctx context.Context, index int) {
		item := live[index]
		if item.Users != nil {
			return // a part of a request that went through here as a whole
		}
		if s.filter.Drops(item.Request.Payload.Topic, item.Request.Payload.Severity) != "" {
			return
		}
		request, err := s.run(ctx, item.Request)
		if err != nil {
			item.Fail(s.Name(), err)
			return
		}
		item.Request = request
	})
	return nil
}

// run works on a copy: a call that was given up must not touch the item.
func (s *optionsStage) run(ctx context.Context, original signalbox.SendRequest) (signalbox.SendRequest, error) {
	changed := original.Clone()
	if err := s.isolation.call(ctx, func() error {
		return s.processor.ProcessOptions(ctx, &changed)
	}); err != nil {
		return original, err
	}
	changed.ID, changed.Origin, changed.Created = original.ID, original.Origin, original.Created
	err := s.rules.Request(&changed)
	if err == nil {
		err = s.checkTargets(original.Recipients.Targets, changed.Recipients.Targets)
	}
	if err != nil {
		// What it produced now it will produce again.
		return original, signalbox.Permanent(fmt.Errorf("%s left an invalid request: %w", s.Name(), err))
	}
	return changed, nil
}

// checkTargets refuses direct targets that the processor added on channels that are
// not there. One that was there before is not its doing: its channel was removed.
func (s *optionsStage) checkTargets(before, after []signalbox.DirectTarget) error {
	for _, target := range after {
		if !s.hasChannel(target.Channel) && !slices.Contains(before, target) {
			return fmt.Errorf("there is no channel %q for the direct target %q", target.Channel, target.Address)
		}
	}
	return nil
}

// newPreProcessStage returns the stage that runs the per-recipient phase of a
// processor on what filter lets through; the rest passes it by.
func newPreProcessStage(processor signalbox.PreProcessor, rules Rules, filter signalbox.PayloadFilter) signalbox.Stage {
	return &preProcessStage{processor: processor, rules: rules, filter: filter, isolation: newIsolation(processor.Name())}
}

type preProcessStage struct {
	processor signalbox.PreProcessor
	rules     Rules
	filter    signalbox.PayloadFilter
	isolation *isolation
}

func (s *preProcessStage) Name() string { return s.processor.Name() }

// verdict is what PreProcess said of one notification.
type verdict struct {
	notification signalbox.Notification
	keep         bool
	err          error
}

func (s *preProcessStage) Process(ctx context.Context, batch *signalbox.Batch) error {
	ctx, cancel := patient(ctx, batch)
	defer cancel()
	// All recipients of all items at once: a hanging one must not use up the
	// patience that the others need.
	type place struct{ item, routed int }
	live := batch.Live()
	var places []place
	verdicts := make([][]verdict, len(live))
	for i, item := range live {
		verdicts[i] = make([]verdict, len(item.Routed))
		for j := range item.Routed {
			if len(item.Routed[j].Channels) == 0 {
				verdicts[i][j] = verdict{notification: item.Routed[j].Notification, keep: true}
				continue // nobody gets it
			}
			places = append(places, place{i, j})
		}
	}
	s.isolation.each(ctx, len(places), func(ctx context.Context, index int) {
		at := places[index]
		verdicts[at.item][at.routed] = s.run(ctx, live[at.item].Routed[at.routed].Notification)
	})
	for i, item := range live {
		s.apply(item, verdicts[i])
	}
	return nil
}

// apply keeps what the processor kept, or fails the item if one of its
// recipients failed.
func (s *preProcessStage) apply(item *signalbox.Item, verdicts []verdict) {
	for _, v := range verdicts {
		if v.err != nil {
			item.Fail(s.Name(), v.err)
			return
		}
	}
	for i, v := range verdicts {
		routed := &item.Routed[i]
		if !v.keep {
			routed.Dropped = true
			routed.Suppress(func(string) signalbox.Rule { return signalbox.RuleProcessorPrefix + signalbox.Rule(s.Name()) })
			continue
		}
		routed.Notification = v.notification
	}
}

func (s *preProcessStage) run(ctx context.Context, original signalbox.Notification) verdict {
	if s.filter.Drops(original.Payload.Topic, original.Payload.Severity) != "" {
		return verdict{notification: original, keep: true}
	}
	changed := original
	changed.Payload = original.Payload.Clone()
	var keep bool
	err := s.isolation.call(ctx, func() (err error) {
		keep, err = s.processor.PreProcess(ctx, &changed)
		return err
	})
	if err != nil {
		return verdict{err: err}
	}
	// Only the payload is the processor's to change: identity decides about
	// doubles and order.
	notification := original
	notification.Payload = changed.Payload
	if keep {
		if err := s.rules.Payload(&notification.Payload); err != nil {
			return verdict{err: signalbox.Permanent(fmt.Errorf("%s left an invalid notification: %w", s.Name(), err))}
		}
	}
	return verdict{notification: notification, keep: keep}
}
