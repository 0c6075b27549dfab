package cmd

import (
	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/configs"
	"github.com/signalbox/signalbox/web/events"
)

// wireEvents takes the signals of Backstage's plugins from its events bus.
func (a *app) wireEvents(senders *signalbox.SenderPolicy) error {
	if a.discovery == nil || a.config.EventBus == configs.EventBusNever {
		return nil
	}
	subscriber, err := events.New(events.Config{
		BaseURL:  a.discovery.Base("events"),
		Token:    a.issuer.TokenSource("signals", "events"),
		Signaler: a.hub,
		Rights:   senders.Of(signalbox.ServicePrincipal{Name: "plugin:events"}),
		Expected: a.config.EventBus == configs.EventBusAlways,
		Logger:   a.log,
	})
	if err != nil {
		return err
	}
	a.background = append(a.background, subscriber.Run)
	return nil
}
