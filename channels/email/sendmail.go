package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/signalbox/signalbox"
)

// sendmail hands mails to a program.
type sendmail struct{ Sendmail }

func newSendmail(config Sendmail) *sendmail {
	if config.Path == "" {
		config.Path = "/usr/sbin/sendmail"
	}
	return &sendmail{config}
}

// The exit codes of sysexits.h after which no other attempt will help.
const (
	exitDataErr = 65
	exitNoUser  = 67
	exitNoHost  = 68
)

func (s *sendmail) send(ctx context.Context, e envelope) (string, error) {
	message := e.message
	if !s.Windows {
		message = bytes.ReplaceAll(message, []byte("\r\n"), []byte("\n"))
	}
	// -i: a line with a dot alone is no end. The addresses follow "--": none of
	// them can be an option.
	command := exec.CommandContext(ctx, s.Path, "-i", "-f", e.from, "--", e.to) //nolint:gosec // running the operator's program is the purpose
	command.Stdin = bytes.NewReader(message)
	command.WaitDelay = time.Second // for children that keep the pipes
	var said lossyBuffer
	command.Stdout, command.Stderr = &said, &said
	err := command.Run()
	if err == nil {
		return shorten(oneLine(said.String()), maxReply), nil
	}
	failure := fmt.Errorf("email: %s: %w: %s", s.Path, err, shorten(oneLine(said.String()), maxReply))
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		switch exit.ExitCode() {
		case exitDataErr, exitNoUser, exitNoHost:
			return "", signalbox.Permanent(failure)
		}
	}
	return "", failure
}

func (s *sendmail) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Stat(s.Path)
	switch {
	case err != nil:
		return fmt.Errorf("email: sendmail: %w", err)
	case info.IsDir() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("email: %s is not a program", s.Path)
	}
	return nil
}

func (s *sendmail) close() error { return nil }

// lossyBuffer keeps the beginning of what is written to it.
type lossyBuffer struct{ bytes.Buffer }

func (b *lossyBuffer) Write(p []byte) (int, error) {
	if room := 4*maxReply - b.Len(); room > 0 {
		_, _ = b.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}
