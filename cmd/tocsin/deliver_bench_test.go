package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/news"
)

// benchInstance is an opened instance that sends every alert to two webhooks; its stages are for the benchmark to run.
func benchInstance(b *testing.B, hooks ...string) *instance {
	b.Helper()
	dir := b.TempDir()
	write(b, dir, "feeds.yaml", "feeds: []\n")
	write(b, dir, "lists/a.yaml", "id: a\ntitle: A\nentities:\n  - id: front\n    name: Front\n    aliases:\n      en: [Xylophone Front]\n")
	text := fmt.Sprintf("data_dir: data\nhttp: {listen: %q}\nfetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1]}\nmatcher: {watchlists: lists}\nchannels:\n", freeAddr(b))
	for i, h := range hooks {
		text += fmt.Sprintf("  - {id: hook%d, webhook: {url: %q, allow_http: true, concurrency: 8}}\n", i, h)
	}
	cfg, faults := loadConfig(write(b, dir, "tocsin.yaml", text))
	if err := faults.Err(); err != nil {
		b.Fatal(err)
	}
	in, err := open(b.Context(), cfg, roles{notifier: true}, slog.New(slog.DiscardHandler), std{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := in.bus.Close(context.Background()); err != nil {
			b.Error(err)
		}
		_ = in.listen.Close() // nothing was served on it
	})
	return in
}

// run runs the named stages until stop is called.
func (in *instance) runStages(b *testing.B, names ...string) (stop func()) {
	ctx, cancel := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	for _, s := range in.pipeline() {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(s.name, n) }) {
			wg.Go(func() {
				if err := s.run(ctx); err != nil {
					b.Error(s.name, err)
				}
			})
		}
	}
	return func() { cancel(); wg.Wait() }
}

func benchAlert(i int) news.Alert {
	a := testAlert(time.Now().UTC())
	a.Kind = news.KindFirst
	a.ID, a.Story, a.Revision, a.At = fmt.Sprintf("alert%07d", i), fmt.Sprintf("story%07d", i), 1, time.Now().UTC()
	return a
}

// BenchmarkAlertsIntoOutbox measures how many alerts a second are routed, rendered and stored in OUTBOX for two channels, each with its ledger
// entry; every write is synced to disk.
func BenchmarkAlertsIntoOutbox(b *testing.B) {
	const n = 5000
	for b.Loop() {
		in := benchInstance(b, "http://127.0.0.1:1/a", "http://127.0.0.1:1/b")
		var wg sync.WaitGroup
		for w := range 64 {
			wg.Go(func() {
				for i := w; i < n; i += 64 {
					if _, err := in.bus.PublishAlert(b.Context(), benchAlert(i)); err != nil {
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

// BenchmarkAlertToWebhook measures a quiet instance: from the alert's record to the moment when the receiver has it whole, one alert every 20 ms.
func BenchmarkAlertToWebhook(b *testing.B) {
	var mu sync.Mutex
	var times []time.Duration
	began := map[string]time.Time{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct{ Data struct{ Alert string } }
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			b.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Since(began[e.Data.Alert]))
	}))
	defer srv.Close()
	for b.Loop() {
		in := benchInstance(b, srv.URL)
		stop := in.runStages(b, "router", "channel")
		const n = 500
		for i := range n {
			a := benchAlert(i)
			mu.Lock()
			began[a.ID] = time.Now()
			mu.Unlock()
			if _, err := in.bus.PublishAlert(b.Context(), a); err != nil {
				b.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		waitFor(b, time.Minute, "all at the receiver", func() bool { mu.Lock(); defer mu.Unlock(); return len(times) >= n })
		stop()
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}
