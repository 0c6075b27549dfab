package email

import (
	"errors"
	"fmt"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// stage is a step of the conversation with a mail server.
type stage string

const (
	stageConnect stage = "connect"
	stageTLS     stage = "TLS"
	stageAuth    stage = "sign in"
	stageMail    stage = "sender"
	stageRcpt    stage = "recipient"
	stageData    stage = "message"
)

// replyError is a refusal, in the server's words.
type replyError struct {
	stage stage
	// reply is the code and the text, on one line.
	reply string
	code  int
}

func (e *replyError) Error() string {
	return fmt.Sprintf("email: the mail server refused (%s): %s", e.stage, e.reply)
}

// maxReply bounds what is kept of a reply, in characters.
const maxReply = 400

// cleanReply makes a line of a reply, without secrets.
func cleanReply(code int, text string, secrets ...signalbox.Secret) string {
	for _, secret := range secrets {
		if secret.Reveal() != "" {
			text = strings.ReplaceAll(text, secret.Reveal(), secret.String())
		}
	}
	return shorten(strings.TrimSpace(strconv.Itoa(code)+" "+oneLine(text)), maxReply)
}

// asReply returns the server's refusal if err is one, else err itself with the
// stage in front.
func asReply(at stage, err error, secrets ...signalbox.Secret) error {
	var refused *textproto.Error
	if errors.As(err, &refused) {
		return &replyError{at, cleanReply(refused.Code, refused.Msg, secrets...), refused.Code}
	}
	return fmt.Errorf("email: %s: %w", at, err)
}

// These are how long to wait when the server does not say.
const (
	greylistDelay  = 5 * time.Minute
	rateDelay      = 5 * time.Minute
	firstDelay     = time.Minute
	longestDelay   = 30 * time.Minute
	longestAskedBy = 6 * time.Hour
)

var (
	greylist = regexp.MustCompile(`(?i)gr[ea]y[ -]?list`)
	// 4.7.28 is Google's for an unusual rate; 4.3.2 is "system not accepting
	// messages" (RFC 3463).
	rateLimit = regexp.MustCompile(`(?i)\b4\.7\.28\b|\b4\.3\.2\b|rate[ -]?limit|too many (messages|mails|emails|connections|requests|recipients)|too (fast|quickly)|throttl|exceeded.{0,40}(rate|quota per|limit per)|(rate|speed) (is )?(exceeded|too)`)
	askedFor  = regexp.MustCompile(`(?i)(?:in|after|wait|for)\s+(?:about\s+|at least\s+)?(\d{1,6})\s*(s|sec|secs|second|seconds|m|min|mins|minute|minutes|h|hour|hours)\b`)
)

// classify says what follows of an error while a mail was handed over:
//
//   - What is not about this mail (the connection, TLS, signing in, the sender's
//     address, code 421) is left as it is: the channel may be down, and no mail is
//     given up for an operator's error.
//   - 4xx for the recipient or the message is tried again later; when the text
//     tells of a rate, nothing goes to the domain meanwhile.
//   - 5xx for the recipient or the message is permanent.
//
// The code decides, not the first letter of a text.
func classify(err error, attempt int) error {
	var refused *replyError
	switch {
	case !errors.As(err, &refused):
		return err
	case refused.stage != stageRcpt && refused.stage != stageData, refused.code == 421:
		return err
	case refused.code == 530 || refused.code == 535 || refused.code == 538: // wants a sign-in
		return err
	case refused.code >= 500 && refused.code < 600:
		return signalbox.Permanent(err)
	case refused.code < 400 || refused.code >= 500: // no refusal that SMTP knows
		return err
	case greylist.MatchString(refused.reply):
		return signalbox.RetryAfter(err, max(asked(refused.reply), growing(greylistDelay, attempt)))
	case rateLimit.MatchString(refused.reply):
		wait := asked(refused.reply)
		if wait == 0 {
			wait = rateDelay
		}
		return channels.TargetLimited(err, wait)
	}
	return signalbox.RetryAfter(err, max(asked(refused.reply), growing(firstDelay, attempt)))
}

// growing doubles a delay with each attempt.
func growing(first time.Duration, attempt int) time.Duration {
	for ; attempt > 1 && first < longestDelay; attempt-- {
		first *= 2
	}
	return min(first, longestDelay)
}

// asked is how long the server wants one to wait ("try again in 300 seconds"), or
// 0 if it does not say.
func asked(reply string) time.Duration {
	match := askedFor.FindStringSubmatch(reply)
	if match == nil {
		return 0
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		return 0
	}
	unit := time.Second
	switch match[2][0] | 0x20 {
	case 'm':
		unit = time.Minute
	case 'h':
		unit = time.Hour
	}
	return min(time.Duration(n)*unit, longestAskedBy)
}
