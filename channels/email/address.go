package email

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
)

// RFC 5321 bounds the parts of an address, in octets.
const (
	maxLocalPart = 64
	maxAddress   = 254
)

// address is a mailbox: the local part as it was written, the domain in lower
// case, once in the form that machines use and once as people read it.
type address struct {
	local, domain, shown string
}

// atext are the characters of RFC 5322 besides letters and digits; the dot
// separates atoms.
const atext = "!#$%&'*+-/=?^_`{|}~."

// parseAddress reads an address without a name. It is stricter than RFC 5321: the
// local part is a dot-atom in ASCII, the domain is a host name of two labels or
// more. Errors quote the text.
func parseAddress(text string) (address, error) {
	at := strings.LastIndexByte(text, '@')
	if at < 1 || at == len(text)-1 {
		return address{}, fmt.Errorf("%q is not an email address", text)
	}
	local, domain := text[:at], text[at+1:]
	for _, r := range local {
		if r > unicode.MaxASCII {
			return address{}, fmt.Errorf("%q has characters outside ASCII before the @, which this channel does not support", text)
		}
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(atext, r) {
			return address{}, fmt.Errorf("%q is not an email address: %q must not be in it", text, r)
		}
	}
	if len(local) > maxLocalPart || strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return address{}, fmt.Errorf("%q is not an email address: what is before the @ is not valid", text)
	}
	ascii, shown, err := parseDomain(domain)
	if err != nil {
		return address{}, fmt.Errorf("%q is not an email address: %w", text, err)
	}
	if len(local)+1+len(ascii) > maxAddress {
		return address{}, fmt.Errorf("%q is longer than %d characters", text, maxAddress)
	}
	return address{local, ascii, shown}, nil
}

// parseDomain returns a domain in its ASCII form (punycode) and as people read it.
func parseDomain(domain string) (ascii, shown string, err error) {
	ascii, err = idna.Lookup.ToASCII(domain)
	if err != nil || len(ascii) > 253 || !utf8.ValidString(domain) {
		return "", "", errors.New("its domain is not valid")
	}
	ascii = strings.ToLower(ascii)
	// There are characters that become a name which is not valid itself.
	if again, err := idna.Lookup.ToASCII(ascii); err != nil || again != ascii {
		return "", "", errors.New("its domain is not valid")
	}
	labels := strings.Split(ascii, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 {
			return "", "", errors.New("its domain is not valid")
		}
	}
	if _, err := netip.ParseAddr(ascii); err == nil || len(labels) == 1 && ascii != "localhost" {
		return "", "", errors.New("its domain is not a full name")
	}
	if shown, err = idna.Display.ToUnicode(ascii); err != nil {
		shown = ascii
	}
	return ascii, shown, nil
}

// String is the canonical form.
func (a address) String() string { return a.local + "@" + a.domain }

// folded is the form that lists and duplicates are compared in.
func (a address) folded() string { return strings.ToLower(a.String()) }

// target returns where a mail goes; name may be empty.
func (a address) target(name string) channels.Target {
	display := a.local + "@" + a.shown
	if name = oneLine(name); name != "" {
		display = name + " <" + display + ">"
	}
	return channels.Target{Address: a.String(), Display: display, Limit: a.domain}
}

// nameIn returns the name that target put into a display.
func (a address) nameIn(display string) string {
	name, ok := strings.CutSuffix(display, " <"+a.local+"@"+a.shown+">")
	if !ok {
		return ""
	}
	return oneLine(name)
}

// parseMailbox reads an address with or without a name.
func parseMailbox(text string) (*mail.Address, error) {
	text = strings.TrimSpace(text)
	name, bare := "", text
	if open := strings.LastIndexByte(text, '<'); open >= 0 && strings.HasSuffix(text, ">") {
		name, bare = strings.TrimSpace(text[:open]), text[open+1:len(text)-1]
		if strings.HasPrefix(name, `"`) || strings.HasPrefix(name, "=?") {
			parsed, err := mail.ParseAddress(name + " <x@example.com>")
			if err != nil {
				return nil, fmt.Errorf("%q is not a name and an email address", text)
			}
			name = parsed.Name
		}
	}
	if strings.ContainsFunc(name, unicode.IsControl) {
		return nil, errors.New("has control characters in it")
	}
	parsed, err := parseAddress(bare)
	if err != nil {
		return nil, err
	}
	return &mail.Address{Name: name, Address: parsed.String()}, nil
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// oneLine makes one line of a text: what could end it or is not seen becomes a
// space, and spaces are joined.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar
	}), " ")
}

// The rules of the lists.
const (
	// RuleDenied is that the address is on the denylist.
	RuleDenied signalbox.Rule = "email.denylist"
	// RuleDomain is that neither the domain nor the address is allowed.
	RuleDomain signalbox.Rule = "email.domain"
)

// lists say which addresses get mail.
type lists struct {
	domains, allowed, denied map[string]bool
}

func newLists(domains, allowed, denied []string) (lists, error) {
	var l lists
	for _, text := range domains {
		ascii, _, err := parseDomain(strings.TrimSpace(text))
		if err != nil {
			return l, fmt.Errorf("allowed domain %q: %w", text, err)
		}
		l.domains = with(l.domains, ascii)
	}
	for _, list := range []struct {
		texts []string
		into  *map[string]bool
	}{{allowed, &l.allowed}, {denied, &l.denied}} {
		for _, text := range list.texts {
			parsed, err := parseAddress(strings.TrimSpace(text))
			if err != nil {
				return l, err
			}
			*list.into = with(*list.into, parsed.folded())
		}
	}
	return l, nil
}

func with(set map[string]bool, key string) map[string]bool {
	if set == nil {
		set = map[string]bool{}
	}
	set[key] = true
	return set
}

// check returns [channels.Suppressed] for an address that is to get no mail: the
// denylist has the last word, and the allowlist goes before the domains.
func (l lists) check(a address) error {
	switch {
	case l.denied[a.folded()]:
		return channels.Suppressed(RuleDenied, "The address is on the operator's denylist")
	case l.allowed[a.folded()] || l.domains[a.domain]:
		return nil
	case l.domains != nil:
		return channels.Suppressed(RuleDomain, "The operator does not allow mail to the domain "+a.shown)
	case l.allowed != nil:
		return channels.Suppressed(RuleDomain, "The address is not on the operator's allowlist")
	}
	return nil
}
