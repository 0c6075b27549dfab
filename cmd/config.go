package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/configs"
)

// configFlags are the flags that say where the configuration comes from, and
// override it.
type configFlags struct {
	files     []string
	overrides []configs.Override
}

// register adds the flags; keys maps flag names to the keys they override.
func (f *configFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVarP(&f.files, "config", "c", nil, "configuration file, YAML; may be a Backstage app-config.yaml (repeatable, later ones win)")
	for _, flag := range []struct{ name, key, usage string }{
		{"listen", "listen", "address to listen on (default 127.0.0.1:7080)"},
		{"data", "data", "folder for the embedded database and local files (default ./signalbox-data)"},
		{"database", "database", "postgres://… or sqlite:PATH (default the embedded one in --data)"},
		{"log-level", "log.level", "debug, info, warn or error (default info)"},
	} {
		c.Flags().Func(flag.name, flag.usage, func(value string) error {
			f.overrides = append(f.overrides, configs.Override{Key: flag.key, Value: value, From: "--" + flag.name})
			return nil
		})
	}
}

// load reads the configuration and reports its warnings to stderr.
func (f *configFlags) load(stderr io.Writer) (configs.Config, error) {
	config, warnings, err := configs.Load(configs.Sources{
		Files: f.files, Environ: os.Environ(), Overrides: f.overrides,
	})
	for _, warning := range warnings {
		_, _ = fmt.Fprintln(stderr, "warning:", warning)
	}
	if err != nil {
		var problems *configs.Error
		if errors.As(err, &problems) && len(problems.Problems) > 1 {
			err = fmt.Errorf("the configuration has %d problems:\n%w", len(problems.Problems), err)
		} else {
			err = fmt.Errorf("configuration: %w", err)
		}
		return config, exitWith(exitUsage, err)
	}
	return config, nil
}

// newLogger makes the logger that the configuration asks for.
func newLogger(c configs.Log, out io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == configs.LogJSON {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}

func newConfig(e *extras) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Work with the configuration",
		Example: "  signalbox config check --config signalbox.yaml",
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newConfigCheck(e))
	return c
}

func newConfigCheck(e *extras) *cobra.Command {
	var f configFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration without starting anything",
		Long: `Check reads the configuration as "serve" would (files, SIGNALBOX_* variables, flags),
makes the channels with their templates and keys, and names every problem. Exit code 2
means that there are some.`,
		Example: `  signalbox config check --config signalbox.yaml
  signalbox config check --config app-config.yaml --config app-config.production.yaml`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := f.load(c.ErrOrStderr())
			if err != nil {
				return err
			}
			if err := checkFiles(config.Directory, c.ErrOrStderr()); err != nil {
				return err
			}
			log := newLogger(config.Log, c.ErrOrStderr())
			if _, err := tlsConfig(config.TLS, log); err != nil {
				return err
			}
			// What only the channels know: whether their templates and keys can be used.
			o, err := newOutside(config, e, log)
			if err != nil {
				return err
			}
			if err := o.close(); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "The configuration is valid.\n\n  listen     %s\n  data       %s\n  database   %s\n  guest mode %s\n  services   %s\n  Backstage  %s\n  public URL %s\n  directory  %s\n  retention  %s\n",
				config.Listen, config.Data, config.Database, onOff(config.Auth.Guest.Enabled),
				servicesText(config.Backend.Auth), backstageText(config), cmp.Or(config.PublicURL(), "not known"),
				directoryText(config), retentionText(config))
			return err
		},
	}
	f.register(c)
	return c
}

// servicesText counts the credentials of outside services.
func servicesText(c configs.BackendAuth) string {
	text := fmt.Sprintf("%d static tokens", len(c.StaticTokens))
	if n := len(c.JWKS); n > 0 {
		text += fmt.Sprintf(", %d issuers", n)
	}
	if n := len(c.LegacyKeys); n > 0 {
		text += fmt.Sprintf(", %d shared secrets", n)
	}
	return text
}

// backstageText says whose users and plugins are known.
func backstageText(c configs.Config) string {
	where, ok := c.Backstage()
	if !ok {
		return "none"
	}
	return "users and plugins of " + where.BaseURL
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func retentionText(c configs.Config) string {
	if c.Notifications.Retention == 0 {
		return "forever"
	}
	return c.Notifications.Retention.String()
}
