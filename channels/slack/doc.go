// Package slack owns the Slack channel: where in a workspace a delivery goes, what
// it looks like there, and what Slack's refusals mean. The keys of its configuration
// mean what they mean in Backstage's Slack module; what is ours besides is said at
// each field of [Config].
//
// Everything that a sender wrote is escaped, cut to Slack's limits and never lets a
// delivery fail. Retries, rate limits and the record of what was sent are the
// delivery engine's; the package keeps a bounded cache of Slack users by email.
//
// It imports the root package, channels, slack-go for the Web API and goldmark to
// read Markdown.
package slack
