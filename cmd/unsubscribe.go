package cmd

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/signalbox/signalbox/channels/email/unsubscribe"
	"github.com/signalbox/signalbox/configs"
	"github.com/signalbox/signalbox/web"
)

// unsubscribeKeyFile holds, in the data folder, the key that signs unsubscribe links
// while none is configured.
const unsubscribeKeyFile = "unsubscribe.key"

// localKeyID is the ID of that key.
const localKeyID = "local"

// unsubscribePath is where this server reads links.
const unsubscribePath = "/api/notifications/unsubscribe"

// wireUnsubscribe makes what mails have links by. Where that cannot be, the log says
// why.
func (a *app) wireUnsubscribe() error {
	c := a.config.Notifications.Email
	if c == nil || c.Unsubscribe.Disabled {
		return nil
	}
	var keys []unsubscribe.Key
	switch {
	case a.unsubscribeEndpoint() == "":
		a.log.Warn("mails have no links to unsubscribe: set publicUrl, or url below notifications.processors.email.unsubscribe, to where the world reaches this server; enabled: false there ends this warning")
		return nil
	case len(c.Unsubscribe.Keys) > 0:
		keys = configuredKeys(c)
	case a.config.Database.Dialect() != configs.SQLite:
		a.log.Warn("mails have no links to unsubscribe: with PostgreSQL, notifications.processors.email.unsubscribe.keys has to be set, the same for all instances; enabled: false there ends this warning")
		return nil
	default:
		secret, path, err := keptSecret(a.config.Data, unsubscribeKeyFile, func() string { return rand.Text() + rand.Text() })
		if err != nil {
			return exitWith(exitUsage, fmt.Errorf("key of unsubscribe links: %w", err))
		}
		a.log.Info("links to unsubscribe are signed with a key of this server's own", "file", path)
		keys = []unsubscribe.Key{{ID: localKeyID, Secret: []byte(secret)}}
	}
	return a.openUnsubscribe(keys)
}

// wireUnsubscribeOutside is wireUnsubscribe for commands beside a server: they use
// its key if they can, and make none.
func (a *app) wireUnsubscribeOutside() error {
	c := a.config.Notifications.Email
	if c == nil || c.Unsubscribe.Disabled || a.unsubscribeEndpoint() == "" {
		return nil
	}
	keys := configuredKeys(c)
	if len(keys) == 0 && a.config.Database.Dialect() == configs.SQLite {
		if secret, err := readToken(filepath.Join(a.config.Data, unsubscribeKeyFile)); err == nil {
			keys = []unsubscribe.Key{{ID: localKeyID, Secret: []byte(secret)}}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return a.openUnsubscribe(keys)
}

func (a *app) openUnsubscribe(keys []unsubscribe.Key) (err error) {
	a.unsubscribe, err = unsubscribe.New(unsubscribe.Config{
		Endpoint: a.unsubscribeEndpoint(), Keys: keys, TTL: a.config.Notifications.Email.Unsubscribe.TTL,
	})
	if err != nil {
		return exitWith(exitUsage, fmt.Errorf("notifications.processors.email.unsubscribe: %w", err))
	}
	return nil
}

func configuredKeys(c *configs.Email) []unsubscribe.Key {
	var keys []unsubscribe.Key
	for _, key := range c.Unsubscribe.Keys {
		keys = append(keys, unsubscribe.Key{ID: key.ID, Secret: []byte(key.Secret.Reveal())})
	}
	return keys
}

// unsubscribeEndpoint is where the world reaches unsubscribePath; empty if nobody
// said so. The address that the server listens on is no guess at it: a link that
// leads nowhere is worse than none.
func (a *app) unsubscribeEndpoint() string {
	if url := a.config.Notifications.Email.Unsubscribe.URL; url != "" {
		return url
	}
	if base := a.config.PublicURL(); base != "" {
		return base + unsubscribePath
	}
	return ""
}

// readUnsubscribe is what reads links for the server; nil without links.
func (a *app) readUnsubscribe() func(token string) (web.Unsubscription, error) {
	if a.unsubscribe == nil {
		return nil
	}
	return func(token string) (web.Unsubscription, error) {
		subject, err := a.unsubscribe.Parse(token)
		switch {
		case errors.Is(err, unsubscribe.ErrExpired):
			err = web.ErrLinkExpired
		case errors.Is(err, unsubscribe.ErrForged):
			err = web.ErrLinkForged
		}
		return web.Unsubscription(subject), err
	}
}

// settingsURL is the page on which users choose what they get: Backstage's, else this
// server's own; empty if nobody said where these are.
func (a *app) settingsURL() string {
	if base := a.config.App.BaseURL; base != "" {
		return base + "/settings/notifications"
	}
	if base := a.config.PublicURL(); base != "" {
		return base + "/settings"
	}
	return ""
}
