// Package channeltest is the contract suite of outside channels: [Run] holds a
// [channels.Channel], in front of a fake of its provider, to the promises of that
// seam. It imports the root package and channels only, and is for tests.
package channeltest
