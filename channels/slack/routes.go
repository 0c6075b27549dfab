package slack

import "github.com/signalbox/signalbox"

// broadcastAddresses returns where a broadcast goes, as Backstage decides it: the
// first route for both origin and topic, else for the origin, else for the topic,
// else the broadcast channels.
func (c *Channel) broadcastAddresses(n *signalbox.Notification) []string {
	origin, topic := n.Origin, n.Payload.Topic
	for _, match := range []func(Route) bool{
		func(r Route) bool { return r.Origin != "" && r.Topic != "" && r.Origin == origin && r.Topic == topic },
		func(r Route) bool { return r.Origin != "" && r.Topic == "" && r.Origin == origin },
		func(r Route) bool { return r.Origin == "" && r.Topic != "" && r.Topic == topic },
	} {
		for _, route := range c.config.BroadcastRoutes {
			if match(route) {
				return route.Channels
			}
		}
	}
	return c.config.BroadcastChannels
}
