package email

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// Takes wants users, direct targets, and broadcasts if somebody receives them.
func (c *Channel) Takes(audience signalbox.Audience, _ bool) bool {
	if audience == signalbox.Everyone {
		return c.config.Broadcast != BroadcastNone
	}
	return !audience.IsEntity()
}

// Resolve finds the address of a user in the directory, the receivers of a
// broadcast, or checks the address that a sender named. Addresses that are not
// valid or not allowed are left out.
func (c *Channel) Resolve(ctx context.Context, d channels.Delivery, cursor string) (channels.Targets, error) {
	switch {
	case d.Audience == signalbox.Everyone:
		return c.everyone(ctx, cursor)
	case d.Audience.IsUser():
		return c.user(ctx, string(d.Audience))
	case d.Audience == "":
		target, err := c.target(strings.TrimSpace(d.Target.Address), "")
		return one(target, err)
	}
	return channels.Targets{}, channels.Suppressed(signalbox.RuleNoAddress, "Only users get mail")
}

func one(target channels.Target, err error) (channels.Targets, error) {
	if err != nil {
		return channels.Targets{}, err
	}
	return channels.Targets{Targets: []channels.Target{target}}, nil
}

// target checks an address and makes a target of it.
func (c *Channel) target(text, name string) (channels.Target, error) {
	parsed, err := parseAddress(text)
	if err != nil {
		return channels.Target{}, channels.Suppressed(signalbox.RuleNoAddress, err.Error())
	}
	return parsed.target(name), c.config.lists.check(parsed)
}

func (c *Channel) user(ctx context.Context, ref string) (channels.Targets, error) {
	entity, cached := c.cache.get(ref)
	if !cached {
		found, err := c.config.Directory.Entities(ctx, []string{ref})
		if err != nil {
			return channels.Targets{}, fmt.Errorf("email: address of %s: %w", ref, err)
		}
		entity = found[ref]
		// Who has no address may get one: that is asked for again.
		if entity.Email != "" {
			c.cache.put(entity)
		}
	}
	if entity.Email == "" {
		return channels.Targets{}, channels.Suppressed(signalbox.RuleNoAddress, "The directory has no email address of "+ref)
	}
	return one(c.target(entity.Email, entity.Title))
}

// everyone returns a page of the receivers of broadcasts.
func (c *Channel) everyone(ctx context.Context, cursor string) (channels.Targets, error) {
	var page channels.Targets
	var err error
	switch c.config.Broadcast {
	case BroadcastConfig:
		page, err = c.receivers(cursor)
	case BroadcastUsers:
		// A page in which nobody has an address is passed over.
		page.Next = cursor
		for first := true; err == nil && len(page.Targets) == 0 && (first || page.Next != ""); first = false {
			page, err = c.users(ctx, page.Next)
		}
	default:
		return page, channels.Suppressed(signalbox.RuleNoAddress, "Broadcasts are not sent by mail")
	}
	if err == nil && len(page.Targets) == 0 && cursor == "" {
		err = channels.Suppressed(signalbox.RuleNoAddress, "No receiver of broadcasts has an address that gets mail")
	}
	return page, err
}

func (c *Channel) receivers(cursor string) (channels.Targets, error) {
	all := c.config.receivers
	begin := 0
	if cursor != "" {
		var err error
		if begin, err = strconv.Atoi(cursor); err != nil || begin < 0 {
			return channels.Targets{}, signalbox.Permanent(fmt.Errorf("email: %q is not a place in the list of receivers", cursor))
		}
	}
	begin = min(begin, len(all)) // the list may be shorter than it was
	end := min(begin+channels.MaxTargets, len(all))
	page := pageOf{channel: c, seen: map[string]bool{}}
	for _, receiver := range all[begin:end] {
		page.add("", receiver.Address, "")
	}
	if end < len(all) {
		page.targets.Next = strconv.Itoa(end)
	}
	return page.targets, nil
}

func (c *Channel) users(ctx context.Context, after string) (channels.Targets, error) {
	refs, next, err := c.config.Users.Users(ctx, after, channels.MaxTargets)
	if err != nil {
		return channels.Targets{}, fmt.Errorf("email: list of users: %w", err)
	}
	page := pageOf{channel: c, seen: map[string]bool{}}
	page.targets.Next = next
	if len(refs) == 0 {
		return page.targets, nil
	}
	entities, err := c.config.Directory.Entities(ctx, refs)
	if err != nil {
		return channels.Targets{}, fmt.Errorf("email: addresses of users: %w", err)
	}
	for _, ref := range refs {
		if entity := entities[ref]; entity.Email != "" {
			page.add(ref, entity.Email, entity.Title)
		}
	}
	return page.targets, nil
}

// pageOf collects targets, each once.
type pageOf struct {
	channel *Channel
	targets channels.Targets
	seen    map[string]bool
}

func (p *pageOf) add(ref, text, name string) {
	target, err := p.channel.target(text, name)
	if err != nil {
		p.channel.config.Logger.Info("a receiver of broadcasts gets no mail", slog.String("user", ref), slog.Any("reason", err))
		return
	}
	if folded := strings.ToLower(target.Address); !p.seen[folded] {
		p.seen[folded] = true
		p.targets.Targets = append(p.targets.Targets, target)
	}
}

// maxCached bounds the cache, in users.
const maxCached = 10_000

// cache keeps what the directory said of users who have an address. Its zero value
// keeps nothing.
type cache struct {
	ttl time.Duration

	mu      sync.Mutex
	entries map[string]cached
}

type cached struct {
	entity signalbox.Entity
	until  time.Time
}

func (c *cache) get(ref string) (signalbox.Entity, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entry, ok := c.entries[ref]
	if !ok || time.Now().After(entry.until) {
		return signalbox.Entity{}, false
	}
	return entry.entity, true
}

func (c *cache) put(entity signalbox.Entity) {
	if c.ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// Beginning anew costs a question for each user, once in a great while.
	if c.entries == nil || len(c.entries) >= maxCached {
		c.entries = map[string]cached{}
	}
	c.entries[entity.Ref] = cached{entity, time.Now().Add(c.ttl)}
}
