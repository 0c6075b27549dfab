//go:build unix && !linux

package pgcluster

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// stopWithParent does nothing: only Linux can tie a process to its parent.
func stopWithParent(*syscall.SysProcAttr) {}

// childrenOf asks ps, which every BSD and macOS has.
func childrenOf(ctx context.Context, parent int) ([]int, error) {
	out, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("ps: %w", err)
	}
	var children []int
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var pid, ppid int
		if _, err := fmt.Sscan(lines.Text(), &pid, &ppid); err == nil && ppid == parent {
			children = append(children, pid)
		}
	}
	return children, lines.Err()
}

// alive reports whether a process runs; a zombie does not.
func alive(ctx context.Context, pid int) bool {
	out, err := exec.CommandContext(ctx, "ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output() //nolint:gosec // the argument is a number
	return err == nil && !strings.HasPrefix(strings.TrimSpace(string(out)), "Z")
}
