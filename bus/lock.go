package bus

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

const (
	lockFile   = "tocsin.lock"
	closedWell = "closed"
)

// lockDir takes the data directory for this process. Two servers on one directory both start and destroy each other's data, and the server
// does not guard against that itself. The lock dies with the process, so a stale file never stands in the way.
//
// crashed tells that the process that used the directory before did not close the bus: its number still stands in the file.
func lockDir(dir string) (l *flock.Flock, crashed bool, err error) {
	const next = "create it, or let data_dir name a directory that this user may write"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fault(dir, "the data directory cannot be made: "+cause(err), next, err)
	}
	l = flock.New(filepath.Join(dir, lockFile), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	if err != nil {
		return nil, false, fault(dir, "the data directory cannot be locked: "+cause(err), next, err)
	}
	if !ok {
		return nil, false, fault(dir, "the data directory is in use by "+holder(l.Path()),
			"stop that process, or let data_dir name another directory", ErrLocked)
	}
	before, err := os.ReadFile(l.Path())
	crashed = err == nil && len(before) > 0 && strings.TrimSpace(string(before)) != closedWell
	// Through the file's own handle an unwritable file would already have failed above; the number only serves the message.
	if err := os.WriteFile(l.Path(), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		_ = l.Unlock()
		return nil, false, fault(dir, "the lock file cannot be written: "+cause(err), next, err)
	}
	return l, crashed, nil
}

// unlockDir gives the directory free. well notes that the bus was closed in good order, and that nothing is left to do of a crash before.
func unlockDir(l *flock.Flock, well bool) error {
	var err error
	if well {
		err = os.WriteFile(l.Path(), []byte(closedWell+"\n"), 0o600)
	}
	return errors.Join(err, l.Unlock())
}

func holder(path string) string {
	b, err := os.ReadFile(path)
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(b)))
	switch {
	case err != nil || convErr != nil:
		return "another process"
	case pid == os.Getpid():
		return fmt.Sprintf("this process (%d)", pid)
	}
	return fmt.Sprintf("process %d", pid)
}
