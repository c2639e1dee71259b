package bus_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// child is the second process: it opens the bus in the directory and does what its role says until it is killed.
func child(role string) {
	ctx := context.Background()
	b, err := bus.Open(ctx, bus.Options{Dir: os.Getenv("BUS_TEST_DIR"), MaxStore: 1 << 30})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("open", os.Getpid())
	switch role {
	case "hold":
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "crowd":
		crowd(ctx, b)
	case "publish":
		go func() {
			_ = b.ConsumeItems(ctx, 2, func(ctx context.Context, it news.Item, _ bus.Meta) error {
				_, err := b.PublishMatch(ctx, news.Match{ID: "m" + it.ID, Watchlist: "w"})
				return err
			})
		}()
		for i := 0; ; i++ {
			id := fmt.Sprint("i", i)
			if err := b.ArmFetch(ctx, id, time.Now().Add(time.Hour)); err != nil {
				fmt.Println("error", err)
				return
			}
			if _, err := b.PublishItem(ctx, item(id)); err != nil {
				fmt.Println("error", err)
				return
			}
			fmt.Println("acked", id)
		}
	}
}

// spawn starts the second process and gives its lines.
func spawn(t *testing.T, role, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BUS_TEST_CHILD="+role, "BUS_TEST_DIR="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "open ") {
		t.Fatalf("the child says %q", lines.Text())
	}
	return cmd, lines
}

func TestTwoOpensOnOneDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(o *bus.Options) { o.Dir = dir }
	b := bustest.Open(t, in)
	_, err := bustest.TryOpen(t, in)
	if !errors.Is(err, bus.ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	contains(t, err.Error(), dir+": the data directory is in use by this process", fmt.Sprint(os.Getpid()))
	if _, err := b.PublishItem(ctxOf(t), item("x")); err != nil {
		t.Errorf("the first is hurt: %v", err)
	}
	closeBus(t, b)

	cmd, _ := spawn(t, "hold", dir)
	text := refused(t, in)
	contains(t, text, fmt.Sprintf("%s: the data directory is in use by process %d", dir, cmd.Process.Pid), "stop that process")
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	bustest.Open(t, in) // the lock died with its holder
}

func TestDirectoryThatCannotBe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, refused(t, func(o *bus.Options) { o.Dir = filepath.Join(file, "x") }), "data directory cannot be made", "not a directory")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, refused(t, func(o *bus.Options) { o.Dir = dir }), dir, "the embedded server does not start")
}

// killed runs the publisher for a while, kills it without warning, and gives the ids that it saw acknowledged.
func killed(t *testing.T, dir string) (acked []string) {
	t.Helper()
	cmd, lines := spawn(t, "publish", dir)
	for lines.Scan() {
		id, ok := strings.CutPrefix(lines.Text(), "acked ")
		if !ok {
			t.Fatalf("the child says %q", lines.Text())
		}
		if acked = append(acked, id); len(acked) == 200 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	return acked
}

func TestNothingAckedIsLostByKill9(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 2 {
		acked := killed(t, dir)
		began := time.Now()
		b := bustest.Open(t, func(o *bus.Options) { o.Dir = dir })
		t.Logf("round %d: open after kill -9: %s", round, time.Since(began))
		stored := readIDs(t, b, time.Time{})
		for _, id := range acked {
			if !slices.Contains(stored, id) {
				t.Errorf("round %d: acked item %s is lost", round, id)
			}
			if created, err := b.EnsureFetch(ctxOf(t), id, time.Now().Add(time.Hour)); err != nil || created {
				t.Errorf("round %d: the schedule of %s is lost (%v)", round, id, err)
			}
		}
		if dup, err := b.PublishItem(ctxOf(t), item(acked[0])); err != nil || !dup {
			t.Errorf("round %d: the Msg-Id is forgotten: %v %v", round, dup, err)
		}
		closeBus(t, b)
	}
}

// A block that was cut in the middle of its last message, or that ends in rubbish, must not stand in the way of the start.
func TestTornBlocksDoNotPreventTheStart(t *testing.T) {
	t.Parallel()
	tear := map[string]func(t *testing.T, file string){
		"cut": func(t *testing.T, file string) {
			st, err := os.Stat(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(file, max(st.Size()-9, 0)); err != nil {
				t.Fatal(err)
			}
		},
		"rubbish": func(t *testing.T, file string) {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write([]byte(strings.Repeat("\x00\xff", 50))); err != nil {
				t.Fatal(err)
			}
		},
		"empty": func(t *testing.T, file string) {
			if err := os.Truncate(file, 0); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, f := range tear {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			acked := killed(t, dir)
			blocks, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*", "msgs", "*.blk"))
			if err != nil || len(blocks) < 3 {
				t.Fatalf("%v %v", blocks, err)
			}
			for _, file := range blocks {
				f(t, file)
			}
			b := bustest.Open(t, func(o *bus.Options) { o.Dir = dir })
			stored := readIDs(t, b, time.Time{})
			if name != "empty" && len(stored) < len(acked)-2 {
				t.Errorf("%d of %d items are left", len(stored), len(acked))
			}
			handled := make(chan string, 1000)
			start(t, func(ctx context.Context) error {
				return b.ConsumeItems(ctx, 1, func(_ context.Context, it news.Item, _ bus.Meta) error { handled <- it.ID; return nil })
			})
			if _, err := b.PublishItem(ctxOf(t), item("fresh")); err != nil {
				t.Fatal(err)
			}
			for {
				select {
				case id := <-handled:
					if id == "fresh" {
						return
					}
				case <-time.After(5 * time.Second):
					t.Fatal("the fresh item never comes: its consumer is stuck")
				}
			}
		})
	}
}
