package configs

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// substitute replaces ${NAME} and ${NAME:-default} in text, and turns $${ into a
// plain ${. Any other $ stays as it is. A default is taken where the variable is
// unset or empty, as in a shell, and may hold anything but "}". What was put in is
// not looked at again. used tells whether anything was replaced.
//
// Errors name the variable and never hold a value.
func substitute(text string, lookup func(string) (string, bool)) (result string, used bool, err error) {
	var out strings.Builder
	var problems []error
	for {
		at := strings.Index(text, "${")
		if at < 0 {
			out.WriteString(text)
			break
		}
		if at > 0 && text[at-1] == '$' {
			out.WriteString(text[:at-1] + "${")
			text = text[at+2:]
			continue
		}
		out.WriteString(text[:at])
		expression, rest, closed := strings.Cut(text[at+2:], "}")
		if !closed {
			problems = append(problems, errors.New(`has "${" without "}"; write "$${" for the plain text`))
			break
		}
		text = rest
		used = true
		name, fallback, hasFallback := strings.Cut(expression, ":-")
		if !variableName.MatchString(name) {
			problems = append(problems, errors.New(`has "${…}" that is neither ${NAME} nor ${NAME:-default}; write "$${" for the plain text`))
			continue
		}
		value, ok := lookup(name)
		switch {
		case hasFallback && value == "":
			out.WriteString(fallback)
		case !ok:
			problems = append(problems, fmt.Errorf("refers to the environment variable %s, which is not set", name))
		default:
			out.WriteString(value)
		}
	}
	if len(problems) > 0 {
		return "", used, errors.Join(problems...)
	}
	return out.String(), used, nil
}
