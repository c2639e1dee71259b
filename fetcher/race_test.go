package fetcher

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestManyFeedsAtTheSameTime(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		switch n := rand.IntN(6); n {
		case 0:
			w.WriteHeader(500)
		case 1:
			fmt.Fprint(w, "<rss><channel><item><title>cut")
		default:
			fmt.Fprint(w, oneItem(rand.IntN(5)))
		}
	})
	var feeds []Feed
	for i := range 40 {
		feeds = append(feeds, Feed{URL: fmt.Sprintf("%s/%d", s.URL, i)})
	}
	r := newRig(t, func(o *Options) { o.Workers = 8 }, feeds...)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		_ = r.f.Run(ctx)
	}()
	for i := range feeds {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 5 {
				_ = r.f.Poll(ctx, r.id(i))
				r.advance(30 * time.Minute)
			}
		}()
	}
	for range 10 {
		r.f.SetFeeds(feeds[:20+rand.IntN(20)])
		if _, err := r.f.Status(ctx); err != nil {
			t.Error(err)
		}
		if _, err := r.reg.Gather(); err != nil {
			t.Error(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); r.published() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
	seen := map[string]int{}
	for _, it := range r.items {
		seen[it.Key()]++
	}
	for key, n := range seen {
		if n > 1 {
			t.Errorf("%s was published %d times", key, n)
		}
	}
	if len(seen) == 0 {
		t.Error("nothing was published")
	}
}

func TestBudgetWaitsAndGivesBack(t *testing.T) {
	b := newBudget(100)
	free, err := b.take(context.Background(), 80)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := b.take(ctx, 30); err == nil {
		t.Error("more than the budget was given")
	}
	time.AfterFunc(20*time.Millisecond, func() { free(); free() })
	all, err := b.take(context.Background(), 1000)
	if err != nil || b.free != 0 {
		t.Errorf("the whole was not given: %v, %d free", err, b.free)
	}
	all()
	if b.free != 100 {
		t.Errorf("%d free at the end", b.free)
	}
}
