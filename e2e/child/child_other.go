//go:build !linux

package child

import "os/exec"

// Bind does nothing: only Linux can tie a process to its parent.
func Bind(*exec.Cmd) {}
