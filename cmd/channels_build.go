package cmd

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/email"
	"github.com/signalbox/signalbox/channels/slack"
	"github.com/signalbox/signalbox/configs"
)

// wireChannels makes the outside channels: those of the configuration, then the
// adopter's.
func (a *app) wireChannels(e *extras) error {
	for _, c := range a.config.Notifications.Slack {
		channel, err := a.newSlack(c, e.slack)
		if err != nil {
			return exitWith(exitUsage, fmt.Errorf("notifications.processors.slack: %w", err))
		}
		a.addChannel(channel)
	}
	if c := a.config.Notifications.Email; c != nil {
		channel, err := a.newEmail(c)
		if err != nil {
			return exitWith(exitUsage, fmt.Errorf("notifications.processors.email: %w", err))
		}
		a.addChannel(channel)
	}
	for _, channel := range e.channels {
		a.addChannel(channel)
	}
	return nil
}

func (a *app) addChannel(channel channels.Channel) {
	a.channels = append(a.channels, channel)
	if closer, ok := channel.(io.Closer); ok {
		a.lifecycle.add("channel "+channel.Name(), func(context.Context) error { return closer.Close() })
	}
}

// channelNames lists the channels, in the order in which settings show them.
func (a *app) channelNames() []string {
	names := []string{signalbox.ChannelWeb}
	for _, channel := range a.channels {
		names = append(names, channel.Name())
	}
	return names
}

func (a *app) newSlack(c configs.Slack, render slack.Renderer) (*slack.Channel, error) {
	config := slack.Config{
		Name: c.Name, Token: c.Token, APIURL: c.APIURL, Username: c.Username,
		BroadcastChannels: c.BroadcastChannels, ThreadUpdates: c.ThreadUpdates, Filter: c.Filter,
		ConcurrencyLimit: c.ConcurrencyLimit, ThrottleInterval: c.ThrottleInterval, TargetInterval: c.TargetInterval,
		Template: c.Template, Render: render, BaseURL: a.config.App.BaseURL, Directory: a.directory, Logger: a.log,
	}
	if c.TargetInterval == 0 {
		config.TargetInterval = -1 // in the configuration, zero does not limit
	}
	if c.GroupFallback == configs.SlackFallbackMembers {
		config.GroupFallback = slack.FallbackMembers
	}
	for _, route := range c.BroadcastRoutes {
		config.BroadcastRoutes = append(config.BroadcastRoutes, slack.Route(route))
	}
	return slack.New(config)
}

func (a *app) newEmail(c *configs.Email) (*email.Channel, error) {
	config := email.Config{
		Directory: a.directory, Logger: a.log,
		Sender: c.Sender, ReplyTo: c.ReplyTo,
		Broadcast: email.Broadcast(c.BroadcastReceiver), BroadcastAddresses: c.BroadcastAddresses,
		Concurrency: c.ConcurrencyLimit, Interval: c.ThrottleInterval, CacheTTL: c.CacheTTL,
		AllowedDomains: c.AllowedDomains, Allowed: c.Allowed, Denied: c.Denied, Filter: c.Filter,
		AppURL: a.config.App.BaseURL, SettingsURL: a.settingsURL(), Unsubscribe: a.unsubscribe, Templates: email.Templates(c.Templates),
	}
	// An adopter's directory may not be able to list users; the channel then says
	// so if it has to.
	if lister, ok := a.directory.(email.UserLister); ok {
		config.Users = lister
	}
	for _, key := range c.DKIM {
		config.DKIM = append(config.DKIM, email.DKIM{
			Domain: key.Domain, Selector: key.Selector, PrivateKey: key.PrivateKey,
		})
	}
	switch c.Transport {
	case configs.EmailOverSMTP:
		config.SMTP = &email.SMTP{
			Host: c.SMTP.Hostname, Port: c.SMTP.Port, TLS: email.TLSPolicy(c.SMTP.TLS), CAFile: c.SMTP.CAFile,
			AllowPlaintext: c.SMTP.AllowInsecure, Username: c.SMTP.Username, Password: c.SMTP.Password,
			Auth: email.AuthType(c.SMTP.Auth), Hello: c.SMTP.HelloName, Timeout: c.SMTP.Timeout,
		}
	case configs.EmailOverSendmail:
		config.Sendmail = &email.Sendmail{Path: c.Sendmail.Path, Windows: c.Sendmail.Windows}
	case configs.EmailOverStream:
		config.Stream = &email.Stream{Directory: c.StreamDirectory}
		if c.StreamDirectory == "" {
			config.Stream.Writer = os.Stdout
		}
	}
	return email.New(config)
}
