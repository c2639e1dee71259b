package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/cmd/tocsin/newsroom"
)

// BenchmarkPipelineLatency measures a quiet day: one planted mention every 50 ms over 10 feeds, from the first byte served to the webhook's answer,
// with every write synced to disk. The feeds are polled every second; the latency begins when the item was first served.
func BenchmarkPipelineLatency(b *testing.B) {
	for b.Loop() {
		flood(b, 400, 10, 20*time.Second)
	}
}

// BenchmarkPipelineThroughput measures a burst: all mentions stand in the feeds at once.
func BenchmarkPipelineThroughput(b *testing.B) {
	for b.Loop() {
		flood(b, 3000, 30, time.Millisecond)
	}
}

func flood(b *testing.B, mentions, feeds int, span time.Duration) {
	w, err := newsroom.Flood(mentions, feeds, newsroom.Options{Seed: 11, Span: span, Interval: time.Second, Keep: time.Hour, Window: mentions})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	dir, addr := b.TempDir(), freeAddr(b)
	p := start(b, floodConfig(b, w, dir, addr, ""), addr)
	began := time.Now()
	waitFor(b, 3*time.Minute, "all mentions at the webhook", func() bool { hooks, _ := arrivals(w); return len(hooks) >= mentions })
	took := time.Since(began)
	r := w.Report(w.Lists())
	if r.Missed+r.Waiting > 0 {
		b.Fatalf("missed some:\n%s", r.Table())
	}
	b.ReportMetric(float64(mentions)/took.Seconds(), "items/s")
	b.ReportMetric(float64(r.P50.Milliseconds()), "p50-ms")
	b.ReportMetric(float64(r.P99.Milliseconds()), "p99-ms")
	b.ReportMetric(float64(p.rss())/1e6, "rss-MB")
	b.ReportMetric(0, "ns/op")
	p.kill()
}

// BenchmarkIdleMemory measures the resident memory of a whole instance at rest: 60 feeds that answer 304, the shipped watchlists.
func BenchmarkIdleMemory(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		fmt.Fprintf(w, `<?xml version="1.0"?><rss version="2.0"><channel><title>%s</title><item><guid>%[1]s</guid><title>Weather in %[1]s</title></item></channel></rss>`, r.URL.Path)
	}))
	defer srv.Close()
	for b.Loop() {
		dir, addr := b.TempDir(), freeAddr(b)
		list := "feeds:\n"
		for i := range 60 {
			list += fmt.Sprintf("  - {url: \"%s/feed%d\", outlet: Feed %d, lang: en, interval: 5s}\n", srv.URL, i, i)
		}
		write(b, dir, "feeds.yaml", list)
		config := write(b, dir, "tocsin.yaml", fmt.Sprintf("data_dir: data\nhttp: {listen: %q}\nfetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1], min_interval: 1s, host_gap: 0s}\n", addr))
		p := start(b, config, addr)
		p.waitReady(2 * time.Minute)
		time.Sleep(20 * time.Second)
		b.ReportMetric(float64(p.rss())/1e6, "rss-MB")
		b.ReportMetric(0, "ns/op")
		p.kill()
	}
}

// BenchmarkBinarySize builds the program as the release does and reports its size.
func BenchmarkBinarySize(b *testing.B) {
	for b.Loop() {
		out := filepath.Join(b.TempDir(), "tocsin")
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("build: %v\n%s", err, text)
		}
		st, err := os.Stat(out)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(st.Size())/1e6, "MB")
		b.ReportMetric(0, "ns/op")
	}
}

const watchedMentions = 600

// BenchmarkInstrumentation runs the same flood in turns, with all that can be watched (traces exported, metrics scraped every second) and with
// nothing, and reports what watching costs in percent of the process's processor time, which a busy machine disturbs less than items/s. What updating the metrics costs, which is always on, is reported beside it.
func BenchmarkInstrumentation(b *testing.B) {
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer sink.Close()
	var took [2]float64
	for b.Loop() {
		for turn := range 4 {
			with := turn % 2
			if with == 1 {
				b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.URL)
			} else {
				b.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
			}
			took[with] += watchedFlood(b, watchedMentions, with == 1)
		}
	}
	b.ReportMetric(100*(took[1]/took[0]-1), "%-cost")
	b.ReportMetric(float64(perItem(b).Nanoseconds()), "metrics-ns/item")
	b.ReportMetric(1000*took[0]/float64(2*b.N*watchedMentions), "cpu-ms/mention")
	b.ReportMetric(0, "ns/op")
}

// watchedFlood gives the processor time in seconds from the first look to the last mention.
func watchedFlood(b *testing.B, mentions int, scraped bool) float64 {
	w, err := newsroom.Flood(mentions, 20, newsroom.Options{Seed: 11, Span: time.Millisecond, Interval: time.Second, Keep: time.Hour, Window: mentions})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	dir, addr := b.TempDir(), freeAddr(b)
	p := start(b, floodConfig(b, w, dir, addr, ""), addr)
	defer p.kill()
	p.waitReady(2 * time.Minute)
	began, last := cpuSeconds(b, p.get("/metrics")), time.Now()
	waitFor(b, 5*time.Minute, "all mentions at the webhook", func() bool {
		if scraped && time.Since(last) > time.Second {
			last = time.Now()
			p.get("/metrics")
		}
		hooks, _ := arrivals(w)
		return len(hooks) >= mentions
	})
	return cpuSeconds(b, p.get("/metrics")) - began
}

func cpuSeconds(b *testing.B, metrics string) float64 {
	for line := range strings.Lines(metrics) {
		if text, ok := strings.CutPrefix(line, "process_cpu_seconds_total "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
			if err != nil {
				b.Fatal(err)
			}
			return v
		}
	}
	b.Fatal("no process_cpu_seconds_total")
	return 0
}

// perItem is the time that the metrics of one item take which matches and goes to two channels: about 30 counters and gauges, 22 histograms.
func perItem(b *testing.B) time.Duration {
	reg := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "c"}, []string{"a", "b"})
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "h_seconds", Help: "h", Buckets: prometheus.DefBuckets, NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, []string{"a"})
	reg.MustRegister(c, h)
	const rounds = 2000
	began := time.Now()
	for i := range rounds {
		for range 30 {
			c.WithLabelValues("x", "y").Inc()
		}
		for range 22 {
			h.WithLabelValues("x").Observe(float64(i) / 1000)
		}
	}
	return time.Since(began) / rounds
}
