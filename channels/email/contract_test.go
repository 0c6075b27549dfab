package email

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/signalbox/signalbox"

	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/channeltest"
	"github.com/signalbox/signalbox/channels/email/smtpfake"
)

func TestContract(t *testing.T) {
	channeltest.Run(t, func(t *testing.T) channeltest.Harness {
		const password = "correct horse battery staple"
		server := smtpfake.Start(t, smtpfake.Config{STARTTLS: true, RequireTLS: true, Username: "box", Password: password})
		config := toServer(server)
		config.SMTP.Username, config.SMTP.Password = "box", signalbox.NewSecret(password)
		var logs bytes.Buffer
		config.Logger = slog.New(slog.NewTextHandler(&logs, nil))
		return channeltest.Harness{
			Channel: open(t, config),
			Delivery: func(d channels.Delivery) channels.Delivery {
				d.Audience, d.Named, d.Notification.User = jane, true, jane
				d.Target = channels.Target{Address: "jane@example.com", Limit: "example.com"}
				return d
			},
			Behave: func(b channeltest.Behaviour) bool {
				server.SetDown(b == channeltest.Unreachable)
				server.SetPassword(password)
				fault := func(smtpfake.Step) smtpfake.Fault { return smtpfake.Fault{} }
				at := func(stage smtpfake.Stage, f smtpfake.Fault) {
					fault = func(step smtpfake.Step) smtpfake.Fault {
						if step.Stage == stage {
							return f
						}
						return smtpfake.Fault{}
					}
				}
				switch b {
				case channeltest.Works, channeltest.Unreachable:
				case channeltest.Hangs:
					at(smtpfake.Connect, smtpfake.Fault{Stall: true})
				case channeltest.Fails:
					at(smtpfake.Connect, smtpfake.Refuse(451, [3]int{4, 3, 0}, "Local error"))
				case channeltest.Cuts:
					at(smtpfake.Data, smtpfake.Fault{Lose: true})
				case channeltest.RefusesTarget:
					at(smtpfake.Rcpt, smtpfake.Refuse(550, [3]int{5, 1, 1}, "No such user"))
				case channeltest.RefusesCredentials:
					server.SetPassword("another")
				case channeltest.RateLimits:
					at(smtpfake.Rcpt, smtpfake.Refuse(450, [3]int{4, 7, 1}, "Rate limit exceeded"))
				default:
					return false
				}
				server.OnStep(fault)
				return true
			},
			Received: func() []string {
				var texts []string
				for _, message := range server.Messages() {
					p := parse(t, message.Data)
					texts = append(texts, p.decoded(t, "Subject")+"\n"+p.text) // digests have titles in the text
				}
				return texts
			},
			RetryAfter: rateDelay,
			Secrets:    []string{password},
			Logs:       logs.String,
		}
	})
}
