package cmd

import (
	"context"

	"github.com/signalbox/signalbox/pipeline/delivery"
	"github.com/signalbox/signalbox/web"
)

// status is how this router is doing, for the API.
func (a *app) status(ctx context.Context) (web.Status, error) {
	s := web.Status{Version: Version(), Instances: max(1, int(a.instances.Load()))}
	depths, err := a.queue.Depth(ctx)
	if err != nil {
		return s, err
	}
	for _, d := range depths {
		s.Queues = append(s.Queues, web.QueueStatus(d))
	}
	for _, h := range a.pipeline.Health() {
		s.Channels = append(s.Channels, channelStatus(h))
	}
	s.DeadLetters, err = a.store.CountDeadLetters(ctx)
	return s, err
}

func channelStatus(h delivery.ChannelHealth) web.ChannelStatus {
	state := web.ChannelUp
	switch {
	case h.State == delivery.StateHalfOpen:
		state = web.ChannelTrying
	// A provider that asked for a pause leaves the circuit closed.
	case h.State == delivery.StateOpen || !h.PausedUntil.IsZero():
		state = web.ChannelPaused
	}
	return web.ChannelStatus{
		Name: h.Name, State: state, PausedUntil: h.PausedUntil, LastSuccess: h.LastSuccess,
		LastFailure: h.LastFailure, LastError: h.LastError, Consecutive: h.Failures, InFlight: h.InFlight,
	}
}
