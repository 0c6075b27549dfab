package slack

import (
	"errors"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxAddress bounds an address, in characters: channel names have at most 80, email
// addresses 254.
const maxAddress = 254

// idPattern matches the ids of conversations (C, G, D) and users (U, W). Names are
// in lower case.
var idPattern = regexp.MustCompile(`^[CGDUW][A-Z0-9]{2,30}$`)

// kind is what an address is.
type kind int

const (
	kindID kind = iota
	kindName
	kindEmail
)

// address is where a message can go, as people write it.
type address struct {
	kind kind
	// text is the canonical form: an id, "#name" or an email address in lower case.
	text string
}

// isUser reports whether it is the id of a user.
func (a address) isUser() bool {
	return a.kind == kindID && (a.text[0] == 'U' || a.text[0] == 'W')
}

var errAddress = errors.New("a Slack address is the id of a channel or user (C012AB3CD), the name of a channel (#alerts) or the email address of a user")

// parseAddress reads an address. Its error does not repeat it.
func parseAddress(s string) (address, error) {
	s = strings.TrimSpace(s)
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxAddress {
		return address{}, errAddress
	}
	if idPattern.MatchString(s) {
		return address{kindID, s}, nil
	}
	name := strings.ToLower(strings.TrimPrefix(s, "#"))
	refused := func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("<>&|,;:#/\\\"'`*~", r)
	}
	switch user, domain, isEmail := strings.Cut(name, "@"); {
	case isEmail && !strings.HasPrefix(s, "#"):
		// Email addresses may have some of these, but nobody's has white space.
		if user == "" || domain == "" || strings.Contains(domain, "@") || strings.ContainsFunc(name, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune("<>|,;", r)
		}) {
			return address{}, errAddress
		}
		return address{kindEmail, name}, nil
	case name == "" || isEmail || strings.ContainsFunc(name, refused):
		return address{}, errAddress
	}
	return address{kindName, "#" + name}, nil
}
