package slack

import (
	"context"
	"encoding/json"
	"regexp"

	slackapi "github.com/slack-go/slack"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// The methods that are called.
const (
	methodPost   = "chat.postMessage"
	methodUpdate = "chat.update"
	methodLookup = "users.lookupByEmail"
)

// place is where a message is: what [channels.Sent].State holds. The channel is the
// id that Slack answered with, since an update knows no other.
type place struct {
	Channel string `json:"channel"`
	TS      string `json:"ts"`
}

var timestamp = regexp.MustCompile(`^[0-9]{1,20}\.[0-9]{1,10}$`)

// placeOf returns the place of what was sent before, if that can be told.
func placeOf(previous *channels.Sent) (place, bool) {
	var p place
	if previous == nil || json.Unmarshal([]byte(previous.State), &p) != nil {
		return place{}, false
	}
	return p, p.isValid()
}

func (p place) isValid() bool { return idPattern.MatchString(p.Channel) && timestamp.MatchString(p.TS) }

func (p place) sent(reply string) channels.Sent {
	state, err := json.Marshal(p)
	if err != nil {
		state = nil // two texts always encode
	}
	return channels.Sent{ID: p.Channel + "/" + p.TS, Reply: reply, State: string(state)}
}

// Deliver implements [channels.Channel]. It posts a message, or updates the previous
// one; where that is gone, it posts anew.
func (c *Channel) Deliver(ctx context.Context, d channels.Delivery) (channels.Sent, error) {
	if err := ctx.Err(); err != nil {
		return channels.Sent{}, err
	}
	// What a sender named comes as it was written, and was not resolved.
	target, err := c.target(ctx, d.Target.Address, "")
	if err != nil {
		return channels.Sent{}, err
	}
	message, err := c.render(ctx, d)
	if err != nil {
		return channels.Sent{}, err
	}
	if previous, ok := placeOf(d.Previous); ok {
		sent, err := c.update(ctx, previous, message)
		if err == nil || !gone[refused(err)] {
			return sent, err
		}
		c.log.DebugContext(ctx, "The earlier message cannot be updated: posting anew", "delivery", d.ID, "err", err)
	}
	posted, err := c.send(ctx, methodPost, place{Channel: target.Address}, message)
	if err != nil {
		return channels.Sent{}, err
	}
	return posted.sent("ok, ts " + posted.TS), nil
}

// update changes an earlier message, and tells its thread if that is wanted.
func (c *Channel) update(ctx context.Context, at place, message Message) (channels.Sent, error) {
	updated, err := c.send(ctx, methodUpdate, at, message)
	if err != nil {
		return channels.Sent{}, err
	}
	reply := "updated, ts " + updated.TS
	if !c.config.ThreadUpdates {
		return updated.sent(reply), nil
	}
	answer, err := c.send(ctx, methodPost, at, Message{Text: message.Text})
	switch {
	case err == nil:
		reply += ", reply " + answer.TS
	case signalbox.IsPermanent(err):
		// What it is about has arrived: the reply is not worth a dead letter.
		c.log.WarnContext(ctx, "No reply in the thread of an updated message", "err", err)
	default:
		return channels.Sent{}, err
	}
	return updated.sent(reply), nil
}

// send calls a method. A message that Slack finds unfit is sent once more as plain
// text: however it was rendered, what it says must arrive.
func (c *Channel) send(ctx context.Context, method string, at place, message Message) (place, error) {
	sent, err := c.call(ctx, method, at, message)
	if refusals[refused(err)].class != unfit || message.isPlain() {
		return sent, err
	}
	c.log.WarnContext(ctx, "Slack does not take a message as it was rendered: sending plain text", "err", err)
	return c.call(ctx, method, at, message.plain())
}

func (c *Channel) call(ctx context.Context, method string, at place, message Message) (place, error) {
	options := []slackapi.MsgOption{
		slackapi.MsgOptionText(message.Text, false),
		// An update parses names by default, posting does not.
		slackapi.MsgOptionParse(false),
		slackapi.MsgOptionDisableLinkUnfurl(),
		slackapi.MsgOptionDisableMediaUnfurl(),
	}
	if len(message.Blocks) > 0 || method == methodUpdate {
		options = append(options, slackapi.MsgOptionBlocks(message.Blocks...))
	}
	if len(message.Attachments) > 0 || method == methodUpdate {
		options = append(options, slackapi.MsgOptionAttachments(append([]slackapi.Attachment{}, message.Attachments...)...))
	}
	switch method {
	case methodUpdate:
		options = append(options, slackapi.MsgOptionUpdate(at.TS))
	default:
		options = append(options, slackapi.MsgOptionPost())
		if c.config.Username != "" {
			options = append(options, slackapi.MsgOptionUsername(c.config.Username))
		}
		if at.TS != "" {
			options = append(options, slackapi.MsgOptionTS(at.TS))
		}
	}
	channel, ts, _, err := c.api.SendMessageContext(ctx, at.Channel, options...)
	if err != nil {
		return place{}, c.explain(ctx, method, err)
	}
	// slack-go takes an answer without ok and without an error for a success.
	answered := place{channel, ts}
	if !answered.isValid() {
		return place{}, errNoAnswer(method)
	}
	return answered, nil
}
