package configs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox/signalbox"

	"github.com/google/go-cmp/cmp"
)

func unsubscribeIn(section string) string {
	return emailIn("{sender: a@b.example, transportConfig: {transport: stream}, unsubscribe: " + section + "}")
}

func TestEmailUnsubscribe(t *testing.T) {
	const old, current = "oooooooooooooooooooooooooooooooooooooooo", "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	names := write(t, unsubscribeIn(`{url: "https://s.example/u/", ttl: 90 days, keys: [{id: "2026", secret: "${KEY}"}, {id: a_B-1, secret: {$file: b.yaml}}]}`), old+"\n")
	config, warnings, problems := load(t, Sources{Files: names[:1], Environ: []string{"KEY=" + current}})
	if problems != nil || warnings != nil {
		t.Fatalf("problems %q, warnings %q", problems, warnings)
	}
	want := EmailUnsubscribe{
		URL: "https://s.example/u", TTL: 90 * day,
		Keys: []EmailUnsubscribeKey{{"2026", signalbox.NewSecret(current)}, {"a_B-1", signalbox.NewSecret(old)}},
	}
	if diff := cmp.Diff(want, config.Notifications.Email.Unsubscribe, allow); diff != "" {
		t.Error(diff)
	}
	shown, err := json.Marshal(config.Notifications.Email)
	if all := fmt.Sprintf("%+v %#v %s", config, config, shown); err != nil || strings.Contains(all, "ooo") || strings.Contains(all, "nnn") {
		t.Errorf("a secret shows: %s, %v", all, err)
	}
	for section, want := range map[string]EmailUnsubscribe{
		"{}": {}, "": {}, "{enabled: true, ttl: , keys: }": {}, "{enabled: false}": {Disabled: true},
	} {
		config, _, problems := load(t, Sources{Files: write(t, unsubscribeIn(section))})
		if problems != nil {
			t.Errorf("%s: %q", section, problems)
			continue
		}
		if diff := cmp.Diff(want, config.Notifications.Email.Unsubscribe, allow); diff != "" {
			t.Errorf("%s: %s", section, diff)
		}
	}
}

func TestEmailUnsubscribeRefuses(t *testing.T) {
	const good = "hunter2hunter2hunter2hunter2hunter2"
	for section, want := range map[string]string{
		"7":                                     "email.unsubscribe: must be a section",
		"{key: x}":                              "unsubscribe.key: unknown key; did you mean keys?",
		"{enabled: maybe}":                      "unsubscribe.enabled: must be true or false",
		"{url: s.example}":                      "unsubscribe.url: must be an http:// or https:// URL",
		"{url: 'https://u:hunter2@s.example'}":  "unsubscribe.url: must not hold a user or password",
		"{url: 'https://s.example/?x'}":         "unsubscribe.url: must not have a query or fragment",
		"{ttl: 1h}":                             "unsubscribe.ttl: must be between 24h and 87600h",
		"{keys: []}":                            "unsubscribe.keys: must have at least one entry",
		"{keys: {id: a, secret: " + good + "}}": "unsubscribe.keys: must be a list",
		"{keys: [{id: a}]}":                     "unsubscribe.keys[0].secret: is required",
		"{keys: [{secret: " + good + "}]}":      "unsubscribe.keys[0].id: is required",
		"{keys: [{id: a.b, secret: " + good + "}]}":                              "unsubscribe.keys[0].id: must be 1 to 16 letters",
		"{keys: [{id: a, secret: hunter2}]}":                                     "unsubscribe.keys[0].secret: must be at least 32 bytes",
		"{keys: [{id: a, secret: [" + good + "]}]}":                              "unsubscribe.keys[0].secret: must be a single value",
		"{keys: [{id: a, secret: '${NONE}'}]}":                                   "NONE, which is not set",
		"{keys: [{id: a, secret: " + good + "}, {id: a, secret: " + good + "}]}": "unsubscribe.keys[1].id: must differ",
	} {
		_, _, problems := load(t, Sources{Files: write(t, unsubscribeIn(section))})
		if len(problems) != 1 || !strings.Contains(problems[0], want) || strings.Contains(problems[0], "hunter2") {
			t.Errorf("%s: problems %q, want %q", section, problems, want)
		}
	}
}
