package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// arrivalsOf counts requests by the second.
type arrivalsOf struct {
	mu sync.Mutex
	at []time.Time
}

func (a *arrivalsOf) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.mu.Lock()
	a.at = append(a.at, time.Now())
	a.mu.Unlock()
	w.Header().Set("ETag", `"a"`)
	fmt.Fprint(w, `<rss version="2.0"><channel><title>T</title></channel></rss>`)
}

func (a *arrivalsOf) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.at)
}

// most gives the largest number of requests in any span of that length, and the time from the first to the last of all.
func (a *arrivalsOf) most(span time.Duration) (n int, all time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := 0
	for i, t := range a.at {
		for t.Sub(a.at[first]) > span {
			first++
		}
		n = max(n, i-first+1)
	}
	if len(a.at) > 0 {
		all = a.at[len(a.at)-1].Sub(a.at[0])
	}
	return n, all
}

// manySize is 300 feeds; TOCSIN_SOAK takes 100,000 and watches for seven minutes after each start.
func manySize() (feeds int, watch time.Duration) {
	if os.Getenv("TOCSIN_SOAK") != "" {
		return 100_000, 7 * time.Minute
	}
	return 300, 3 * time.Second
}

// TestManyFeedsStartWithoutABurst starts the program on a long list, twice: first polls are spread, a second start asks nobody anew, and the memory
// stays within its limit. With TOCSIN_SOAK it is the measurement of 100,000 feeds, 30 minutes apart.
func TestManyFeedsStartWithoutABurst(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts processes")
	}
	feeds, watch := manySize()
	var seen arrivalsOf
	srv := httptest.NewServer(&seen)
	defer srv.Close()
	var list strings.Builder
	list.WriteString("defaults: {interval: 30m}\nfeeds:\n")
	for i := range feeds {
		fmt.Fprintf(&list, "  - {url: \"%s/%d\"}\n", srv.URL, i)
	}
	dir, addr := t.TempDir(), freeAddr(t)
	write(t, dir, "feeds.yaml", list.String())
	config := write(t, dir, "tocsin.yaml", fmt.Sprintf("data_dir: data\nhttp: {listen: %q}\nfetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1], host_gap: 0s}\n", addr))
	for round := range 2 {
		before, from := seen.count(), time.Now()
		p := start(t, config, addr)
		p.waitReady(3 * time.Minute)
		ready := time.Since(from)
		if round == 0 {
			waitFor(t, 2*time.Minute, "the first poll", func() bool { return seen.count() > 0 })
			if feeds <= 300 {
				waitFor(t, 2*time.Minute, "all first polls", func() bool { return seen.count() >= feeds })
			}
		}
		time.Sleep(watch)
		top, all := seen.most(10 * time.Second)
		t.Logf("start %d: ready after %s, resident memory %d MB, %d polls, at most %d in any 10 s", round+1, ready.Round(10*time.Millisecond), p.rss()>>20, seen.count()-before, top)
		if mean := max(50, 2*feeds/1800); top > 2*10*mean {
			t.Errorf("%d polls in 10 s", top)
		}
		if round == 0 && feeds <= 300 && all < time.Duration(feeds)*10*time.Millisecond {
			t.Errorf("%d first polls within %s", feeds, all)
		}
		if round == 1 && feeds <= 300 && seen.count() != before {
			t.Errorf("%d feeds were asked again by a restart", seen.count()-before)
		}
		if mb := p.rss() >> 20; mb > 600 {
			t.Errorf("%d MB", mb)
		}
		if err := p.interrupt(60 * time.Second); err != nil {
			t.Error(err)
		}
	}
}
