package signalbox

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestNewDirectTargets(t *testing.T) {
	channels := []string{"Web", "Email", "Slack"}
	for _, pattern := range []string{"", "email", "email:", ":x", "web:jane", "pager:#ops", "slack:[a"} {
		if _, err := NewDirectTargets(channels, []string{pattern}); err == nil {
			t.Errorf("%q is taken as a pattern", pattern)
		}
	}
	d, err := NewDirectTargets(channels, []string{"email:*@example.com", "SLACK: #alerts"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ref  string
		want DirectTarget
		is   bool
		code Code
	}{
		{"user:jane", DirectTarget{}, false, ""},
		{"user:default/jane", DirectTarget{}, false, ""},
		{"jane", DirectTarget{}, false, ""},
		{"web:jane", DirectTarget{}, false, ""},
		{"email:ops@example.com", DirectTarget{"Email", "ops@example.com"}, true, ""},
		{"Email: Ops@EXAMPLE.com ", DirectTarget{"Email", "Ops@EXAMPLE.com"}, true, ""},
		{"email:ops@example.com.evil.org", DirectTarget{}, true, CodeNotAllowed},
		{"email:ops@evil.org/@example.com", DirectTarget{}, true, CodeNotAllowed},
		{"slack:#Alerts", DirectTarget{"Slack", "#Alerts"}, true, ""},
		{"slack:#alerts2", DirectTarget{}, true, CodeNotAllowed},
		{"slack:", DirectTarget{}, true, CodeInput},
		{"slack:#a\x00", DirectTarget{}, true, CodeInput},
	} {
		got, is, err := d.parse("at", c.ref)
		if got != c.want || is != c.is || ErrorCode(err) != c.code || (err != nil) != (c.code != "") {
			t.Errorf("%q: %+v, %v, %v", c.ref, got, is, err)
		}
	}
	for _, none := range []*DirectTargets{nil, {}} {
		if _, is, err := none.parse("at", "email:ops@example.com"); is || err != nil {
			t.Errorf("nobody allows anything: %v, %v", is, err)
		}
	}
}

func TestDirectTargetsOfARequest(t *testing.T) {
	d, err := NewDirectTargets([]string{"Slack"}, []string{"slack:*"})
	if err != nil {
		t.Fatal(err)
	}
	request := SendRequest{
		Recipients: Recipients{Type: RecipientsEntity, EntityRefs: []string{"slack:#a", "user:jane", "slack:#a", "slack:#b"}},
		Payload:    Payload{Title: "t"},
	}
	// A processor may add some, and validates what it leaves again.
	for range 2 {
		if err := (Validator{Direct: d}).Request(&request); err != nil {
			t.Fatal(err)
		}
	}
	if r := request.Recipients; len(r.EntityRefs) != 1 || len(r.Targets) != 2 || r.Targets[1].Address != "#b" {
		t.Errorf("%+v", r)
	}
	alone := SendRequest{Recipients: Recipients{Type: RecipientsEntity, EntityRefs: []string{"slack:#a"}}, Payload: Payload{Title: "t"}}
	if err := (Validator{Direct: d}).Request(&alone); err != nil {
		t.Errorf("a request to a direct target alone: %v", err)
	}
}

// TestDirectTargetsOfAProcessor: it may name any address, of channels as they are
// called.
func TestDirectTargetsOfAProcessor(t *testing.T) {
	d, err := NewDirectTargets([]string{"Email", "Slack"}, []string{"email:*"})
	if err != nil {
		t.Fatal(err)
	}
	of := func(targets ...DirectTarget) *SendRequest {
		return &SendRequest{
			Recipients: Recipients{Type: RecipientsEntity, EntityRefs: []string{"email:a@example.com"}, Targets: targets},
			Payload:    Payload{Title: "t"},
		}
	}
	good := of(DirectTarget{"email", " a@example.com "}, DirectTarget{"SLACK", "#ops"}, DirectTarget{"Slack", "#ops"}, DirectTarget{"Gone", "x"})
	if err := (Validator{Direct: d}).Request(good); err != nil {
		t.Fatal(err)
	}
	if want := []DirectTarget{{"Email", "a@example.com"}, {"Slack", "#ops"}, {"Gone", "x"}}; !slices.Equal(good.Recipients.Targets, want) {
		t.Errorf("%+v, want %+v", good.Recipients.Targets, want)
	}
	var many []DirectTarget
	for i := range MaxEntityRefs { // and that of the sender
		many = append(many, DirectTarget{"Slack", strconv.Itoa(i)})
	}
	for name, bad := range map[string]*SendRequest{
		"no address":         of(DirectTarget{"Slack", " "}),
		"control characters": of(DirectTarget{"Slack", "#a\x00"}),
		"no UTF-8":           of(DirectTarget{"Sl\xffck", "#a"}),
		"long":               of(DirectTarget{"Slack", strings.Repeat("x", MaxEntityRef+1)}),
		"many":               of(many...),
	} {
		if err := (Validator{Direct: d}).Request(bad); ErrorCode(err) != CodeInput {
			t.Errorf("%s: %v", name, err)
		}
	}
}
