package fetcher

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
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

// BenchmarkPoll304 measures whole polls of unchanged feeds with the state in memory: over kept connections, and with a new TLS connection, resumed by
// ticket, for each poll. The server's share of the processor time is in it.
func BenchmarkPoll304(b *testing.B) {
	b.Run("kept connection", func(b *testing.B) { poll304(b, false) })
	b.Run("new TLS connection", func(b *testing.B) { poll304(b, true) })
}

func poll304(b *testing.B, secure bool) {
	t := &testing.T{}
	srv := newSiteFor(b, oneItem(1))
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	if secure {
		srv.Server = httptest.NewTLSServer(srv.Config.Handler)
		b.Cleanup(srv.Close)
		transport.DisableKeepAlives = true
		transport.TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(64)
	}
	srv.handle(func(w http.ResponseWriter, q *http.Request) {
		w.Header().Set("ETag", `"a"`)
		if q.Header.Get("If-None-Match") != "" {
			w.WriteHeader(304)
			return
		}
		fmt.Fprint(w, oneItem(1))
	})
	client := &http.Client{Transport: transport}
	r := newRig(t, func(o *Options) {
		o.Client = func(Feed) (*http.Client, error) { return client, nil }
		o.StartRate, o.HostConns = 1<<30, 64
	}, Feed{URL: srv.URL, Interval: time.Minute})
	r.poll(0)
	srv.quiet = true
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
}

func BenchmarkDate(b *testing.B) {
	d := dateReader{zone: time.UTC}
	for b.Loop() {
		d.read("Sun, 22 Nov 2026 15:00:00 +0500")
		d.read("2026-11-22T15:00:00+05:00")
	}
}
