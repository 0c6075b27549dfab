package configs

import (
	"regexp"
	"strings"
	"unicode"
)

// Prefix starts the name of every environment variable that configures
// Signalbox.
const Prefix = "SIGNALBOX_"

// FilesVariable names the configuration files, separated by commas. It counts
// only when no files were given otherwise.
const FilesVariable = Prefix + "CONFIG"

// EnvironmentVariable returns the variable that sets a key: the prefix, and the
// path in capital letters, with "_" for every "." and before every capital
// letter. "log.level" is SIGNALBOX_LOG_LEVEL, "app.baseUrl" is
// SIGNALBOX_APP_BASE_URL.
func EnvironmentVariable(key string) string {
	var name strings.Builder
	name.WriteString(Prefix)
	for _, letter := range key {
		switch {
		case letter == '.':
			name.WriteByte('_')
		case unicode.IsUpper(letter):
			name.WriteByte('_')
			name.WriteRune(letter)
		default:
			name.WriteRune(unicode.ToUpper(letter))
		}
	}
	return name.String()
}

// otherVariable matches what starts with the prefix and configures something
// else: the command line client, the tests, and the addresses that Kubernetes
// and Docker put into the environment of everybody when a service is named
// "signalbox".
var otherVariable = regexp.MustCompile(`^SIGNALBOX_(CONFIG|URL|TOKEN|TEST_.*|(.*_)?SERVICE_HOST|(.*_)?SERVICE_PORT(_.*)?|(.*_)?PORT|(.*_)?PORT_\d+_(TCP|UDP)(_.*)?)$`)

// environment reads NAME=value pairs: lookup serves substitution; tree holds
// what SIGNALBOX_* variables set. An empty variable counts as unset there.
func environment(environ []string, firstOrder int) (tree *node, problems, warnings []Problem) {
	tree = &node{kind: mapping}
	byName := map[string]key{}
	var names []string
	for _, k := range keys() {
		name := EnvironmentVariable(k.path)
		byName[name] = k
		names = append(names, name)
	}
	for i, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, Prefix) || value == "" || otherVariable.MatchString(name) {
			continue
		}
		at := place{source: name, order: firstOrder + i}
		k, ok := byName[name]
		if !ok {
			problem := Problem{Source: name, order: at.order, Message: "is not a known variable"}
			if meant := suggest(name, names); meant != "" {
				problem.Message += didYouMean(meant)
				problems = append(problems, problem)
			} else {
				problem.Message += " and is ignored"
				warnings = append(warnings, problem)
			}
			continue
		}
		from, found := k.fromText(value, at)
		problems = append(problems, found...)
		if from != nil {
			tree.put(k.path, from)
		}
	}
	return tree, problems, warnings
}

// fromText makes the value of a key from text outside of files. A key that holds
// a structure takes it as YAML, or JSON.
func (k key) fromText(text string, at place) (*node, []Problem) {
	if !k.structured {
		return &node{kind: scalar, text: text, at: at}, nil
	}
	n, problems := parseYAML(at.source, at.order, []byte(text))
	for i := range problems {
		problems[i].Key = k.path
		problems[i].Line, problems[i].Column = 0, 0
	}
	if len(problems) > 0 {
		return nil, problems
	}
	n.relocate(at)
	return n, nil
}

// relocate puts n and all below it at one place, as values that are not shown.
func (n *node) relocate(at place) {
	if !n.literal {
		return // reached before, through an alias
	}
	n.at, n.literal = at, false
	for i := range n.fields {
		n.fields[i].at = at
		n.fields[i].value.relocate(at)
	}
	for _, item := range n.items {
		item.relocate(at)
	}
}
