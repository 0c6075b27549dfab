package cmd

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

func newChannels(e *extras) *cobra.Command {
	c := &cobra.Command{
		Use:   "channels",
		Short: "List the channels, and try one out",
		Long: `Channels are the ways out of Signalbox besides the inbox, such as Slack or email. These
commands need no running server.`,
		Example: `  signalbox channels list --config signalbox.yaml
  signalbox channels test Slack --to user:default/jane --config signalbox.yaml`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newChannelsList(e), newChannelsTest(e))
	return c
}

func newChannelsList(e *extras) *cobra.Command {
	var f configFlags
	c := &cobra.Command{
		Use:   "list [flags]",
		Short: "List the channels that are configured",
		Example: `  signalbox channels list
  signalbox channels list --config signalbox.yaml`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := openOutside(c, &f, e)
			if err != nil {
				return err
			}
			return errors.Join(o.list(c.OutOrStdout()), o.close())
		},
	}
	f.register(c)
	return c
}

func (o *outside) list(out io.Writer) error {
	if len(o.channels) == 0 {
		_, err := fmt.Fprintln(out, "No channels besides the inbox.")
		return err
	}
	lines := newTable("CHANNEL", "TAKES", "CHECKS CREDENTIALS", "LIMITS")
	for _, channel := range o.channels {
		checks := "no"
		if _, ok := channel.(channels.Checker); ok {
			checks = "yes"
		}
		lines.add(channel.Name(), takesText(channel), checks, limitsText(channel))
	}
	return lines.print(out)
}

// takes reports whether a channel wants deliveries for an audience.
func takes(channel channels.Channel, audience signalbox.Audience) bool {
	if selector, ok := channel.(channels.Selector); ok {
		return selector.Takes(audience, true)
	}
	return audience.IsUser() || audience == signalbox.Everyone
}

func takesText(channel channels.Channel) string {
	var list []string
	for _, kind := range []struct {
		name    string
		example signalbox.Audience
	}{
		{"users", "user:default/guest"}, {"groups", "group:default/guests"}, {"broadcasts", signalbox.Everyone},
	} {
		if takes(channel, kind.example) {
			list = append(list, kind.name)
		}
	}
	return dash(strings.Join(list, ", "))
}

func limitsText(channel channels.Channel) string {
	limited, ok := channel.(channels.Limited)
	if !ok {
		return "-"
	}
	var list []string
	limits := limited.Limits()
	if limits.Concurrency > 0 {
		list = append(list, fmt.Sprintf("%d at a time", limits.Concurrency))
	}
	if limits.PerChannel.Every > 0 {
		list = append(list, "one per "+limits.PerChannel.Every.String())
	}
	if limits.PerTarget.Every > 0 {
		list = append(list, "one per "+limits.PerTarget.Every.String()+" to a target")
	}
	return dash(strings.Join(list, ", "))
}
