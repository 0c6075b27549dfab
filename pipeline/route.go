package pipeline

import (
	"slices"
	"strings"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// takers know which channels want a delivery for an audience.
type takers struct {
	channels []channels.Channel
	// lists are those that were asked for, by the channels in them: most
	// notifications share one.
	lists map[uint64][]string
}

func newTakers(list []channels.Channel) *takers {
	return &takers{channels: list, lists: make(map[uint64][]string)}
}

// maxChannels is how many fit into a key of takers.lists.
const maxChannels = 63

// of returns the channels for an audience; those with an inbox have the web
// channel, too. The list is shared.
func (t *takers) of(audience signalbox.Audience, named bool) []string {
	var mask uint64
	if audience.IsUser() || audience == signalbox.Everyone {
		mask = 1
	}
	for i, c := range t.channels {
		if takes(c, audience, named) {
			mask |= 2 << i
		}
	}
	list, known := t.lists[mask]
	if !known {
		if mask&1 != 0 {
			list = append(list, signalbox.ChannelWeb)
		}
		for i, c := range t.channels {
			if mask&(2<<i) != 0 {
				list = append(list, c.Name())
			}
		}
		t.lists[mask] = list
	}
	return list
}

func takes(c channels.Channel, audience signalbox.Audience, named bool) bool {
	if s, ok := c.(channels.Selector); ok {
		return s.Takes(audience, named)
	}
	return audience.IsUser() || audience == signalbox.Everyone
}

// Takers returns the channels that want what is for an audience; named says whether a
// request named it as a recipient. [signalbox.ChannelWeb] is among those of users and
// of everyone. It may be called concurrently.
func (p *Pipeline) Takers(audience signalbox.Audience, named bool) []string {
	return newTakers(p.deps.Channels).of(audience, named)
}

// routeUsers makes the notifications of an item's users.
func (p *Pipeline) routeUsers(item *signalbox.Item) []signalbox.Routed {
	takers := newTakers(p.deps.Channels)
	named := make(map[string]bool)
	for _, ref := range item.Request.Recipients.EntityRefs {
		named[ref] = true
	}
	routed := make([]signalbox.Routed, 0, len(item.Users))
	for _, user := range item.Users {
		audience := signalbox.UserAudience(user)
		routed = append(routed, signalbox.Routed{
			Notification: notificationOf(item, user, user), Audience: audience, Named: named[user],
			Channels: takers.of(audience, named[user]),
		})
	}
	return routed
}

// sharedOf makes what a request sends to places that are no single user's: those
// of the entities that it names, and direct targets. Only one part of a request
// does.
func (p *Pipeline) sharedOf(e *entry, item *signalbox.Item) []signalbox.Routed {
	to := &item.Request.Recipients
	if e.Part > 1 || to.Type != signalbox.RecipientsEntity || len(p.deps.Channels)+len(to.Targets) == 0 {
		return nil
	}
	takers := newTakers(p.deps.Channels)
	var shared []signalbox.Routed
	for _, ref := range to.EntityRefs {
		audience := signalbox.Audience(ref)
		if audience.IsUser() || slices.Contains(to.ExcludeEntityRefs, ref) {
			continue
		}
		if names := takers.of(audience, true); len(names) > 0 {
			shared = append(shared, signalbox.Routed{
				Notification: notificationOf(item, "", ref), Audience: audience, Named: true, Channels: names,
			})
		}
	}
	for _, target := range to.Targets {
		routed := signalbox.Routed{
			Notification: notificationOf(item, "", target.Channel+":"+target.Address),
			Target:       target.Address, Named: true,
		}
		if p.hasChannel(target.Channel) {
			routed.Channels = []string{target.Channel}
		} else { // it was removed since the request was accepted: nobody would consume it
			routed.Suppressed = []signalbox.Suppression{{Channel: target.Channel, Rule: signalbox.RuleNoAddress}}
		}
		shared = append(shared, routed)
	}
	return shared
}

// hasChannel reports whether there is an outside channel of that name.
func (p *Pipeline) hasChannel(name string) bool {
	return slices.ContainsFunc(p.deps.Channels, func(c channels.Channel) bool { return c.Name() == name })
}

// via are the entities that an item names besides users.
func via(item *signalbox.Item) []string {
	var refs []string
	to := &item.Request.Recipients
	for _, ref := range to.EntityRefs {
		if !strings.HasPrefix(ref, "user:") && !slices.Contains(to.ExcludeEntityRefs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}

// notificationOf is what an item is for a user; whom tells notifications without a
// user apart.
func notificationOf(item *signalbox.Item, user, whom string) signalbox.Notification {
	return signalbox.Notification{
		ID:        signalbox.NotificationID(item.Request.ID, whom),
		User:      user,
		Origin:    item.Request.Origin,
		Created:   item.Request.Created,
		Payload:   item.Request.Payload,
		RequestID: item.Request.ID,
		Revision:  item.Revision,
	}
}
