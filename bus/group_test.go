package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// many runs f n times at once.
func many(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// TestPublishesTogether: hundreds of publishes at once go to disk together, and each caller is told what it would be told alone.
func TestPublishesTogether(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		const n = 600
		var repeated atomic.Int32
		for round := range 2 {
			many(n, func(i int) {
				dup, err := b.PublishItem(ctx, item(fmt.Sprint("i", i+round*n/2))) // the second round repeats half of the first
				if err != nil {
					t.Error(err)
				}
				if dup {
					repeated.Add(1)
				}
			})
		}
		if repeated.Load() != n/2 {
			t.Errorf("%d publishes were called repetitions, %d were", repeated.Load(), n/2)
		}
		ids := readIDs(t, b, time.Time{})
		slices.Sort(ids)
		if stored := len(ids); stored != n+n/2 || len(slices.Compact(ids)) != stored {
			t.Errorf("%d items stored, %d of them different, want %d", stored, len(slices.Compact(ids)), n+n/2)
		}
		if together := inBatches(t, b, "ITEMS"); together < n/4 {
			t.Errorf("only %d of %d messages went together", together, n+n/2)
		}
	})
}

// inBatches counts the messages of a stream that were stored in a batch.
func inBatches(t *testing.T, b *bus.Bus, stream string) (n int) {
	t.Helper()
	s, err := b.JS().Stream(ctxOf(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(ctxOf(t), seq)
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.Get("Nats-Batch-Id") != "" {
			n++
		}
	}
	return n
}

// TestStatesTogether: revisions of values that were stored together are their own, and of writers of one key one wins.
func TestStatesTogether(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		s := b.State("sent")
		const n = 300
		revs := make([]uint64, n)
		for round := range 3 {
			many(n, func(i int) {
				value := fmt.Appendf(nil, "%d of %d", round, i)
				rev, err := s.Put(ctx, fmt.Sprint("k", i), value, revs[i])
				if err != nil {
					t.Error(err)
				}
				revs[i] = rev
				if got, at, err := s.Get(ctx, fmt.Sprint("k", i)); err != nil || string(got) != string(value) || at != rev {
					t.Errorf("key %d: %q at %d, put at %d, %v", i, got, at, rev, err)
				}
			})
		}
		var won, lost atomic.Int32
		many(n, func(i int) {
			switch _, err := s.Put(ctx, fmt.Sprint("shared", i%10), fmt.Append(nil, i), 0); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, news.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
		if won.Load() != 10 || lost.Load() != n-10 {
			t.Errorf("%d writers won and %d lost over 10 keys", won.Load(), lost.Load())
		}
	})
}

// TestSchedulesTogether: hundreds of feeds are planned at once, anew, in place of what was planned, and only where nothing is; each is polled once.
func TestSchedulesTogether(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		const n = 400
		soon := time.Now().Add(time.Hour)
		ensure := func(from, to int) (created int32) {
			var c atomic.Int32
			many(to-from, func(i int) {
				ok, err := b.EnsureFetch(ctx, fmt.Sprint("f", from+i), soon)
				if err != nil {
					t.Error(err)
				}
				if ok {
					c.Add(1)
				}
			})
			return c.Load()
		}
		if got := ensure(0, n/2); got != n/2 {
			t.Errorf("%d of %d feeds were planned anew", got, n/2)
		}
		if together := inBatches(t, b, "FETCH"); together < n/8 {
			t.Errorf("only %d of %d schedules went together", together, n/2)
		}
		if got := ensure(0, n); got != n/2 {
			t.Errorf("%d feeds were planned, %d were not planned yet", got, n/2)
		}
		due := time.Now().Add(3 * time.Second) // after the arms: firings are synced writes too, two each, and all three at once can take longer than a publish waits
		many(n, func(i int) {
			if err := b.ArmFetch(ctx, fmt.Sprint("f", i), due); err != nil {
				t.Error(err)
			}
		})
		p := collectPolls(t, b)
		eventually(t, "all polls", func() bool { return len(p.got()) >= n })
		if got := p.got(); len(slices.Compact(slices.Clone(got))) != n || len(got) != n {
			t.Errorf("%d polls of %d feeds", len(got), len(slices.Compact(got)))
		}
		if got := ensure(0, n); got != n {
			t.Errorf("%d of %d feeds had nothing planned after their polls", got, n)
		}
	})
}

// TestTogetherOutlivesARestart: the server is restarted while hundreds publish, and every answer without an error was true.
func TestTogetherOutlivesARestart(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	ctx := ctxOf(t)
	go func() {
		time.Sleep(150 * time.Millisecond)
		b.RestartServer(context.WithoutCancel(ctx))
	}()
	var mu sync.Mutex
	var acked []string
	many(200, func(w int) {
		for i := range 10 {
			id := fmt.Sprintf("i%d-%d", w, i)
			if _, err := b.PublishItem(ctx, item(id)); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			acked = append(acked, id)
			mu.Unlock()
		}
	})
	stored := readIDs(t, b, time.Time{})
	slices.Sort(stored)
	slices.Sort(acked)
	if !slices.Equal(stored, acked) {
		t.Errorf("%d items stored, %d acknowledged", len(stored), len(acked))
	}
}

// TestNothingAckedTogetherIsLostByKill9 kills a process that stores items together.
func TestNothingAckedTogetherIsLostByKill9(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 3 {
		cmd, lines := spawn(t, "crowd", dir)
		var acked []string
		for lines.Scan() {
			id, ok := strings.CutPrefix(lines.Text(), "acked ")
			if !ok {
				break // torn by the kill
			}
			if acked = append(acked, id); len(acked) == 1500 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
		b := bustest.Open(t, func(o *bus.Options) { o.Dir = dir })
		stored := readIDs(t, b, time.Time{})
		slices.Sort(stored)
		if n := len(stored); len(slices.Compact(slices.Clone(stored))) != n {
			t.Errorf("round %d: some of %d items are stored twice", round, n)
		}
		for _, id := range acked[:len(acked)-1] { // the last line may be cut
			if _, ok := slices.BinarySearch(stored, id); !ok {
				t.Errorf("round %d: acked item %s is lost", round, id)
			}
		}
		if together := inBatches(t, b, "ITEMS"); together == 0 {
			t.Errorf("round %d: no item went with others", round)
		}
		closeBus(t, b)
	}
}

// crowd publishes from 200 goroutines, and says what was acknowledged.
func crowd(ctx context.Context, b *bus.Bus) {
	many(200, func(w int) {
		for i := 0; ; i++ {
			id := fmt.Sprintf("i%d-%d-%d", time.Now().UnixNano(), w, i)
			if _, err := b.PublishItem(ctx, item(id)); err != nil {
				fmt.Println("error", err)
				return
			}
			fmt.Println("acked", id)
		}
	})
}

// TestOldTableIsBroughtUp: a data directory whose streams do not allow batches yet is changed at start.
func TestOldTableIsBroughtUp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := func(o *bus.Options) { o.Dir = dir }
	b := bustest.Open(t, in)
	ctx := ctxOf(t)
	for _, c := range b.TableStreams() {
		c.AllowAtomicPublish = false
		if _, err := b.JS().UpdateStream(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.PublishItem(ctx, item("old")); err != nil {
		t.Fatal(err)
	}
	many(200, func(i int) { // all refused together, all stored alone
		if _, err := b.PublishItem(ctx, item(fmt.Sprint("i", i))); err != nil {
			t.Error(err)
		}
	})
	closeBus(t, b)
	b = bustest.Open(t, in)
	if s, err := b.JS().Stream(ctx, "ITEMS"); err != nil || !s.CachedInfo().Config.AllowAtomicPublish || s.CachedInfo().State.Msgs != 201 {
		t.Errorf("%v: %+v", err, s.CachedInfo())
	}
	if kv, err := b.JS().KeyValue(ctx, "sent"); err != nil || errors.Is(err, jetstream.ErrBucketNotFound) {
		t.Errorf("%v: %v", kv, err)
	}
}
