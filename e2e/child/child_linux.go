package child

import (
	"os/exec"
	"syscall"
)

// Bind makes a process that is not started yet end with the one that starts it, whatever
// ends that.
func Bind(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
