//go:build !race

package page

const slower = 1
