//go:build race

package page

// slower is by how much the race detector slows the server down.
const slower = 5
