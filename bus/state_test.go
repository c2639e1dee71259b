package bus_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/bus/bustest"
	"tocsin/news"
)

func TestStateIsCompareAndSet(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		s := b.State("feedstate")
		if _, _, err := s.Get(ctx, "k"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("get of nothing: %v", err)
		}
		rev, err := s.Put(ctx, "k", []byte("one"), 0)
		if err != nil || rev == 0 {
			t.Fatal(rev, err)
		}
		if _, err := s.Put(ctx, "k", []byte("other"), 0); !errors.Is(err, news.ErrConflict) {
			t.Errorf("second create: %v", err)
		}
		two, err := s.Put(ctx, "k", []byte("two"), rev)
		if err != nil || two <= rev {
			t.Fatal(two, err)
		}
		if _, err := s.Put(ctx, "k", []byte("late"), rev); !errors.Is(err, news.ErrConflict) {
			t.Errorf("late put: %v", err)
		}
		if _, err := s.Put(ctx, "k", []byte("wild"), two+100); !errors.Is(err, news.ErrConflict) {
			t.Errorf("put with a revision of the future: %v", err)
		}
		if v, r, err := s.Get(ctx, "k"); err != nil || string(v) != "two" || r != two {
			t.Errorf("%q %d %v", v, r, err)
		}
		if err := s.Delete(ctx, "k"); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(ctx, "never was"); err != nil {
			t.Error(err)
		}
		if _, _, err := s.Get(ctx, "k"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("get of a deleted key: %v", err)
		}
		if _, err := s.Put(ctx, "k", []byte("stale"), two); !errors.Is(err, news.ErrConflict) {
			t.Errorf("put over a deletion with the old revision: %v", err)
		}
		if _, err := s.Put(ctx, "k", []byte("three"), 0); err != nil {
			t.Errorf("create after deletion: %v", err)
		}
		if _, err := s.Put(ctx, "", nil, 0); err == nil {
			t.Error("an empty key is taken")
		}
		if _, err := b.State("nowhere").Put(ctx, "k", nil, 0); err == nil {
			t.Error("an unknown bucket is taken")
		}
	})
}

func TestOnlyOneOfManyWritersWins(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		s := b.State("sent")
		rev := uint64(0)
		for round := range 5 {
			var mu sync.Mutex
			var wg sync.WaitGroup
			won := 0
			next := rev
			for w := range 8 {
				wg.Go(func() {
					r, err := s.Put(ctx, "k", fmt.Appendf(nil, "%d-%d", round, w), rev)
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						won++
						next = r
					case !errors.Is(err, news.ErrConflict):
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if won != 1 {
				t.Fatalf("%d writers won", won)
			}
			rev = next
		}
	})
}

func TestStateKeysMayBeAnyText(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		s := b.State("watchlists")
		keys := []string{".hidden", "Sahel Liste (alt).yaml", "a..b", "a=b", "mail.abc", "sub/dir.yaml", "войска.yaml"}
		for _, k := range keys {
			if _, err := s.Put(ctx, k, []byte(k), 0); err != nil {
				t.Fatalf("%q: %v", k, err)
			}
			if v, _, err := s.Get(ctx, k); err != nil || string(v) != k {
				t.Errorf("%q: %q %v", k, v, err)
			}
		}
		got, err := s.Keys(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(keys, got); d != "" {
			t.Error(d)
		}
		if none, err := b.State("sent").Keys(ctx); err != nil || len(none) != 0 {
			t.Errorf("%v %v", none, err)
		}
	})
}

// A bucket with more keys than one answer holds, some of them changed and deleted.
func TestKeysOfALargeBucket(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	ctx := ctxOf(t)
	s := b.State("silences") // keeps older values
	want := map[string]bool{}
	var wg sync.WaitGroup
	for i := range 700 {
		k := fmt.Sprintf("k%03d", i)
		want[k] = i%10 != 0
		wg.Go(func() {
			rev, err := s.Put(ctx, k, []byte("1"), 0)
			if err == nil && i%3 == 0 {
				_, err = s.Put(ctx, k, []byte("2"), rev)
			}
			if err == nil && i%10 == 0 {
				err = s.Delete(ctx, k)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	keys, err := s.Keys(ctx)
	if err != nil || len(keys) != 630 {
		t.Fatalf("%d keys: %v", len(keys), err)
	}
	for _, k := range keys {
		if !want[k] {
			t.Errorf("%s is listed", k)
		}
	}
	b.RestartServer(ctx)
	if again, err := s.Keys(ctx); err != nil || len(again) != len(keys) {
		t.Errorf("after a restart: %d keys: %v", len(again), err)
	}
	if _, err := b.State("none").Keys(ctx); err == nil {
		t.Error("a bucket that is not there is listed")
	}
}

// A lost answer must not look like a lost race: the value that stands there is the writer's own.
func TestPutThatWasStoredWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	ctx := ctxOf(t)
	s := b.State("feedstate")
	value := bytes.Repeat([]byte("v"), 100)
	for i := range 20 {
		k := fmt.Sprint("k", i)
		done := make(chan struct{})
		go func() { defer close(done); time.Sleep(time.Duration(i) * 100 * time.Microsecond); b.RestartServer(ctx) }()
		if _, err := s.Put(ctx, k, value, 0); err != nil {
			t.Errorf("%s: %v", k, err)
		}
		<-done
	}
	keys, err := s.Keys(ctx)
	if err != nil || len(keys) != 20 {
		t.Errorf("%d keys, %v", len(keys), err)
	}
}
