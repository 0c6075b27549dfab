// Package delivery owns what happens to a delivery after its notification was
// stored: the message that carries it, and the engine that consumes such messages,
// calls the channel, and settles what came of it. Processors that run after
// storing go the same way. It imports the root package, channels, pipeline/isolate
// and pipeline/retry, a circuit breaker, a rate limiter and the Prometheus client;
// the queue and the database reach it through seams.
//
//	message ─► recorded already? too old? ─► paused? limited? ─► resolve ─► thread ─► Deliver ─► Settle
//	               (done)   (dead letter)     (hold, postpone)  (children) (superseded)    │
//	                                                delivered, suppressed, postponed, dead letter
//
// Effects are at-least-once. A target gets the same delivery twice only if the
// call had an effect and the settlement that says so was never stored by the
// process that made the call; see [Engine].
package delivery
