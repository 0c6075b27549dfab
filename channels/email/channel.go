package email

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// Name is the name of the channel.
const Name = "Email"

// maxConcurrency is the most that [channels.Limits] allows.
const maxConcurrency = 64

// Channel sends notifications as mails. It is made by [New] and safe for
// concurrent use.
type Channel struct {
	config    settled
	templates *templates
	digests   *templates
	markdown  *markdown
	signers   signers
	transport transport
	cache     cache
}

var (
	_ channels.Channel   = (*Channel)(nil)
	_ channels.Selector  = (*Channel)(nil)
	_ channels.Resolver  = (*Channel)(nil)
	_ channels.Limited   = (*Channel)(nil)
	_ channels.Checker   = (*Channel)(nil)
	_ channels.Digester  = (*Channel)(nil)
	_ signalbox.Filtered = (*Channel)(nil)
)

// New makes the channel. It reads template files, and connects to nothing.
func New(config Config) (*Channel, error) {
	settled, err := config.settle()
	if err != nil {
		return nil, err
	}
	c := &Channel{config: settled, markdown: newMarkdown(settled.AppURL), cache: cache{ttl: settled.CacheTTL}}
	if c.templates, err = mailTemplates(config.Templates); err != nil {
		return nil, err
	}
	if c.digests, err = digestTemplates(config.Templates); err != nil {
		return nil, err
	}
	if c.signers, err = newSigners(config.DKIM); err != nil {
		return nil, err
	}
	c.transport, err = settled.transport()
	return c, err
}

// Name returns "Email".
func (c *Channel) Name() string { return Name }

// Filter returns Config.Filter.
func (c *Channel) Filter() signalbox.PayloadFilter { return c.config.Filter }

// Limits follow Config.Concurrency and Config.Interval.
func (c *Channel) Limits() channels.Limits {
	limits := channels.Limits{Concurrency: min(c.config.Concurrency, maxConcurrency)}
	if c.config.Interval > 0 {
		every := c.config.Interval / time.Duration(c.config.Concurrency)
		limits.PerChannel = channels.Rate{Every: max(every, 1), Burst: c.config.Concurrency}
	}
	return limits
}

// Check signs in to the mail server, or looks whether the program or directory is
// there. It sends nothing.
func (c *Channel) Check(ctx context.Context) error { return c.transport.check(ctx) }

// Close waits for deliveries under way and closes idle connections. Deliveries that
// begin later fail.
func (c *Channel) Close() error { return c.transport.close() }

// Deliver hands one mail to one recipient over. Sent.ID is its Message-ID,
// Sent.Reply what the mail server said when it took it.
func (c *Channel) Deliver(ctx context.Context, d channels.Delivery) (channels.Sent, error) {
	return c.post(ctx, d.Target, d.Attempt, func() (letter, error) { return c.letter(d) })
}

// DeliverDigest hands one mail with all of the digest over, as Deliver does. If it
// would be larger than what mail programs show, the least severe notifications are
// only counted.
func (c *Channel) DeliverDigest(ctx context.Context, d channels.Digest) (channels.Sent, error) {
	return c.post(ctx, d.Target, d.Attempt, func() (letter, error) { return c.digestLetter(d) })
}

// post sends the letter that write makes.
func (c *Channel) post(ctx context.Context, target channels.Target, attempt int, write func() (letter, error)) (channels.Sent, error) {
	to, err := parseAddress(target.Address)
	if err != nil {
		return channels.Sent{}, channels.Suppressed(signalbox.RuleNoAddress, err.Error())
	}
	// The lists may have changed since the target was resolved.
	if err := c.config.lists.check(to); err != nil {
		return channels.Sent{}, err
	}
	l, err := write()
	if err != nil {
		return channels.Sent{}, signalbox.Permanent(err) // the same the next time
	}
	id, message, err := c.compose(l, to, to.nameIn(target.Display))
	if err != nil {
		return channels.Sent{}, signalbox.Permanent(err)
	}
	reply, err := c.transport.send(ctx, envelope{
		id: uniqueID(l.id), from: c.config.sender.Address, to: to.String(), attempt: attempt, message: message,
	})
	if err != nil {
		return channels.Sent{}, withContext(ctx, err)
	}
	sent := channels.Sent{ID: "<" + id + ">", Reply: reply}
	if l.thread != nil {
		sent.State = l.thread.then(id).state()
	}
	return sent, nil
}

// transport hands messages over.
type transport interface {
	// send returns what was answered. Errors are as of [channels.Channel].
	send(ctx context.Context, e envelope) (reply string, err error)
	check(ctx context.Context) error
	close() error
}

// envelope is a message with its addresses.
type envelope struct {
	// id is the delivery's or the digest's, in characters that a file name may have.
	id       string
	from, to string
	// attempt counts from 1.
	attempt int
	message []byte
}

// withContext makes an error one of the context's if that is done: what went wrong
// then is that somebody closed the connection.
func withContext(ctx context.Context, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) && !signalbox.IsPermanent(err) {
		return fmt.Errorf("%w: %w", err, cause)
	}
	return err
}
