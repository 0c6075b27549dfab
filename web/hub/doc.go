// Package hub owns the clients of the signals WebSocket: who is connected, what
// each has subscribed, and the bounded queues between a signal and a socket.
//
// # How a signal travels
//
// [Hub.Signal] encodes a signal once into a finished WebSocket frame, finds the
// connections that subscribed its channel and whose user owns one of its
// recipients, and appends the shared frame to the queue of each. That is all the
// caller waits for. A connection with something in its queue has one writer
// goroutine that empties it in batches and ends; an idle connection has only its
// reader. A client that does not keep up overflows its queue and is closed with
// code 1013; nobody else notices.
//
// Connections are spread over shards, and a shard finds them by signal channel
// and ownership reference, so a signal to one user costs a few map lookups per
// shard however many clients are connected. Under a shard's lock there are only
// map and slice operations.
//
// # Close codes
//
// Backstage's client reconnects on every code but 1000 and 1001, so the hub uses
// neither: 1012 when it shuts down, 1013 for a client that is too slow or one
// too many, 1009 for a message beyond [Config.MaxMessageBytes], 1008 for too
// many messages or subscriptions, and when a credential expires or a session ends. A client that no longer answers pings is
// dropped without a code.
//
// # Memory
//
// fasthttp keeps the request of an upgraded connection until it closes, and the
// server's read buffer too, unless fiber.Config.ReduceMemoryUsage is set. As
// user tokens need a ReadBufferSize beyond 32 KiB, set it.
//
// # Imports
//
// It may import the root package, Fiber with its WebSocket middleware, and the
// Prometheus client; nothing else of Signalbox.
package hub
