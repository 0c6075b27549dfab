package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// measuring is a committer that measures what is published at a time.
type measuring struct {
	*memory
	messages, bytes int
}

func (m *measuring) Commit(ctx context.Context, c signalbox.Commit) ([]signalbox.Outcome, error) {
	messages, bytes := 0, 0
	for _, once := range c.Once {
		for _, message := range once.Messages {
			messages, bytes = messages+1, bytes+len(message.Payload)
		}
	}
	m.messages, m.bytes = max(m.messages, messages), max(m.bytes, bytes)
	return m.memory.Commit(ctx, c)
}

// TestPartsOfParts: however many recipients a payload goes to, a commit publishes a
// bounded number of copies of it, and everybody gets it once.
func TestPartsOfParts(t *testing.T) {
	for name, c := range map[string]struct{ users, description, parts int }{
		"as many as fit":         {maxParts * maxPartRows, 0, maxParts},
		"more":                   {maxParts*maxPartRows + 1, 0, maxParts + 1},
		"more, of a long text":   {20_000, 20_000, 97},
		"a text that fits twice": {10, 2_600_000, 10},
	} {
		t.Run(name, func(t *testing.T) {
			var committer *measuring
			b := newBench(t, func(d *Deps, _ *Config) {
				d.Recipients, d.Channels = crowds{}, []channels.Channel{rooms{}}
				committer = &measuring{memory: d.Committer.(*memory)}
				d.Committer = committer
				d.Listening = func() bool { return false } // signals cost more than all the rest
			})
			r := request(fmt.Sprint(c.users), "group:default/a")
			r.Payload.Description = strings.Repeat("x", c.description)
			receipts := b.submit(t, r)
			work := b.memory.take(TopicNotifications)
			stored, times := 0, 0
			for ; len(work) > 0; work = b.memory.take(TopicFanout) {
				for _, msg := range work {
					before := len(b.memory.rows)
					b.next++
					for range 2 { // the second time changes nothing
						if err := b.processAt(t, msg, fmt.Sprint(b.next)); err != nil {
							t.Fatal(err)
						}
					}
					if added := len(b.memory.rows) - before; added > 0 {
						stored, times = stored+added, times+1
					}
				}
			}
			if stored != c.users || times != c.parts {
				t.Errorf("%d users in %d commits, want %d in %d", stored, times, c.users, c.parts)
			}
			if names := c.users * 64; committer.messages > maxParts || committer.bytes > maxCommitBytes+names {
				t.Errorf("%d messages of %d bytes published in one commit", committer.messages, committer.bytes)
			}
			if got := b.recorded(); len(got) != 1 || got[0] != "group:default/a Rooms queued" {
				t.Errorf("the group's room: %q", got)
			}
			if n := b.memory.requests[receipts[0].ID].Recipients; n != c.users {
				t.Errorf("%d recipients on record", n)
			}
			if len(b.memory.dead) != 0 {
				t.Errorf("%d dead letters", len(b.memory.dead))
			}
		})
	}
}

// TestPartsOfABatchAreBoundedTogether: what does not fit beside others waits for a
// message of its own.
func TestPartsOfABatchAreBoundedTogether(t *testing.T) {
	var committer *measuring
	b := newBench(t, func(d *Deps, _ *Config) {
		d.Recipients = crowds{}
		committer = &measuring{memory: d.Committer.(*memory)}
		d.Committer = committer
	})
	r := request("2000", "group:default/a")
	r.Payload.Description = strings.Repeat("x", 100_000)
	b.submit(t, r, r, r, r, r, r, r, r)
	if err := b.process(t, b.one(t, TopicNotifications)); err != nil {
		t.Fatal(err)
	}
	if committer.bytes > maxCommitBytes {
		t.Errorf("%d bytes published in one commit", committer.bytes)
	}
	whole, parts := 0, 0
	for _, msg := range b.memory.take(TopicFanout) {
		entries, err := decodeEnvelope(msg.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if entries[0].Part == 0 {
			whole++
		} else {
			parts += len(entries[0].Users)
		}
	}
	if whole == 0 || parts == 0 || whole*2000+parts != 8*2000 {
		t.Errorf("%d requests by themselves, and parts of %d users", whole, parts)
	}
}
