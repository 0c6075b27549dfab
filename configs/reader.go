package configs

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// reader turns nodes into values, and collects what is wrong with them.
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

func (r *reader) fail(n *node, path, message string) {
	r.problems = append(r.problems, problemAt(n, path, message))
}

func (r *reader) failSecret(n *node, path, message string) {
	r.problems = append(r.problems, secretProblemAt(n, path, message))
}

func (r *reader) warn(at place, path, message string) {
	r.warnings = append(r.warnings, secretProblemAt(&node{at: at}, path, message))
}

// text returns a scalar with variables substituted. Backstage's {$env: NAME} and
// {$file: path} are scalars too.
func (r *reader) text(n *node, path string) (string, bool) {
	if n.kind == mapping && len(n.fields) == 1 {
		switch f := n.fields[0]; f.key {
		case "$env":
			return r.variable(f.value, path)
		case "$file":
			return r.file(f.value, path)
		case "$include":
			r.fail(n, path, "uses $include, which Signalbox does not read: use $file, $env or ${NAME}")
			return "", false
		}
	}
	if n.kind != scalar {
		r.fail(n, path, "must be a single value, not "+n.kind.String())
		return "", false
	}
	if !n.literal {
		return n.text, true
	}
	text, used, err := substitute(n.text, r.lookup)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			r.failSecret(n, path, strings.TrimSuffix(line, "\n"))
		}
		return "", false
	}
	if used {
		// From here on the value is the environment's.
		n.literal = false
		n.text = text
	}
	return text, true
}

func (r *reader) variable(n *node, path string) (string, bool) {
	name, ok := r.text(n, path+".$env")
	if !ok {
		return "", false
	}
	value, ok := r.lookup(name)
	if !ok {
		r.failSecret(n, path, "refers to the environment variable "+name+", which is not set")
	}
	return value, ok
}

// file reads a value from a file, named relative to the file that names it.
func (r *reader) file(n *node, path string) (string, bool) {
	name, ok := r.text(n, path+".$file")
	if !ok {
		return "", false
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(n.at.source), name)
	}
	content, err := readFile(name)
	if err != nil {
		r.failSecret(n, path, err.Error())
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

// list returns the scalars of a sequence. A single scalar is a list too, in
// which commas separate, so that a list fits into an environment variable.
func (r *reader) list(n *node, path string) ([]string, bool) {
	if n.kind != sequence {
		text, ok := r.text(n, path)
		if !ok {
			return nil, false
		}
		var items []string
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				items = append(items, item)
			}
		}
		return items, true
	}
	items, allOK := make([]string, 0, len(n.items)), true
	for i, item := range n.items {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		r.seen[itemPath] = item
		text, ok := r.text(item, itemPath)
		items, allOK = append(items, text), allOK && ok
	}
	return items, allOK
}

// section checks that n is a section with no other keys than these. If ok is
// false, reading on is of use only to find more problems.
func (r *reader) section(n *node, path string, known ...string) (ok bool) {
	if n.kind != mapping {
		r.fail(n, path, "must be a section, not "+n.kind.String())
		return false
	}
	ok = true
	for _, f := range n.fields {
		if !slices.Contains(known, f.key) {
			r.failSecret(&node{at: f.at}, join(path, f.key), "unknown key"+didYouMean(suggest(f.key, known)))
			ok = false
		}
	}
	return ok
}
