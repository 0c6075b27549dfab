package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// reader collects what is wrong with a configuration that is being read.
type reader struct {
	lookup             func(string) (string, bool)
	problems, warnings []Problem
	// seen holds what each key was read from, for problems that are found later.
	seen map[string]*node
}

// problemAt makes a problem with a key. It quotes what was written, unless that
// came from the environment or could hold a password, as a URL with "@" can.
func problemAt(n *node, path, message string) Problem {
	if n == nil {
		return Problem{Key: path, Message: message}
	}
	if n.kind == scalar && n.literal && !strings.ContainsAny(n.text, "$@") {
		const longest = 80
		if len(n.text) > longest {
			message += fmt.Sprintf(", got a text of %d bytes", len(n.text))
		} else {
			message += fmt.Sprintf(", got %q", n.text)
		}
	}
	return secretProblemAt(n, path, message)
}

// secretProblemAt is problemAt for keys whose value is never shown.
func secretProblemAt(n *node, path, message string) Problem {
	return Problem{
		Source: n.at.source, Line: n.at.line, Column: n.at.column,
		Key: path, Message: message, order: n.at.order,
	}
}

// text returns a scalar with variables substituted. Backstage's {$env: NAME} and
// {$file: path} are scalars too.
func (e entry) text() (string, bool) {
	if e.missing() {
		return "", false
	}
	if n := e.n; n.kind == mapping && len(n.fields) == 1 {
		switch f := n.fields[0]; f.key {
		case "$env":
			return e.at(f.value, e.path).variable()
		case "$file":
			return e.at(f.value, e.path).content()
		case "$include":
			e.fail("uses $include, which Signalbox does not read: use $file, $env or ${NAME}")
			return "", false
		}
	}
	if e.n.kind != scalar {
		e.fail("must be a single value, not " + e.n.kind.String())
		return "", false
	}
	if !e.n.literal {
		return e.n.text, true
	}
	text, used, err := substitute(e.n.text, e.lookup)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			e.failSecret(strings.TrimSuffix(line, "\n"))
		}
		return "", false
	}
	if used {
		// From here on the value is the environment's.
		e.n.literal = false
		e.n.text = text
	}
	return text, true
}

// variable reads the environment variable that an entry names.
func (e entry) variable() (string, bool) {
	name, ok := e.at(e.n, e.path+".$env").text()
	if !ok {
		return "", false
	}
	value, ok := e.lookup(name)
	if !ok {
		e.failSecret("refers to the environment variable " + name + ", which is not set")
	}
	return value, ok
}

// content reads the file that an entry names.
func (e entry) content() (string, bool) {
	name, ok := e.at(e.n, e.path+".$file").text()
	if !ok {
		return "", false
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(e.n.at.source), name)
	}
	content, err := readFile(name)
	if err != nil {
		e.failSecret(err.Error())
		return "", false
	}
	return strings.TrimSpace(string(content)), true
}

// readFile reads a whole file, up to a limit.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	if info.Size() > maxSourceBytes {
		return nil, fmt.Errorf("%s is larger than %d MiB", name, maxSourceBytes>>20)
	}
	return os.ReadFile(name) //nolint:gosec // reading the files that the operator names is the purpose
}
