package cmd

import (
	"context"
	"fmt"
	"io"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/signalbox/signalbox/configs"
	"github.com/signalbox/signalbox/processors/directory"
	"github.com/signalbox/signalbox/processors/directory/backstage"
	"github.com/signalbox/signalbox/processors/directory/catalogfile"
)

// wireDirectory makes the directory that the configuration describes, unless an
// adopter brought one.
func (a *app) wireDirectory(e *extras, registry *prometheus.Registry) error {
	if e.directory != nil {
		a.directory = e.directory
		return nil
	}
	var sources []directory.Source
	c := a.config.Directory
	if a.config.UsesSample() {
		sample, err := catalogfile.NewStatic(configs.SampleOrganisation())
		if err != nil {
			return err
		}
		sources = append(sources, sample)
	}
	if len(c.Files) > 0 {
		files, err := catalogfile.New(catalogfile.Config{Files: c.Files, Registerer: registry, Logger: a.log})
		if err != nil {
			return exitWith(exitUsage, err)
		}
		a.background = append(a.background, files.Run)
		sources = append(sources, files)
	}
	if c.Backstage.BaseURL != "" {
		catalog, err := a.newCatalogClient(c.Backstage, registry)
		if err != nil {
			return exitWith(exitUsage, err)
		}
		a.lifecycle.add("lookups in the Backstage catalog", func(context.Context) error { catalog.Close(); return nil })
		sources = append(sources, catalog)
	}
	a.directory = directory.New(directory.Config{
		DropUnknownUsers: c.UnknownUsers == configs.DropUnknownUsers,
	}, sources...)
	return nil
}

// newCatalogClient makes the client of a catalog. That of the Backstage whose users are
// known is asked where its discovery says, with tokens of this server's own unless one
// is configured.
func (a *app) newCatalogClient(c configs.DirectoryBackstage, registry *prometheus.Registry) (*backstage.Client, error) {
	config := backstage.Config{
		BaseURL: c.BaseURL, TTL: c.CacheTTL, Timeout: c.Timeout, Registerer: registry, Logger: a.log,
	}
	if where, ok := a.config.Backstage(); ok && c.BaseURL == where.BaseURL {
		config.API = a.discovery.Base("catalog")
	}
	if a.issuer != nil {
		config.Token = a.issuer.TokenSource("notifications", "catalog")
	}
	if token := c.Token.Reveal(); token != "" {
		config.Token = func() (string, error) { return token, nil }
	}
	return backstage.New(config)
}

// checkFiles reads the catalog files once and tells what is wrong with them.
func checkFiles(c configs.Directory, out io.Writer) error {
	if len(c.Files) == 0 {
		return nil
	}
	files, err := catalogfile.New(catalogfile.Config{Files: c.Files})
	if err != nil {
		return exitWith(exitUsage, err)
	}
	problems := files.Problems()
	for i := range problems {
		if _, err := fmt.Fprintln(out, problems[i].Error()); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return exitWith(exitUsage, fmt.Errorf("the catalog files have %d problems", len(problems)))
	}
	return nil
}

// directoryText says in a few words where users and groups are known.
func directoryText(c configs.Config) string {
	switch d := c.Directory; {
	case c.UsesSample():
		return "a sample organisation"
	case d.IsZero():
		return "none (only user references resolve)"
	case d.Backstage.BaseURL == "":
		return "files"
	case len(d.Files) == 0:
		return "Backstage at " + d.Backstage.BaseURL
	default:
		return "files, then Backstage at " + d.Backstage.BaseURL
	}
}
