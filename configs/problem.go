package configs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is something wrong, or doubtful, in a configuration.
type Problem struct {
	// Source is where it is: the name of a file, an environment variable or a
	// flag. Empty for a configuration that was made in code.
	Source string
	// Line and Column are the place in a file, from 1; 0 if Source is not a file.
	Line, Column int
	// Key is the path of the key, such as "backend.auth.externalAccess[0].type".
	// Empty if it is about the whole source.
	Key string
	// Message says what is wrong. It holds no secret.
	Message string

	order int // of Source among the sources
}

// String returns "file:line:column: key: message".
func (p Problem) String() string {
	var parts []string
	if p.Source != "" {
		place := p.Source
		if p.Line > 0 {
			place += fmt.Sprintf(":%d:%d", p.Line, p.Column)
		}
		parts = append(parts, place)
	}
	if p.Key != "" {
		parts = append(parts, p.Key)
	}
	return strings.Join(append(parts, p.Message), ": ")
}

// Error is every problem of a configuration, in the order of the sources.
type Error struct {
	Problems []Problem
}

// Error returns one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// inOrder sorts problems as a reader meets them.
func inOrder(problems []Problem) []Problem {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.order, b.order),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
		)
	})
	return problems
}
