package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/url"
	"time"

	"golang.org/x/oauth2"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/web/auth"
	"github.com/signalbox/signalbox/web/auth/identity"
)

// errEnded is what a session that is no more is answered.
var errEnded = signalbox.Errorf(signalbox.CodeAuthentication, "The session has ended: sign in again")

// secretOf reads what a browser has; id is by what the store knows it.
func secretOf(session string) (secret []byte, id string, ok bool) {
	secret, err := base64.RawURLEncoding.DecodeString(session)
	if err != nil || len(secret) != 32 {
		return nil, "", false
	}
	hash := sha256.Sum256(secret)
	return secret, hex.EncodeToString(hash[:]), true
}

// open begins a session. Its identifier is always a new one: nobody can know it
// beforehand.
func (l *Login) open(ctx context.Context, user identity.User, subject string, tokens *oauth2.Token) (SignedIn, error) {
	value := random()
	secret, id, _ := secretOf(value)
	now := l.config.Now()
	session := signalbox.Session{
		ID: id, User: user.Ref, Subject: subject, Groups: user.Groups,
		Created: now, Seen: now, Expires: now.Add(l.config.MaxAge), Renew: l.renewAt(tokens, now),
	}
	var err error
	if session.Sealed, err = seal(secret, id, tokens.RefreshToken); err != nil {
		return SignedIn{}, err
	}
	if err := l.config.Sessions.AddSession(ctx, session); err != nil {
		return SignedIn{}, err
	}
	return SignedIn{Session: value, Expires: session.Expires, User: user.Ref}, nil
}

// Authenticate implements [auth.Authenticator]: it knows users by their sessions. A
// bearer token comes first, since no browser sends one by itself.
//
// What a foreign page may have caused is CodeNotAllowed, see [auth.Pages.Check]. A
// session outlives an outage of the provider; it ends when the provider says that the
// user's grant is over, when it was not used for a while, and at its age limit.
func (l *Login) Authenticate(ctx context.Context, credentials auth.Credentials) (signalbox.Principal, error) {
	if credentials.Token != "" || credentials.Session == "" {
		return nil, auth.ErrNotMine
	}
	secret, id, ok := secretOf(credentials.Session)
	if !ok {
		return nil, errEnded
	}
	session, found, err := l.config.Sessions.SessionByID(ctx, id)
	if err != nil {
		return nil, err
	}
	now := l.config.Now()
	if !found || l.over(session, now) {
		return nil, errEnded
	}
	if err := l.config.Pages.Check(credentials); err != nil {
		return nil, err
	}
	l.touch(ctx, session, now)
	if session, err = l.renew(ctx, session, secret, now); err != nil {
		return nil, err
	}
	return signalbox.UserPrincipal{
		Ref: session.User, Ownership: l.mapper.Owned(ctx, identity.User{Ref: session.User, Groups: session.Groups}),
		Expires: session.Expires, Session: session.ID,
	}, nil
}

func (l *Login) over(session signalbox.Session, now time.Time) bool {
	return !now.Before(session.Expires) || now.Sub(session.Seen) > l.config.IdleTimeout
}

// touch notes the use, once a minute at most. Without it, the session goes on for as
// long as it would have.
func (l *Login) touch(ctx context.Context, session signalbox.Session, now time.Time) {
	if now.Sub(session.Seen) < min(time.Minute, l.config.IdleTimeout/10) {
		return
	}
	if err := l.config.Sessions.TouchSession(ctx, session.ID, now); err != nil {
		l.config.Logger.LogAttrs(ctx, slog.LevelWarn, "the use of a session cannot be noted", slog.Any("error", err))
	}
}

// Ended returns those of the sessions, by [signalbox.UserPrincipal.Session], that have
// ended: connections that were made with them are to end too.
func (l *Login) Ended(ctx context.Context, ids []string) ([]string, error) {
	now := l.config.Now()
	return l.config.Sessions.EndedSessions(ctx, ids, now, now.Add(-l.config.IdleTimeout))
}

// End ends the session of a browser, or with everywhere all of its user. It returns
// who that was, "" for nobody, and where to send the browser so that it ends at the
// provider too, "" if that cannot be. A request that a foreign page may have caused is CodeNotAllowed; a session that
// has ended is no error.
func (l *Login) End(ctx context.Context, credentials auth.Credentials, everywhere bool) (user, location string, err error) {
	if credentials.Session == "" {
		return "", "", nil
	}
	if err := l.config.Pages.CheckOrigin(credentials); err != nil {
		return "", "", err
	}
	user, err = l.end(ctx, credentials.Session, everywhere)
	if err != nil || user == "" {
		return "", "", err
	}
	return user, l.endSession(ctx), nil
}

// EndAll ends all sessions of a user, given by its canonical reference, and returns how
// many there were.
func (l *Login) EndAll(ctx context.Context, user string) (int, error) {
	return l.config.Sessions.EndSessionsOf(ctx, user)
}

// end returns whose session it was.
func (l *Login) end(ctx context.Context, value string, everywhere bool) (user string, err error) {
	_, id, ok := secretOf(value)
	if !ok {
		return "", nil
	}
	session, found, err := l.config.Sessions.SessionByID(ctx, id)
	if err != nil || !found {
		return "", err
	}
	// An expired one speaks for nobody any more.
	if everywhere && !l.over(session, l.config.Now()) {
		_, err = l.config.Sessions.EndSessionsOf(ctx, session.User)
	} else {
		err = l.config.Sessions.EndSession(ctx, id)
	}
	return session.User, err
}

// endSession is the provider's address for the end of a session. The ID token, which
// it may be told, is not: no token goes into a URL.
func (l *Login) endSession(ctx context.Context) string {
	at, err := l.provider.describe(ctx)
	if err != nil || at.EndSession == "" {
		return ""
	}
	u, err := url.Parse(at.EndSession)
	if err != nil {
		return ""
	}
	query := u.Query()
	query.Set("client_id", l.config.ClientID)
	query.Set("post_logout_redirect_uri", l.config.PublicURL+"/")
	u.RawQuery = query.Encode()
	return u.String()
}

// renewal of sessions.
const (
	// renewEarly is how long before the access token expires the provider is asked.
	renewEarly = time.Minute
	// renewUnknown is when it is asked if it does not say how long the token lives.
	renewUnknown = time.Hour
	// renewAgain is when it is asked again if it could not be reached, or whoever asked
	// it has not said.
	renewAgain = time.Minute
)

// renewAt is when the provider is to be asked whether the session may go on; zero
// without a refresh token.
func (l *Login) renewAt(tokens *oauth2.Token, now time.Time) time.Time {
	if tokens.RefreshToken == "" {
		return time.Time{}
	}
	life := renewUnknown
	if tokens.ExpiresIn > 0 {
		life = time.Duration(min(tokens.ExpiresIn, int64(l.config.MaxAge/time.Second))) * time.Second
	}
	return now.Add(max(life-renewEarly, life/2))
}

// renew asks the provider whether the session may go on, when it is time. Of the
// requests that find it is, one asks, and the others go on: a refresh token that is
// used twice may be taken for stolen.
func (l *Login) renew(ctx context.Context, session signalbox.Session, secret []byte, now time.Time) (signalbox.Session, error) {
	if session.Renew.IsZero() || now.Before(session.Renew) {
		return session, nil
	}
	next := now.Add(renewAgain).Truncate(time.Microsecond)
	mine, err := l.config.Sessions.ClaimRenewal(ctx, session.ID, session.Renew, next)
	if err != nil || !mine {
		return session, nil
	}
	refresh, err := unseal(secret, session.ID, session.Sealed)
	if err != nil {
		return session, err
	}
	renewed, err := l.refresh(ctx, session, refresh, now)
	switch {
	case errors.Is(err, errEnded):
		// The answer does not wait for this: the session must not be used once more.
		if err := l.config.Sessions.EndSession(ctx, session.ID); err != nil {
			return session, err
		}
		l.config.Logger.LogAttrs(ctx, slog.LevelInfo, "an identity provider ended a session", slog.String("user", session.User))
		return session, errEnded
	case err != nil:
		l.config.Logger.LogAttrs(ctx, slog.LevelWarn, "a session cannot be renewed now and goes on as it is",
			slog.String("user", session.User), slog.Any("error", err))
		return session, nil
	}
	renewed.session.Sealed, err = seal(secret, session.ID, renewed.token)
	if err == nil {
		// The old refresh token may be worth nothing any more, so that the new one has to
		// be kept even if the caller gave up.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.config.Timeout)
		defer cancel()
		err = l.config.Sessions.RenewSession(ctx, renewed.session)
	}
	return renewed.session, err
}

// renewed is a session that may go on, and its next refresh token.
type renewed struct {
	session signalbox.Session
	token   string
}

// refresh returns errEnded if the user's grant is over.
func (l *Login) refresh(ctx context.Context, session signalbox.Session, token string, now time.Time) (renewed, error) {
	at, err := l.provider.describe(ctx)
	if err != nil {
		return renewed{}, err
	}
	tokens, err := l.oauth(at).TokenSource(l.context(ctx), &oauth2.Token{RefreshToken: token}).Token()
	if err != nil {
		// Any other refusal, such as of the client's secret, is not about the user.
		if code, final := refusal(err); final && code == "invalid_grant" {
			return renewed{}, errEnded
		}
		return renewed{}, plain(err)
	}
	if tokens.RefreshToken == "" {
		tokens.RefreshToken = token
	}
	session.Renew = l.renewAt(tokens, now)
	if raw, _ := tokens.Extra("id_token").(string); raw != "" {
		id, err := l.idToken(ctx, raw)
		if err != nil {
			// The refresh token counts all the same, and the old one may not any more.
			l.config.Logger.LogAttrs(ctx, slog.LevelWarn, "the ID token of a renewed session cannot be used, and its user's groups stay as they are",
				slog.String("user", session.User), slog.Any("error", err))
			return renewed{session: session, token: tokens.RefreshToken}, nil
		}
		user, err := l.mapper.User(id.Claims)
		if err != nil || user.Ref != session.User || id.Subject() != session.Subject {
			return renewed{}, errEnded
		}
		session.Groups = user.Groups
	}
	return renewed{session: session, token: tokens.RefreshToken}, nil
}
