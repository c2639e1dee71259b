package bus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// TestMain lets this binary play the second process of some tests.
func TestMain(m *testing.M) {
	if role := os.Getenv("BUS_TEST_CHILD"); role != "" {
		child(role)
		return
	}
	os.Exit(m.Run())
}

func item(id string) news.Item {
	return news.Item{ID: id, Revision: "r1", Feed: "feed1", Lang: "en", Title: "title " + id, Reason: news.ReasonNew, FirstSeen: time.Now().UTC()}
}

func delivery(id string) news.Delivery {
	return news.Delivery{ID: id, Channel: "mail", Route: "all", Reason: news.SendFirst, Body: []byte("body " + id), PlannedAt: time.Now().UTC()}
}

// ctxOf is a context that ends with the test's budget.
func ctxOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Second)
	t.Cleanup(cancel)
	return ctx
}

type opener func(...func(*bus.Options)) *bus.Bus

// both runs a test against an embedded bus and against an external server. Two opens of one opener share the data, so that a test can come back.
func both(t *testing.T, f func(t *testing.T, open opener)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		f(t, func(change ...func(*bus.Options)) *bus.Bus {
			return bustest.Open(t, append([]func(*bus.Options){func(o *bus.Options) { o.Dir = dir }}, change...)...)
		})
	})
	t.Run("external", func(t *testing.T) {
		t.Parallel()
		url := bustest.Server(t).ClientURL()
		f(t, func(change ...func(*bus.Options)) *bus.Bus {
			b, err := bustest.TryOpen(t, append([]func(*bus.Options){func(o *bus.Options) { o.URL, o.Setup = url, true }}, change...)...)
			if err != nil {
				t.Fatal(err)
			}
			return b
		})
	})
}

func channels(names ...string) func(*bus.Options) {
	return func(o *bus.Options) { o.Channels = append([]string{}, names...) }
}

// start runs a blocking call and gives what stops it and waits for it.
func start(t testing.TB, f func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil && !errors.Is(err, bus.ErrClosed) {
					t.Errorf("the call ended with: %v", err)
				}
			case <-time.After(20 * time.Second):
				t.Error("the call does not end")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// eventually waits until f is content.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	within(t, 20*time.Second, what, f)
}

func within(t testing.TB, d time.Duration, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func closeBus(t testing.TB, b *bus.Bus) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func consumerStatus(t testing.TB, b *bus.Bus, name string) bus.ConsumerStatus {
	t.Helper()
	st, err := b.Status(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range st.Consumers {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no consumer %s in %+v", name, st.Consumers)
	return bus.ConsumerStatus{}
}

func streamStatus(t testing.TB, b *bus.Bus, name string) bus.StreamStatus {
	t.Helper()
	st, err := b.Status(ctxOf(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range st.Streams {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no stream %s in %+v", name, st.Streams)
	return bus.StreamStatus{}
}

func settled(t testing.TB, b *bus.Bus, consumer string) {
	t.Helper()
	eventually(t, consumer+" has nothing left", func() bool {
		c := consumerStatus(t, b, consumer)
		return c.Pending == 0 && c.AckPending == 0
	})
}

func deadLetters(t testing.TB, b *bus.Bus) (out []news.DeadLetter) {
	t.Helper()
	err := b.ReadDead(ctxOf(t), time.Time{}, false, func(d news.DeadLetter, _ bus.Meta) error {
		out = append(out, d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStatusTellsWhatIsThere(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail"))
		for i := range 3 {
			if _, err := b.PublishItem(ctxOf(t), item(fmt.Sprint("i", i))); err != nil {
				t.Fatal(err)
			}
		}
		st, err := b.Status(ctxOf(t))
		if err != nil {
			t.Fatal(err)
		}
		if st.Server == "" || !st.Connected || st.Replicas != 1 || st.Embedded == (st.URL != "") || len(st.Streams) != len(b.TableStreams()) || len(st.Consumers) != 5 {
			t.Errorf("%+v", st)
		}
		if s := streamStatus(t, b, "ITEMS"); s.Messages != 3 || s.Bytes == 0 || s.First.IsZero() || s.Last.Before(s.First) || s.MaxBytes == 0 {
			t.Errorf("%+v", s)
		}
		if c := consumerStatus(t, b, "matcher"); c.Pending != 3 || c.AckPending != 0 || !c.LastDelivered.IsZero() {
			t.Errorf("%+v", c)
		}
		if st.Embedded && (!st.SyncKnown || !st.SyncAlways || st.Dir == "") {
			t.Errorf("the embedded server syncs every write: %+v", st)
		}
	})
}

// A publish during Close either gives nil, and then the message is there after the next start, or an error.
func TestCloseWhilePublishing(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		var mu sync.Mutex
		acked := map[string]bool{}
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := 0; ; i++ {
					id := fmt.Sprintf("w%d-%d", w, i)
					if _, err := b.PublishItem(ctx, item(id)); err != nil {
						if !errors.Is(err, bus.ErrClosed) {
							t.Errorf("publish ended with: %v", err)
						}
						return
					}
					mu.Lock()
					acked[id] = true
					mu.Unlock()
				}
			})
		}
		eventually(t, "publishing is under way", func() bool { mu.Lock(); defer mu.Unlock(); return len(acked) > 50 })
		closeBus(t, b)
		wg.Wait()
		again := open()
		n := 0
		err := again.ReadItems(ctx, time.Time{}, false, func(it news.Item, _ bus.Meta) error {
			n++
			delete(acked, it.ID)
			return nil
		})
		if err != nil || len(acked) > 0 {
			t.Fatalf("%d acked items are lost of %d read: %v", len(acked), n, err)
		}
	})
}

// Handlers that finish within the grace are done for good. Those that do not are cut off, and their message comes back.
func TestCloseWaitsForHandlers(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(func(o *bus.Options) { o.Grace = 500 * time.Millisecond })
		for _, id := range []string{"quick", "slow"} {
			if _, err := b.PublishItem(ctxOf(t), item(id)); err != nil {
				t.Fatal(err)
			}
		}
		var inside, finished atomic.Int32
		var cut atomic.Bool
		done := make(chan error, 1)
		go func() {
			done <- b.ConsumeItems(context.Background(), 2, func(ctx context.Context, it news.Item, _ bus.Meta) error {
				inside.Add(1)
				if it.ID == "quick" {
					time.Sleep(200 * time.Millisecond)
					_, err := b.PublishMatch(ctx, news.Match{ID: "m-quick", Watchlist: "w"})
					finished.Add(1)
					return err
				}
				<-ctx.Done()
				cut.Store(true)
				return ctx.Err()
			})
		}()
		eventually(t, "both handlers run", func() bool { return inside.Load() == 2 })
		closeBus(t, b)
		if err := <-done; !errors.Is(err, bus.ErrClosed) {
			t.Errorf("Consume ended with %v, want ErrClosed", err)
		}
		if finished.Load() != 1 || !cut.Load() {
			t.Errorf("finished %d, cut off %v", finished.Load(), cut.Load())
		}
		again := open()
		if s := streamStatus(t, again, "MATCHES"); s.Messages != 1 {
			t.Errorf("the handler's match is not stored: %+v", s)
		}
		if c := consumerStatus(t, again, "matcher"); c.AckPending+int(c.Pending) != 1 {
			t.Errorf("the finished message is not settled or the cut one is lost: %+v", c)
		}
		if st, _ := again.Status(ctxOf(t)); st.Embedded {
			return // it comes back after its AckWait: a server that restarts forgets that a message was given back
		}
		got := make(chan news.Item, 10)
		start(t, func(ctx context.Context) error {
			return again.ConsumeItems(ctx, 1, func(_ context.Context, it news.Item, m bus.Meta) error {
				if m.Deliveries != 2 {
					t.Errorf("delivery %d of %s", m.Deliveries, it.ID)
				}
				got <- it
				return nil
			})
		})
		select {
		case it := <-got:
			if it.ID != "slow" {
				t.Errorf("%s came again", it.ID)
			}
		case <-time.After(5 * time.Second):
			t.Error("the unfinished message does not come back at once")
		}
		settled(t, again, "matcher")
		if len(got) > 0 {
			t.Errorf("a finished message came again: %+v", <-got)
		}
	})
}

func TestClosedBusRefuses(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		closeBus(t, b)
		closeBus(t, b)
		ctx := ctxOf(t)
		calls := map[string]func() error{
			"publish": func() error { _, err := b.PublishItem(ctx, item("x")); return err },
			"consume": func() error {
				return b.ConsumeItems(ctx, 1, func(context.Context, news.Item, bus.Meta) error { return nil })
			},
			"arm":    func() error { return b.ArmFetch(ctx, "f", time.Now()) },
			"ensure": func() error { _, err := b.EnsureFetch(ctx, "f", time.Now()); return err },
			"cancel": func() error { return b.CancelFetch(ctx, "f") },
			"read": func() error {
				return b.ReadItems(ctx, time.Time{}, true, func(news.Item, bus.Meta) error { return nil })
			},
			"get":    func() error { _, _, err := b.State("sent").Get(ctx, "k"); return err },
			"put":    func() error { _, err := b.State("sent").Put(ctx, "k", nil, 0); return err },
			"keys":   func() error { _, err := b.State("sent").Keys(ctx); return err },
			"status": func() error { _, err := b.Status(ctx); return err },
			"delete": func() error { return b.DeleteDead(ctx, 1) },
		}
		for name, f := range calls {
			if err := f(); !errors.Is(err, bus.ErrClosed) {
				t.Errorf("%s gives %v, want ErrClosed", name, err)
			}
		}
		if b.Connected() {
			t.Error("still connected")
		}
	})
}

// Close is bounded by its context even when a handler ignores everything.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	b, err := bus.Open(ctxOf(t), bus.Options{Dir: t.TempDir(), MaxStore: 1 << 30, Grace: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishItem(ctxOf(t), item("x")); err != nil {
		t.Fatal(err)
	}
	release, inside := make(chan struct{}), make(chan struct{})
	go func() {
		_ = b.ConsumeItems(context.Background(), 1, func(context.Context, news.Item, bus.Meta) error {
			close(inside)
			<-release
			return nil
		})
	}()
	<-inside
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	err = b.Close(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "handlers") {
		t.Errorf("close: %v", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("close took %s", d)
	}
	close(release)
}

func TestNoGoroutinesLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	b, err := bus.Open(ctxOf(t), bus.Options{Dir: t.TempDir(), MaxStore: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 4, func(context.Context, news.Item, bus.Meta) error { return nil })
	})
	for i := range 20 {
		if _, err := b.PublishItem(ctxOf(t), item(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	closeBus(t, b)
	// The server ends a few of its own just after WaitForShutdown.
	eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// A changed configuration changes what is there and keeps the messages that fit.
func TestConfigurationMayChange(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail"))
		ctx := ctxOf(t)
		for i := range 100 {
			it := item(fmt.Sprint(i))
			it.Body = strings.Repeat(fmt.Sprintf("%06d ", i*7919), 8000)
			if _, err := b.PublishItem(ctx, it); err != nil {
				t.Fatal(err)
			}
		}
		before := streamStatus(t, b, "ITEMS")
		closeBus(t, b)
		b = open(channels("mail", "chat"), func(o *bus.Options) {
			o.MaxStore, o.Concurrency, o.FetchLimit = 2<<20, map[string]int{"mail": 3}, 7
		})
		after := streamStatus(t, b, "ITEMS")
		if after.MaxBytes >= before.MaxBytes || after.LastSequence != 100 || int64(after.Bytes) > after.MaxBytes || after.Messages == 0 {
			t.Errorf("before %+v, after %+v", before, after)
		}
		for consumer, want := range map[string]int{"OUTBOX/channel-mail": 3, "OUTBOX/channel-chat": 32, "FETCH/fetcher": 14} {
			stream, name, _ := strings.Cut(consumer, "/")
			c, err := b.JS().Consumer(ctx, stream, name)
			if err != nil || c.CachedInfo().Config.MaxAckPending != want {
				t.Errorf("%s: %v %v, want %d", consumer, c, err, want)
			}
		}
		closeBus(t, b)
		b = open(channels("mail"), func(o *bus.Options) { o.MaxStore = 64 << 20 })
		if s := streamStatus(t, b, "ITEMS"); s.MaxBytes <= after.MaxBytes || s.Messages != after.Messages {
			t.Errorf("%+v", s)
		}
	})
}
