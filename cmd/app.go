package cmd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/channels/email/unsubscribe"
	"github.com/signalbox/signalbox/configs"
	"github.com/signalbox/signalbox/pipeline"
	"github.com/signalbox/signalbox/pipeline/delivery"
	"github.com/signalbox/signalbox/pipeline/retry"
	"github.com/signalbox/signalbox/processors"
	"github.com/signalbox/signalbox/storage"
	"github.com/signalbox/signalbox/storage/bus"
	"github.com/signalbox/signalbox/storage/database"
	"github.com/signalbox/signalbox/storage/queue"
	"github.com/signalbox/signalbox/web"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/backstage"
	"github.com/signalbox/signalbox/web/auth/oidc"
	"github.com/signalbox/signalbox/web/hub"
	"github.com/signalbox/signalbox/web/ui"
)

// app is a wired router.
type app struct {
	config configs.Config
	log    *slog.Logger

	db    *database.DB
	queue *queue.Queue
	bus   *bus.Bus
	store *storage.Store
	hub   *hub.Hub
	// directory knows who is who.
	directory signalbox.Directory
	// channels are the outside channels.
	channels []channels.Channel
	// unsubscribe makes and reads the links of mails; nil without.
	unsubscribe *unsubscribe.Links
	// settings decides who gets what, where.
	settings *signalbox.SettingsPolicy
	// schedules decide when.
	schedules *signalbox.Schedules
	pipeline  *pipeline.Pipeline
	// tls is how the server speaks TLS; nil for plain HTTP.
	tls *tls.Config
	// rules checks what is sent.
	rules  signalbox.Validator
	server *web.Server
	// issuer signs tokens for Backstage, and discovery knows where its plugins are; nil
	// without Backstage.
	issuer    *backstage.Issuer
	discovery *backstage.Discovery
	// login signs users in to the page; nil without.
	login *oidc.Login
	// instances is how many instances were last seen.
	instances atomic.Int64

	// background is what runs beside everything else until the end.
	background []func(ctx context.Context)

	// senderTokenPath is where the token of the local sender is; empty when
	// service tokens are configured.
	senderTokenPath string
	lifecycle       lifecycle
}

// newApp opens the database, migrates it and wires everything. What it started
// is stopped by [app.close], also after an error.
func newApp(ctx context.Context, config configs.Config, e *extras, log *slog.Logger) (a *app, err error) {
	a = &app{config: config, log: log, lifecycle: lifecycle{log: log}}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	if a.tls, err = tlsConfig(config.TLS, log); err != nil {
		return a, err
	}
	if err := a.openStorage(ctx, registry); err != nil {
		return a, err
	}
	if a.hub, err = hub.New(hub.Config{Logger: log, Registerer: registry}); err != nil {
		return a, err
	}
	if err := a.wireDiscovery(); err != nil {
		return a, err
	}
	if err := a.wireIssuer(); err != nil {
		return a, err
	}
	if err := a.wireDirectory(e, registry); err != nil {
		return a, err
	}
	if err := a.wireUnsubscribe(); err != nil {
		return a, err
	}
	if err := a.wireChannels(e); err != nil {
		return a, err
	}
	signaler := &signals{hub: a.hub, bus: a.bus, log: log}
	if err := a.wirePipeline(e, signaler, registry); err != nil {
		return a, err
	}
	a.connectBus()
	return a, a.wireServer(signaler, registry)
}

// openStorage opens the database and what stands on it.
func (a *app) openStorage(ctx context.Context, registry *prometheus.Registry) (err error) {
	a.db, err = database.Open(ctx, database.Config{
		URL: a.config.Database.URL(), Logger: a.log,
		// One lease or acknowledgement at a time for each consumer that is awake.
		LeaserConns: a.config.Pipeline.Consumers + 4,
	})
	if err != nil {
		return exitWith(exitUnavailable, err)
	}
	a.lifecycle.add("the database", func(context.Context) error { return a.db.Close() })
	if _, err := a.db.Migrate(ctx); err != nil {
		return err
	}
	a.queue, err = queue.New(a.db, queue.Config{
		Lease: a.config.Pipeline.Lease, CloseTimeout: a.config.Shutdown.Timeout / 2, Logger: a.log,
	})
	if err != nil {
		return err
	}
	if err := a.queue.Recover(ctx); err != nil {
		return err
	}
	if err := registry.Register(&depthCollector{queue: a.queue, log: a.log}); err != nil {
		return err
	}
	if a.bus, err = bus.Open(a.db, bus.Config{OnListen: a.queue.WakeAll, Logger: a.log}); err != nil {
		return err
	}
	a.lifecycle.add("the link to other instances", func(context.Context) error { return a.bus.Close() })
	if err := registry.Register(&busCollector{a.bus.Stats}); err != nil {
		return err
	}
	a.store, err = storage.New(a.db, a.queue, storage.Config{})
	return err
}

func (a *app) wirePipeline(e *extras, signaler signalbox.Signaler, registry *prometheus.Registry) (err error) {
	names := a.channelNames()
	a.settings = a.settingsPolicy(e)
	var decider processors.Decider = processors.NewUserSettings(a.settings, a.store)
	if e.decider != nil {
		decider = e.decider
	}
	if err := a.wireRules(); err != nil {
		return err
	}
	a.schedules = signalbox.NewSchedules(a.store, a.config.Notifications.Schedule)
	explainer, _ := decider.(delivery.Explainer)
	stages := []signalbox.Stage{processors.NewSettings(decider, names)}
	c := a.config.Pipeline
	a.pipeline, err = pipeline.New(pipeline.Deps{
		Subscribe: a.queue.Subscriber, Position: queue.Position, Leases: queue.Leases, Blame: queue.Blame,
		Accepter: a.store, Committer: a.store, Deliveries: a.store, Snoozes: a.store, Signaler: signaler,
		Listening:  func() bool { return a.hub.Connections() > 0 || !a.bus.Alone() },
		Instances:  func() int { return int(a.instances.Load()) },
		Announcer:  announcer{a.bus},
		Recipients: processors.NewRecipients(a.directory),
		Stages:     stages,
		Processors: e.processors,
		Filters:    a.processorFilters(e),
		Channels:   a.channels,
		Schedules:  a.schedules,
		Explainer:  explainer,
		Rules:      a.rules,
		Registerer: registry,
		Logger:     a.log,
	}, pipeline.Config{
		Consumers: c.Consumers, RetryConsumers: c.RetryConsumers, DeliveryConsumers: c.DeliveryConsumers,
		ProcessorTimeout: c.ProcessorTimeout,
		Lease:            c.Lease,
		DeliveryMaxAge:   c.DeliveryMaxAge,
		CloseTimeout:     a.config.Shutdown.Timeout,
		Retry:            retry.Policy{MaxAttempts: c.MaxAttempts, Min: c.Retry.Min, Max: c.Retry.Max},
	})
	return err
}

// wireRules makes what checks requests. The channels are there by then.
func (a *app) wireRules() error {
	direct, err := signalbox.NewDirectTargets(a.channelNames(), a.config.Notifications.DirectTargets)
	if err != nil {
		return exitWith(exitUsage, fmt.Errorf("notifications.directTargets: %w", err))
	}
	a.rules = signalbox.Validator{Direct: direct}
	return nil
}

func (a *app) wireServer(signaler signalbox.Signaler, registry *prometheus.Registry) error {
	authenticators, err := a.authenticators()
	if err != nil {
		return err
	}
	config := web.Config{Rules: a.rules, AllowedOrigins: a.config.CORS.Origins, Admins: a.admins(), SettingsURL: a.settingsURL(), PublicURL: a.config.PublicURL()}
	config.UsersMaySend, config.MaxTokenAge = a.config.Auth.UsersMaySend, a.config.Auth.Tokens.MaxAge
	if config.Senders, err = signalbox.NewSenderPolicy(a.config.Auth.Senders); err != nil {
		return exitWith(exitUsage, fmt.Errorf("auth.senders: %w", err))
	}
	if err := a.wireEvents(config.Senders); err != nil {
		return err
	}
	config.TLS, config.TrustedProxies = a.tls, a.config.TrustedProxies
	config.MaxConnectionsPerAddress, config.ManyClients = a.config.Connections.PerAddress, thisMachine()
	if a.config.Auth.Guest.Enabled {
		config.Guest = &web.Guest{
			User: a.config.Auth.Guest.User, Hosts: a.config.Auth.Guest.Hosts, Ownership: a.directory,
		}
	}
	page, err := ui.New(ui.Config{AppURL: a.config.App.BaseURL})
	if err != nil {
		return err
	}
	a.server, err = web.New(web.Deps{
		Page:  page,
		Inbox: a.store, Submitter: a.pipeline, Signaler: signaler, Trace: a.store,
		Settings: a.store, Policy: a.settings, Schedules: a.schedules,
		Unsubscribe: a.readUnsubscribe(),
		Directory:   a.directory, Takers: a.pipeline.Takers,
		DeadLetters: a.store, Status: a.status,
		Tokens:        a.store,
		Instances:     func() int { return int(a.instances.Load()) },
		Authenticator: authenticators,
		Login:         a.login,
		PluginKeys:    a.pluginKeys(),
		Signals: func(user func(*fiber.Ctx) (signalbox.UserPrincipal, error)) fiber.Handler {
			return a.hub.Handler(user)
		},
		Ready:      a.db.Ping,
		Registerer: registry, Gatherer: registry,
		Logger: a.log,
	}, config)
	return err
}

// serviceTokens are the configured ones, or the local sender's.
func (a *app) serviceTokens() ([]auth.StaticToken, error) {
	var tokens []auth.StaticToken
	for _, t := range a.config.Backend.Auth.StaticTokens {
		tokens = append(tokens, auth.StaticToken{Digest: auth.Digest(t.Hash), Subject: t.Subject, Plugins: t.Plugins})
	}
	if len(tokens) > 0 {
		return tokens, nil
	}
	token, path, err := senderToken(a.config.Data)
	if err != nil {
		return nil, err
	}
	digest, err := auth.ParseDigest(token)
	if err != nil {
		return nil, exitWith(exitUsage, fmt.Errorf("%s: %w", path, err))
	}
	a.senderTokenPath = path
	return []auth.StaticToken{{Digest: digest, Subject: senderSubject}}, nil
}

// run serves on ln until ctx is done or something fails for good, and stops
// everything in order.
func (a *app) run(ctx context.Context, ln net.Listener, ready func()) error {
	// What runs is not stopped by ctx itself but in its turn, by the lifecycle.
	group, failed := errgroup.WithContext(context.Background())
	background, stopBackground := context.WithCancel(context.Background())

	group.Go(func() error { return a.pipeline.Run(context.Background()) })
	a.lifecycle.add("notifications in work", func(context.Context) error { return a.pipeline.Close() })
	for _, run := range append(a.background, a.housekeeping, a.countInstances, a.tellOfLeftovers) {
		group.Go(func() error { run(background); return nil })
	}
	a.lifecycle.add("housekeeping", func(context.Context) error { stopBackground(); return nil })
	select {
	case <-a.pipeline.Running():
	case <-failed.Done():
	}
	group.Go(func() error { return a.server.Serve(ln) })
	a.lifecycle.add("requests under way", a.server.Shutdown)
	a.lifecycle.add("WebSocket clients", a.hub.Close)
	if failed.Err() == nil {
		ready()
	}
	select {
	case <-ctx.Done():
		a.log.Info("stopping", "timeout", a.config.Shutdown.Timeout)
	case <-failed.Done():
	}
	err := a.close()
	return errors.Join(group.Wait(), err)
}

// countInstances keeps count of the instances, which share the limits of channels
// and the rates of senders.
func (a *app) countInstances(ctx context.Context) {
	const every = 10 * time.Second
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(every)
		}
		n, err := a.bus.Instances(ctx)
		if err != nil {
			a.log.Debug("cannot count the instances", "error", err)
			continue
		}
		a.instances.Store(int64(n))
	}
}

// close stops what was started, last first.
func (a *app) close() error { return a.lifecycle.stop(a.config.Shutdown.Timeout) }

// onceKeysAge is how long marks of processed messages are kept. A message can
// only come back while it is in the queue, which consumers keep short.
const onceKeysAge = 30 * 24 * time.Hour

// endedTokensAge is how long API tokens are listed that expired or were revoked.
const endedTokensAge = 30 * 24 * time.Hour

// seenAge is for how long settings list an origin or topic that nothing came with.
const seenAge = 180 * 24 * time.Hour

// housekeeping removes what has expired: sessions, idempotency keys and the marks of
// processed messages once an hour, the rest once a day. Several instances doing so at
// once do no harm.
func (a *app) housekeeping(ctx context.Context) {
	const batch = 1000
	sweep := func(what string, remove func(context.Context, time.Time, int) (int, error), age time.Duration) {
		n, err := remove(ctx, time.Now().Add(-age), batch)
		if err != nil && ctx.Err() == nil {
			a.log.Warn("cannot remove what has expired", "what", what, "error", err)
		} else if n > 0 {
			a.log.Info("removed what has expired", "what", what, "count", n)
		}
	}
	// The first round comes soon, for instances that never live a day, but not at
	// once, for starts after a long outage: what waits on the queue goes first.
	timer := time.NewTimer(5 * time.Minute)
	defer timer.Stop()
	for hour := 0; ; hour++ {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(time.Hour)
		}
		sweep("sessions", a.store.DeleteSessions, 0)
		sweep("idempotency keys", a.store.DeleteClaims, signalbox.IdempotencyWindow)
		sweep("marks of processed messages", a.store.DeleteOnceKeys, onceKeysAge)
		if hour%24 != 0 {
			continue
		}
		sweep("traces", a.store.DeleteTrace, a.config.Notifications.Trace.Retention)
		sweep("origins and topics of settings", a.store.DeleteSeen, seenAge)
		sweep("API tokens", a.store.DeleteTokens, endedTokensAge)
		sweep("digests", a.store.DeleteDigests, a.config.Notifications.Trace.Retention)
		if age := a.config.Notifications.Retention; age > 0 {
			sweep("notifications", a.store.DeleteExpired, age)
			sweep("threads of scopes", a.store.DeleteThreads, age)
		}
	}
}
