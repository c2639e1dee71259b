//go:build chaos

package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

// previous builds the program of an earlier commit: TOCSIN_PREVIOUS, or the one before this.
func previous(t *testing.T) string {
	t.Helper()
	ref := os.Getenv("TOCSIN_PREVIOUS")
	if ref == "" {
		ref = "HEAD~1"
	}
	tree, bin := filepath.Join(t.TempDir(), "tree"), filepath.Join(t.TempDir(), "tocsin")
	run := func(dir, name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	run(".", "git", "worktree", "add", "--detach", tree, ref)
	t.Cleanup(func() { run(".", "git", "worktree", "remove", "--force", tree) })
	run(tree, "go", "build", "-buildvcs=false", "-o", bin, "./cmd/tocsin")
	return bin
}

// TestRollingUpgrade replaces the program of the commit before role by role on a cluster under load: each process is stopped in order and started as
// this program, in any order, and two go
// back once, as an operator does who is not content. Every mention arrives, under one id.
func TestRollingUpgrade(t *testing.T) {
	old := previous(t)
	const mentions = 150
	w, err := newsroom.Flood(mentions, 8, newsroom.Options{Seed: 23, Span: 25 * time.Second, Interval: 2 * time.Second, Keep: 24 * time.Hour, Window: mentions})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	s := &storm{t: t, world: w, rng: rand.New(rand.NewPCG(seedOf(t), 4)), took: map[string][]time.Duration{}}
	s.nats = startCluster(t)
	s.crew = startCrew(t, w, s.nats.urls(), 2, "", old)
	w.Open()
	s.flows("the start")
	names := s.names()
	replace := func(name, bin string) {
		began := time.Now()
		if err := s.crew.all[name].interrupt(time.Minute); err != nil {
			t.Fatal(err)
		}
		s.crew.bin[name] = bin
		s.crew.start(name).waitReady(2 * time.Minute)
		t.Logf("%s replaced within %s", name, time.Since(began).Round(100*time.Millisecond))
	}
	s.rng.Shuffle(len(names), func(a, b int) { names[a], names[b] = names[b], names[a] })
	for _, name := range names {
		replace(name, "tocsin")
	}
	s.flows("the upgrade")
	replace("notifier0", old)
	replace("matcher0", old)
	s.flows("the way back")
	replace("notifier0", "tocsin")
	replace("matcher0", "tocsin")
	s.flows("the second upgrade")
	s.settle(mentions, 0)
}
