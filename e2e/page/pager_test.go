package page

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/channels"
	"github.com/signalbox/signalbox/cmd"
	"github.com/signalbox/signalbox/e2e/binary"
)

// brokenPager names a file: while it is there, the channel Pager gives up on
// everything. Without the variable there is no such channel.
const brokenPager = "SIGNALBOX_TEST_BROKEN_PAGER"

// pager is a channel that somebody can mend.
type pager struct{ name, broken string }

func (p pager) Name() string { return p.name }

func (p pager) Deliver(context.Context, channels.Delivery) (channels.Sent, error) {
	if _, err := os.Stat(p.broken); err == nil {
		return channels.Sent{}, signalbox.Permanent(errors.New("the pager refused it: <b>no such number</b>"))
	}
	return channels.Sent{Reply: "paged"}, nil
}

// testChannels are those that a server under test has besides its own.
func testChannels() []cmd.Option {
	var list []cmd.Option
	if broken := os.Getenv(brokenPager); broken != "" {
		list = append(list, cmd.WithChannel(pager{"Pager", broken}))
	}
	if os.Getenv(withChat) != "" {
		list = append(list, cmd.WithChannel(pager{"Chat", pagerWorks}))
	}
	return list
}

// withChat makes a second channel.
const withChat = "SIGNALBOX_TEST_CHAT"

// servePaged starts a server that has a pager, which works unless there is a file.
func servePaged(t testing.TB, broken, config string) *server {
	t.Helper()
	return start(t, binary.Options{Config: config, Environment: []string{brokenPager + "=" + broken}})
}

// pagerWorks is the name of no file.
const pagerWorks = "/nonexistent"
