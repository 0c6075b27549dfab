package signalbox

import (
	"strings"
	"testing"
	"time"
)

func TestSenderPolicy(t *testing.T) {
	yes, no := true, false
	policy, err := NewSenderPolicy([]SenderRule{
		{Subject: "CI", Recipients: []string{"group:default/*", "User:*", "email:*@example.com"}, Topics: []string{"deploy*", "b"}, MaxSeverity: SeverityHigh},
		{Subject: "external:loud", Broadcast: &yes, Recipients: []string{}},
		{Subject: "external:*", Broadcast: &no},
		{Subject: "rate", Rate: SendRate{Count: 1, Per: time.Second, Burst: 1}},
		{Subject: "untitled", Topics: []string{"*"}},
		{Subject: "user:default/chief", Broadcast: &yes},
		{Subject: "user:*", Topics: []string{"hello"}},
		{Subject: "nobody*", Recipients: []string{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	direct, err := NewDirectTargets([]string{"Email"}, []string{"email:*@example.com", "email:*@example.net"})
	if err != nil {
		t.Fatal(err)
	}
	service := func(name string) Principal { return ServicePrincipal{Name: name} }
	user := func(name string) Principal { return UserPrincipal{Ref: "user:default/" + name} }
	to := func(refs ...string) Recipients { return Recipients{Type: RecipientsEntity, EntityRefs: refs} }
	everyone := Recipients{Type: RecipientsBroadcast}
	topic := func(topic string) Payload { return Payload{Title: "x", Topic: topic} }
	for name, c := range map[string]struct {
		sender     Principal
		recipients Recipients
		payload    Payload
		want       string
	}{
		"group":                       {service("ci"), to("group:Ops"), topic("deploys"), ""},
		"direct target":               {service("ci"), to("EMAIL:Ops@Example.com", "user:a"), topic("B"), ""},
		"a direct target beyond":      {service("ci"), to("user:a", "email:ops@example.net", "user:b"), topic("b"), "request/recipients/entityRef/1 must be a recipient that \"ci\" may send to: group:default/*, user:*, email:*@example.com"},
		"a group elsewhere":           {service("ci"), to("user:a", "user:A", "group:x/ops"), topic("b"), "request/recipients/entityRef/2 must be"},
		"another kind":                {service("ci"), to("component:a"), topic("b"), "request/recipients/entityRef/0 must be"},
		"broadcast, with recipients":  {service("ci"), everyone, topic("b"), "request/recipients/type must not be broadcast"},
		"topic":                       {service("ci"), to("user:a"), topic("c"), "request/payload/topic must be a topic that \"ci\" may send with: deploy*, b"},
		"no topic":                    {service("ci"), to("user:a"), topic(""), "request/payload/topic must be"},
		"no topic, for any":           {service("untitled"), to("user:a"), topic(""), ""},
		"severity":                    {service("ci"), to("user:a"), Payload{Title: "x", Topic: "b", Severity: "Critical"}, "request/payload/severity must not be more severe than high"},
		"severity below":              {service("ci"), to("user:a"), Payload{Title: "x", Topic: "b", Severity: "high"}, ""},
		"upper case":                  {service("Ci"), everyone, topic("b"), "must not be broadcast"},
		"no rule":                     {service("other"), everyone, Payload{Title: "x", Severity: SeverityCritical}, ""},
		"a rule with a rate only":     {service("rate"), everyone, topic(""), ""},
		"the first rule holds":        {service("external:loud"), everyone, topic(""), ""},
		"it holds alone":              {service("external:loud"), to("user:a"), topic(""), "may send to: none"},
		"pattern":                     {service("external:a:b"), everyone, topic(""), "must not be broadcast"},
		"pattern, to all others":      {service("external:a:b"), to("component:a"), topic(""), ""},
		"nothing, to nobody":          {service("nobody at all"), to("user:a"), topic(""), "may send to: none"},
		"nothing, to everyone":        {service("nobody"), everyone, topic(""), "must not be broadcast"},
		"user":                        {user("jane"), to("user:a", "group:b/c"), topic("hello"), ""},
		"user, to a component":        {user("jane"), to("component:a"), topic("hello"), "entityRef/0 must be a recipient that \"user:default/jane\" may send to: user:*, group:*"},
		"user, direct target":         {user("jane"), to("email:ops@example.com"), topic("hello"), "entityRef/0 must be"},
		"user, to everyone":           {user("jane"), everyone, topic("hello"), "must not be broadcast"},
		"user, topic":                 {user("jane"), to("user:a"), topic("x"), "topic must be"},
		"a user who may":              {user("chief"), everyone, topic("x"), ""},
		"a service called like one":   {service("user:default/jane"), to("component:a"), topic("hello"), ""},
		"what is wrong is told first": {service("ci"), to("a", "component:a"), topic("b"), "missing or empty kind"},
	} {
		t.Run(name, func(t *testing.T) {
			rules := Validator{Direct: direct, Sender: policy.Of(c.sender)}
			err := rules.Request(&SendRequest{Recipients: c.recipients, Payload: c.payload})
			switch {
			case c.want == "" && err == nil:
			case err == nil || c.want == "" || !strings.Contains(err.Error(), c.want):
				t.Errorf("error %v, want %q", err, c.want)
			case ErrorCode(err) != CodeNotAllowed && !strings.Contains(c.want, "kind"):
				t.Errorf("code %s", ErrorCode(err))
			}
		})
	}
	if rate := policy.Of(service("rate")).Rate(); rate.Count != 1 {
		t.Errorf("%+v", rate)
	}
	if policy.Of(service("other")) != nil {
		t.Error("a service without a rule is restricted")
	}
}

func TestNoSenderPolicy(t *testing.T) {
	var none *SenderPolicy
	if none.Of(ServicePrincipal{Name: "ci"}) != nil {
		t.Error("a service is restricted")
	}
	rights := none.Of(UserPrincipal{Ref: "user:default/jane"})
	if err := rights.Signal(&Signal{Recipients: []string{"user:default/joe"}}); err != nil {
		t.Error(err)
	}
	for _, signal := range []Signal{{Broadcast: true}, {Recipients: []string{"user:default/joe", "api:default/x"}}} {
		if err := rights.Signal(&signal); ErrorCode(err) != CodeNotAllowed {
			t.Errorf("%+v: %v", signal, err)
		}
	}
}

func TestSenderRulesAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		rules []SenderRule
		want  string
	}{
		"no subject":        {[]SenderRule{{}}, "rule 0 has no subject"},
		"twice":             {[]SenderRule{{Subject: "a"}, {Subject: "A"}}, `rule 1 is never used: rule 0, "a"`},
		"behind a pattern":  {[]SenderRule{{Subject: "a"}, {Subject: "B*"}, {Subject: "bc"}}, `rule 2 is never used: rule 1, "B*"`},
		"pattern behind it": {[]SenderRule{{Subject: "*b*"}, {Subject: "a*b*c"}}, "rule 1 is never used"},
		"before a pattern":  {[]SenderRule{{Subject: "bc"}, {Subject: "b*"}, {Subject: "*"}}, ""},
		"rate without time": {[]SenderRule{{Subject: "a", Rate: SendRate{Count: 1, Burst: 1}}}, "rate"},
		"no burst":          {[]SenderRule{{Subject: "a", Rate: SendRate{Count: 1, Per: 1}}}, "rate"},
	} {
		_, err := NewSenderPolicy(c.rules)
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestMatchPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a/b:c", true},
		{"a", "a", true},
		{"a", "ab", false},
		{"ab", "a", false},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*b*c", "abbbc", true},
		{"a*b*c", "acb", false},
		{"**", "x", true},
		{"*ab*ab*", "abab", true},
		{"*ab*ab*", "aba", false},
		{"user:*", "user:default/jane", true},
		{"*é", "aé", true},
		{"?", "a", false},
		{"[a]", "a", false},
	} {
		if got := matchPattern(c.pattern, c.s); got != c.want {
			t.Errorf("%q, %q: %v", c.pattern, c.s, got)
		}
	}
	done := make(chan bool)
	go func() { done <- matchPattern(strings.Repeat("*a", 127)+"b", strings.Repeat("a", 255)) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("a hostile pattern takes long")
	}
}
