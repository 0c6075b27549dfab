package configs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// loginIn is a file with a login that has these fields besides, and email as emailIn
// has it, with a stream.
func loginIn(fields string) string {
	return "publicUrl: https://signalbox.example.com\nauth: {oidc: {clientId: x, " + fields + "}}\n"
}

func mailIn(fields string) string {
	return emailIn("{sender: a@b.example, transportConfig: {transport: stream}, " + fields + "}")
}

// What cannot be read is one problem: it is not missing besides.
func TestOneMistakeIsOneProblem(t *testing.T) {
	const issuer, user = "issuer: https://id.example.com", "user: {claim: sub}"
	const jwt = "auth: {jwt: [{" + issuer + ", " + user + ", "
	for file, want := range map[string]string{
		"auth: {oidc: x}":                                `auth.oidc: must be a section, not a single value, got "x"`,
		"auth: {jwt: [x]}":                               `auth.jwt[0]: must be a section, not a single value, got "x"`,
		"auth: {proxy: []}":                              "auth.proxy: must be a section, not a list",
		loginIn("issuer: [], " + user):                   "auth.oidc.issuer: must be a single value, not a list",
		loginIn("issuer: '${NONE}', " + user):            "auth.oidc.issuer: refers to the environment variable NONE, which is not set",
		loginIn(issuer + ", user: x"):                    `auth.oidc.user: must be a section, not a single value, got "x"`,
		loginIn(issuer + ", user: {claim: {}}"):          "auth.oidc.user.claim: must be a single value, not a section",
		loginIn(issuer + ", scopes: [[]], " + user):      "auth.oidc.scopes[0]: must be a single value, not a list",
		jwt + "audiences: [[]]}]}":                       "auth.jwt[0].audiences[0]: must be a single value, not a list",
		jwt + "audiences: a, service: x}]}":              `auth.jwt[0].service: must be a section, not a single value, got "x"`,
		jwt + "audiences: a, algorithms: [[]]}]}":        "auth.jwt[0].algorithms[0]: must be a single value, not a list",
		"auth: {proxy: {cidrs: [{}]}}":                   "auth.proxy.cidrs[0]: must be a single value, not a section",
		mailIn("allowedEmailDomains: [[]]"):              "notifications.processors.email.allowedEmailDomains[0]: must be a single value, not a list",
		mailIn("denylistEmailAddresses: [~]"):            "notifications.processors.email.denylistEmailAddresses[0]: must be a single value, not nothing",
		mailIn("dkim: {domain: b.example, selector: s}"): "notifications.processors.email.dkim.privateKey: is required",
	} {
		_, _, problems := load(t, Sources{Files: write(t, file)})
		for i, problem := range problems {
			_, problems[i], _ = strings.Cut(problem, ": ") // the place
		}
		if diff := cmp.Diff([]string{want}, problems); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

// A variable often ends with a new line: the spaces around what is not a secret or an
// identifier mean nothing, in every section.
func TestSpacesAroundValues(t *testing.T) {
	environ := []string{
		"URL=https://id.example.com\n", "WORD=x\n", "NAME=name\n", "TRUE=true\n", "HIGH= high\n", "TIME=22:00\n", "KIND=jwks\n", "ONE= 1\n",
	}
	for _, file := range []string{
		loginIn("issuer: '${URL}', clientSecret: '${WORD}', user: {claim: '${WORD}', as: '${NAME}', namespace: '${WORD}'}, groups: {claim: '${WORD}', as: '${NAME}'}"),
		"auth: {jwt: [{issuer: '${URL}', jwksUrl: '${URL}', audiences: ['${WORD}'], service: {claim: '${WORD}', prefix: '${WORD}', when: {claim: '${WORD}', value: '${WORD}'}}}]}",
		"auth: {proxy: {cidrs: [10.0.0.1], userHeader: '${WORD}', groupsHeader: 'Y ', user: {as: '${NAME}'}}}",
		"auth: {senders: [{subject: a, broadcast: '${TRUE}', maxSeverity: '${HIGH}', rateLimit: {count: '${ONE}', per: 1s}}]}",
		"backend: {auth: {externalAccess: [{type: '${KIND}', options: {url: '${URL}'}}]}}",
		mailIn("concurrencyLimit: '${ONE}', filter: {minSeverity: '${HIGH}'}, unsubscribe: {enabled: '${TRUE}', url: '${URL}'}"),
		"notifications: {processors: {slack: [{token: '${WORD}', apiURL: '${URL}', threadUpdates: '${TRUE}', concurrencyLimit: '${ONE}'}]}}",
		"notifications: {defaultSettings: {channels: [{id: Web, enabled: '${TRUE}'}]}, mandatory: [{channel: Web, severity: '${HIGH}'}], filters: {Web: {maxSeverity: '${HIGH}'}}}",
		"notifications: {schedule: {quietHours: {from: '${TIME}', to: '07:00', below: '${HIGH}'}}}",
	} {
		if _, _, problems := load(t, Sources{Files: write(t, file), Environ: environ}); problems != nil {
			t.Errorf("%s: %q", file, problems)
		}
	}
}

// An empty text is not what is required.
func TestRequiredAndEmpty(t *testing.T) {
	const pem = "privateKey: '-----BEGIN '"
	for file, want := range map[string]string{
		"backend: {auth: {externalAccess: [{type: jwks, options: {url: ''}}]}}": "options.url: is required: where the keys of the issuer are",
		mailIn("dkim: {domain: '', selector: s, " + pem + "}"):                  "dkim.domain: is required",
		mailIn("dkim: {domain: b.example, selector: ' ', " + pem + "}"):         "dkim.selector: is required",
		loginIn("issuer: '', user: {claim: sub}"):                               "auth.oidc.issuer: is required: the URL of the identity provider",
	} {
		_, _, problems := load(t, Sources{Files: write(t, file)})
		if len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: %q, want %q", file, problems, want)
		}
	}
	c, _, problems := load(t, Sources{Files: write(t, loginIn("issuer: https://id.example.com, user: {claim: sub, as: ''}, groups: {claim: g, as: ''}"))})
	if problems != nil || c.Auth.OIDC.User.As != "name" || c.Auth.OIDC.Groups.As != "name" {
		t.Errorf("without a form: %q, %+v", problems, c.Auth.OIDC)
	}
}

// Wherever a secret is, and whatever is wrong with it, it is not told.
func TestSecretsOfEverySection(t *testing.T) {
	const smtp = "notifications: {processors: {email: {sender: a@b.example, transportConfig: {transport: smtp, hostname: h, username: u, password: SECRET}}}}"
	const access = "backend: {auth: {externalAccess: [{type: "
	forms := []string{"[hunter2]", "{$env: hunter2, a: hunter2}", `"hunter2\u0001 hunter2"`, `"${hunter2"`, "{hunter2: {a: hunter2}}", "hunter2"}
	for file, accepted := range map[string]string{
		loginIn("issuer: https://id.example.com, user: {claim: sub}, clientSecret: SECRET"): "hunter2",
		smtp: `hunter2, "hunter2\u0001 hunter2"`,
		mailIn("dkim: {domain: b.example, selector: s, privateKey: SECRET}"): "",
		mailIn("unsubscribe: {keys: [{id: a, secret: SECRET}]}"):             "",
		"notifications: {processors: {slack: [{token: SECRET}]}}":            "hunter2",
		"directory: {backstage: {token: SECRET}}":                            "hunter2",
		"backend: {auth: {keys: [{secret: SECRET}]}}":                        "",
		access + "legacy, options: {subject: a, secret: SECRET}}]}}":         "",
		access + "static, options: {subject: a, token: SECRET}}]}}":          "",
		access + "static, options: {subject: a, tokenHash: SECRET}}]}}":      "",
		"database: SECRET": "",
	} {
		for _, form := range forms {
			_, warnings, problems := load(t, Sources{Files: write(t, strings.Replace(file, "SECRET", form, 1))})
			if strings.Contains(accepted, form) != (problems == nil) {
				t.Errorf("%s as %s: %q", file, form, problems)
			}
			if all := strings.Join(append(warnings, problems...), "\n"); strings.Contains(all, "hunter2") {
				t.Errorf("%s as %s: a secret is told: %s", file, form, all)
			}
		}
	}
}

// In the environment all problems are at the same place: they are told in the order
// of the fields.
func TestProblemsWithoutLinesHaveAnOrder(t *testing.T) {
	const access, endpoints = "SIGNALBOX_BACKEND_AUTH_EXTERNAL_ACCESS", "SIGNALBOX_DISCOVERY_ENDPOINTS"
	_, _, problems := load(t, Sources{Environ: []string{
		access + "=[{type: jwks, options: {url: 'https://h', algorithm: {}, audience: {}, issuer: {}}}]",
		endpoints + "=[{plugins: [a], target: {external: x, internal: x}}]",
	}})
	want := []string{
		access + ": backend.auth.externalAccess[0].options.issuer: must be a single value, not a section",
		access + ": backend.auth.externalAccess[0].options.audience: must be a single value, not a section",
		access + ": backend.auth.externalAccess[0].options.algorithm: must be a single value, not a section",
		endpoints + ": discovery.endpoints[0].target.internal: must be an http:// or https:// URL with a host",
		endpoints + ": discovery.endpoints[0].target.external: must be an http:// or https:// URL with a host",
	}
	if diff := cmp.Diff(want, problems); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
