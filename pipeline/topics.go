package pipeline

import (
	"fmt"
	"regexp"

	"github.com/signalbox/signalbox"
)

// The topics of the queue. Each has consumers of its own, so that what waits on
// one delays no other.
const (
	// TopicNotifications carries accepted send requests, many in a message.
	TopicNotifications = "notifications"
	// TopicRetry carries single send requests that failed or took too long.
	TopicRetry = "notifications.retry"

	deliveryPrefix = "deliveries."
	postPrefix     = "post."
)

var consumerName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

// checkNames refuses names that are malformed, taken or used twice.
func checkNames(names []string) error {
	seen := map[string]bool{signalbox.ChannelWeb: true}
	for _, name := range names {
		if !consumerName.MatchString(name) {
			return fmt.Errorf("pipeline: the name %q must match %s", name, consumerName)
		}
		if seen[name] {
			return fmt.Errorf("pipeline: the name %q is used twice", name)
		}
		seen[name] = true
	}
	return nil
}
