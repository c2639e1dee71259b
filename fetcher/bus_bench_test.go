// The embedded server is left out of fuzzing, see .ci/fuzz.

//go:build !fuzz

package fetcher

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"tocsin/bus/bustest"
	"tocsin/news"
)

// BenchmarkPollDurable measures whole polls of unchanged feeds (304 on kept connections) with what a real instance does for each: the state read and
// written by compare-and-set in an embedded bus that syncs every write, and the next wake-up armed there. It reports the CPU time of the whole
// process, the HTTP server included (target: 1.5 ms), and what one write fewer for each poll would save.
func BenchmarkPollDurable(b *testing.B) {
	b.Run("as it is", func(b *testing.B) { pollDurable(b, true) })
	b.Run("without the write of the wake-up", func(b *testing.B) { pollDurable(b, false) })
}

func pollDurable(b *testing.B, arms bool) {
	bus := bustest.Open(b)
	srv := newSiteFor(b, "")
	srv.quiet = true
	srv.handle(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("ETag", `"a"`)
		if q.Header.Get("If-None-Match") != "" {
			w.WriteHeader(304)
			return
		}
		fmt.Fprint(w, oneItem(1))
	})
	const n = 500
	var feeds []Feed
	for i := range n {
		feeds = append(feeds, Feed{URL: fmt.Sprintf("%s/%d", srv.URL, i), Interval: time.Minute})
	}
	state := bus.State("feedstate")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}
	now := time.Now()
	arm := bus.ArmFetch
	if !arms {
		arm = func(context.Context, string, time.Time) error { return nil }
	}
	f, err := New(Options{
		Feeds: feeds, UserAgent: "Tocsin/bench", Client: func(Feed) (*http.Client, error) { return client, nil },
		Publish: func(ctx context.Context, it news.Item) error {
			_, err := bus.PublishItem(ctx, it)
			return err
		},
		LoadState: state.Get,
		SaveState: func(ctx context.Context, id string, data []byte, rev uint64) error {
			_, err := state.Put(ctx, id, data, rev)
			return err
		},
		Arm: arm, Ensure: bus.EnsureFetch, HostGap: -1, HostConns: 64, StartRate: 1 << 30, Now: func() time.Time { return now },
	})
	if err != nil {
		b.Fatal(err)
	}
	poll := func(i int) {
		if i%n == 0 {
			now = now.Add(2 * time.Minute)
		}
		if err := f.Poll(b.Context(), news.FeedID(feeds[i%n].URL)); err != nil {
			b.Fatal(err)
		}
	}
	for i := range n {
		poll(i)
	}
	before := processorTime()
	i := 0
	for b.Loop() {
		poll(i)
		i++
	}
	b.ReportMetric(float64((processorTime()-before).Microseconds())/1e3/float64(i), "cpu-ms/op")
}
