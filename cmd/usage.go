package cmd

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noArgs refuses arguments that are no flags, with the exit code of a wrong
// command line, and says which command was probably meant.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	what, meant := "argument", ""
	if c.HasSubCommands() {
		what = "command"
		c.SuggestionsMinimumDistance = 2
		if names := c.SuggestionsFor(args[0]); len(names) > 0 {
			meant = fmt.Sprintf("; did you mean %q?", c.CommandPath()+" "+names[0])
		}
	}
	return exitWith(exitUsage, fmt.Errorf("unknown %s %q%s (see %q)", what, args[0], meant, c.CommandPath()+" --help"))
}

// usageFlags does the same for flags. The value of an unknown flag is not
// repeated: it may be a secret that has no business there.
func usageFlags(c *cobra.Command, err error) error {
	meant := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if name := similarFlag(c.Flags(), unknown.GetSpecifiedName()); name != "" {
			meant = "; did you mean --" + name + "?"
		}
	}
	return exitWith(exitUsage, fmt.Errorf("%w%s (see %q)", err, meant, c.CommandPath()+" --help"))
}

// similarFlag returns the flag whose name begins like written, or else is nearest
// to it, or "".
func similarFlag(flags *pflag.FlagSet, written string) string {
	const longest, far = 40, 3
	if len(written) < 2 || len(written) > longest {
		return ""
	}
	best, least := "", far
	flags.VisitAll(func(f *pflag.Flag) {
		distance := levenshtein.Distance(strings.ToLower(written), f.Name, nil)
		if strings.HasPrefix(f.Name, written) {
			distance = 0
		}
		if distance < least && distance < len(f.Name)-1 {
			best, least = f.Name, distance
		}
	})
	return best
}
