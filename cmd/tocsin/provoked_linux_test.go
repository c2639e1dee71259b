//go:build prometheus

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// diskTrouble fills a small file system below the data directory. Without the right to mount one it is left out: TestFullDiskLosesNothing says so.
func diskTrouble(t *testing.T, b *beat) []trouble {
	dir, addr := t.TempDir(), freeAddr(t)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=512m"); err != nil {
		t.Logf("no small file system: %v", err)
		return nil
	}
	config := beatConfig(t, dir, addr, b.goodFeeds(2), "", "  route: {channels: [good]}\n")
	t.Cleanup(func() { _ = syscall.Unmount(data, syscall.MNT_DETACH) })            // before TempDir is removed, after the process is killed
	want := []string{"StoreFull", "CanaryMissing", "FeedFailing", "ManyFeedsDown"} // a poll whose items cannot be stored is no success
	return []trouble{{job: "tocsin-disk", target: addr, begin: beginning(t, config, addr), want: want, provoke: func() { fill(t, filepath.Join(data, "ballast")) }}}
}
