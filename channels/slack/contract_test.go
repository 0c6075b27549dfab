package slack

import (
	"testing"
	"time"

	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/channeltest"
	"github.com/signalbox/signalbox/channels/slack/slackfake"
)

func TestContract(t *testing.T) {
	for name, rateLimit := range map[string]struct {
		fault slackfake.Fault
		after time.Duration
	}{
		"Retry-After":             {slackfake.RateLimit(7 * time.Second), 7 * time.Second},
		"without Retry-After":     {slackfake.RateLimit(0), defaultPause},
		"with a Retry-After that": {slackfake.Answer(429, map[string][]string{"Retry-After": {"soon"}}, ""), defaultPause},
		"in the answer":           {slackfake.Refuse("ratelimited"), defaultPause},
	} {
		t.Run(name, func(t *testing.T) {
			channeltest.Run(t, func(t *testing.T) channeltest.Harness {
				b := setUp(t)
				return channeltest.Harness{
					Channel: b.Channel,
					Delivery: func(d channels.Delivery) channels.Delivery {
						d.Target = channels.Target{Address: "#alerts"}
						return d
					},
					Behave: func(how channeltest.Behaviour) bool {
						b.server.Heal()
						switch how {
						case channeltest.Works:
						case channeltest.Hangs:
							b.server.FailAlways(slackfake.Hang())
						case channeltest.Fails:
							b.server.FailAlways(slackfake.Status(503))
						case channeltest.Cuts:
							b.server.FailAlways(slackfake.CutAfter())
						case channeltest.Unreachable:
							b.server.FailAlways(slackfake.CutBefore())
						case channeltest.RefusesTarget:
							b.server.FailAlways(slackfake.Refuse("channel_not_found"))
						case channeltest.RefusesCredentials:
							b.server.FailAlways(slackfake.Refuse("invalid_auth"))
						case channeltest.RateLimits:
							b.server.FailAlways(rateLimit.fault)
						default:
							return false
						}
						return true
					},
					Received: func() []string {
						var texts []string
						for _, m := range b.server.Messages() {
							texts = append(texts, m.Text)
						}
						return texts
					},
					RetryAfter: rateLimit.after,
					Secrets:    []string{slackfake.Token},
					Logs:       b.logs.String,
				}
			})
		})
	}
}
