package cmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/signalbox/signalbox/storage/database"
)

func newMigrate() *cobra.Command {
	var f configFlags
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: `Migrate brings the schema of the configured database up to date and ends. "serve"
does the same when it starts; this is for those who want it as a step of its own,
perhaps with another database user.`,
		Example: `  signalbox migrate --database postgres://signalbox@db.internal/signalbox`,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := f.load(c.ErrOrStderr())
			if err != nil {
				return err
			}
			db, err := database.Open(c.Context(), database.Config{
				URL: config.Database.URL(), Logger: newLogger(config.Log, c.ErrOrStderr()),
			})
			if err != nil {
				return exitWith(exitUnavailable, err)
			}
			defer func() { _ = db.Close() }()
			version, err := db.Migrate(c.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is at schema version %d.\n", config.Database, version)
			return err
		},
	}
	f.register(c)
	return c
}
