package cmd

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox"

	"github.com/signalbox/signalbox/configs"
)

// Which configuration has links, and where they lead.
func TestWireUnsubscribe(t *testing.T) {
	const path = "/api/notifications/unsubscribe"
	key := []configs.EmailUnsubscribeKey{{ID: "a", Secret: signalbox.NewSecret(strings.Repeat("s", 32))}}
	postgres, err := configs.ParseDatabase("postgres://db.example.com/signalbox")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		set func(*configs.Config)
		// endpoint is empty where there are no links, and log is what is said then.
		endpoint, log string
		made          bool
	}{
		"nothing":  {func(*configs.Config) {}, "", "set publicUrl", false},
		"no email": {func(c *configs.Config) { c.Notifications.Email = nil }, "", "", false},
		"disabled": {func(c *configs.Config) { c.Notifications.Email.Unsubscribe.Disabled = true }, "", "", false},
		"disabled, all": {func(c *configs.Config) {
			c.Backend.BaseURL, c.Notifications.Email.Unsubscribe = "https://s.example", configs.EmailUnsubscribe{Disabled: true, Keys: key}
		}, "", "", false},
		"base URL": {func(c *configs.Config) { c.Backend.BaseURL = "https://s.example/box" }, "https://s.example/box" + path, "a key of this server's own", true},
		"both URLs": {func(c *configs.Config) {
			c.Backend.BaseURL, c.Notifications.Email.Unsubscribe.URL = "https://s.example", "https://u.example/x"
		}, "https://u.example/x", "a key of this server's own", true},
		"keys, no URL": {func(c *configs.Config) { c.Notifications.Email.Unsubscribe.Keys = key }, "", "set publicUrl", false},
		"keys": {func(c *configs.Config) {
			c.Backend.BaseURL, c.Notifications.Email.Unsubscribe.Keys = "https://s.example", key
		}, "https://s.example" + path, "", false},
		"postgres": {func(c *configs.Config) { c.Backend.BaseURL, c.Database = "https://s.example", postgres }, "", "unsubscribe.keys has to be set", false},
		"postgres, keys": {func(c *configs.Config) {
			c.Backend.BaseURL, c.Database, c.Notifications.Email.Unsubscribe.Keys = "https://s.example", postgres, key
		}, "https://s.example" + path, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			config := configs.Default()
			config.Data = filepath.Join(t.TempDir(), "data")
			config.Notifications.Email = &configs.Email{}
			test.set(&config)
			var log bytes.Buffer
			a := &app{config: config, log: slog.New(slog.NewTextHandler(&log, nil))}

			// A command beside the server makes nothing and says nothing.
			if err := a.wireUnsubscribeOutside(); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(config.Data); err == nil || log.Len() > 0 || (a.unsubscribe != nil) != (test.endpoint != "" && !test.made) {
				t.Errorf("outside: links %v, log %q, data folder %v", a.unsubscribe, &log, err)
			}
			a.unsubscribe = nil
			if err := a.wireUnsubscribe(); err != nil {
				t.Fatal(err)
			}
			link := ""
			if a.unsubscribe != nil {
				link = a.unsubscribeEndpoint()
			}
			if link != test.endpoint || !strings.Contains(log.String(), test.log) || (test.log == "") != (log.Len() == 0) {
				t.Errorf("links at %q, want %q; log %q", link, test.endpoint, &log)
			}
			secret, err := os.ReadFile(filepath.Join(config.Data, unsubscribeKeyFile))
			if (err == nil) != test.made || strings.Contains(log.String(), strings.TrimSpace(string(secret))) != (len(secret) == 0) {
				t.Errorf("made %v, log %q", err, &log)
			}
			if read := a.readUnsubscribe(); (read != nil) != (test.endpoint != "") {
				t.Error("what reads links does not go with what makes them")
			}
			if !test.made {
				return
			}
			// Then it uses the server's key.
			a.unsubscribe = nil
			if err := a.wireUnsubscribeOutside(); err != nil || a.unsubscribe == nil {
				t.Errorf("outside, afterwards: %v, %v", a.unsubscribe, err)
			}
		})
	}
}

func TestSettingsURL(t *testing.T) {
	var a app
	if url := a.settingsURL(); url != "" {
		t.Errorf("%q without an address", url)
	}
	a.config.Public = "https://s.example/box"
	if url := a.settingsURL(); url != "https://s.example/box/settings" {
		t.Errorf("%q", url)
	}
	a.config.App.BaseURL = "https://b.example/x"
	if url := a.settingsURL(); url != "https://b.example/x/settings/notifications" {
		t.Errorf("%q", url)
	}
}
