package backstage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/jwks"
)

// Bounds of the user information.
const (
	// maxUsers bounds the users whose ownership is held.
	maxUsers = 10_000
	// maxOwnership bounds the references that one user owns things as.
	maxOwnership = 10_000
	// maxUserInfo bounds an answer, in bytes.
	maxUserInfo = 1 << 20
	// maxAsking bounds the requests that are under way at a time.
	maxAsking = 32
	// restAfterFailure is how long a user is not asked for again after a failure.
	restAfterFailure = 10 * time.Second
)

// ownership tells what users own things as. Backstage puts that into the token
// only if it is old or was told to; else its auth backend is asked, with the
// user's own token, and the answer is kept for a while.
//
// It never keeps anybody out. While the auth backend cannot tell, the last answer
// stands in, else what the directory says, else the user alone: it misses signals
// to its groups, and has its inbox.
type ownership struct {
	url       string
	client    *http.Client
	directory auth.Ownership
	timeout   time.Duration
	ttl       time.Duration
	maxStale  time.Duration
	now       func() time.Time
	log       *slog.Logger
	// away is set while requests fail.
	away atomic.Bool

	life   context.Context
	end    context.CancelFunc
	asked  sync.WaitGroup
	asking chan struct{} // a slot for each request

	mu     sync.Mutex
	closed bool
	users  *lru[*owner]
}

// owner is what is known of a user.
type owner struct {
	refs []string
	// standIn is set while refs stand in for an answer that is to come.
	standIn bool
	// answered is when the auth backend last answered, tried when it was last
	// asked and failed whether in vain.
	answered, tried time.Time
	failed          bool
	// under is closed when the request under way ends; nil if none is.
	under chan struct{}
}

// of returns the references, the user's own first among them, and whether they stand
// in for others that are to come.
func (o *ownership) of(ctx context.Context, user, bearer string, token jwks.Token) (refs []string, standIn bool) {
	if claimed, ok := token.Claims["ent"]; ok && claimed != nil {
		refs, _ := token.Texts("ent")
		return owned(user, refs), false
	}
	o.mu.Lock()
	known, ok := o.users.get(user)
	if !ok {
		known = &owner{}
		o.users.add(user, known)
	}
	now := o.now()
	fresh := known.refs != nil && !known.failed && now.Sub(known.tried) < o.ttl
	resting := known.failed && now.Sub(known.tried) < restAfterFailure
	if !fresh && !resting && known.under == nil && !o.closed {
		o.ask(known, user, bearer)
	}
	wait := known.under
	if known.failed && known.refs != nil {
		wait = nil // nobody waits for a backend that failed the last time
	}
	o.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if known.refs == nil {
		return []string{user}, true
	}
	return slices.Clone(known.refs), known.standIn
}

// ask begins a request. The caller holds the lock.
func (o *ownership) ask(known *owner, user, bearer string) {
	done := make(chan struct{})
	known.under = done
	// The request may outlive its caller's, whose memory the bearer is.
	bearer = strings.Clone(bearer)
	previous, answered := known.refs, known.answered
	o.asked.Go(func() {
		ctx, cancel := context.WithTimeout(o.life, o.timeout)
		defer cancel()
		refs, err := o.userInfo(ctx, user, bearer)
		o.tell(err)
		standIn := err != nil
		if err != nil {
			if refs = previous; refs == nil || o.now().Sub(answered) > o.maxStale {
				var told bool
				refs, told = o.fromDirectory(user)
				// Of who never signed in there the auth backend has nothing to say.
				standIn = !told || !jwks.IsNotFound(err)
			}
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		defer close(done)
		known.under = nil
		known.refs, known.standIn, known.tried, known.failed = refs, standIn, o.now(), err != nil
		if err == nil {
			known.answered = known.tried
		}
	})
}

// tell logs when the auth backend begins to fail, and when it no longer does.
func (o *ownership) tell(err error) {
	switch {
	case jwks.IsNotFound(err):
	case err == nil && o.away.CompareAndSwap(true, false):
		o.log.Info("the auth backend tells the groups of users again")
	case err != nil && o.life.Err() == nil && o.away.CompareAndSwap(false, true):
		o.log.Warn("the auth backend does not tell the groups of users: the last answer or the directory stands in",
			slog.Any("error", err))
	}
}

// fromDirectory returns what the directory says, and whether it does.
func (o *ownership) fromDirectory(user string) (refs []string, told bool) {
	if o.directory == nil {
		return []string{user}, true
	}
	ctx, cancel := context.WithTimeout(o.life, o.timeout)
	defer cancel()
	refs, err := o.directory.Ownership(ctx, user)
	if err != nil {
		o.log.LogAttrs(ctx, slog.LevelDebug, "the directory cannot tell the groups of a user now",
			slog.String("user", user), slog.Any("error", err))
	}
	return owned(user, refs), err == nil
}

// userInfo asks the auth backend. It knows the users that signed in there, and
// answers 404 for others.
func (o *ownership) userInfo(ctx context.Context, user, bearer string) ([]string, error) {
	select {
	case o.asking <- struct{}{}:
		defer func() { <-o.asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("too many requests under way: %w", ctx.Err())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	body, err := jwks.Get(o.client, request, maxUserInfo)
	if err != nil {
		return nil, err
	}
	var info struct {
		Claims struct {
			Subject string   `json:"sub"`
			Refs    []string `json:"ent"`
		} `json:"claims"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return nil, errors.New("the answer cannot be read")
	}
	if subject, err := signalbox.NormalizeEntityRef(info.Claims.Subject); err != nil || subject != user {
		return nil, errors.New("the answer is about somebody else")
	}
	return owned(user, info.Claims.Refs), nil
}

// owned puts references into their canonical form, leaves out what is none, and
// puts the user first.
func owned(user string, refs []string) []string {
	all := []string{user}
	seen := map[string]bool{user: true}
	for _, text := range refs {
		if len(all) >= maxOwnership {
			break
		}
		if ref, err := signalbox.NormalizeEntityRef(text); err == nil && !seen[ref] {
			seen[ref] = true
			all = append(all, ref)
		}
	}
	return all
}

func (o *ownership) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.end()
	o.asked.Wait()
}
