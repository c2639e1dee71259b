package file

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func channel(t testing.TB, path string) notifier.Channel {
	t.Helper()
	var c Config
	if fs := strict.Decode("tocsin.yaml", []byte("path: "+path+"\n"), 1<<20, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	ch, err := New(c, Options{ID: "log"})
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// read gives the lines that are JSON.
func read(t testing.TB, path string) (out []notifiertest.Received) {
	t.Helper()
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range bytes.SplitAfter(b, []byte("\n")) {
		var v Line
		if json.Unmarshal(l, &v) == nil && v.Delivery != "" {
			out = append(out, notifiertest.Received{ID: v.Delivery, Body: l})
		}
	}
	return out
}

func TestGolden(t *testing.T) {
	ch := channel(t, filepath.Join(t.TempDir(), "alerts.jsonl"))
	notifiertest.Golden(t, &ch, *update)
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		dir := filepath.Join(t.TempDir(), "out")
		path := filepath.Join(dir, "alerts.jsonl")
		set := func(f notifiertest.Fault) {
			if f == notifiertest.Broken {
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				return
			}
			if err := os.MkdirAll(dir, 0o750); err != nil {
				t.Fatal(err)
			}
		}
		set("")
		return &notifiertest.Peer{
			Channel: channel(t, path), Set: set, Received: func() []notifiertest.Received { return read(t, path) },
			Verdicts: map[notifiertest.Fault]notifier.Verdict{notifiertest.Broken: notifier.Misconfigured},
		}
	})
}

func TestATornLineSpoilsOnlyItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	ch := channel(t, path)
	samples := notifiertest.Samples()
	for i := range 3 {
		d := notifiertest.Plan(t, &ch, &samples[i].Alert)
		if i == 1 { // the power went while this line was written
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write(d.Body[:len(d.Body)/2]); err != nil {
				t.Fatal(err)
			}
			f.Close()
		}
		if r := ch.Send(t.Context(), d); r.Verdict != notifier.Delivered {
			t.Fatal(r)
		}
	}
	if got := read(t, path); len(got) != 3 {
		t.Fatalf("%d whole lines of 3", len(got))
	}
	b, _ := os.ReadFile(path)
	if n := strings.Count(string(b), "\n"); n != 4 {
		t.Errorf("%d lines, want 3 and the torn one", n)
	}
}

func TestTheFileMayBeMovedAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	ch := channel(t, path)
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	ch.Send(t.Context(), d)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	ch.Send(t.Context(), d)
	if len(read(t, path)) != 1 || len(read(t, path+".1")) != 1 {
		t.Error("the line after the move went astray")
	}
}

func TestManyWritersKeepLinesWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.jsonl")
	var wg sync.WaitGroup
	for _, s := range notifiertest.Samples() {
		wg.Go(func() {
			ch := channel(t, path)
			d := notifiertest.Plan(t, &ch, &s.Alert)
			for range 5 {
				if r := ch.Send(t.Context(), d); r.Verdict != notifier.Delivered {
					t.Error(r)
				}
			}
		})
	}
	wg.Wait()
	if got, want := len(read(t, path)), 5*len(notifiertest.Samples()); got != want {
		t.Errorf("%d whole lines of %d", got, want)
	}
}

func TestNoPathIsAFault(t *testing.T) {
	var c Config
	if err := c.Check().Err(); err == nil || !strings.Contains(err.Error(), "no path") {
		t.Errorf("got %v", err)
	}
}
