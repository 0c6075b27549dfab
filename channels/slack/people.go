package slack

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/signalbox/signalbox"
)

const (
	// maxPeople bounds the cache, in email addresses.
	maxPeople = 20_000
	// knownFor and unknownFor are how long an answer holds. People come and are
	// given addresses more often than they change them.
	knownFor   = time.Hour
	unknownFor = 10 * time.Minute
)

// person is a member of the workspace. The zero value is nobody.
type person struct{ id, handle string }

// people finds members by email address. Slack allows some 50 lookups a minute, so
// answers are kept, also that there is nobody, and calls for the same address are
// made once.
type people struct {
	ask func(ctx context.Context, email string) (person, error)
	now func() time.Time

	mu      sync.Mutex
	known   map[string]known
	calls   map[string]chan struct{}
	limited time.Time // until then Slack wants no lookups
}

type known struct {
	person
	until time.Time
}

func newPeople(ask func(ctx context.Context, email string) (person, error)) *people {
	return &people{ask: ask, now: time.Now, known: map[string]known{}, calls: map[string]chan struct{}{}}
}

// find returns the member with an email address; nobody is no error.
func (p *people) find(ctx context.Context, email string) (person, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	for {
		found, answered, wait, err := p.begin(email)
		switch {
		case answered:
			return found, nil
		case err != nil:
			return person{}, err
		case wait == nil:
			return p.lead(ctx, email)
		}
		select {
		case <-wait: // and look again: the caller that asked may have been cut off
		case <-ctx.Done():
			return person{}, ctx.Err()
		}
	}
}

var errLookupsLimited = errors.New("Slack limits the rate of " + methodLookup) //nolint:staticcheck // a name

// begin returns what is known, or what to wait for. If there is neither, the caller
// is to ask, and calls end afterwards.
func (p *people) begin(email string) (found person, answered bool, wait chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if k, ok := p.known[email]; ok && now.Before(k.until) {
		return k.person, true, nil, nil
	}
	if wait, ok := p.calls[email]; ok {
		return person{}, false, wait, nil
	}
	if left := p.limited.Sub(now); left > 0 {
		return person{}, false, nil, signalbox.RetryAfter(errLookupsLimited, left)
	}
	p.calls[email] = make(chan struct{})
	return person{}, false, nil, nil
}

// lead asks Slack on behalf of everyone who wants to know.
func (p *people) lead(ctx context.Context, email string) (found person, err error) {
	defer func() { // also after a panic
		p.mu.Lock()
		defer p.mu.Unlock()
		close(p.calls[email])
		delete(p.calls, email)
	}()
	found, err = p.ask(ctx, email)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if after, ok := signalbox.RetryDelay(err); ok {
		p.limited = now.Add(after)
	}
	if err != nil {
		return person{}, err
	}
	p.makeRoom(now)
	holds := knownFor
	if found == (person{}) {
		holds = unknownFor
	}
	p.known[email] = known{found, now.Add(holds)}
	return found, nil
}

// makeRoom drops what is old, and if that is not enough, anything.
func (p *people) makeRoom(now time.Time) {
	if len(p.known) < maxPeople {
		return
	}
	for email, k := range p.known {
		if !now.Before(k.until) {
			delete(p.known, email)
		}
	}
	for email := range p.known {
		if len(p.known) < maxPeople*9/10 {
			return
		}
		delete(p.known, email)
	}
}

// lookUp asks Slack.
func (c *Channel) lookUp(ctx context.Context, email string) (person, error) {
	user, err := c.api.GetUserByEmailContext(ctx, email)
	err = c.explain(ctx, methodLookup, err)
	switch code := refused(err); {
	case code == "users_not_found", code == "user_not_found", code == "user_not_visible":
		return person{}, nil
	case err != nil:
		return person{}, err
	case user.ID == "":
		return person{}, errNoAnswer(methodLookup)
	case user.Deleted || !idPattern.MatchString(user.ID):
		return person{}, nil
	}
	return person{id: user.ID, handle: user.Name}, nil
}
