package signalbox

import (
	"net/url"
	"strings"
)

// WebOrigin returns the origin of an http or https URL as browsers write it in the
// Origin header (RFC 6454, section 6.2): scheme://host[:port], in lower case and without
// the scheme's own port. ok is false for what is no such URL. Not to be confused with the
// origin of a notification.
func WebOrigin(address string) (origin string, ok bool) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", false
	}
	host := u.Host
	if port := u.Port(); (u.Scheme == "http" && port == "80") || (u.Scheme == "https" && port == "443") {
		host = strings.TrimSuffix(host, ":"+port)
	}
	return u.Scheme + "://" + strings.ToLower(host), true
}
