// Package web owns the HTTP API: the routes and who may use each, the reading of
// queries and headers, the one map from coded errors to statuses, and the
// OpenAPI document. What a request means, and what makes it valid, is the root
// package's; who a request speaks for is package auth's; connected WebSocket
// clients are package hub's.
//
// # The route table
//
// Every route is an entry of one table (routes.go) that has its method, path and
// handler. The handler's type is its access rule: a user handler gets a
// [signalbox.UserPrincipal] and is never called without one. There is no way
// to add a route without a rule.
//
// # Memory
//
// Fiber reuses the memory of a request. A string from Fiber is therefore valid
// within its handler only; what goes further (filters, keys, send requests) is
// copied where it is read.
//
// # Imports
//
// It may import the root package, web/auth with the packages below it whose operations it
// serves (apitoken, oidc), Fiber with fasthttp below it, the Prometheus client, and small
// libraries for identifiers and rates. The WebSocket handler and the page are handed in.
package web
