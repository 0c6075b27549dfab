package cmd

import (
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/configs"
)

// outside is what commands beside a server work with: an app that has a directory and
// channels, and neither a database nor anything that runs.
type outside struct{ *app }

// openOutside makes it of the configuration that the flags name. The caller closes it.
func openOutside(c *cobra.Command, f *configFlags, e *extras) (*outside, error) {
	config, err := f.load(c.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	return newOutside(config, e, newLogger(config.Log, c.ErrOrStderr()))
}

// newOutside makes it as "serve" would, so that its errors are those of "serve".
func newOutside(config configs.Config, e *extras, log *slog.Logger) (*outside, error) {
	o := &outside{&app{config: config, log: log, lifecycle: lifecycle{log: log}}}
	for _, wire := range []func() error{
		o.wireDiscovery,
		func() error { return o.wireDirectory(e, prometheus.NewRegistry()) },
		o.wireUnsubscribeOutside,
		func() error { return o.wireChannels(e) },
		o.wireRules,
	} {
		if err := wire(); err != nil {
			return nil, errors.Join(err, o.close())
		}
	}
	return o, nil
}
