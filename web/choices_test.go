package web_test

import (
	"net/http"
	"testing"

	"github.com/signalbox/signalbox"
)

const choicesPath = settingsPath + "/choices"

// TestChoices tells what was chosen from what is inherited, and takes choices back.
func TestChoices(t *testing.T) {
	h := start(t, withPolicy(signalbox.SettingsConfig{Channels: []string{"Web", "Slack"}}))
	h.settings.seen = map[string][]signalbox.SeenTopic{jane: {{Origin: "ci", Topic: "a"}}}
	forget := func(query string) response {
		return h.do(request{method: http.MethodDelete, path: choicesPath + query, token: userToken})
	}
	h.get(userToken, choicesPath).want(t, 200, `{"choices":[]}`)
	h.post(userToken, settingsPath, `{"channels":[{"id":"Slack","enabled":false},{"id":"Web","origins":[{"id":"ci","enabled":false,"topics":[{"id":"a","enabled":true}]}]}]}`)
	h.get(userToken, choicesPath).want(t, 200, `{"choices":[
		{"channel":"Slack","enabled":false},
		{"channel":"Web","origin":"ci","enabled":false},
		{"channel":"Web","origin":"ci","topic":"a","enabled":true}]}`)

	const shown = `{"channels":[
		{"id":"Web","origins":[{"id":"ci","enabled":false,"topics":[{"id":"a","enabled":false}]}]},
		{"id":"Slack","enabled":false,"origins":[{"id":"ci","enabled":false,"topics":[{"id":"a","enabled":false}]}]}]}`
	forget("?channel=web&origin=CI&topic=A").want(t, 200, shown)
	forget("?channel=Web&origin=ci&topic=a").want(t, 200, shown) // there is none any more
	forget("?channel=Web&origin=ci")
	forget("?channel=Slack")
	h.get(userToken, choicesPath).want(t, 200, `{"choices":[]}`)

	for _, query := range []string{"", "?channel=Nope", "?channel=Web&topic=a", "?channel=Web&user=x"} {
		if r := forget(query); r.StatusCode != http.StatusBadRequest {
			t.Errorf("%q is answered %d", query, r.StatusCode)
		}
	}
	if signals := h.signaler.take(); len(signals) != 5 {
		t.Errorf("%d signals", len(signals))
	}
}
