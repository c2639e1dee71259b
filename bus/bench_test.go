package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// report gives the quantiles that DESIGN.md and the dashboards speak of.
func report(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkPublish stores items of 2 KB one by one, each synced to disk.
func BenchmarkPublish(b *testing.B) {
	bs := bustest.Open(b)
	it := item("x")
	it.Body = strings.Repeat("0123456789abcde ", 128)
	var times []time.Duration
	for i := 0; b.Loop(); i++ {
		it.ID = fmt.Sprint(i)
		began := time.Now()
		if _, err := bs.PublishItem(context.Background(), it); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(began))
	}
	report(b, times)
}

// BenchmarkOpen opens and closes a bus with 2,000 items in it.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	open := func() *bus.Bus {
		bs, err := bus.Open(context.Background(), bus.Options{Dir: dir, Channels: []string{"mail"}})
		if err != nil {
			b.Fatal(err)
		}
		return bs
	}
	bs := open()
	for i := range 2000 {
		if _, err := bs.PublishItem(context.Background(), item(fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
	}
	closeBus(b, bs)
	var times, closes []time.Duration
	for b.Loop() {
		began := time.Now()
		bs := open()
		times = append(times, time.Since(began))
		began = time.Now()
		closeBus(b, bs)
		closes = append(closes, time.Since(began))
	}
	report(b, times)
	slices.Sort(closes)
	b.ReportMetric(float64(closes[len(closes)/2].Microseconds())/1000, "close-p50-ms")
}

// BenchmarkConsume hands items over and acknowledges each, four workers at a time.
func BenchmarkConsume(b *testing.B) {
	bs := bustest.Open(b)
	const n = 2000
	for i := range n {
		if _, err := bs.PublishItem(context.Background(), item(fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done atomic.Int32
	began := time.Now()
	_ = bs.ConsumeItems(ctx, 4, func(context.Context, news.Item, bus.Meta) error {
		if done.Add(1) == n {
			cancel()
		}
		return nil
	})
	b.ReportMetric(n/time.Since(began).Seconds(), "items/s")
	b.ReportMetric(0, "ns/op")
}
