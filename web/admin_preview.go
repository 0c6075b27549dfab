package web

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/signalbox/signalbox"
)

// maxPreviewed is how many users, and how many references that nobody knows, a
// preview names. It counts all.
const maxPreviewed = 20

// previewBatch is for how many users choices are read at a time.
const previewBatch = 1000

// sendPreview is who would get what is not sent yet, and where.
type sendPreview struct {
	Broadcast bool `json:"broadcast"`
	// Users are those that the recipients resolve to; none for a broadcast.
	Users previewedRefs `json:"users"`
	// Unknown are references that the directory does not know.
	Unknown  previewedRefs  `json:"unknown"`
	Channels []channelReach `json:"channels"`
}

// previewedRefs counts references, and names the first of them.
type previewedRefs struct {
	Count int      `json:"count"`
	First []string `json:"first"`
}

func firstRefs(refs []string) previewedRefs {
	return previewedRefs{len(refs), append([]string{}, refs[:min(len(refs), maxPreviewed)]...)}
}

// channelReach is what would become of it on one channel.
type channelReach struct {
	Channel  string    `json:"channel"`
	Outcomes []outcome `json:"outcomes"`
}

// outcome counts what the same rule decides about.
type outcome struct {
	// To is "users", "everyone", or "places": those of groups, and direct targets.
	To        string         `json:"to"`
	Delivered bool           `json:"delivered"`
	Rule      signalbox.Rule `json:"rule"`
	Text      string         `json:"text"`
	Count     int            `json:"count"`
}

// adminPreview tells who would get a send request, and where, and sends nothing.
func (s *Server) adminPreview(c *fiber.Ctx, _ signalbox.Principal) error {
	if _, err := readQuery(c); err != nil {
		return err
	}
	decoded, err := signalbox.DecodeSendRequest(c.Request().Body(), s.config.Rules)
	if err != nil {
		return err
	}
	ctx, cancel := s.requestContext(0)
	defer cancel()
	request := &decoded.Request
	request.Origin = adminOrigin
	p := previewer{server: s, request: request, counts: make(map[string]map[outcome]int)}
	to := &request.Recipients
	answer := sendPreview{Broadcast: to.Type == signalbox.RecipientsBroadcast, Users: firstRefs(nil), Unknown: firstRefs(nil)}
	if answer.Broadcast {
		p.everyone()
	} else {
		resolved, err := s.deps.Directory.Resolve(ctx, to.EntityRefs, to.ExcludeEntityRefs)
		if err != nil {
			return err
		}
		if err := p.users(ctx, resolved.Users); err != nil {
			return err
		}
		p.places()
		answer.Users, answer.Unknown = firstRefs(resolved.Users), firstRefs(resolved.Unknown)
	}
	answer.Channels = p.channels()
	return sendJSON(c, answer)
}

// previewer counts what the settings decide about one send request.
type previewer struct {
	server  *Server
	request *signalbox.SendRequest
	// counts has, by channel, the outcomes, whose own counts are 0.
	counts map[string]map[outcome]int
}

func (p *previewer) add(to, channel string, decision signalbox.SettingsDecision) {
	if p.counts[channel] == nil {
		p.counts[channel] = make(map[outcome]int)
	}
	p.counts[channel][outcome{To: to, Delivered: decision.Delivered, Rule: decision.Rule, Text: decision.Rule.Text()}]++
}

func (p *previewer) subject(channel string) signalbox.Subject {
	return signalbox.Subject{
		Channel: channel, Origin: p.request.Origin, Topic: p.request.Payload.Topic, Severity: p.request.Payload.Severity,
	}
}

func (p *previewer) everyone() {
	for _, channel := range p.server.deps.Takers(signalbox.Everyone, false) {
		p.add("everyone", channel, p.server.deps.Policy.DecideBroadcast(p.subject(channel)))
	}
}

func (p *previewer) users(ctx context.Context, users []string) error {
	named := make(map[string]bool)
	for _, ref := range p.request.Recipients.EntityRefs {
		named[ref] = true
	}
	about := make([]signalbox.Received, 0, min(len(users), previewBatch))
	for batch := range slices.Chunk(users, previewBatch) {
		about = about[:0]
		for _, user := range batch {
			about = append(about, signalbox.Received{User: user, Origin: p.request.Origin, Topic: p.request.Payload.Topic})
		}
		stored, err := p.server.deps.Settings.ChoicesFor(ctx, about)
		if err != nil {
			return err
		}
		for _, user := range batch {
			choices := signalbox.NewChoices(stored[user])
			for _, channel := range p.server.deps.Takers(signalbox.UserAudience(user), named[user]) {
				p.add("users", channel, p.server.deps.Policy.Decide(p.subject(channel), choices))
			}
		}
	}
	return nil
}

// places are those of the entities that were named, and direct targets.
func (p *previewer) places() {
	to := &p.request.Recipients
	for _, ref := range to.EntityRefs {
		audience := signalbox.Audience(ref)
		if audience.IsUser() || slices.Contains(to.ExcludeEntityRefs, ref) {
			continue
		}
		for _, channel := range p.server.deps.Takers(audience, true) {
			p.add("places", channel, p.server.deps.Policy.DecideShared(p.subject(channel)))
		}
	}
	for _, target := range to.Targets {
		p.add("places", target.Channel, p.server.deps.Policy.DecideShared(p.subject(target.Channel)))
	}
}

// channels lists what was counted, in the order of the settings; of a channel, what is
// delivered first, and what there is more of first.
func (p *previewer) channels() []channelReach {
	list := []channelReach{}
	for _, channel := range p.server.deps.Policy.Channels() {
		reach := channelReach{channel, []outcome{}}
		for o, count := range p.counts[channel] {
			o.Count = count
			reach.Outcomes = append(reach.Outcomes, o)
		}
		slices.SortFunc(reach.Outcomes, func(a, b outcome) int {
			if a.Delivered != b.Delivered && a.Delivered {
				return -1
			} else if a.Delivered != b.Delivered {
				return 1
			}
			return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.To, b.To), cmp.Compare(a.Rule, b.Rule))
		})
		list = append(list, reach)
	}
	return list
}
