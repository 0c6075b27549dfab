//go:build !race

package page

// underRace says that everything is many times slower than it is.
const underRace = false
