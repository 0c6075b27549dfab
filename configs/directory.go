package configs

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// Directory says where users, groups and owners are known. Where several sources
// are configured, files are asked before Backstage.
type Directory struct {
	// Files are names of, or patterns for, files of Backstage entity YAML
	// ("directory.files"). In a configuration file they are relative to that
	// file, elsewhere to the working directory. Defaults to none.
	Files     []string
	Backstage DirectoryBackstage
	// UnknownUsers says what becomes of user references that no source knows
	// ("directory.unknownUsers"). Defaults to deliver.
	UnknownUsers UnknownUsers
}

// DirectoryBackstage is a Backstage catalog.
type DirectoryBackstage struct {
	// BaseURL is where Backstage's backend is ("directory.backstage.baseUrl"),
	// without /api/catalog. No trailing slash. Defaults to none: no catalog is
	// asked.
	BaseURL string
	// Token is the bearer token for it ("directory.backstage.token"). Defaults to
	// none.
	Token signalbox.Secret
	// CacheTTL is how long an answer is taken as it is
	// ("directory.backstage.cacheTtl"). Between 1s and 24h. Defaults to 1m.
	CacheTTL time.Duration
	// Timeout bounds one request ("directory.backstage.timeout"). Between 100ms
	// and 1m. Defaults to 5s.
	Timeout time.Duration
}

// UnknownUsers says what becomes of users that the directory does not know.
type UnknownUsers string

// The fates of unknown users.
const (
	// DeliverUnknownUsers gives a user reference its notifications, known or not,
	// as Backstage does.
	DeliverUnknownUsers UnknownUsers = "deliver"
	// DropUnknownUsers reports them as unknown instead.
	DropUnknownUsers UnknownUsers = "drop"
)

// IsZero reports whether no source is configured.
func (d Directory) IsZero() bool { return len(d.Files) == 0 && d.Backstage.BaseURL == "" }

// UsesSample reports whether the sample organisation stands in for a directory:
// only in guest mode, and only where nothing else says who is who.
func (c Config) UsesSample() bool { return c.Auth.Guest.Enabled && c.Directory.IsZero() }

//go:embed sample-org.yaml
var sampleOrganisation []byte

// SampleOrganisation is a small organisation to try things out with, as Backstage
// entity YAML, and the name of its file.
func SampleOrganisation() (name string, content []byte) {
	return "sample-org.yaml", append([]byte(nil), sampleOrganisation...)
}

func directoryKeys() []key {
	return []key{
		{path: "directory.files", read: readDirectoryFiles},
		{path: "directory.backstage.baseUrl", read: value(asBaseURL, func(c *Config) *string { return &c.Directory.Backstage.BaseURL })},
		{path: "directory.backstage.token", read: func(c *Config, e entry) { secret(e, &c.Directory.Backstage.Token, asToken) }},
		{path: "directory.backstage.cacheTtl", read: duration(func(c *Config) *time.Duration { return &c.Directory.Backstage.CacheTTL })},
		{path: "directory.backstage.timeout", read: duration(func(c *Config) *time.Duration { return &c.Directory.Backstage.Timeout })},
		{path: "directory.unknownUsers", read: value(asUnknownUsers, func(c *Config) *UnknownUsers { return &c.Directory.UnknownUsers })},
	}
}

func asUnknownUsers(s string) (UnknownUsers, error) { return UnknownUsers(strings.ToLower(s)), nil }

func readDirectoryFiles(c *Config, e entry) {
	names, ok := e.list()
	if !ok {
		return
	}
	for i, name := range names {
		names[i] = e.n.relative(name)
	}
	c.Directory.Files = names
}

func (d Directory) invalid(found *checks) {
	for i, pattern := range d.Files {
		key := fmt.Sprintf("directory.files[%d]", i)
		if _, err := filepath.Match(pattern, ""); err != nil {
			found.add(key, "is not a valid pattern: a '[' has no ']', or a '\\' nothing behind it")
		} else if strings.TrimSpace(pattern) == "" {
			found.add(key, "must name a file")
		}
	}
	found.check("directory.backstage.baseUrl", checkBaseURL(d.Backstage.BaseURL))
	found.lasting("directory.backstage.cacheTtl", d.Backstage.CacheTTL, time.Second, day)
	found.lasting("directory.backstage.timeout", d.Backstage.Timeout, 100*time.Millisecond, time.Minute)
	switch {
	case d.UnknownUsers != DeliverUnknownUsers && d.UnknownUsers != DropUnknownUsers:
		found.add("directory.unknownUsers", "must be one of deliver, drop")
	case d.UnknownUsers == DropUnknownUsers && d.IsZero():
		found.add("directory.unknownUsers", "must not be drop without directory.files or directory.backstage.baseUrl: nobody would be known")
	}
}
