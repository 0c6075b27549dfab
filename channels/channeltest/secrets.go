package channeltest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// secretInError looks for secrets in an error, and in everything that it wraps, in
// every way in which errors are printed.
func secretInError(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s"} {
		// The error itself must not be in what is returned: it would be printed.
		if found := secretIn(fmt.Sprintf("the error (%T, as %s)", err, verb), fmt.Sprintf(verb, err), secrets); found != nil {
			return found
		}
	}
	switch e := err.(type) { //nolint:errorlint // every error of the chain is looked at by itself
	case interface{ Unwrap() error }:
		return secretInError(e.Unwrap(), secrets)
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if found := secretInError(err, secrets); found != nil {
				return found
			}
		}
	}
	return nil
}

// secretIn looks for secrets in a text, also in the encodings in which they travel.
func secretIn(what, text string, secrets []string) error {
	for i, secret := range secrets {
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret),
			base64.StdEncoding.EncodeToString([]byte(secret)),
		} {
			if secret != "" && strings.Contains(text, form) {
				return errors.New(what + " holds secret number " + fmt.Sprint(i+1))
			}
		}
	}
	return nil
}
