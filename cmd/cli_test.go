package cmd_test

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// commands returns the paths of all commands, as the help lists them.
func commands(t *testing.T, path ...string) [][]string {
	t.Helper()
	help := run(t, "", append(path, "--help")...)
	help.want(t, 0)
	all := [][]string{path}
	_, list, _ := strings.Cut(help.stdout, "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for line := range strings.Lines(list) {
		if name := strings.Fields(line)[0]; name != "completion" && name != "help" {
			all = append(all, commands(t, append(path[:len(path):len(path)], name)...)...)
		}
	}
	return all
}

func TestHelpOfEveryCommandHasExamples(t *testing.T) {
	all := commands(t)
	// signalbox, serve, migrate, send, status, deadletters (list, show, retry, drop), channels (list, test),
	// config (check), tokens (list, create, revoke), version
	if len(all) != 20 {
		t.Fatalf("the help lists %d commands: %v", len(all), all)
	}
	example := regexp.MustCompile(`(?m)^Examples:\n(  .*\n)*  .*\bsignalbox `)
	for _, path := range all {
		help := run(t, "", append(path, "--help")...)
		if !example.MatchString(help.stdout) || help.stderr != "" {
			t.Errorf("%v has no examples:\n%s%s", path, help.stdout, help.stderr)
		}
	}
	// Without a command, the help is what one gets.
	for _, path := range [][]string{nil, {"config"}, {"deadletters"}, {"channels"}} {
		run(t, "", path...).want(t, 0, "Available Commands:", "Examples:")
	}
}

func TestWrongCommandLines(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"srve"}, []string{`unknown command "srve"`, `did you mean "signalbox serve"?`, `"signalbox --help"`}},
		{[]string{"nothing-like-it"}, []string{`unknown command "nothing-like-it"`, `"signalbox --help"`}},
		{[]string{"config", "chek"}, []string{`did you mean "signalbox config check"?`}},
		{[]string{"serve", "now"}, []string{`unknown argument "now"`, `"signalbox serve --help"`}},
		{[]string{"version", "x"}, []string{`unknown argument "x"`}},
		{[]string{"--verbose"}, []string{"unknown flag: --verbose", `"signalbox --help"`}},
		{[]string{"send", "--titel", "x"}, []string{"unknown flag: --titel", "did you mean --title?", `"signalbox send --help"`}},
		{[]string{"serve", "--lsiten", ":1"}, []string{"did you mean --listen?"}},
		{[]string{"send", "-x"}, []string{"unknown shorthand flag: 'x'", `"signalbox send --help"`}},
		{[]string{"send", "--title"}, []string{"flag needs an argument: --title"}},
		{[]string{"send", "--wait", "long"}, []string{`invalid argument "long" for "--wait"`}},
		{[]string{"serve", "--listen", "nonsense"}, []string{"--listen: listen: must be host:port"}},
		{[]string{"migrate", "--database", "mysql://x"}, []string{"--database: database: must be postgres://"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			run(t, "", c.args...).want(t, 2, c.want...)
		})
	}
}

func TestVersion(t *testing.T) {
	o := run(t, "", "version")
	o.want(t, 0)
	want := regexp.MustCompile(fmt.Sprintf(`^signalbox \S+ \(%s, %s/%s\)\n$`, regexp.QuoteMeta(runtime.Version()), runtime.GOOS, runtime.GOARCH))
	if !want.MatchString(o.stdout) || o.stderr != "" {
		t.Errorf("%q %q", o.stdout, o.stderr)
	}
}
