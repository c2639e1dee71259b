package bus_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// TestCrashHandsOutAgain: a bus that was closed in good order hands nothing out twice; after a process that did not close it, the last messages
// are handed out again at once.
func TestCrashHandsOutAgain(t *testing.T) {
	dir := t.TempDir()
	b, err := bustest.TryOpen(t, func(o *bus.Options) { o.Dir = dir })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	it := news.Item{ID: "0123456789abcdef0123456789abcdef", Revision: "1", Lang: "en", Feed: "feed", Reason: news.ReasonNew, FirstSeen: time.Now()}
	if _, err := b.PublishItem(ctx, it); err != nil {
		t.Fatal(err)
	}
	var n atomic.Int32
	done := make(chan error, 1)
	go func() {
		done <- b.ConsumeItems(ctx, 1, func(context.Context, news.Item, bus.Meta) error { n.Add(1); return nil })
	}()
	eventually(t, "the item", func() bool { return n.Load() == 1 })
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	for _, c := range []struct {
		name    string
		crashed bool
		want    int32
	}{{"after a close", false, 0}, {"after a crash", true, 1}} {
		t.Run(c.name, func(t *testing.T) {
			if c.crashed {
				if err := os.WriteFile(filepath.Join(dir, "tocsin.lock"), []byte("1\n"), 0o600); err != nil { // what a killed process leaves
					t.Fatal(err)
				}
			}
			// A start that fails changes nothing of what the next one has to do.
			taken, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer taken.Close()
			if _, err := bustest.TryOpen(t, func(o *bus.Options) { o.Dir, o.Listen = dir, taken.Addr().String() }); err == nil {
				t.Fatal("a port that is taken was no fault")
			}
			b, err := bustest.TryOpen(t, func(o *bus.Options) { o.Dir = dir })
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			var again atomic.Int32
			done := make(chan error, 1)
			go func() {
				done <- b.ConsumeItems(ctx, 1, func(context.Context, news.Item, bus.Meta) error { again.Add(1); return nil })
			}()
			time.Sleep(time.Second)
			cancel()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if got := again.Load(); got != c.want {
				t.Errorf("%d items are handed out again, want %d", got, c.want)
			}
			closeBus(t, b)
		})
	}
}

// TestRescueOfForgottenMessages sets a consumer beyond a message that nobody has handled, as a killed server may do, and finds it again.
func TestRescueOfForgottenMessages(t *testing.T) {
	for name, open := range map[string]func(testing.TB, ...func(*bus.Options)) *bus.Bus{"embedded": bustest.Open, "external": bustest.External} {
		t.Run(name, func(t *testing.T) {
			b := open(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			feed := news.FeedID("https://example.org/feed")
			if err := b.ArmFetch(ctx, feed, time.Now()); err != nil {
				t.Fatal(err)
			}
			s, err := b.JS().Stream(ctx, "FETCH")
			if err != nil {
				t.Fatal(err)
			}
			var last uint64
			eventually(t, "the due message", func() bool {
				m, err := s.GetLastMsgForSubject(ctx, "fetch.due."+feed)
				if err == nil {
					last = m.Sequence
				}
				return err == nil
			})
			if _, err := b.JS().ResetConsumerToSequence(ctx, "FETCH", "fetcher", last+1); err != nil {
				t.Fatal(err)
			}
			var polls atomic.Int32
			go func() {
				_ = b.ConsumeDue(ctx, 1, func(context.Context, string) error { polls.Add(1); return nil }) // ends with ctx
			}()
			time.Sleep(time.Second)
			if polls.Load() != 0 {
				t.Fatal("the message was not forgotten: the test shows nothing")
			}
			b.Rescue(ctx)
			eventually(t, "the poll", func() bool { return polls.Load() == 1 })
			b.Rescue(ctx)
			time.Sleep(time.Second)
			if polls.Load() != 1 {
				t.Errorf("%d polls, want 1", polls.Load())
			}
		})
	}
}
