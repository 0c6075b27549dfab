// Package pipeline owns the way of a send request from acceptance to the inbox
// and the outside channels: the coalescer that makes requests durable, the
// Watermill router that processes them, isolation of what fails, bounded
// retries, and dead letters. It imports the root package, channels, the packages
// below it, Watermill and the Prometheus client; the queue and the database reach it
// through seams.
//
//	Submit ─► coalescer ─► topic "notifications" ─► chain ─► commit ─► signals
//	                                                  │         └─► topics "deliveries.<channel>", "post.<processor>"
//	                                 failing items ◄──┘
//	                                      └─► topic "notifications.retry" (one item each, later) ─► dead letter
package pipeline
