package configs

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

func TestSenders(t *testing.T) {
	got, warnings, problems := load(t, Sources{Files: write(t, `
auth:
  usersMaySend: true
  tokens: {maxAge: 30 days}
  senders:
    - subject: ci
      recipients: [group:default/*, "user:*"]
      topics: deploys, builds
      maxSeverity: High
      broadcast: true
      rateLimit: {count: '${COUNT}', per: 1m, burst: 20}
    - {subject: "external:*", rateLimit: {count: 5, per: {seconds: 10}}, topics: ~}
    - {subject: "*", recipients: [], broadcast: false}
`), Environ: []string{"COUNT=100"}})
	if warnings != nil || problems != nil {
		t.Fatalf("warnings %q, problems %q", warnings, problems)
	}
	yes, no := true, false
	want := []signalbox.SenderRule{
		{
			Subject: "ci", Recipients: []string{"group:default/*", "user:*"}, Topics: []string{"deploys", "builds"},
			MaxSeverity: signalbox.SeverityHigh, Broadcast: &yes, Rate: signalbox.SendRate{Count: 100, Per: time.Minute, Burst: 20},
		},
		{Subject: "external:*", Rate: signalbox.SendRate{Count: 5, Per: 10 * time.Second, Burst: 5}},
		{Subject: "*", Recipients: []string{}, Broadcast: &no},
	}
	if diff := cmp.Diff(want, got.Auth.Senders); diff != "" {
		t.Error(diff)
	}
	if !got.Auth.UsersMaySend || got.Auth.Tokens.MaxAge != 30*day {
		t.Errorf("%+v", got.Auth)
	}
}

func TestSendersRefused(t *testing.T) {
	for _, test := range []struct{ auth, want string }{
		{"senders: ci", "auth.senders: must be a list"},
		{"senders: [{}]", "auth.senders[0].subject: is required"},
		{"senders: [ci]", "auth.senders[0]: must be a section"},
		{"senders: [{subject: ''}]", "must have between 1 and 255 characters"},
		{"senders: [{subject: a, recipient: [x]}]", "auth.senders[0].recipient: unknown key; did you mean recipients?"},
		{"senders: [{subject: a, recipients: [' ']}]", "auth.senders[0].recipients: must have patterns of 1 to 255 characters"},
		{"senders: [{subject: a, topics: {a: b}}]", "auth.senders[0].topics: must be"},
		{"senders: [{subject: a, maxSeverity: worst}]", "auth.senders[0].maxSeverity: must be one of critical"},
		{"senders: [{subject: a, broadcast: 7}]", "auth.senders[0].broadcast: must be true or false"},
		{"senders: [{subject: a, rateLimit: 7}]", "auth.senders[0].rateLimit: must be a section"},
		{"senders: [{subject: a, rateLimit: {count: 7}}]", "auth.senders[0].rateLimit.per: is required"},
		{"senders: [{subject: a, rateLimit: {per: 7s}}]", "auth.senders[0].rateLimit.count: is required"},
		{"senders: [{subject: a, rateLimit: {count: 0, per: 7s}}]", "auth.senders[0].rateLimit.count: must be a whole number between 1 and 1000000"},
		{"senders: [{subject: a, rateLimit: {count: 1, per: 7}}]", "auth.senders[0].rateLimit.per: must be a duration"},
		{"senders: [{subject: a, rateLimit: {count: 1, per: 7ms}}]", "auth.senders[0].rateLimit.per: must be between 1s and 24h"},
		{"senders: [{subject: 'a*'}, {subject: ab}]", `auth.senders: sender rule 1 is never used: rule 0, "a*", matches`},
		{"senders: [{subject: a}, {subject: A}]", "auth.senders: sender rule 1 is never used"},
		{"usersMaySend: perhaps", "auth.usersMaySend: must be true or false"},
		{"tokens: {maxAge: 1m}", "auth.tokens.maxAge: must be between 1h"},
		{"senders: [{subject: a, rateLimit: {count: 1, per: 1s, x: 1}}]", "auth.senders[0].rateLimit.x: unknown key"},
	} {
		_, _, problems := load(t, Sources{Files: write(t, "auth:\n  "+test.auth+"\n")})
		if !strings.Contains(strings.Join(problems, "\n"), test.want) {
			t.Errorf("%s: %q, want %q", test.auth, problems, test.want)
		}
	}
}
