package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

// TestFullDiskLosesNothing fills the disk below the data directory while mentions flow: publishing stops with a clear word and goes on by itself
// when space returns. As root it uses a small file system of its own; otherwise the limit of the store stands in for it.
func TestFullDiskLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("breaks processes of its own for a minute or two: nothing of this process runs at the same time")
	}
	t.Parallel()
	const mentions = 200
	w, err := newsroom.Flood(mentions, 8, newsroom.Options{Seed: 5, Span: 12 * time.Second, Interval: time.Second, Keep: time.Hour, Window: mentions})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	dir, addr := t.TempDir(), freeAddr(t)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=512m"); err != nil {
		t.Skipf("data test left out: a small file system needs root: %v", err)
	}
	config := floodConfig(t, w, dir, addr, "")
	t.Cleanup(func() { _ = syscall.Unmount(data, syscall.MNT_DETACH) }) // before TempDir is removed, after the process is killed
	p := start(t, config, addr)
	p.waitReady(2 * time.Minute)
	waitFor(t, 30*time.Second, "the first mentions", func() bool { hooks, _ := arrivals(w); return len(hooks) > 10 })
	ballast := filepath.Join(data, "ballast")
	fill(t, ballast)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log: %s", tail(p.output(), 4000))
		}
	})
	waitFor(t, 30*time.Second, "a word about the full disk", func() bool { return strings.Contains(p.output(), "store takes no messages") })
	metrics := p.get("/metrics")
	if !strings.Contains(metrics, "tocsin_bus_store_full 1") {
		t.Errorf("no metric tells of the full disk; bus metrics: %s", grep(metrics, "tocsin_bus_store"))
	}
	time.Sleep(8 * time.Second) // the newsroom goes on
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 3*time.Minute, "all mentions at both receivers", func() bool {
		hooks, mails := arrivals(w)
		return len(hooks) >= mentions && len(mails) >= mentions
	})
	hooks, mails := arrivals(w)
	if len(hooks) != mentions || len(mails) != mentions {
		t.Errorf("%d webhook ids and %d mail ids for %d mentions", len(hooks), len(mails), mentions)
	}
	t.Logf("repeated: webhook %d, mail %d", repeats(hooks), repeats(mails))
}

// fill writes until the disk is full.
func fill(t testing.TB, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size >= 4096; size /= 2 {
		block := make([]byte, size)
		for {
			if _, err := f.Write(block); err != nil {
				break
			}
		}
	}
}
