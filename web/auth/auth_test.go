package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
)

const (
	secret = "correct-horse"
	// hashed is what "printf %s correct-horse | sha256sum" prints.
	hashed = "sha256:9dca666eb54730714630d1519264a7bf1eeaad00b8f2edc90d3ecbfad928d163"
)

func digest(t *testing.T, secret string) auth.Digest {
	t.Helper()
	d, err := auth.ParseDigest(secret)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParseDigest(t *testing.T) {
	plain := digest(t, secret)
	if digest(t, hashed) != plain || digest(t, "sha256:"+strings.ToUpper(hashed[7:])) != plain {
		t.Error("the hash of a token is not the token's digest")
	}
	for _, bad := range []string{
		"", "short", "with space", "with\nbreak", "sha256:", "sha256:abcd", hashed + "00", "sha256:" + strings.Repeat("x", 64),
	} {
		if _, err := auth.ParseDigest(bad); err == nil {
			t.Errorf("%q passed", bad)
		} else if bad != "" && strings.Contains(err.Error(), bad) && bad != "sha256:" {
			t.Errorf("the error holds the secret: %v", err)
		}
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", plain, auth.StaticToken{Digest: plain}, auth.StaticToken{Digest: plain}, plain); strings.Contains(shown, fmt.Sprintf("%x", plain[:4])) || strings.Contains(shown, fmt.Sprint(plain[0])+" "+fmt.Sprint(plain[1])) {
		t.Errorf("a digest shows: %s", shown)
	}
}

func TestNewStaticTokens(t *testing.T) {
	d := digest(t, secret)
	for name, tokens := range map[string][]auth.StaticToken{
		"no token":         {{Subject: "ci"}},
		"no subject":       {{Digest: d, Subject: " "}},
		"control":          {{Digest: d, Subject: "a\nb"}},
		"long":             {{Digest: d, Subject: strings.Repeat("x", 256)}},
		"same token twice": {{Digest: d, Subject: "a"}, {Digest: d, Subject: "b"}},
	} {
		if _, err := auth.NewStaticTokens(tokens); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestStaticTokens(t *testing.T) {
	static, err := auth.NewStaticTokens([]auth.StaticToken{
		{Digest: digest(t, secret), Subject: "ci"},
		{Digest: digest(t, "catalog-only-token"), Subject: "catalog", Plugins: []string{"catalog"}},
		{Digest: digest(t, "notifications-token"), Subject: "external:x", Plugins: []string{"catalog", "notifications"}},
		{Digest: digest(t, "no-plugin-at-all"), Subject: "none", Plugins: []string{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		token, plugin string
		origin        string
		code          signalbox.Code
	}{
		{token: secret, plugin: "notifications", origin: "ci"},
		{token: secret, plugin: "signals", origin: "ci"},
		{token: "notifications-token", plugin: "notifications", origin: "external:x"},
		{token: "notifications-token", plugin: "signals", code: signalbox.CodeNotAllowed},
		{token: "catalog-only-token", plugin: "notifications", code: signalbox.CodeNotAllowed},
		{token: "no-plugin-at-all", plugin: "notifications", code: signalbox.CodeNotAllowed},
		{token: secret + "x", plugin: "notifications", code: signalbox.CodeAuthentication},
		{token: secret[:8], plugin: "notifications", code: signalbox.CodeAuthentication},
		{token: "", plugin: "notifications", code: signalbox.CodeAuthentication},
	} {
		principal, err := auth.Chain{static}.Authenticate(context.Background(), auth.Credentials{Token: c.token, Plugin: c.plugin})
		if signalbox.ErrorCode(err) != c.code {
			t.Errorf("%s, %s: error %v, want code %q", c.token, c.plugin, err, c.code)
		}
		if err != nil && c.token != "" && strings.Contains(err.Error(), c.token) {
			t.Errorf("the error holds the token: %v", err)
		}
		if err == nil && principal != (signalbox.ServicePrincipal{Name: c.origin}) {
			t.Errorf("%s, %s: %#v", c.token, c.plugin, principal)
		}
	}
}

func TestGuest(t *testing.T) {
	guest, err := auth.NewGuest(auth.GuestConfig{Hosts: []string{"Dev.Example.com"}, AllowedOrigins: []string{"http://localhost:3000/"}})
	if err != nil {
		t.Fatal(err)
	}
	jane := signalbox.UserPrincipal{Ref: "user:default/jane", Ownership: []string{"user:default/jane", "group:default/a", "group:ops/b"}, Guest: true}
	for name, c := range map[string]struct {
		credentials auth.Credentials
		want        signalbox.Principal
		code        signalbox.Code
	}{
		"default":         {credentials: auth.Credentials{Host: "127.0.0.1:7080"}},
		"localhost":       {credentials: auth.Credentials{Host: "LOCALHOST"}},
		"a name below":    {credentials: auth.Credentials{Host: "app.localhost:80"}},
		"IPv6":            {credentials: auth.Credentials{Host: "[::1]:7080"}},
		"configured":      {credentials: auth.Credentials{Host: "dev.example.com:7080"}},
		"own page":        {credentials: auth.Credentials{Host: "localhost:7080", Origin: "http://localhost:7080"}},
		"configured page": {credentials: auth.Credentials{Host: "localhost:7080", Origin: "http://localhost:3000"}},
		"switched":        {credentials: auth.Credentials{Host: "localhost", GuestUser: "User:Jane", GuestGroups: "group:a, group:ops/b,group:A"}, want: jane},

		"rebound name":     {credentials: auth.Credentials{Host: "evil.example.com:7080"}, code: signalbox.CodeNotAllowed},
		"loopback prefix":  {credentials: auth.Credentials{Host: "127.0.0.1.evil.example.com"}, code: signalbox.CodeNotAllowed},
		"localhost prefix": {credentials: auth.Credentials{Host: "localhost.evil.example.com"}, code: signalbox.CodeNotAllowed},
		"other address":    {credentials: auth.Credentials{Host: "192.168.1.1"}, code: signalbox.CodeNotAllowed},
		"no host":          {credentials: auth.Credentials{}, code: signalbox.CodeNotAllowed},
		"foreign page":     {credentials: auth.Credentials{Host: "localhost:7080", Origin: "https://evil.example.com"}, code: signalbox.CodeNotAllowed},
		"other port":       {credentials: auth.Credentials{Host: "localhost:7080", Origin: "http://localhost:8080"}, code: signalbox.CodeNotAllowed},
		"opaque page":      {credentials: auth.Credentials{Host: "localhost:7080", Origin: "null"}, code: signalbox.CodeNotAllowed},
		"bad user":         {credentials: auth.Credentials{Host: "localhost", GuestUser: "jane"}, code: signalbox.CodeInput},
		"group as user":    {credentials: auth.Credentials{Host: "localhost", GuestUser: "group:a"}, code: signalbox.CodeInput},
		"bad group":        {credentials: auth.Credentials{Host: "localhost", GuestGroups: "group:a,,"}, code: signalbox.CodeInput},
		"many groups":      {credentials: auth.Credentials{Host: "localhost", GuestGroups: strings.Repeat("group:a,", 101)}, code: signalbox.CodeInput},
	} {
		t.Run(name, func(t *testing.T) {
			principal, err := guest.Authenticate(context.Background(), c.credentials)
			if signalbox.ErrorCode(err) != c.code || (err != nil) != (c.code != "") {
				t.Fatalf("error %v, want code %q", err, c.code)
			}
			if c.code != "" {
				return
			}
			want := c.want
			if want == nil {
				want = signalbox.UserPrincipal{Ref: auth.DefaultGuest, Ownership: []string{auth.DefaultGuest}, Guest: true}
			}
			if diff := cmp.Diff(want, principal); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := guest.Authenticate(context.Background(), auth.Credentials{Host: "localhost", Token: "x"}); !errors.Is(err, auth.ErrNotMine) {
		t.Errorf("a token made a guest: %v", err)
	}
}

// owners knows one user, and is away for another.
type owners struct{}

func (owners) Ownership(ctx context.Context, user string) ([]string, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return nil, errors.New("a directory that is away would keep the guest waiting for ever")
	}
	switch user {
	case "user:default/jane":
		return []string{user, "group:default/team-a"}, nil
	case "user:default/joe":
		return nil, signalbox.Transient(errors.New("the directory is away"))
	}
	return []string{user}, nil
}

func TestGuestOwnership(t *testing.T) {
	guest, err := auth.NewGuest(auth.GuestConfig{Ownership: owners{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, user, groups string
		want               []string
	}{
		{"from the directory", "user:jane", "", []string{"user:default/jane", "group:default/team-a"}},
		{"what the guest says wins", "user:jane", "group:b", []string{"user:default/jane", "group:default/b"}},
		{"an outage keeps nobody out", "user:joe", "", []string{"user:default/joe"}},
		{"nobody in particular", "", "", []string{auth.DefaultGuest}},
	} {
		principal, err := guest.Authenticate(context.Background(), auth.Credentials{Host: "localhost", GuestUser: c.user, GuestGroups: c.groups})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(signalbox.UserPrincipal{Ref: c.want[0], Ownership: c.want, Guest: true}, principal); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestNewGuest(t *testing.T) {
	for _, config := range []auth.GuestConfig{
		{User: "jane"}, {User: "group:default/a"}, {AllowedOrigins: []string{"*"}},
	} {
		if _, err := auth.NewGuest(config); err == nil {
			t.Errorf("%+v: no error", config)
		}
	}
}
