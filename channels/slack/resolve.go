package slack

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// The channel's own reasons for not sending.
const (
	// RuleGroupChannel is that what led to the user has a channel of its own.
	RuleGroupChannel signalbox.Rule = "slack.groupChannel"
	// RuleOnce is that another recipient carries the message to
	// metadata.slackChannel.
	RuleOnce signalbox.Rule = "slack.once"
	// RuleNotNamed is that only users who were named get direct messages.
	RuleNotNamed signalbox.Rule = "slack.notNamed"
	// RuleNoRoute is that no channel is configured for the broadcast.
	RuleNoRoute signalbox.Rule = "slack.noRoute"
)

// Resolve implements [channels.Resolver]. An entity leads to the channel of its
// annotation, or to metadata.slackChannel; a user to a direct message; a broadcast
// to its routes; a direct target to itself.
func (c *Channel) Resolve(ctx context.Context, d channels.Delivery, _ string) (channels.Targets, error) {
	var target channels.Target
	var err error
	switch {
	case d.Audience == signalbox.Everyone:
		return c.resolveBroadcast(ctx, d)
	case d.Audience == "":
		target, err = c.target(ctx, d.Target.Address, "")
	case d.Audience.IsUser():
		target, err = c.resolveUser(ctx, d)
	default:
		target, err = c.resolveEntity(ctx, d)
	}
	if err != nil {
		return channels.Targets{}, err
	}
	return channels.Targets{Targets: []channels.Target{target}}, nil
}

func (c *Channel) resolveBroadcast(ctx context.Context, d channels.Delivery) (channels.Targets, error) {
	var found channels.Targets
	for _, text := range c.broadcastAddresses(&d.Notification) {
		target, err := c.target(ctx, text, "")
		if _, reason, nobody := channels.AsSuppressed(err); nobody {
			c.log.WarnContext(ctx, "A broadcast channel leads nowhere", "reason", reason)
			continue
		}
		if err != nil {
			return channels.Targets{}, err
		}
		if !slices.ContainsFunc(found.Targets, func(t channels.Target) bool { return t.Address == target.Address }) {
			found.Targets = append(found.Targets, target)
		}
	}
	if len(found.Targets) == 0 {
		return found, channels.Suppressed(RuleNoRoute, "No Slack channel is configured for this broadcast")
	}
	return found, nil
}

// resolveEntity is for what may have a channel of its own.
func (c *Channel) resolveEntity(ctx context.Context, d channels.Delivery) (channels.Target, error) {
	if text := metadataChannel(&d.Notification); text != "" {
		return c.resolveMetadata(ctx, d, text)
	}
	ref := string(d.Audience)
	entity, err := c.entity(ctx, ref)
	if err != nil {
		return channels.Target{}, err
	}
	text := entity.Annotations[signalbox.AnnotationSlack]
	if text == "" {
		return channels.Target{}, channels.Suppressed(signalbox.RuleNoAddress, "The entity has no annotation "+signalbox.AnnotationSlack)
	}
	return c.target(ctx, text, entity.Title)
}

// resolveMetadata is for the channel that the sender chose. In Backstage it takes
// the place of the channel of each entity, so that it gets the message once for each
// of them; here the first of them carries it.
func (c *Channel) resolveMetadata(ctx context.Context, d channels.Delivery, text string) (channels.Target, error) {
	if len(d.Via) > 0 {
		if carrier := slices.Min(d.Via); carrier != string(d.Audience) && slices.Contains(d.Via, string(d.Audience)) {
			return channels.Target{}, channels.Suppressed(RuleOnce, "The message to metadata.slackChannel is sent once, for "+carrier)
		}
	}
	if _, err := parseAddress(text); err != nil {
		return channels.Target{}, signalbox.Permanent(fmt.Errorf("metadata.slackChannel: %w", err))
	}
	return c.target(ctx, text, "")
}

// metadataChannel returns metadata.slackChannel if it is a text.
func metadataChannel(n *signalbox.Notification) string {
	if len(n.Payload.Metadata) == 0 {
		return ""
	}
	var fields map[string]json.RawMessage
	var text string
	if json.Unmarshal(n.Payload.Metadata, &fields) != nil || json.Unmarshal(fields["slackChannel"], &text) != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

func (c *Channel) resolveUser(ctx context.Context, d channels.Delivery) (channels.Target, error) {
	if !d.Named {
		if err := c.mayFallBack(ctx, d); err != nil {
			return channels.Target{}, err
		}
	}
	ref := string(d.Audience)
	entity, err := c.entity(ctx, ref)
	if err != nil {
		return channels.Target{}, err
	}
	if text := entity.Annotations[signalbox.AnnotationSlack]; text != "" {
		return c.target(ctx, text, "@"+nameOf(ref, entity))
	}
	switch {
	case entity.Ref == "":
		return channels.Target{}, channels.Suppressed(signalbox.RuleNoAddress, "The directory does not know the user")
	case entity.Email == "":
		return channels.Target{}, channels.Suppressed(signalbox.RuleNoAddress, "The user has neither an annotation "+signalbox.AnnotationSlack+" nor an email address")
	}
	found, err := c.people.find(ctx, entity.Email)
	if err != nil {
		return channels.Target{}, err
	}
	if found.id == "" {
		return channels.Target{}, channels.Suppressed(signalbox.RuleNoAddress, "Nobody in the Slack workspace has the user's email address")
	}
	return found.target(), nil
}

// mayFallBack decides whether a user who was not named gets a direct message: if
// something without a channel of its own led to them.
func (c *Channel) mayFallBack(ctx context.Context, d channels.Delivery) error {
	if c.config.GroupFallback != FallbackMembers {
		return channels.Suppressed(RuleNotNamed, "Only users who were named get a direct message")
	}
	hasChannel := channels.Suppressed(RuleGroupChannel, "It went to the Slack channel of the group")
	if len(d.Via) > 0 && metadataChannel(&d.Notification) != "" {
		return hasChannel
	}
	entities, err := c.config.Directory.Entities(ctx, d.Via)
	if err != nil {
		return signalbox.Transient(err)
	}
	var without []string
	for _, ref := range d.Via {
		if entities[ref].Annotations[signalbox.AnnotationSlack] == "" {
			without = append(without, ref)
		}
	}
	if len(without) == len(d.Via) {
		return nil // whichever it was
	}
	for _, ref := range without {
		leads, err := c.circles.contains(ctx, ref, string(d.Audience))
		if err != nil {
			return err
		}
		if leads {
			return nil
		}
	}
	return hasChannel
}

// entity returns what the directory knows; the zero value is nothing.
func (c *Channel) entity(ctx context.Context, ref string) (signalbox.Entity, error) {
	entities, err := c.config.Directory.Entities(ctx, []string{ref})
	if err != nil {
		return signalbox.Entity{}, signalbox.Transient(err)
	}
	return entities[ref], nil
}

// nameOf is how people know an entity.
func nameOf(ref string, entity signalbox.Entity) string {
	if entity.Title != "" {
		return entity.Title
	}
	if _, name, ok := strings.Cut(ref, "/"); ok {
		return name
	}
	return ref
}

// target reads an address that was configured, annotated or chosen. display is what
// an id stands for, if that is known.
func (c *Channel) target(ctx context.Context, text, display string) (channels.Target, error) {
	a, err := parseAddress(text)
	if err != nil {
		return channels.Target{}, signalbox.Permanent(err)
	}
	switch a.kind {
	case kindEmail:
		found, err := c.people.find(ctx, a.text)
		if err == nil && found.id == "" {
			err = channels.Suppressed(signalbox.RuleNoAddress, "Nobody in the Slack workspace has the email address")
		}
		return found.target(), err
	case kindName:
		return channels.Target{Address: a.text, Display: a.text}, nil
	case kindID:
	}
	switch {
	case display == "":
		display = a.text
	case !a.isUser():
		display += " (" + a.text + ")"
	}
	return channels.Target{Address: a.text, Display: clean(display)}, nil
}

func (p person) target() channels.Target {
	if p.id == "" {
		return channels.Target{}
	}
	display := p.id
	if p.handle != "" {
		display = "@" + p.handle
	}
	return channels.Target{Address: p.id, Display: clean(display)}
}
