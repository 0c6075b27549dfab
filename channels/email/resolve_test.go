package email

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

func TestTakes(t *testing.T) {
	for _, broadcast := range []Broadcast{"", BroadcastNone, BroadcastConfig, BroadcastUsers} {
		c, _ := toWriter(t, Config{Broadcast: broadcast, Users: newDirectory(), BroadcastAddresses: []string{"all@example.com"}})
		for audience, want := range map[signalbox.Audience]bool{
			jane: true, "": true, "group:default/a": false, "component:default/a": false,
			signalbox.Everyone: broadcast == BroadcastConfig || broadcast == BroadcastUsers,
		} {
			if got := c.Takes(audience, true); got != want || got != c.Takes(audience, false) {
				t.Errorf("broadcasts %q: takes %q: %v", broadcast, audience, got)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		concurrency int
		interval    time.Duration
		want        channels.Limits
	}{
		{0, 0, channels.Limits{Concurrency: 2}},
		// Backstage's defaults: 2 mails in 100 ms.
		{2, 100 * time.Millisecond, channels.Limits{Concurrency: 2, PerChannel: channels.Rate{Every: 50 * time.Millisecond, Burst: 2}}},
		{10, time.Minute, channels.Limits{Concurrency: 10, PerChannel: channels.Rate{Every: 6 * time.Second, Burst: 10}}},
		{100, time.Second, channels.Limits{Concurrency: 64, PerChannel: channels.Rate{Every: 10 * time.Millisecond, Burst: 100}}},
	} {
		channel, _ := toWriter(t, Config{Concurrency: c.concurrency, Interval: c.interval})
		if diff := cmp.Diff(c.want, channel.Limits()); diff != "" {
			t.Error(diff)
		}
	}
}

// resolved is what Resolve said: addresses, or the rule.
func resolved(t *testing.T, c *Channel, d channels.Delivery) string {
	t.Helper()
	targets, err := c.Resolve(t.Context(), d, "")
	if rule, reason, ok := channels.AsSuppressed(err); ok {
		if reason == "" {
			t.Error("no reason")
		}
		return string(rule)
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, target := range targets.Targets {
		all = append(all, target.Address)
	}
	return strings.Join(all, " ")
}

func TestLists(t *testing.T) {
	type lists struct{ domains, allowed, denied []string }
	for _, c := range []struct {
		name  string
		lists lists
		email string
		want  string
	}{
		{"none", lists{}, "jane@example.com", "jane@example.com"},
		{"domain", lists{domains: []string{"Example.COM"}}, "jane@EXAMPLE.com", "jane@example.com"},
		{"another domain", lists{domains: []string{"example.com"}}, "jane@example.org", "email.domain"},
		{"a subdomain", lists{domains: []string{"example.com"}}, "jane@mail.example.com", "email.domain"},
		{"a parent domain", lists{domains: []string{"mail.example.com"}}, "jane@example.com", "email.domain"},
		{"international domain", lists{domains: []string{"bücher.example"}}, "jane@xn--bcher-kva.example", "jane@xn--bcher-kva.example"},
		{"allowlist beats domains", lists{domains: []string{"example.com"}, allowed: []string{" Jane@Example.ORG "}}, "jane@example.org", "jane@example.org"},
		{"allowlist alone", lists{allowed: []string{"jane@example.org"}}, "joe@example.org", "email.domain"},
		{"denylist beats allowlist", lists{allowed: []string{"jane@example.org"}, denied: []string{"JANE@example.org"}}, "jane@example.org", "email.denylist"},
		{"denylist beats domains", lists{domains: []string{"example.org"}, denied: []string{"jane@example.org"}}, "Jane@example.org", "email.denylist"},
		{"no address", lists{}, "", "address.none"},
		{"not an address", lists{}, "jane", "address.none"},
		{"two addresses", lists{}, "jane@example.com,joe@example.com", "address.none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			channel, _ := toWriter(t, Config{
				Directory:      newDirectory(signalbox.Entity{Ref: jane, Email: c.email}),
				AllowedDomains: c.lists.domains, Allowed: c.lists.allowed, Denied: c.lists.denied,
			})
			if got := resolved(t, channel, channels.Delivery{Audience: jane}); got != c.want {
				t.Errorf("user: %q, want %q", got, c.want)
			}
			direct := channels.Delivery{Target: channels.Target{Address: c.email}}
			if got := resolved(t, channel, direct); got != c.want {
				t.Errorf("direct target: %q, want %q", got, c.want)
			}
			// And once more when it is sent.
			_, err := channel.Deliver(t.Context(), direct)
			rule, _, suppressed := channels.AsSuppressed(err)
			if suppressed == strings.Contains(c.want, "@") || suppressed && string(rule) != c.want {
				t.Errorf("deliver: %v, want %q", err, c.want)
			}
		})
	}
}

func TestResolveOthers(t *testing.T) {
	c, _ := toWriter(t, Config{})
	for audience, want := range map[signalbox.Audience]string{
		"user:default/nobody": "address.none", "group:default/a": "address.none", signalbox.Everyone: "address.none",
	} {
		if got := resolved(t, c, channels.Delivery{Audience: audience}); got != want {
			t.Errorf("%s: %q", audience, got)
		}
	}
	away := janeOnly()
	away.err = signalbox.Transient(errors.New("catalog is away"))
	c, _ = toWriter(t, Config{Directory: away, Users: away, Broadcast: BroadcastUsers})
	for _, audience := range []signalbox.Audience{jane, signalbox.Everyone} {
		if _, err := c.Resolve(t.Context(), channels.Delivery{Audience: audience}, ""); !signalbox.IsTransient(err) {
			t.Errorf("%s: %v", audience, err)
		}
	}
}

// pages follows the cursor to the end.
func pages(t *testing.T, c *Channel) (addresses []string, sizes []int) {
	t.Helper()
	for cursor := ""; ; {
		page, err := c.Resolve(t.Context(), channels.Delivery{Audience: signalbox.Everyone}, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, target := range page.Targets {
			addresses = append(addresses, target.Address)
		}
		sizes = append(sizes, len(page.Targets))
		if cursor = page.Next; cursor == "" {
			return addresses, sizes
		}
	}
}

func TestBroadcastToConfig(t *testing.T) {
	var all []string
	for i := range 1100 {
		all = append(all, fmt.Sprintf("a%d@example.com", i))
	}
	c, _ := toWriter(t, Config{Broadcast: BroadcastConfig, BroadcastAddresses: all, Denied: []string{"a7@example.com"}})
	got, sizes := pages(t, c)
	if diff := cmp.Diff(append(append([]string(nil), all[:7]...), all[8:]...), got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{499, 500, 100}, sizes); diff != "" {
		t.Error(diff)
	}
	if _, err := c.Resolve(t.Context(), channels.Delivery{Audience: signalbox.Everyone}, "junk"); !signalbox.IsPermanent(err) {
		t.Errorf("a cursor that is none: %v", err)
	}
	c, _ = toWriter(t, Config{Broadcast: BroadcastConfig, BroadcastAddresses: []string{"A@example.com", "a@EXAMPLE.com"}})
	if got, _ := pages(t, c); len(got) != 1 {
		t.Errorf("the same address twice: %q", got)
	}
}

func TestBroadcastToUsers(t *testing.T) {
	var entities []signalbox.Entity
	var want []string
	for i := range 1300 {
		entity := signalbox.Entity{Ref: fmt.Sprintf("user:default/u%04d", i)}
		// A whole page without an address, and one that is not valid.
		if i < 500 || i >= 1000 {
			entity.Email = fmt.Sprintf("u%d@example.com", i)
			want = append(want, entity.Email)
		} else if i == 700 {
			entity.Email = "not an address"
		}
		entities = append(entities, entity)
	}
	d := newDirectory(entities...)
	c, _ := toWriter(t, Config{Directory: d, Users: d, Broadcast: BroadcastUsers})
	got, sizes := pages(t, c)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]int{500, 300}, sizes); diff != "" {
		t.Error(diff)
	}
	// The last page may be empty.
	few := newDirectory(append(entities[:500:500], entities[500])...)
	c, _ = toWriter(t, Config{Directory: few, Users: few, Broadcast: BroadcastUsers})
	if _, sizes := pages(t, c); !cmp.Equal(sizes, []int{500, 0}) {
		t.Errorf("pages of %d", sizes)
	}
	nobody := newDirectory(signalbox.Entity{Ref: jane})
	c, _ = toWriter(t, Config{Directory: nobody, Users: nobody, Broadcast: BroadcastUsers})
	if got := resolved(t, c, channels.Delivery{Audience: signalbox.Everyone}); got != "address.none" {
		t.Errorf("nobody: %q", got)
	}
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const joe = "user:default/joe"
		d := newDirectory(signalbox.Entity{Ref: jane, Email: "jane@example.com"}, signalbox.Entity{Ref: joe})
		c, _ := toWriter(t, Config{Directory: d, CacheTTL: time.Hour})
		d2 := channels.Delivery{Audience: jane}
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 1}, {59 * time.Minute, 1}, {2 * time.Minute, 2}} {
			time.Sleep(step.wait) // the test's clock
			if got := resolved(t, c, d2); got != "jane@example.com" || d.asked != step.want {
				t.Errorf("%q, the directory was asked %d times, want %d", got, d.asked, step.want)
			}
		}
		// Who has no address is asked for again.
		for range 2 {
			resolved(t, c, channels.Delivery{Audience: joe})
		}
		if d.asked != 4 {
			t.Errorf("asked %d times", d.asked)
		}
		// And without a TTL everybody is.
		c, _ = toWriter(t, Config{Directory: d})
		resolved(t, c, d2)
		resolved(t, c, d2)
		if d.asked != 6 {
			t.Errorf("asked %d times", d.asked)
		}
	})
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"jane@example.com":                     "jane@example.com",
		"Jane.O'Hara+x@Example.COM":            "Jane.O'Hara+x@example.com",
		"a@bücher.example":                     "a@xn--bcher-kva.example",
		"a@localhost":                          "a@localhost",
		"":                                     "",
		"@":                                    "",
		"a@":                                   "",
		"@b.example":                           "",
		"a@b@c.example":                        "",
		"a b@c.example":                        "",
		" a@c.example":                         "",
		"a@c.example ":                         "",
		"a@c.example\r\nBcc: x@y.example":      "",
		"a\r\n@c.example":                      "",
		"a@c.example,b@c.example":              "",
		"<a@c.example>":                        "",
		"A <a@c.example>":                      "",
		`"a b"@c.example`:                      "",
		".a@c.example":                         "",
		"a..b@c.example":                       "",
		"a.@c.example":                         "",
		"jörg@c.example":                       "",
		"a@[127.0.0.1]":                        "",
		"a@127.0.0.1":                          "",
		"a@example":                            "",
		"a@example.com.":                       "",
		"a@ex..com":                            "",
		"a@-x.example":                         "",
		"a@exa mple.com":                       "",
		"a@x/y.example":                        "",
		strings.Repeat("a", 65) + "@c.example": "",
		"a@" + strings.Repeat("a", 64) + ".example":  "",
		"a@" + strings.Repeat("aa.", 90) + "example": "",
	} {
		got, err := parseAddress(text)
		if want == "" && err == nil || want != "" && (err != nil || got.String() != want) {
			t.Errorf("%q: %q %v, want %q", text, got, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"jane@example.com", "a@bücher.example", "a@b\r\nc", `"a"@b.c`, "a@xn--a.b", "A <a@b.c>"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseAddress(text)
		if err != nil {
			return
		}
		canonical := parsed.String()
		if strings.ContainsAny(canonical, "\r\n <>,;:\"()[]\\\x00") || strings.Count(canonical, "@") != 1 || len(canonical) > maxAddress {
			t.Errorf("%q becomes %q", text, canonical)
		}
		for _, r := range canonical {
			if r > 126 || r < 33 {
				t.Errorf("%q becomes %q", text, canonical)
			}
		}
		again, err := parseAddress(canonical)
		if err != nil || again.String() != canonical {
			t.Errorf("%q becomes %q, which becomes %q: %v", text, canonical, again, err)
		}
	})
}

func TestParseMailbox(t *testing.T) {
	for text, want := range map[string]string{
		"a@b.example":                         `|a@b.example`,
		"Signalbox <a@b.example>":             `Signalbox|a@b.example`,
		`"Doe, Jane" <a@b.example>`:           `Doe, Jane|a@b.example`,
		"Größe <a@größe.example>":             `Größe|a@xn--gre-6ka8i.example`,
		"=?utf-8?q?Gr=C3=B6?= <a@b.example>":  `Grö|a@b.example`,
		"":                                    "",
		"Signalbox":                           "",
		"a\r\nBcc: c@d.example <a@b.example>": "",
		`"a" b <a@b.example>x`:                "",
	} {
		got, err := parseMailbox(text)
		if want == "" && err == nil || want != "" && (err != nil || got.Name+"|"+got.Address != want) {
			t.Errorf("%q: %+v %v, want %q", text, got, err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"no directory":           func(c *Config) { c.Directory = nil },
		"sender":                 func(c *Config) { c.Sender = "nobody" },
		"reply-to":               func(c *Config) { c.ReplyTo = "nobody" },
		"exactly one of":         func(c *Config) { c.Sendmail = &Sendmail{} },
		"must not be negative":   func(c *Config) { c.Concurrency = -1 },
		"cannot list them":       func(c *Config) { c.Broadcast = BroadcastUsers },
		"unknown receiver":       func(c *Config) { c.Broadcast = "all" },
		"receiver of broadcasts": func(c *Config) { c.Broadcast, c.BroadcastAddresses = BroadcastConfig, []string{"x"} },
		"allowed domain":         func(c *Config) { c.AllowedDomains = []string{"@example.com"} },
		`"x" is not an email`:    func(c *Config) { c.Denied = []string{"x"} },
		"not an http or https":   func(c *Config) { c.AppURL = "example.com" },
		"host and port":          func(c *Config) { c.Stream, c.SMTP = nil, &SMTP{Host: "h"} },
		"unknown TLS policy":     func(c *Config) { c.Stream, c.SMTP = nil, &SMTP{Host: "h", Port: 25, TLS: "x"} },
		"unknown authentication": func(c *Config) { c.Stream, c.SMTP = nil, &SMTP{Host: "h", Port: 25, Auth: "x"} },
		"must be one line": func(c *Config) {
			c.Stream, c.SMTP = nil, &SMTP{Host: "h", Port: 25, Password: signalbox.NewSecret("a\nb")}
		},
		"is not a name to greet with:": func(c *Config) { c.Stream, c.SMTP = nil, &SMTP{Host: "h", Port: 25, Hello: "a b"} },
	} {
		config := Config{Directory: janeOnly(), Sender: "a@example.com", Stream: &Stream{Directory: t.TempDir()}}
		change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestSecretsHide(t *testing.T) {
	config := Config{SMTP: &SMTP{Password: signalbox.NewSecret("hunter2")}, DKIM: []DKIM{{PrivateKey: signalbox.NewSecret("hunter2")}}}
	text, err := config.SMTP.Password.MarshalText()
	shown := fmt.Sprintf("%v %+v %#v %#v %s %v", *config.SMTP, *config.SMTP, *config.SMTP, config.DKIM, text, config.SMTP.Password.LogValue())
	if err != nil || strings.Contains(shown, "hunter2") {
		t.Errorf("%v: %s", err, shown)
	}
}
