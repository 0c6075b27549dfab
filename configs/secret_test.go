package configs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/signalbox/signalbox"

	"github.com/goccy/go-yaml"
)

// TestNothingShowsSecrets prints everything that holds a secret in every way
// that a careless line of code might.
func TestNothingShowsSecrets(t *testing.T) {
	const password = "hunter2hunter2"
	database, err := ParseDatabase("postgres://user:" + password + "@localhost/db?sslpassword=" + password)
	if err != nil {
		t.Fatal(err)
	}
	hash := HashToken(password)
	config := Default()
	config.Database = database
	config.Backend.Auth.StaticTokens = []StaticToken{{Hash: hash, Subject: "ci"}}
	config.Directory.Backstage.Token = signalbox.NewSecret(password)

	hidden := []string{
		password,
		fmt.Sprintf("%x", hash[:4]), strings.Trim(fmt.Sprintf("%d", hash[:4]), "[]"),
	}
	for name, value := range map[string]any{
		"secret":             signalbox.NewSecret(password),
		"pointer to secret":  &struct{ S *signalbox.Secret }{new(signalbox.NewSecret(password))},
		"hash":               hash,
		"database":           database,
		"pointer to config":  &config,
		"config":             config,
		"error of the above": fmt.Errorf("oops: %v", config),
	} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", value)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", value)
		asJSON, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		asYAML, err := yaml.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		for _, shown := range []string{
			fmt.Sprint(value), fmt.Sprintf("%v", value), fmt.Sprintf("%+v", value), fmt.Sprintf("%#v", value), fmt.Sprintf("%s", value),
			log.String(), string(asJSON), string(asYAML),
		} {
			for _, secret := range hidden {
				if strings.Contains(shown, secret) {
					t.Errorf("%s is shown in %s", name, shown)
				}
			}
		}
	}
	if got := database.URL(); !strings.Contains(got, password) {
		t.Errorf("URL() is %s, without the password", got)
	}
	if got := signalbox.NewSecret(password).Reveal(); got != password {
		t.Errorf("Reveal() is %q", got)
	}
}

func TestParseTokenHash(t *testing.T) {
	const known = "sha256:6cd0d3a6e1c9e1b0d3dbbb7e4c2ae0a0f0f3e3b4e0a1e1e6d9a7d7b1c0e5f4a3"
	for _, test := range []struct {
		text string
		ok   bool
	}{
		{known, true},
		{strings.ToUpper(known[7:]), false},
		{"sha256:" + strings.ToUpper(known[7:]), true},
		{known[:70], false},
		{known + "00", false},
		{"sha256:" + strings.Repeat("g", 64), false},
		{"md5:" + known[7:], false},
		{"", false},
	} {
		_, err := ParseTokenHash(test.text)
		if (err == nil) != test.ok {
			t.Errorf("%q: %v", test.text, err)
		}
		if err != nil && test.text != "" && strings.Contains(err.Error(), test.text) {
			t.Errorf("%q is shown in %v", test.text, err)
		}
	}
	parsed, err := ParseTokenHash("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
	if err != nil || parsed != HashToken("abc") {
		t.Errorf("the hash of abc is not what FIPS 180-2 says: %v", err)
	}
}

func TestParseDatabase(t *testing.T) {
	for _, test := range []struct {
		text    string
		dialect Dialect
		path    string
	}{
		{"sqlite:x.db", SQLite, "x.db"},
		{"sqlite:/var/lib/x.db", SQLite, "/var/lib/x.db"},
		{"postgres://localhost/db", Postgres, ""},
		{"postgresql://u:p@h:5432/db?sslmode=disable", Postgres, ""},
		{"postgres://a:1,b:2/db", Postgres, ""},
		{"postgres:///db?host=/run/postgresql", Postgres, ""},
	} {
		got, err := ParseDatabase(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if got.Dialect() != test.dialect || got.Path() != test.path || got.URL() != test.text {
			t.Errorf("%q: got %s, %q, %q", test.text, got.Dialect(), got.Path(), got.URL())
		}
	}
	for _, text := range []string{
		"", "x.db", "sqlite:", "sqlite: ", "sqlite::memory:", "sqlite:file:x?mode=memory",
		"mysql://u:hunter2@h/db", "postgres://u:hunter2%zz@h/db", "postgres://u:hunter2@h", "postgres:u:hunter2",
		"host=h password=hunter2", "postgres://u:hunter2/x@h:p/db",
	} {
		if _, err := ParseDatabase(text); err == nil {
			t.Errorf("%q: no error", text)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v shows the password", text, err)
		}
	}
}
