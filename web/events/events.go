// Package events receives the signals that plugins of a Backstage installation
// publish: its signals service hands them to the events bus, from which every
// signals backend takes them.
//
// It may import the root package; the rest of web does not import it.
package events

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/signalbox/signalbox"
)

// Config configures a [Subscriber].
type Config struct {
	// BaseURL is where the API of Backstage's events plugin is, such as
	// http://backstage:7007/api/events. Required.
	BaseURL string
	// Token returns a token of the signals plugin for the events plugin. It is asked
	// for every request. Its error must not hold the token. Required.
	Token func() (string, error)
	// Signaler gets the signals. Every process subscribes for itself, so that it has
	// to reach the clients of this process only. Required.
	Signaler signalbox.Signaler
	// Rights say whom signals may go to; nil is everyone.
	Rights *signalbox.SenderRights
	// Expected makes a missing events backend a failure like others. Otherwise the
	// delay may grow to LookAgain.
	Expected bool
	// Transport does the requests. Defaults to one of its own.
	Transport http.RoundTripper
	// Logger defaults to discarding.
	Logger *slog.Logger

	// MinBackoff and MaxBackoff bound the delay after a failure, which doubles, with
	// jitter. Default to 1s and 1m, as Backstage's.
	MinBackoff, MaxBackoff time.Duration
	// LookAgain bounds the delay, in place of MaxBackoff, while there is no events
	// backend. Defaults to 5m.
	LookAgain time.Duration
	// Answer bounds how long an answer may take to begin, and one with events to end. A
	// proxy that buffers lets an answer begin when it ends, which may take as long as
	// the bus keeps requests open. Defaults to 90s.
	Answer time.Duration
}

// Limits of what the bus answers. An event may have 5 MB there, and an answer 10
// events, but signals are small.
const (
	maxAnswer = 16 << 20
	// defaultWait is how long the bus keeps a request open when it does not say so;
	// maxWait bounds what it says.
	defaultWait = time.Minute
	maxWait     = 10 * time.Minute
	// minWait is how long an answer without events takes at least, so that one who
	// answers at once is not asked all the time.
	minWait = 50 * time.Millisecond
	// pingAfter is how long a connection may be silent, and then take to answer.
	pingAfter = 15 * time.Second
	// sayAgain is how often it is said that signals cannot be passed on.
	sayAgain = time.Minute
)

// waitHeader says, in milliseconds, how long the bus keeps a request open until there
// are events.
const waitHeader = "Backstage-Events-Notify-Timeout"

// topic is the one that signals have.
const topic = "signals"

// Subscriber takes signals from the bus.
type Subscriber struct {
	config Config
	// subscription is the address of the subscription.
	subscription string
	http         *http.Client
	log          *slog.Logger
	// said is when it was last said that a signal cannot be passed on.
	said time.Time
}

// New checks the configuration. It asks nothing yet.
func New(config Config) (*Subscriber, error) {
	base, err := url.Parse(config.BaseURL)
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, errors.New("events: BaseURL is not an http or https URL")
	case config.Token == nil || config.Signaler == nil:
		return nil, errors.New("events: Token and Signaler are required")
	}
	for _, d := range []struct {
		value     *time.Duration
		byDefault time.Duration
	}{
		{&config.MinBackoff, time.Second},
		{&config.MaxBackoff, time.Minute},
		{&config.LookAgain, 5 * time.Minute},
		{&config.Answer, 90 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.byDefault
		}
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Transport == nil {
		config.Transport = newTransport(pingAfter)
	}
	// As in Backstage: the plugin, and an identifier of this process. What nobody
	// asks for any more the bus forgets by itself.
	id := "signals.signalbox-" + strings.ToLower(cryptorand.Text()[:16])
	return &Subscriber{
		config: config, log: config.Logger,
		subscription: base.JoinPath("bus/v1/subscriptions", id).String(),
		http: &http.Client{
			Transport: config.Transport,
			// The token is for the events plugin, and nobody else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func newTransport(silence time.Duration) *http.Transport {
	return signalbox.GiveUpLost(&http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true}, silence)
}

// errNoBackend is that Backstage has no events backend, or no bus in it.
var errNoBackend = errors.New("there is no events backend")

// Run takes signals until ctx is done.
func (s *Subscriber) Run(ctx context.Context) {
	defer s.http.CloseIdleConnections()
	subscribed, failing, absent, backoff := false, false, false, s.config.MinBackoff
	for {
		err := s.step(ctx, &subscribed)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil && failing:
			s.log.Info("signals of Backstage's plugins are received again")
		}
		if err == nil {
			failing, absent, backoff = false, false, s.config.MinBackoff
			continue
		}
		level, limit, missing := slog.LevelWarn, s.config.MaxBackoff, errors.Is(err, errNoBackend) && !s.config.Expected
		if missing {
			level, limit = slog.LevelInfo, s.config.LookAgain
		}
		switch {
		case missing && !absent:
			// One that starts answers as one without an events backend does, until it
			// has come to that plugin.
			absent, backoff = true, s.config.MinBackoff
		case failing:
			level = slog.LevelDebug // it was said
		}
		backoff = min(backoff, limit)
		wait := backoff/2 + rand.N(backoff/2+1) //nolint:gosec // G404: jitter is no secret
		s.log.Log(ctx, level, "signals of Backstage's plugins are not received", "error", err, "again in", wait.Round(time.Millisecond))
		failing, backoff = true, 2*backoff
		pause(ctx, wait)
	}
}

// step subscribes, if need be, and takes the signals of one answer.
func (s *Subscriber) step(ctx context.Context, subscribed *bool) (err error) {
	if !*subscribed {
		if err := s.subscribe(ctx); err != nil {
			return err
		}
		if *subscribed, err = s.read(ctx); err == nil && !*subscribed {
			err = errors.New("the bus forgets the subscription at once")
		}
		return err
	}
	*subscribed, err = s.read(ctx)
	return err
}

// pause waits for a time, at most until ctx is done.
func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// subscribe makes the subscription, or renews it.
func (s *Subscriber) subscribe(ctx context.Context) error {
	response, end, err := s.do(ctx, http.MethodPut, s.subscription, `{"topics":["`+topic+`"]}`) //nolint:bodyclose // end closes it
	if err != nil {
		return err
	}
	defer end()
	switch {
	case response.StatusCode == http.StatusNotFound:
		return errNoBackend
	case response.StatusCode >= 300:
		return fmt.Errorf("subscribe: %s", response.Status)
	}
	return nil
}

// read passes on the events that there are, or waits until there are some. known is
// false if the bus does not know the subscription (any more).
func (s *Subscriber) read(ctx context.Context) (known bool, err error) {
	asked := time.Now()
	response, end, err := s.do(ctx, http.MethodGet, s.subscription+"/events", "") //nolint:bodyclose // end closes it
	if err != nil {
		return false, err
	}
	defer end()
	switch response.StatusCode {
	case http.StatusOK:
		timer := time.AfterFunc(s.config.Answer, end)
		defer timer.Stop()
		passed, err := s.passOn(ctx, response.Body)
		if passed == 0 && err == nil {
			pause(ctx, minWait-time.Since(asked))
		}
		return true, err
	case http.StatusAccepted:
		// The body has nothing in it. It ends when there are events, or after a while.
		wait := defaultWait
		if ms, err := strconv.Atoi(response.Header.Get(waitHeader)); err == nil && ms > 0 {
			wait = min(time.Duration(ms)*time.Millisecond, maxWait)
		}
		timer := time.AfterFunc(wait+time.Second, end)
		defer timer.Stop()
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
		pause(ctx, minWait-time.Since(asked))
		return true, nil
	case http.StatusNotFound:
		return false, nil
	default:
		return true, fmt.Errorf("read: %s", response.Status)
	}
}

// do makes a request. end releases it, and cuts the body off.
func (s *Subscriber) do(ctx context.Context, method, address, body string) (response *http.Response, end func(), err error) {
	token, err := s.config.Token()
	if err != nil {
		return nil, nil, fmt.Errorf("token: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		cancel()
		return nil, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	late := time.AfterFunc(s.config.Answer, cancel)
	response, err = s.http.Do(request)
	inTime := late.Stop()
	if err == nil {
		end = func() {
			cancel()
			_ = response.Body.Close()
		}
		if inTime {
			return response, end, nil
		}
		end()
	}
	cancel()
	if !inTime {
		err = fmt.Errorf("no answer within %s", s.config.Answer)
	}
	return nil, nil, err
}

// passOn sends the signals of an answer, and returns how many events it had. What is no
// signal is passed over: the bus has it already off its list.
func (s *Subscriber) passOn(ctx context.Context, body io.Reader) (int, error) {
	content, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	if len(content) > maxAnswer {
		return 0, fmt.Errorf("read: the answer has more than %d bytes", maxAnswer)
	}
	var answer struct {
		Events []struct {
			Topic   string          `json:"topic"`
			Payload json.RawMessage `json:"payload"`
		} `json:"events"`
	}
	if err := json.Unmarshal(content, &answer); err != nil {
		return 0, fmt.Errorf("read: %w", err)
	}
	for _, event := range answer.Events {
		signal, err := signalbox.DecodeSignal(event.Payload)
		if err == nil {
			err = s.config.Rights.Signal(&signal)
		}
		if err != nil {
			s.refused(ctx, err)
			continue
		}
		s.config.Signaler.Signal(ctx, signal)
	}
	return len(answer.Events), nil
}

// refused says that a signal is not passed on, but not of every one: a plugin may
// publish many.
func (s *Subscriber) refused(ctx context.Context, err error) {
	level := slog.LevelDebug
	if now := time.Now(); now.Sub(s.said) >= sayAgain {
		level, s.said = slog.LevelWarn, now
	}
	s.log.Log(ctx, level, "a signal of a Backstage plugin is not passed on", "error", err)
}
