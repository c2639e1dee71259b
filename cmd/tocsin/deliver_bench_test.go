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
		in := openInstance(b, b.TempDir(), hooksYAML(srv.URL))
		stop := in.runStages(b, "router", "channel")
		const n = 500
		for i := range n {
			a := newsAlert(i)
			mu.Lock()
			began[a.ID] = time.Now()
			mu.Unlock()
			in.publish(b, a)
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
