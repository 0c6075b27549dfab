package configs

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/signalbox/signalbox"
)

// emailIn is a file with this section.
func emailIn(section string) string {
	return "notifications:\n  processors:\n    email: " + section + "\n"
}

func TestEmailOfBackstage(t *testing.T) {
	// As the README of Backstage's module has it.
	config, warnings, problems := load(t, Sources{Files: write(t, `
notifications:
  processors:
    email:
      transportConfig:
        transport: 'smtp'
        hostname: 'my-smtp-server'
        port: 587
        secure: false
        username: 'my-username'
        password: 'my-password'
      sender: 'sender@mycompany.com'
      replyTo: 'no-reply@mycompany.com'
      broadcastConfig:
        receiver: 'users'
      concurrencyLimit: 10
      throttleInterval:
        seconds: 60
      cache:
        ttl:
          days: 1
      filter:
        minSeverity: high
        maxSeverity: critical
        excludedTopics:
          - scaffolder
      allowedEmailDomains:
        - mycompany.com
        - subsidiary.com
      allowlistEmailAddresses:
        - contractor@gmail.com
        - john.doe@backstage.io
      denylistEmailAddresses:
        - jane.doe@backstage.io
`)})
	if problems != nil || warnings != nil {
		t.Fatalf("problems %q, warnings %q", problems, warnings)
	}
	want := &Email{
		Transport: EmailOverSMTP,
		SMTP: EmailSMTP{
			Hostname: "my-smtp-server", Port: 587, Username: "my-username", Password: signalbox.NewSecret("my-password"),
			Auth: "auto", Timeout: time.Minute,
		},
		Sender: "sender@mycompany.com", ReplyTo: "no-reply@mycompany.com", BroadcastReceiver: "users",
		ConcurrencyLimit: 10, ThrottleInterval: time.Minute, CacheTTL: day,
		Filter: signalbox.PayloadFilter{
			MinSeverity: signalbox.SeverityHigh, MaxSeverity: signalbox.SeverityCritical, ExcludedTopics: []string{"scaffolder"},
		},
		AllowedDomains: []string{"mycompany.com", "subsidiary.com"},
		Allowed:        []string{"contractor@gmail.com", "john.doe@backstage.io"},
		Denied:         []string{"jane.doe@backstage.io"},
	}
	if diff := cmp.Diff(want, config.Notifications.Email, allow); diff != "" {
		t.Error(diff)
	}
	if shown := fmt.Sprintf("%+v %#v", *config.Notifications.Email, *config.Notifications.Email); strings.Contains(shown, "my-password") {
		t.Errorf("the password shows: %s", shown)
	}
}

func TestEmailEveryKeyOfOurs(t *testing.T) {
	names := write(t, `
notifications:
  processors:
    email:
      transportConfig: {transport: smtp, hostname: "[::1]", tls: none, allowInsecure: true, caFile: ca.pem, auth: scram-sha-256, ehloName: box.example.com, timeout: 10s, username: u, password: " p "}
      sender: Größe <a@größe.example>
      broadcastConfig: {receiver: config, receiverEmails: [ops@example.com]}
      throttleInterval: 0s
      cache: {ttl: 0s}
      templates: {subject: subject.tmpl, html: /etc/mail.html, text: text.tmpl, digestSubject: ds.tmpl, digestHtml: /etc/digest.html, digestText: dt.tmpl}
      dkim:
        - {domain: example.com, selector: a, privateKey: "-----BEGIN PRIVATE KEY-----\nx"}
        - {domain: example.com, selector: b, privateKey: {$file: b.yaml}}
`, "-----BEGIN PRIVATE KEY-----\ny\n")
	config, warnings, problems := load(t, Sources{Files: names[:1]})
	if problems != nil || warnings != nil {
		t.Fatalf("problems %q, warnings %q", problems, warnings)
	}
	dir := filepath.Dir(names[0])
	want := &Email{
		Transport: EmailOverSMTP,
		SMTP: EmailSMTP{
			Hostname: "::1", Port: 587, TLS: "none", AllowInsecure: true, CAFile: filepath.Join(dir, "ca.pem"),
			Username: "u", Password: signalbox.NewSecret(" p "), Auth: "scram-sha-256", HelloName: "box.example.com", Timeout: 10 * time.Second,
		},
		Sender: "Größe <a@größe.example>", BroadcastReceiver: "config", BroadcastAddresses: []string{"ops@example.com"},
		ConcurrencyLimit: 2,
		Templates: EmailTemplates{
			Subject: filepath.Join(dir, "subject.tmpl"), HTML: "/etc/mail.html", Text: filepath.Join(dir, "text.tmpl"),
			DigestSubject: filepath.Join(dir, "ds.tmpl"), DigestHTML: "/etc/digest.html", DigestText: filepath.Join(dir, "dt.tmpl"),
		},
		DKIM: []EmailDKIM{
			{"example.com", "a", signalbox.NewSecret("-----BEGIN PRIVATE KEY-----\nx")},
			{"example.com", "b", signalbox.NewSecret("-----BEGIN PRIVATE KEY-----\ny")},
		},
	}
	if diff := cmp.Diff(want, config.Notifications.Email, allow); diff != "" {
		t.Error(diff)
	}
}

func TestEmailTransports(t *testing.T) {
	for section, want := range map[string]Email{
		"{transport: smtp, hostname: h}":                                            {SMTP: EmailSMTP{Port: 587}},
		"{transport: smtp, hostname: h, secure: true}":                              {SMTP: EmailSMTP{Port: 465, TLS: "implicit"}},
		"{transport: smtp, hostname: h, secure: true, requireTls: false}":           {SMTP: EmailSMTP{Port: 465, TLS: "implicit"}},
		"{transport: smtp, hostname: h, requireTls: true, port: 25}":                {SMTP: EmailSMTP{Port: 25, TLS: "mandatory"}},
		"{transport: smtp, hostname: h, secure: false, requireTls: false}":          {SMTP: EmailSMTP{Port: 587, TLS: "opportunistic"}},
		"{transport: smtp, hostname: h, tls: mandatory}":                            {SMTP: EmailSMTP{Port: 587, TLS: "mandatory"}},
		"{transport: sendmail}":                                                     {Sendmail: EmailSendmail{Path: "/usr/sbin/sendmail"}},
		"{transport: sendmail, path: /bin/x, newline: windows}":                     {Sendmail: EmailSendmail{Path: "/bin/x", Windows: true}},
		"{transport: stream}":                                                       {},
		"{transport: stream, directory: /tmp/mails}":                                {StreamDirectory: "/tmp/mails"},
		"{transport: smtp, hostname: localhost, tls: none, username: , password: }": {SMTP: EmailSMTP{Port: 587, TLS: "none"}},
	} {
		config, _, problems := load(t, Sources{Files: write(t, emailIn("{sender: a@b.example, transportConfig: "+section+"}"))})
		if problems != nil {
			t.Errorf("%s: %q", section, problems)
			continue
		}
		got := config.Notifications.Email
		if got.SMTP.Port != want.SMTP.Port || got.SMTP.TLS != want.SMTP.TLS || got.Sendmail != want.Sendmail || got.StreamDirectory != want.StreamDirectory {
			t.Errorf("%s: %+v", section, got)
		}
	}
}

func TestEmailRefuses(t *testing.T) {
	const smtp = "sender: a@b.example, transportConfig: {transport: smtp, hostname: h"
	const stream = "sender: a@b.example, transportConfig: {transport: stream}"
	for section, want := range map[string]string{
		"7":                                      "email: must be a section",
		"{transportConfig: {transport: stream}}": "email.sender: is required",
		"{sender: a@b.example}":                  "email.transportConfig: is required",
		"{sender: a@b.example, transportConfig: {}}":                                      "transportConfig.transport: is required",
		"{sender: a@b.example, transportConfig: {transport: pigeon}}":                     "transportConfig.transport: must be one of smtp, sendmail, stream",
		"{sender: a@b.example, transportConfig: {transport: ses}}":                        "ses is not supported. SES takes mail over SMTP",
		"{sender: a@b.example, transportConfig: {transport: azure, endpoint: x}}":         "azure is not supported",
		"{sender: a@b.example, transportConfig: {transport: smtp}}":                       "transportConfig.hostname: is required",
		"{sender: nobody, transportConfig: {transport: stream}}":                          "email.sender: must be an email address",
		`{sender: "a@b.example\nBcc: c@d.example", transportConfig: {transport: stream}}`: "email.sender: must be one line",
		"{" + smtp + ", hostName: x}}":                                                    "transportConfig.hostName: unknown key; did you mean hostname?",
		"{" + smtp + ":25}}":                                                              "transportConfig.hostname: must be the name or address of a host",
		"{" + smtp + ", port: 99999}}":                                                    "transportConfig.port: must be a whole number between 1 and 65535",
		"{" + smtp + ", secure: maybe}}":                                                  "transportConfig.secure: must be true or false",
		"{" + smtp + ", secure: true, tls: implicit}}":                                    "transportConfig.tls: must not be given together with",
		"{" + smtp + ", tls: none}}":                                                      "transportConfig.tls: must not be none for another machine",
		"{" + smtp + ", tls: ssl}}":                                                       "transportConfig.tls: must be one of",
		"{" + smtp + ", auth: ntlm}}":                                                     "transportConfig.auth: must be one of",
		"{" + smtp + ", password: hunter2}}":                                              "transportConfig: must have both username and password",
		"{" + smtp + ", username: u}}":                                                    "transportConfig: must have both username and password",
		"{" + smtp + ", timeout: 1ms}}":                                                   "transportConfig.timeout: must be between 1s and 10m",
		"{" + stream + ", concurrencyLimit: 0}":                                           "concurrencyLimit: must be a whole number between 1 and 1000",
		"{" + stream + ", throttleInterval: 2h}":                                          "throttleInterval: must be between 0s and 1h",
		"{" + stream + ", cache: {ttl: soon}}":                                            "cache.ttl: ",
		"{" + stream + ", cache: {tll: 1h}}":                                              "cache.tll: unknown key; did you mean ttl?",
		"{" + stream + ", broadcastConfig: {}}":                                           "broadcastConfig.receiver: is required",
		"{" + stream + ", broadcastConfig: {receiver: all}}":                              "broadcastConfig.receiver: must be one of none, config, users",
		"{" + stream + ", broadcastConfig: {receiver: config}}":                           "broadcastConfig.receiverEmails: is required",
		"{" + stream + ", broadcastConfig: {receiver: config, receiverEmails: [x]}}":      "broadcastConfig.receiverEmails[0]: must be an email address",
		"{" + stream + ", allowedEmailDomains: []}":                                       "allowedEmailDomains: must have at least one entry",
		"{" + stream + ", allowedEmailDomains: ['*.b.example']}":                          "allowedEmailDomains[0]: must be a domain",
		"{" + stream + ", allowlistEmailAddresses: []}":                                   "allowlistEmailAddresses: must have at least one entry",
		"{" + stream + ", denylistEmailAddresses: [A <a@b.example>]}":                     "denylistEmailAddresses[0]: must be an email address without a name",
		"{" + stream + ", filter: {minSeverty: low}}":                                     "filter.minSeverty: unknown key; did you mean minSeverity?",
		"{" + stream + ", dkim: {domain: b.example, selector: s}}":                        "dkim.privateKey: is required",
		"{" + stream + ", dkim: [{domain: b.example, selector: s, privateKey: hunter2}]}": "dkim[0].privateKey: must be a private key in PEM",
		"{" + stream + ", templates: {body: x}}":                                          "templates.body: unknown key",
	} {
		_, _, problems := load(t, Sources{Files: write(t, emailIn(section))})
		if len(problems) != 1 || !strings.Contains(problems[0], want) || !strings.HasPrefix(problems[0], "a.yaml:3:") || strings.Contains(problems[0], "hunter2") {
			t.Errorf("%s: problems %q, want %q", section, problems, want)
		}
	}
}

func TestEmailSESConfigIsIgnored(t *testing.T) {
	_, warnings, problems := load(t, Sources{Files: write(t, emailIn("{sender: a@b.example, transportConfig: {transport: stream}, sesConfig: {fromArn: x}}"))})
	if problems != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "email.sesConfig: is for the ses transport") {
		t.Errorf("problems %q, warnings %q", problems, warnings)
	}
}

func TestOtherProcessorsArePassedOver(t *testing.T) {
	config, warnings, problems := load(t, Sources{Files: write(t, "notifications: {processors: {teams: {x: 1}, emal: {}}}")})
	if problems != nil || config.Notifications.Email != nil {
		t.Errorf("problems %q", problems)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "did you mean notifications.processors.email?") {
		t.Errorf("warnings %q", warnings)
	}
}
