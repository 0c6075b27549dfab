// Package slackfake is a Slack for tests: an HTTP server with the part of Slack's
// Web API that the slack channel uses, which keeps what was posted and behaves
// badly when it is told to. It answers as Slack does: posting to a user returns
// the id of the direct message, updating needs that id, and messages beyond
// Slack's limits are refused. It imports the standard library only.
package slackfake
