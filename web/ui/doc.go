// Package ui is the web page and the bell for pages of others: it embeds the files under
// static, which need no build step, and serves them. It knows nothing of the API except
// where it is, and imports nothing of Signalbox.
//
// The page works below any path prefix without being told: the document refers to its
// files relative to its own address, and the scripts find the root from theirs.
package ui
