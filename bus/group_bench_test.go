package bus_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
)

// BenchmarkPublishMany stores items of 2 KB, so many goroutines at a time, each on disk before the next of its goroutine; alone and together with others.
func BenchmarkPublishMany(b *testing.B) {
	for _, writers := range []int{4, 16, 64, 256} {
		for _, alone := range []bool{true, false} {
			b.Run(fmt.Sprintf("writers=%d/alone=%v", writers, alone), func(b *testing.B) {
				bs := bustest.Open(b)
				if alone {
					bus.PublishAlone(bs)
				}
				for b.Loop() {
					const n = 4000
					var wg sync.WaitGroup
					began := time.Now()
					for w := range writers {
						wg.Go(func() {
							it := item("x")
							it.Body = strings.Repeat("0123456789abcde ", 128)
							for i := w; i < n; i += writers {
								it.ID = fmt.Sprint(began, i)
								if _, err := bs.PublishItem(context.Background(), it); err != nil {
									b.Error(err)
								}
							}
						})
					}
					wg.Wait()
					b.ReportMetric(n/time.Since(began).Seconds(), "items/s")
					b.ReportMetric(0, "ns/op")
				}
			})
		}
	}
}
