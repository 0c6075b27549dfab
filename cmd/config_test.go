package cmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/storagetest"
)

const secret = "swordfish-1234567890"

func configFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "signalbox.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestConfigCheckGood(t *testing.T) {
	file := configFile(t, `listen: 127.0.0.1:7999
database: postgres://signalbox:`+secret+`@db.internal/signalbox
backend:
  auth:
    externalAccess:
      - type: static
        options: {token: `+secret+`, subject: ci}
notifications: {retention: false}
`)
	o := run(t, "", "config", "check", "--config", file, "--log-level", "debug")
	o.want(t, 0, "The configuration is valid.", "127.0.0.1:7999", "db.internal/signalbox", "1 static tokens", "forever", "guest mode on")
	if strings.Contains(o.stdout+o.stderr, secret) {
		t.Errorf("a secret is shown: %s%s", o.stdout, o.stderr)
	}
	t.Setenv("SIGNALBOX_LISTEN", "127.0.0.1:7998")
	run(t, "", "config", "check", "--config", file).want(t, 0, "127.0.0.1:7998")
	run(t, "", "config", "check", "--config", file, "--listen", "127.0.0.1:7997").want(t, 0, "127.0.0.1:7997")
	run(t, "", "config", "check").want(t, 0, "./signalbox-data")
}

func TestConfigCheckBad(t *testing.T) {
	file := configFile(t, `listn: 127.0.0.1:7999
pipeline:
  consumers: many
  lease: 1s
database: postgress://signalbox:`+secret+`@db.internal/signalbox
backend:
  auth:
    externalAccess:
      - type: static
        options: {token: `+secret+`}
`)
	o := run(t, "", "config", "check", "--config", file)
	o.want(t, 2,
		"5 problems",
		file+":1:1: listn: unknown key; did you mean listen?",
		file+":3:14: pipeline.consumers: ",
		file+":4:10: pipeline.lease: must be between 5s and 1h",
		file+":5:11: database: must be postgres://",
		file+":10:18: backend.auth.externalAccess[0].options.subject: is required",
	)
	if strings.Contains(o.stderr, secret) {
		t.Errorf("a secret is shown: %s", o.stderr)
	}
	missing := filepath.Join(t.TempDir(), "none.yaml")
	run(t, "", "config", "check", "-c", missing).want(t, 2, missing+": cannot be read")
	run(t, "", "config", "check", "-c", configFile(t, "a: [")).want(t, 2, "signalbox.yaml:1:")
	t.Setenv("SIGNALBOX_LISTN", "x")
	run(t, "", "config", "check").want(t, 2, "SIGNALBOX_LISTN: is not a known variable; did you mean SIGNALBOX_LISTEN?")
}

func TestMigrate(t *testing.T) {
	storagetest.Each(t, func(t *testing.T, url string) {
		first := run(t, "", "migrate", "--database", url)
		first.want(t, 0, "is at schema version ")
		again := run(t, "", "migrate", "--database", url)
		again.want(t, 0)
		if again.stdout != first.stdout {
			t.Errorf("first %q, then %q", first.stdout, again.stdout)
		}
		db, err := database.Open(t.Context(), database.Config{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		var rows int
		if err := db.Reader.QueryRow("SELECT count(*) FROM notifications").Scan(&rows); err != nil {
			t.Errorf("the schema is not there: %v", err)
		}
	})
}

func TestDatabaseOutOfReach(t *testing.T) {
	for _, command := range []string{"migrate", "serve"} {
		args := []string{command, "--database", "postgres://signalbox:" + secret + "@127.0.0.1:1/signalbox", "--data", t.TempDir()}
		if command == "serve" {
			args = append(args, "--listen", "127.0.0.1:0")
		}
		o := run(t, "", args...)
		o.want(t, 4, "127.0.0.1:1")
		if strings.Contains(o.stderr, secret) {
			t.Errorf("a secret is shown: %s", o.stderr)
		}
	}
}

// TestConfigCheckMakesTheChannels is about what is not to be seen in the file itself.
func TestConfigCheckMakesTheChannels(t *testing.T) {
	folder := t.TempDir()
	for name, c := range map[string]struct{ content, want string }{
		"a Slack template": {
			"notifications: {processors: {slack: [{token: xoxb-" + secret + ", template: '{{.Nope}}'}]}}",
			"notifications.processors.slack: ",
		},
		"a mail template": {
			"app: {baseUrl: https://portal.example.com}\nnotifications: {processors: {email: {sender: a@example.com, " +
				"transportConfig: {transport: smtp, hostname: 127.0.0.1, port: 1025}, templates: {html: " + filepath.Join(folder, "none.html") + "}}}}",
			"notifications.processors.email: ",
		},
		"direct targets": {"notifications: {directTargets: ['pager:*']}", "notifications.directTargets: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			file := configFile(t, c.content)
			run(t, "", "config", "check", "--config", file).want(t, 2, c.want)
			if made, err := os.ReadDir("."); err != nil || len(made) > 0 {
				t.Errorf("it left %v (%v)", made, err)
			}
		})
	}
}
