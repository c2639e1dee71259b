//go:build unix

package fetcher

import (
	"syscall"
	"time"
)

// processorTime is what this process has used so far. Limits are judged by it, because other work on the machine moves the clock on the wall.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
