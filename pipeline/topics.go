package pipeline

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/signalbox/signalbox"
)

// The topics of the queue. Each has consumers of its own, so that what waits on
// one delays no other. Those of deliveries are package delivery's.
const (
	// TopicNotifications carries accepted send requests, many in a message.
	TopicNotifications = "notifications"
	// TopicRetry carries single send requests that failed or took too long.
	TopicRetry = "notifications.retry"
	// TopicFanout carries the parts of requests with many recipients.
	TopicFanout = "notifications.fanout"
)

var consumerName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

// checkNames refuses names that are malformed, taken or used twice.
func checkNames(names []string) error {
	// Settings compare names without regard to case, so names must differ so.
	seen := map[string]bool{strings.ToLower(signalbox.ChannelWeb): true}
	for _, name := range names {
		if !consumerName.MatchString(name) {
			return fmt.Errorf("pipeline: the name %q must match %s", name, consumerName)
		}
		if seen[strings.ToLower(name)] {
			return fmt.Errorf("pipeline: the name %q is used twice", name)
		}
		seen[strings.ToLower(name)] = true
	}
	return nil
}
