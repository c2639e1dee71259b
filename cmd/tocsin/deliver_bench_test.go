package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// hooksYAML configures webhooks at the given addresses.
func hooksYAML(urls ...string) string {
	text := "channels:\n"
	for i, u := range urls {
		text += fmt.Sprintf("  - {id: hook%d, webhook: {url: %q, allow_http: true, concurrency: 8}}\n", i, u)
	}
	return text
}

// BenchmarkAlertsIntoOutbox measures how many alerts a second are routed, rendered and stored in OUTBOX for two channels, each with its ledger
// entry; every write is synced to disk.
func BenchmarkAlertsIntoOutbox(b *testing.B) {
	const n = 5000
	for b.Loop() {
		in := openInstance(b, b.TempDir(), hooksYAML("http://127.0.0.1:1/a", "http://127.0.0.1:1/b"))
		var wg sync.WaitGroup
		for w := range 64 {
			wg.Go(func() {
				for i := w; i < n; i += 64 {
					if _, err := in.bus.PublishAlert(b.Context(), newsAlert(i)); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
		began := time.Now()
		stop := in.runStages(b, "router")
		waitFor(b, 5*time.Minute, "all deliveries", func() bool {
			c := in.notify.Ledger()
			return c["hook0"].Pending+c["hook1"].Pending == 2*n
		})
		b.ReportMetric(n/time.Since(began).Seconds(), "alerts/s")
		b.ReportMetric(0, "ns/op")
		stop()
	}
}

// arrivalTimes is a receiver that notes how long each alert took to come.
type arrivalTimes struct {
	*httptest.Server
	mu    sync.Mutex
	began map[string]time.Time
	took  map[string][]time.Duration // by watchlist
}

func openArrivals(b *testing.B) *arrivalTimes {
	a := &arrivalTimes{began: map[string]time.Time{}, took: map[string][]time.Duration{}}
	a.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct {
			Data struct {
				Alert     string
				Watchlist struct{ ID string }
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			b.Error(err)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.took[e.Data.Watchlist.ID] = append(a.took[e.Data.Watchlist.ID], time.Since(a.began[e.Data.Alert]))
	}))
	b.Cleanup(a.Close)
	return a
}

// send publishes an alert every 20 ms, for the watchlists in turn, and waits until all have come.
func (a *arrivalTimes) send(b *testing.B, in *instance, n int, lists ...string) {
	for i := range n {
		x := newsAlert(i)
		x.Watchlist = lists[i%len(lists)]
		x.Match.Watchlist = x.Watchlist
		a.mu.Lock()
		a.began[x.ID] = time.Now()
		a.mu.Unlock()
		in.publish(b, x)
		time.Sleep(20 * time.Millisecond)
	}
	waitFor(b, time.Minute, "all at the receiver", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		got := 0
		for _, t := range a.took {
			got += len(t)
		}
		return got >= n
	})
}

func (a *arrivalTimes) report(b *testing.B, list, prefix string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.took[list]
	slices.Sort(t)
	b.ReportMetric(float64(t[len(t)/2].Microseconds())/1000, prefix+"p50-ms")
	b.ReportMetric(float64(t[len(t)*99/100].Microseconds())/1000, prefix+"p99-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAlertToWebhook measures a quiet instance: from the alert's record to the moment when the receiver has it whole, one alert every 20 ms.
func BenchmarkAlertToWebhook(b *testing.B) {
	for b.Loop() {
		a := openArrivals(b)
		in := openInstance(b, b.TempDir(), hooksYAML(a.URL))
		stop := in.runStages(b, "router", "channel")
		a.send(b, in, 1000, "a")
		stop()
		a.report(b, "a", "")
	}
}

// BenchmarkDeadChannel sends alerts of two watchlists in turn to one receiver; those of one list go to a second good receiver too, those of the other
// to one that never answers.
func BenchmarkDeadChannel(b *testing.B) {
	for b.Loop() {
		a := openArrivals(b)
		good := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		over := make(chan struct{})
		hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
		in := openInstance(b, b.TempDir(), hooksYAML(a.URL, good.URL, hangs.URL)+`notifier:
  route:
    channels: [hook0]
    routes:
      - {matchers: ['watchlist="good"'], channels: [hook0, hook1]}
      - {matchers: ['watchlist="dead"'], channels: [hook0, hook2]}
`)
		stop := in.runStages(b, "router", "channel")
		a.send(b, in, 800, "good", "dead")
		close(over)
		stop()
		hangs.Close()
		good.Close()
		a.report(b, "good", "beside-good-")
		a.report(b, "dead", "beside-dead-")
	}
}
