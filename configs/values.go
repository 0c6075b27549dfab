package configs

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/signalbox/signalbox"
)

// Here are the forms that values have. What reads one sets into and tells that it did;
// or reports what is wrong. What is missing is left as it is.

// read reads what parse makes of a text; what is wrong with it is for report.
func read[T any](e entry, into *T, parse func(string) (T, error), report func(string)) bool {
	text, ok := e.text()
	if !ok {
		return false
	}
	value, err := parse(text)
	if err != nil {
		report(err.Error())
		return false
	}
	*into = value
	return true
}

// parsed reads what parse makes of a text, without the spaces around it.
func parsed[T any](e entry, into *T, parse func(string) (T, error)) bool {
	return read(e, into, func(text string) (T, error) { return parse(strings.TrimSpace(text)) }, e.fail)
}

// secret reads what parse makes of a text that is never shown. Its spaces may be meant.
func secret[T any](e entry, into *T, parse func(string) (T, error)) bool {
	return read(e, into, parse, e.failSecret)
}

// asSecret keeps what it is given.
func asSecret(text string) (signalbox.Secret, error) { return signalbox.NewSecret(text), nil }

// asToken accepts what fits into a header.
func asToken(text string) (signalbox.Secret, error) {
	text = strings.TrimSpace(text)
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return signalbox.Secret{}, errToken
	}
	return asSecret(text)
}

var errToken = errors.New("must be printable ASCII without white space")

// required reads a text that must not be empty. what says what belongs there.
func (e entry) required(read func(entry, *string) bool, into *string, what string) bool {
	if !e.need(what) || !read(e, into) {
		return false
	}
	if *into == "" {
		e.failSecret(isRequired(what))
		return false
	}
	return true
}

// line reads a text of any content. It is not shown.
func (e entry) line(into *string) bool { return secret(e, into, asLine) }

func asLine(text string) (string, error) {
	if text = strings.TrimSpace(text); strings.ContainsFunc(text, unicode.IsControl) {
		return "", errors.New("must be one line without control characters")
	}
	return text, nil
}

// url reads the URL of a host and a path. It is not shown.
func (e entry) url(into *string) bool {
	return secret(e, into, func(text string) (string, error) {
		text, err := asLine(text)
		if err != nil {
			return "", err
		}
		return asURL(text)
	})
}

func asURL(text string) (string, error) { return text, checkBaseURL(text) }

// file reads the name of a file or directory.
func (e entry) file(into *string) {
	if e.line(into) {
		*into = e.n.relative(*into)
	}
}

// relative completes the name of a file with the folder of the file that has it.
func (n *node) relative(name string) string {
	// Only what stands in a file has a line.
	if name == "" || n.at.line == 0 || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(n.at.source), name)
}

// id reads an identifier of at most so many characters, as it is written.
func (e entry) id(into *string, most int) bool {
	return read(e, into, func(text string) (string, error) {
		if text == "" || utf8.RuneCountInString(text) > most {
			return "", fmt.Errorf("must have between 1 and %d characters", most)
		}
		return text, nil
	}, e.fail)
}

// word reads a text without spaces, as it is written.
func (e entry) word(into *string) bool {
	return read(e, into, func(text string) (string, error) {
		if !withoutSpace.MatchString(text) {
			return "", errors.New("must not be empty or have spaces")
		}
		return text, nil
	}, e.fail)
}

func (e entry) choice(into *string, words ...string) bool { return parsed(e, into, oneOf(words...)) }

// oneOf accepts these words.
func oneOf(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", errors.New("must be one of " + strings.Join(words, ", "))
		}
		return text, nil
	}
}

func (e entry) flag(into *bool) bool { return parsed(e, into, asBool) }

// count reads a number from 1.
func (e entry) count(most int, into *int) {
	parsed(e, into, func(text string) (int, error) {
		number, err := strconv.Atoi(text)
		if err != nil || number < 1 || number > most {
			return 0, fmt.Errorf("must be a whole number between 1 and %d", most)
		}
		return number, nil
	})
}

func (e entry) severity(into *signalbox.Severity) {
	parsed(e, into, func(text string) (signalbox.Severity, error) {
		severity, err := signalbox.ParseSeverity(text)
		if err != nil {
			return "", errors.New("must be one of critical, high, normal, low")
		}
		return severity, nil
	})
}

// list returns the scalars of a sequence, as they are. A single scalar is a list
// too, in which commas separate, so that a list fits into an environment variable.
func (e entry) list() (items []string, ok bool) {
	if e.missing() {
		return nil, true
	}
	if !e.isList() {
		text, ok := e.text()
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items, ok
	}
	items, ok = make([]string, len(e.n.items)), true
	for i, n := range e.n.items {
		item := e.item(i, n)
		e.seen[item.path] = n
		text, read := item.text()
		items[i], ok = text, ok && read
	}
	return items, ok
}

// texts is list without the spaces around each text; none if one cannot be read.
func (e entry) texts() (items []string, ok bool) {
	if items, ok = e.list(); !ok {
		return nil, false
	}
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items, true
}

func (e entry) isList() bool { return !e.missing() && e.n.kind == sequence }

// empty tells whether an entry is a list without items.
func (e entry) empty() bool { return e.isList() && len(e.n.items) == 0 }

// notEmpty refuses a list that can be left out and has no items.
func (e entry) notEmpty() {
	if e.empty() {
		e.failSecret("must have at least one entry, or be left out")
	}
}
