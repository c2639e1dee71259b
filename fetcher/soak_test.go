// The embedded server is left out of fuzzing, see .ci/fuzz.

//go:build !fuzz

package fetcher

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"tocsin/bus/bustest"
	"tocsin/news"
)

// wakeUps is what the bus does for polls.
type wakeUps interface {
	ArmFetch(ctx context.Context, feedID string, at time.Time) error
	ConsumeDue(ctx context.Context, workers int, h func(ctx context.Context, feedID string) error) error
}

// soak is a load on the real bus that syncs every write: feeds that answer 304, each once a minute.
type soak struct {
	f     *Fetcher
	bus   wakeUps
	feeds []Feed

	interval time.Duration

	mu     sync.Mutex
	armed  map[string]time.Time
	late   []time.Duration
	polled map[string]bool
	spent  map[string]time.Duration // in the steps of polls, all polls together
}

func (s *soak) took(step string, start time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent[step] += time.Since(start)
}

func newSoak(t *testing.T, feeds int, interval time.Duration) *soak {
	bus := bustest.Open(t)
	s := &soak{interval: interval, bus: bus, armed: map[string]time.Time{}, polled: map[string]bool{}, spent: map[string]time.Duration{}}
	srv := newSiteFor(t, "")
	srv.quiet = true
	srv.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"a"`)
		w.WriteHeader(304)
	})
	for i := range feeds {
		s.feeds = append(s.feeds, Feed{URL: fmt.Sprintf("%s/%d", srv.URL, i), Interval: interval})
	}
	state := bus.State("feedstate")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	var err error
	s.f, err = New(Options{
		Feeds: s.feeds, UserAgent: "Tocsin/soak", Client: func(Feed) (*http.Client, error) { return client, nil },
		Publish: func(ctx context.Context, it news.Item) error { _, err := bus.PublishItem(ctx, it); return err },
		LoadState: func(ctx context.Context, id string) ([]byte, uint64, error) {
			defer s.took("load", time.Now())
			return state.Get(ctx, id)
		},
		SaveState: func(ctx context.Context, id string, data []byte, rev uint64) error {
			defer s.took("save", time.Now())
			_, err := state.Put(ctx, id, data, rev)
			return err
		},
		Arm: s.arm, Ensure: bus.EnsureFetch, HostGap: -1, HostConns: 64, MinInterval: interval,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *soak) arm(ctx context.Context, id string, at time.Time) error {
	defer s.took("arm", time.Now())
	s.mu.Lock()
	s.armed[id] = at
	s.mu.Unlock()
	return s.bus.ArmFetch(ctx, id, at)
}

func (s *soak) poll(ctx context.Context, id string) error {
	defer s.took("poll", time.Now())
	s.mu.Lock()
	s.polled[id] = true
	if at := s.armed[id]; !at.IsZero() {
		s.late = append(s.late, time.Since(at))
	}
	s.mu.Unlock()
	return s.f.Poll(ctx, id)
}

// begin gives every feed a state and a first wake-up, spread over the first interval.
func (s *soak) begin(t *testing.T) {
	start := time.Now().Add(time.Duration(len(s.feeds)) * 2 * time.Millisecond)
	work := make(chan int)
	var wg sync.WaitGroup
	for range 128 {
		wg.Go(func() {
			for i := range work {
				fd := &s.feeds[i]
				at := start.Add(s.interval * time.Duration(i) / time.Duration(len(s.feeds)))
				st := &state{Version: stateVersion, Listed: listedMark(fd), LastTry: start.Add(-time.Minute), LastSuccess: start.Add(-time.Minute), Next: at, Interval: s.interval, Poll: 1}
				st.ETag, st.ValidatorURL = []byte(`"a"`), news.FeedID(fd.URL)
				st.LastFull, st.LastItem = st.LastTry, st.LastTry
				id := news.FeedID(fd.URL)
				if err := s.f.save(t.Context(), &Feed{ID: id}, st, 0); err != nil {
					t.Error(err)
				}
				if err := s.arm(t.Context(), id, at); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range s.feeds {
		work <- i
	}
	close(work)
	wg.Wait()
	s.mu.Lock()
	clear(s.spent)
	s.mu.Unlock()
}

// soakSize is a few feeds for some seconds; with TOCSIN_SOAK 200 polls a second for ten minutes.
func soakSize() (feeds int, interval, long time.Duration) {
	if os.Getenv("TOCSIN_SOAK") != "" {
		return 12_000, time.Minute, 10 * time.Minute
	}
	return 40, 2 * time.Second, 5 * time.Second
}

// TestPollsOnTheRealBusAreOnTime has feeds that answer 304 polled by the bus's own wake-ups, every write synced. It reports the rate, how late polls
// began, and where their time went. In its full size a poll over 5 s late fails it.
func TestPollsOnTheRealBusAreOnTime(t *testing.T) {
	feeds, interval, long := soakSize()
	s := newSoak(t, feeds, interval)
	s.begin(t)
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	if err := s.f.reconcile(ctx); err != nil {
		t.Fatal(err)
	}
	cpu, start := processorTime(), time.Now()
	if err := s.bus.ConsumeDue(ctx, 64, s.poll); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	cpu = processorTime() - cpu
	slices.Sort(s.late)
	n := len(s.late)
	if n == 0 {
		t.Fatal("no poll came")
	}
	over := 0
	for _, d := range s.late {
		if d > 5*time.Second {
			over++
		}
	}
	t.Logf("%d polls in %s: %.0f/s, %.2f ms of processor time each; late: median %s, p99 %s, most %s; %d over 5 s",
		n, took.Round(time.Second), float64(n)/took.Seconds(), float64(cpu.Microseconds())/1e3/float64(n),
		s.late[n/2].Round(time.Millisecond), s.late[n*99/100].Round(time.Millisecond), s.late[n-1].Round(time.Millisecond), over)
	for _, step := range []string{"poll", "load", "save", "arm"} {
		t.Logf("%s: %.1f ms a poll", step, float64(s.spent[step].Microseconds())/1e3/float64(n))
	}
	if missing := feeds - len(s.polled); missing > 0 {
		t.Errorf("%d feeds were never polled", missing)
	}
	if over > 0 && feeds > 1000 {
		t.Errorf("%d polls began more than 5 s late", over)
	}
}
