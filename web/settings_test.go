package web_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web"
)

// settings is a [signalbox.SettingsStore] in memory.
type settings struct {
	mu     sync.Mutex
	byUser map[string]map[signalbox.ChoiceKey]signalbox.Choice
	seen   map[string][]signalbox.SeenTopic
	saves  int
	// err fails every call.
	err error
}

func (s *settings) ChoicesOf(_ context.Context, user string) ([]signalbox.Choice, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []signalbox.Choice{}
	for _, c := range s.byUser[user] {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b signalbox.Choice) int {
		return cmp.Or(cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Channel, b.Channel))
	})
	return list, s.err
}

func (s *settings) ChoicesFor(ctx context.Context, about []signalbox.Received) (map[string][]signalbox.Choice, error) {
	found := map[string][]signalbox.Choice{}
	for _, a := range about {
		found[a.User], _ = s.ChoicesOf(ctx, a.User)
	}
	return found, s.err
}

func (s *settings) SaveChoices(_ context.Context, user string, choices []signalbox.Choice) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.byUser == nil {
		s.byUser = map[string]map[signalbox.ChoiceKey]signalbox.Choice{}
	}
	if s.byUser[user] == nil {
		s.byUser[user] = map[signalbox.ChoiceKey]signalbox.Choice{}
	}
	for _, c := range choices {
		s.byUser[user][c.Key()] = c
	}
	return s.err
}

func (s *settings) ForgetChoice(_ context.Context, user string, about signalbox.ChoiceKey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	delete(s.byUser[user], about)
	return s.err
}

func (s *settings) Seen(_ context.Context, user string) ([]signalbox.SeenTopic, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.seen[user], s.seen[""]), s.err
}

// webOnly is the policy of an installation without channels and configuration.
func webOnly() *signalbox.SettingsPolicy {
	return signalbox.NewSettingsPolicy(signalbox.SettingsConfig{Channels: []string{signalbox.ChannelWeb}})
}

func withPolicy(config signalbox.SettingsConfig) func(*web.Deps, *web.Config) {
	return func(deps *web.Deps, _ *web.Config) { deps.Policy = signalbox.NewSettingsPolicy(config) }
}

const settingsPath = "/api/notifications/settings"

// The exchanges captured from Backstage's backend.
func TestCapturedSettings(t *testing.T) {
	h := start(t)
	h.settings.seen = map[string][]signalbox.SeenTopic{jane: {{Origin: "bench", Topic: "topic-00"}}}
	shown := `{"channels":[{"id":"Web","origins":[{"id":"bench","enabled":true,"topics":[{"id":"topic-00","enabled":true}]}]}]}`
	h.get(userToken, settingsPath).want(t, 200, shown)
	h.post(userToken, settingsPath, `{"channels":[{"id":"Nope","origins":[]}]}`).want(t, 400,
		`{"error":{"name":"InputError","message":"Invalid channel"},"request":{"method":"POST","url":"/settings"},"response":{"statusCode":400}}`)
	h.post(userToken, settingsPath, shown).want(t, 200, shown)
}

func TestSettingsAreMerged(t *testing.T) {
	h := start(t, withPolicy(signalbox.SettingsConfig{Channels: []string{"Web", "Slack"}}))
	h.settings.seen = map[string][]signalbox.SeenTopic{jane: {{Origin: "ci", Topic: "a"}, {Origin: "ci", Topic: "b"}}, "": {{Origin: "news"}}}
	h.post(userToken, settingsPath, `{"channels":[{"id":"Slack","enabled":false,"origins":[{"id":"CI","enabled":true}]}]}`)
	h.post(userToken, settingsPath, `{"channels":[{"id":"web","origins":[{"id":"ci","enabled":false,"topics":[{"id":"A","enabled":true}]}]}]}`)
	want := `{"channels":[
		{"id":"Web","origins":[
			{"id":"ci","enabled":false,"topics":[{"id":"a","enabled":true},{"id":"b","enabled":false}]},
			{"id":"news","enabled":true,"topics":[]}]},
		{"id":"Slack","enabled":false,"origins":[
			{"id":"ci","enabled":true,"topics":[{"id":"a","enabled":true},{"id":"b","enabled":true}]},
			{"id":"news","enabled":false,"topics":[]}]}]}`
	h.get(userToken, settingsPath).want(t, 200, want)
	h.get(userToken, "/api/notifications/settings/").want(t, 200, want)
	if c := h.settings.byUser[jane]; len(c) != 4 || c[signalbox.ChoiceKey{Channel: "web", Origin: "ci", Topic: ""}].Channel != "Web" {
		t.Errorf("%+v", c)
	}
}

// What is locked is shown so, and sending the page back does not overwrite what
// the user chose before.
func TestLockedSettings(t *testing.T) {
	h := start(t, withPolicy(signalbox.SettingsConfig{
		Channels: []string{"Web", "Slack"},
		Mandatory: []signalbox.MandatoryRule{
			{Channel: "Web", Origin: "security"},
			{Channel: "Slack", Origin: "security", Severity: signalbox.SeverityCritical},
		},
	}))
	if err := h.settings.SaveChoices(t.Context(), jane, []signalbox.Choice{{Channel: "Web", Origin: "security"}, {Channel: "Slack", Origin: "security"}}); err != nil {
		t.Fatal(err)
	}
	want := `{"channels":[
		{"id":"Web","origins":[{"id":"security","enabled":true,"locked":true,"topics":[]}]},
		{"id":"Slack","origins":[{"id":"security","enabled":false,"mandatorySeverity":"critical","topics":[]}]}]}`
	h.get(userToken, settingsPath).want(t, 200, want)
	h.post(userToken, settingsPath, want).want(t, 200, want)
	if c := h.settings.byUser[jane][signalbox.ChoiceKey{Channel: "web", Origin: "security"}]; c.Enabled {
		t.Error("the choice under the lock was overwritten")
	}
}

func TestSavingSignals(t *testing.T) {
	h := start(t)
	h.post(userToken, settingsPath, `{"channels":[]}`)
	h.post(userToken, settingsPath, `{"channels":[{"id":"Web","enabled":null,"origins":[]}]}`)
	h.post(userToken, settingsPath, `{"channels":[{"id":"Web","enabled":"x"}]}`)
	if sent := h.signaler.take(); len(sent) > 0 || h.settings.saves > 0 {
		t.Errorf("%d saves, signals %+v", h.settings.saves, sent)
	}
	h.settings.err = signalbox.Transient(errors.New("away"))
	if got := h.post(userToken, settingsPath, `{"channels":[{"id":"Web","enabled":false}]}`); got.StatusCode != 503 {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if sent := h.signaler.take(); len(sent) > 0 {
		t.Errorf("a signal before the commit: %+v", sent)
	}
	h.settings.err = nil
	h.post(userToken, settingsPath, `{"channels":[{"id":"Web","enabled":false}]}`)
	sent := h.signaler.take()
	if len(sent) != 1 || sent[0].Channel != "notifications" || !slices.Equal(sent[0].Recipients, []string{jane}) ||
		string(sent[0].Message) != `{"action":"settings_changed"}` {
		t.Errorf("%+v", sent)
	}
}

func TestSettingsRefuse(t *testing.T) {
	h := start(t)
	for body, want := range map[string]string{
		`{`:               "Unexpected end of JSON input",
		`{"channels":{}}`: "request/body/channels must be array",
		`{"channels":[{"id":"Web","origins":[{"id":"o","enabled":"x"}]}]}`: "request/body/channels/0/origins/0/enabled must be boolean",
	} {
		h.post(userToken, settingsPath, body).want(t, 400, errorOf(400, "InputError", want, "POST", "/settings"))
	}
	h.get(userToken, settingsPath+"?x=1").want(t, 400, errorOf(400, "InputError", "Unknown query parameter 'x'", "GET", "/settings?x=1"))
	// A page of a user with much to switch is larger than a notification may be.
	large := fmt.Sprintf(`{"channels":[{"id":"Web","origins":[{"id":"o","enabled":true}]}],"x":%q}`, strings.Repeat("x", 1<<20))
	if got := h.post(userToken, settingsPath, large); got.StatusCode != 200 {
		t.Errorf("%d %.200s", got.StatusCode, got.body)
	}
}

func TestPreview(t *testing.T) {
	h := start(t, withPolicy(signalbox.SettingsConfig{
		Channels:  []string{"Web", "Slack"},
		Defaults:  []signalbox.Choice{{Channel: "Slack"}},
		Mandatory: []signalbox.MandatoryRule{{Channel: "Web", Topic: "breach", Severity: signalbox.SeverityHigh}},
	}))
	if err := h.settings.SaveChoices(t.Context(), jane, []signalbox.Choice{{Channel: "Web", Origin: "ci"}}); err != nil {
		t.Fatal(err)
	}
	const path = settingsPath + "/preview"
	answer := func(topic, severity, web string) string {
		return `{"user":"user:default/jane","origin":"CI","topic":` + topic + `,"severity":"` + severity + `","channels":[` + web +
			`,{"channel":"Slack","delivered":false,"rule":"config.channel","text":"The operator's default for this channel"}]}`
	}
	off := `{"channel":"Web","delivered":false,"rule":"user.origin","text":"The user's choice for this origin"}`
	mandatory := `{"channel":"Web","delivered":true,"rule":"mandatory","text":"The operator made it mandatory on this channel"}`
	h.get(userToken, path+"?origin=CI").want(t, 200, answer("null", "normal", off))
	h.get(userToken, path+"?origin=CI&user=User:Jane").want(t, 200, answer("null", "normal", off))
	h.get(userToken, path+"?origin=CI&topic=breach&severity=LOW").want(t, 200, answer(`"breach"`, "low", off))
	h.get(serviceToken, path+"?origin=CI&topic=breach&severity=critical&user="+jane).want(t, 200, answer(`"breach"`, "critical", mandatory))
	if got := h.get(serviceToken, path+"?origin=CI&user=user:joe"); !strings.Contains(got.body, `"rule":"default"`) {
		t.Errorf("another user: %s", got.body)
	}
	for _, test := range []struct {
		token, query string
		status       int
		name, want   string
	}{
		{userToken, "", 400, "InputError", "request/query must have required property 'origin'"},
		{userToken, "?origin=", 400, "InputError", "request/query must have required property 'origin'"},
		{userToken, "?origin=ci&x=1", 400, "InputError", "Unknown query parameter 'x'"},
		{userToken, "?origin=ci&severity=mega", 400, "InputError", "request/query/severity must be equal to one of the allowed values: critical, high, normal, low"},
		{userToken, "?origin=" + strings.Repeat("x", 256), 400, "InputError", "request/query/origin must NOT have more than 255 characters"},
		{userToken, "?origin=ci&topic=%ff", 400, "InputError", "request/query/topic must be valid UTF-8"},
		{userToken, "?origin=ci&user=user:joe", 403, "NotAllowedError", "Users see their own settings only"},
		{userToken, "?origin=ci&user=joe", 400, "InputError", "request/query/user must be a user entity reference, such as user:default/jane"},
		{serviceToken, "?origin=ci", 400, "InputError", "request/query must have required property 'user'"},
		{serviceToken, "?origin=ci&user=group:x", 400, "InputError", "request/query/user must be a user entity reference, such as user:default/jane"},
		{serviceToken, "?origin=ci&user=user:" + url.QueryEscape(strings.Repeat("x", 256)), 400, "InputError", "request/query/user must NOT have more than 255 characters"},
	} {
		h.get(test.token, path+test.query).want(t, test.status, errorOf(test.status, test.name, test.want, "GET", "/settings/preview"+test.query))
	}
}
