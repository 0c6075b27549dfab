package email

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	gosmtp "github.com/wneessen/go-mail/smtp"
)

var errUnknownAuth = errors.New("email: unknown authentication")

// signIn authenticates, if there is a username.
func (s *session) signIn() error {
	if s.config.Username == "" {
		return nil
	}
	s.extend()
	offered, list := s.client.Extension("AUTH")
	if !offered {
		return fmt.Errorf("email: %s offers no sign-in (AUTH) on port %d: use its submission port, or configure no username", s.config.Host, s.config.Port)
	}
	_, err := s.client.GetTLSConnectionState()
	mechanism, err := mechanisms(*s.config, list, err == nil)
	if err != nil {
		return err
	}
	if err := s.client.Auth(mechanism); err != nil {
		return fmt.Errorf("email: cannot sign in as the configured user, check username and password: %w",
			asReply(stageAuth, err, s.config.Password))
	}
	return nil
}

// mechanisms returns the configured mechanism, or for [AuthAuto] the best that is
// offered: those that do not show the password come first, and without encryption
// only this machine, or who is allowed to, is shown it.
func mechanisms(config SMTP, offered string, encrypted bool) (gosmtp.Auth, error) {
	user, password := config.Username, config.Password.Reveal()
	trusted := encrypted || config.AllowPlaintext || isLoopback(config.Host)
	all := []struct {
		name AuthType
		// shows is set for those that send the password itself.
		shows bool
		auth  func() gosmtp.Auth
	}{
		{AuthSCRAMSHA256, false, func() gosmtp.Auth { return gosmtp.ScramSHA256Auth(user, password) }},
		{AuthSCRAMSHA1, false, func() gosmtp.Auth { return gosmtp.ScramSHA1Auth(user, password) }},
		{AuthPlain, true, func() gosmtp.Auth { return gosmtp.PlainAuth("", user, password, config.Host, true) }},
		{AuthLogin, true, func() gosmtp.Auth { return gosmtp.LoginAuth(user, password, config.Host, true) }},
		{AuthCRAMMD5, false, func() gosmtp.Auth { return gosmtp.CRAMMD5Auth(user, password) }},
		{AuthXOAUTH2, true, func() gosmtp.Auth { return gosmtp.XOAuth2Auth(user, password) }},
	}
	names := strings.Fields(strings.ToLower(offered))
	for _, mechanism := range all {
		switch {
		case config.Auth == AuthAuto && mechanism.name == AuthXOAUTH2:
			continue // it takes a token, not a password
		case config.Auth == AuthAuto && (!slices.Contains(names, string(mechanism.name)) || mechanism.shows && !trusted):
			continue
		case config.Auth != AuthAuto && config.Auth != mechanism.name:
			continue
		case !slices.Contains(names, string(mechanism.name)):
			return nil, fmt.Errorf("email: %s offers no sign-in by %s, but: %s", config.Host, mechanism.name, shorten(oneLine(offered), maxReply))
		case mechanism.shows && !trusted:
			return nil, fmt.Errorf("email: signing in by %s would show the password to everyone on the way to %s: require TLS", mechanism.name, config.Host)
		}
		return mechanism.auth(), nil
	}
	if config.Auth != AuthAuto {
		return nil, fmt.Errorf("%w %q", errUnknownAuth, config.Auth)
	}
	return nil, fmt.Errorf("email: %s offers no way to sign in that this channel takes, but: %s", config.Host, shorten(oneLine(offered), maxReply))
}
