package fetcher

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mmcdole/gofeed"
)

// benchDocuments are the real documents of the data set up to 100 KB, or documents of our own where there is none.
func benchDocuments(b *testing.B) (docs [][]byte, size int64) {
	b.Helper()
	if dir := os.Getenv("TOCSIN_DATA"); dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "feeds", "*"))
		if err != nil {
			b.Fatal(err)
		}
		for _, f := range files {
			body, err := os.ReadFile(f)
			if err != nil {
				b.Fatal(err)
			}
			if len(body) < 100<<10 && filepath.Base(f) != "INDEX.json" {
				docs = append(docs, body)
			}
		}
	}
	if len(docs) == 0 {
		var items []string
		for i := range 40 {
			items = append(items, fmt.Sprintf("Item %d|https://herald.example/%d|g%d|Sun, 22 Nov 2026 09:00:00 GMT|<![CDATA[<p>%s</p>]]>", i, i, i, strings.Repeat("Some text of an article. ", 40)))
		}
		docs = append(docs, []byte(rssOf(items...)))
	}
	for _, d := range docs {
		size += int64(len(d))
	}
	return docs, size
}

// perSecond reports how much of what each round does is done in a second of processor time: other work on the machine does not count.
func perSecond(b *testing.B, start time.Duration, each float64, unit string) {
	if used := (processorTime() - start).Seconds(); used > 0 {
		b.ReportMetric(each*float64(b.N)/used, unit)
	}
}

// BenchmarkParse measures all steps from bytes to items.
func BenchmarkParse(b *testing.B) {
	docs, size := benchDocuments(b)
	b.Run("all steps", func(b *testing.B) {
		b.SetBytes(size)
		items, start := 0, processorTime()
		for b.Loop() {
			items = 0
			for _, d := range docs {
				doc := Document{Body: d, URL: "https://herald.example/rss", FirstSeen: time.Now()}
				if res, err := Parse(doc); err == nil {
					items += len(res.Items(&doc))
				}
			}
		}
		perSecond(b, start, float64(size)/1e6, "MB/cpu-s")
		perSecond(b, start, float64(items), "items/cpu-s")
	})
	b.Run("gofeed alone", func(b *testing.B) {
		b.SetBytes(size)
		start := processorTime()
		for b.Loop() {
			for _, d := range docs {
				_, _ = gofeed.NewParser().ParseString(string(d))
			}
		}
		perSecond(b, start, float64(size)/1e6, "MB/cpu-s")
	})
}

// BenchmarkLargest measures the largest document that the limits allow.
func BenchmarkLargest(b *testing.B) {
	item := "<item><title>Item</title><link>https://herald.example/1</link><description>" + strings.Repeat("text ", 300) + "</description></item>"
	body := []byte("<rss><channel>" + strings.Repeat(item, 16<<20/len(item)-1) + "</channel></rss>")
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := Parse(Document{Body: body}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPoll304 measures whole polls of unchanged feeds with the state in memory. The server is a process of its own, so the processor time is that of
// the client alone: over a kept connection, over a new TLS connection that a ticket resumes (what a feed polled every half hour has), and over one
// with a whole handshake and the check of an ECDSA P-256 certificate (what a host costs at first).
func BenchmarkPoll304(b *testing.B) {
	srv := startUnchanged(b)
	client := func(tickets bool) *http.Transport {
		t := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: srv.roots}}
		if tickets {
			t.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(64)
		}
		return t
	}
	b.Run("kept connection", func(b *testing.B) { poll304(b, srv.plain, &http.Transport{MaxIdleConnsPerHost: 64}) })
	b.Run("new connection", func(b *testing.B) { poll304(b, srv.plain, &http.Transport{DisableKeepAlives: true}) })
	b.Run("new TLS, resumed", func(b *testing.B) { poll304(b, srv.secure, client(true)) })
	b.Run("new TLS, whole handshake", func(b *testing.B) { poll304(b, srv.secure, client(false)) })
}

func poll304(b *testing.B, address string, transport *http.Transport) {
	client := &http.Client{Transport: transport}
	r := newRig(&testing.T{}, func(o *Options) {
		o.Client = func(Feed) (*http.Client, error) { return client, nil }
		o.StartRate, o.HostConns = 1<<30, 64
	}, Feed{URL: address, Interval: time.Minute})
	r.poll(0)
	start := processorTime()
	for b.Loop() {
		r.mu.Lock()
		r.clock = r.armed[r.id(0)]
		r.mu.Unlock()
		if err := r.f.Poll(context.Background(), r.id(0)); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, start, 1, "polls/cpu-s")
	if st := r.state(0); st.Failures > 0 || st.Status != http.StatusNotModified {
		b.Fatalf("polls failed: %s %s", st.Reason, st.Error)
	}
}

func BenchmarkDate(b *testing.B) {
	d := dateReader{zone: time.UTC}
	for b.Loop() {
		d.read("Sun, 22 Nov 2026 15:00:00 +0500")
		d.read("2026-11-22T15:00:00+05:00")
	}
}
