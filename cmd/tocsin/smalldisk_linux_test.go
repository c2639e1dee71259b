//go:build chaos

package main

import (
	"syscall"
	"testing"
)

// smallDisk is a file system of its own that can be filled, "" when only root may make one.
func smallDisk(t testing.TB) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=768m"); err != nil {
		t.Logf("left out: a full disk needs root for a small file system: %v", err)
		return ""
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}
