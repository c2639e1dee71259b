//go:build unix

package notifier

import (
	"context"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"tocsin/news"
)

// BenchmarkHandleMatch takes matches of a busy stream through the stage: 20 names and words an item out of 4,000, a third of the items about events
// that others report too. items/min is what one core clusters in processor time, with the record of each match made and encoded for the bus.
func BenchmarkHandleMatch(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	m := newModel()
	o := m.options(b, config(b, oneRoute), (&endpoint{}).channel("desk"))
	o.PublishAlert = func(_ context.Context, a news.Alert) error {
		_, err := news.Encode(a)
		return err
	}
	n, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	began := processor(b)
	for i := 0; b.Loop(); i++ {
		event := r.IntN(1 + i)
		if r.IntN(3) > 0 {
			event = 1_000_000 + i
		}
		if err := n.HandleMatch(b.Context(), match(fmt.Sprint("i", i), busy0(r, event))); err != nil {
			b.Fatal(err)
		}
		m.pass(3 * time.Second)
	}
	c := n.stories.counts()
	b.ReportMetric(float64(b.N)/(processor(b)-began).Minutes(), "items/min")
	b.ReportMetric(float64(c.open), "stories")
}

// processor is the processor time of this process: other work on the machine does not count.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// busy0 lets an item tell of an event in the words of a busy week: what is common comes again and again.
func busy0(r *rand.Rand, event int) func(*news.Match) {
	own := rand.New(rand.NewPCG(uint64(event), 9))
	return func(m *news.Match) {
		s := &news.Signature{Version: news.SignatureVersion, Act: fmt.Sprint("=a", own.IntN(60))}
		for range 6 {
			k := int(4000 * own.Float64() * own.Float64())
			s.Anchors = append(s.Anchors, news.Anchor{ID: fmt.Sprint("n", k), Kind: news.AnchorName, Bits: 6 + float64(k)/500, Part: own.IntN(3)})
		}
		for i := range 14 {
			from := own
			if i > 8 {
				from = r
			}
			k := int(4000 * from.Float64() * from.Float64())
			s.Words = append(s.Words, news.SigWord{Key: fmt.Sprint("w", k), Bits: 4 + float64(k)/500, Part: from.IntN(3)})
		}
		for range 32 {
			s.Sketch = append(s.Sketch, r.Uint32())
		}
		m.Signature = s
	}
}
