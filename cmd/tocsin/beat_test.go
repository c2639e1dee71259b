package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// beat is a small world for what watches Tocsin itself: outlets that publish every other second, and others with one fault each.
type beat struct {
	*httptest.Server
	dead  atomic.Bool // the outlets answer 500
	polls atomic.Int64
}

const outletEvery = 2 * time.Second

func openBeat(t testing.TB) *beat {
	b := &beat{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /good/{n}", func(w http.ResponseWriter, r *http.Request) {
		if b.dead.Load() {
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		}
		now := time.Now().Truncate(outletEvery)
		var items []string
		for i := range 20 {
			at := now.Add(-time.Duration(i) * outletEvery)
			items = append(items, rssItem(fmt.Sprintf("%s-%d", r.PathValue("n"), at.Unix()), at, strings.Repeat("Xylophone Front", i%2)))
		}
		rss(w, items...)
	})
	mux.HandleFunc("GET /gap", func(w http.ResponseWriter, _ *http.Request) {
		n := b.polls.Add(1)
		var items []string
		for i := range 5 {
			items = append(items, rssItem(fmt.Sprintf("gap-%d-%d", n, i), time.Now().Add(-time.Duration(i)*time.Second), ""))
		}
		rss(w, items...)
	})
	mux.HandleFunc("GET /late", func(w http.ResponseWriter, _ *http.Request) { rss(w, rssItem("old", time.Now().Add(-3*time.Hour), "")) })
	mux.HandleFunc("GET /gone", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gone", http.StatusGone) })
	mux.HandleFunc("GET /broken", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) })
	mux.HandleFunc("POST /busy", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "slower", http.StatusTooManyRequests) })
	mux.HandleFunc("POST /refuse", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "never again", http.StatusGone) })
	b.Server = httptest.NewServer(mux)
	t.Cleanup(b.Close)
	return b
}

func rssItem(guid string, at time.Time, name string) string {
	return fmt.Sprintf("<item><guid isPermaLink=\"false\">%s</guid><link>http://example.org/%s</link><title>%s report %s</title><pubDate>%s</pubDate></item>", guid, guid, name, guid, at.UTC().Format(time.RFC1123Z))
}

func rss(w http.ResponseWriter, items ...string) {
	w.Header().Set("Content-Type", "application/rss+xml")
	fmt.Fprintf(w, `<?xml version="1.0"?><rss version="2.0"><channel><title>Beat</title>%s</channel></rss>`, strings.Join(items, ""))
}

// goodFeeds lists outlets without a fault.
func (b *beat) goodFeeds(n int) string {
	list := "feeds:\n"
	for i := range n {
		list += fmt.Sprintf("  - {url: \"%s/good/%d\", outlet: Good %d, lang: en, country: PK, interval: 1s, expect: 1h}\n", b.URL, i, i)
	}
	return list
}

// beatConfig writes the configuration of an instance that watches for the one name of the world.
func beatConfig(t testing.TB, dir, addr, feeds, channels, notifier string) string {
	t.Helper()
	write(t, dir, "feeds.yaml", feeds)
	write(t, dir, "hook.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	write(t, dir, "lists/a.yaml", list("a", "Xylophone Front")+`rules:
  - {id: reports, title: Reports, query: "xylophone AND report", flag: ["Xylophone report."]}
`)
	return write(t, dir, "tocsin.yaml", fmt.Sprintf(`
data_dir: data
http: {listen: "%s"}
bus: {max_store: 1GiB}
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.0/8], min_interval: 1s, host_gap: 0s}
matcher: {watchlists: lists}
channels:
  - id: good
    file: {path: alerts.jsonl}
%snotifier:
%s`, addr, channels, notifier))
}
