package oidc

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// Bounds of logins that are under way.
const (
	// AttemptAge is how long a login may take.
	AttemptAge = 10 * time.Minute
	// maxAttempts is how many can be under way in one browser, as when it opens the
	// tabs of yesterday. The oldest gives way.
	maxAttempts = 4
	// maxReturnTo bounds a path, in bytes: a cookie has 4096.
	maxReturnTo = 400
)

// attempt is a login that was begun. It is kept in the browser's cookie, which is no
// weaker than on the server: who may read and write that browser's cookies is that
// browser.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	ReturnTo string `json:"r"`
	// Begun is in seconds since 1970.
	Begun int64 `json:"b"`
}

// attempts are newest first.
type attempts []attempt

// attempts reads a cookie; what is too old or none of ours is left out.
func (l *Login) attempts(cookie string) attempts {
	raw, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil {
		return nil
	}
	var read, live attempts
	if json.Unmarshal(raw, &read) != nil {
		return nil
	}
	oldest := l.config.Now().Add(-AttemptAge).Unix()
	for _, a := range read {
		if a.Begun >= oldest && a.State != "" && a.Nonce != "" && a.Verifier != "" && len(live) < maxAttempts {
			live = append(live, a)
		}
	}
	return live
}

func (list attempts) with(a attempt) attempts {
	list = append(attempts{a}, list...)
	return list[:min(len(list), maxAttempts)]
}

// take returns the attempt with a state, and the others.
func (list attempts) take(state string) (found attempt, others attempts, ok bool) {
	for _, a := range list {
		if !ok && subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) == 1 {
			found, ok = a, true
			found.ReturnTo = SafePath(a.ReturnTo)
			continue
		}
		others = append(others, a)
	}
	return found, others, ok
}

// encode returns the cookie; empty for no attempts.
func (list attempts) encode() string {
	if len(list) == 0 {
		return ""
	}
	raw, _ := json.Marshal(list) // texts and numbers always encode
	return base64.RawURLEncoding.EncodeToString(raw)
}

// SafePath returns a path of this server with its query and fragment, or "/" for
// anything that a browser might take for another server.
func SafePath(path string) string {
	if len(path) > maxReturnTo || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") {
		return "/"
	}
	for i := range len(path) {
		// Browsers read a backslash as a slash, and skip tabs and line ends.
		if c := path[i]; c <= ' ' || c == '\\' || c >= 0x7f {
			return "/"
		}
	}
	u, err := url.Parse(path)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil {
		return "/"
	}
	return path
}
