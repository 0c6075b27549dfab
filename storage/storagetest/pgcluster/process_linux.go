package pgcluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// stopWithParent makes the server shut down at once when this process dies,
// whatever kills it.
func stopWithParent(attributes *syscall.SysProcAttr) {
	attributes.Pdeathsig = syscall.SIGQUIT
}

// childrenOf reads /proc, because a minimal system has no ps.
func childrenOf(_ context.Context, parent int) ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var children []int
	for _, stat := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
		if err != nil {
			continue
		}
		// A process that is gone by now is no child to care for.
		if _, ppid, err := readStat(pid); err == nil && ppid == parent {
			children = append(children, pid)
		}
	}
	return children, nil
}

// alive reports whether a process runs. A zombie does not: it holds no
// resources, and in a container nobody may ever reap it.
func alive(_ context.Context, pid int) bool {
	state, _, err := readStat(pid)
	return err == nil && state != 'Z' && state != 'X'
}

// readStat returns the state and the parent of a process.
func readStat(pid int) (state byte, ppid int, err error) {
	content, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, err
	}
	// The second field is a name in parentheses that may hold anything.
	fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
	if len(fields) < 2 || len(fields[0]) != 1 {
		return 0, 0, fmt.Errorf("unknown format of /proc/%d/stat", pid)
	}
	ppid, err = strconv.Atoi(string(fields[1]))
	return fields[0][0], ppid, err
}
