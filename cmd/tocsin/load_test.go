package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/bus/bustest"
)

const (
	loadAliases = 10_000
	loadPerFeed = 100 // items in a document
	loadShare   = 100 // one item in so many names something that is watched
)

// origin serves so many feeds of loadPerFeed items each, and takes the alerts.
type origin struct {
	*httptest.Server
	first atomic.Int64 // Unix nanoseconds of the first request
	mu    sync.Mutex
	took  []time.Duration // of each alert, from the moment its feed was asked
	last  time.Time
	asked map[string]time.Time
}

func openOrigin(b *testing.B) *origin {
	o := &origin{asked: map[string]time.Time{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /feed/{n}", o.feed)
	mux.HandleFunc("POST /hook", o.hook)
	o.Server = httptest.NewServer(mux)
	b.Cleanup(o.Close)
	return o
}

func (o *origin) feed(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.PathValue("n"))
	now := time.Now()
	o.first.CompareAndSwap(0, now.UnixNano())
	o.mu.Lock()
	if o.asked[r.PathValue("n")].IsZero() {
		o.asked[r.PathValue("n")] = now
	}
	o.mu.Unlock()
	items := make([]string, loadPerFeed)
	for i := range items {
		k := n*loadPerFeed + i
		title := fmt.Sprintf("Harvest of district %d is ordinary, officials of office %d say", k, k*7)
		if k%loadShare == 0 {
			title = fmt.Sprintf("%s was seen near feed-%d-end this morning", loadName(k/loadShare%loadAliases), n)
		}
		items[i] = fmt.Sprintf("<item><guid isPermaLink=\"false\">k%d</guid><link>http://example.org/%d</link><title>%s</title><description>%s</description><pubDate>%s</pubDate></item>",
			k, k, title, strings.Repeat("The ministry said on Monday that the work would go on as it was planned. ", 20), now.UTC().Format(time.RFC1123Z))
	}
	rss(w, items...)
}

// loadName is a name of two made-up words that no other shares.
func loadName(i int) string {
	const a, b = "bdfgklmnprstvz", "aeiou"
	word := func(n int) string {
		out := []byte{}
		for range 4 {
			out = append(out, a[n%14], b[n/14%5])
			n /= 70
			n += 3
		}
		return strings.ToUpper(string(out[:1])) + string(out[1:])
	}
	return word(i) + " " + word(i/70+4900*(i%70)) + "x"
}

func (o *origin) hook(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	_, rest, _ := strings.Cut(string(body), "near feed-")
	n, _, found := strings.Cut(rest, "-end")
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); found {
		o.last, o.took = now, append(o.took, now.Sub(o.asked[n]))
	}
}

func (o *origin) told() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.took)
}

// loadRunConfig is the configuration of a run; ADDRESS and BUS stand for what differs between its processes.
func loadRunConfig(b *testing.B, o *origin, dir string, items int) string {
	var feeds strings.Builder
	feeds.WriteString("defaults: {interval: 24h, lang: en}\nfeeds:\n")
	for i := range items / loadPerFeed {
		fmt.Fprintf(&feeds, "  - {url: \"%s/feed/%d\", backfill: true}\n", o.URL, i)
	}
	for l := range loadAliases / 1000 {
		list := fmt.Sprintf("id: load%d\ntitle: Load\nentities:\n", l)
		for i := range 1000 {
			list += fmt.Sprintf("  - {id: e%d, name: %q, aliases: {en: [%[2]q]}}\n", l*1000+i, loadName(l*1000+i))
		}
		write(b, dir, fmt.Sprintf("lists/load%d.yaml", l), list)
	}
	write(b, dir, "feeds.yaml", feeds.String())
	write(b, dir, "hook.secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	return fmt.Sprintf(`
http: {listen: "ADDRESS"}
BUS
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.0/8], min_interval: 1s, host_gap: 0s}
matcher: {watchlists: lists}
channels: [{id: hook, webhook: {url: "%s/hook", secret_file: hook.secret, allow_http: true, concurrency: 16}}]
notifier: {stories: none, route: {channels: [hook]}}
`, o.URL)
}

// BenchmarkLoad sends TOCSIN_ITEMS items (20,000 when not stated), one in a hundred of which names one of 10,000 aliases, from the first request of a
// feed to the last webhook: in one process, and as roles on one server with one matcher and with two.
func BenchmarkLoad(b *testing.B) {
	items := 20_000
	if text := os.Getenv("TOCSIN_ITEMS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		items = n
	}
	for _, c := range []struct {
		name  string
		roles []string
	}{{"one process", []string{""}}, {"one matcher", []string{"matcher", "notifier", "fetcher"}}, {"two matchers", []string{"matcher", "matcher", "notifier", "fetcher"}}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				loadOnce(b, items, c.roles)
			}
		})
	}
}

func loadOnce(b *testing.B, items int, roles []string) {
	o, dir := openOrigin(b), b.TempDir()
	text := loadRunConfig(b, o, dir, items)
	busText := "data_dir: data\nbus: {max_store: 8GiB}"
	if len(roles) > 1 {
		busText = fmt.Sprintf("bus: {url: %q, setup: true, max_store: 3GiB}", bustest.Server(b).ClientURL())
	}
	var all []*proc
	for i, role := range roles {
		addr := freeAddr(b)
		t := strings.Replace(strings.Replace(text, "ADDRESS", addr, 1), "BUS", busText, 1)
		var extra []string
		if role != "" {
			extra = []string{"--roles", role}
		}
		p := start(b, write(b, dir, fmt.Sprintf("p%d.yaml", i), t), addr, extra...)
		p.waitReady(2 * time.Minute)
		all = append(all, p)
	}
	waitFor(b, 10*time.Minute, "all alerts", func() bool { return o.told() >= items/loadShare })
	var rss int64
	cpu := 0.0
	for _, p := range all {
		rss += p.rss()
		cpu += cpuSeconds(b, p.get("/metrics"))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	slices.Sort(o.took)
	b.ReportMetric(float64(items)/o.last.Sub(time.Unix(0, o.first.Load())).Seconds(), "items/s")
	b.ReportMetric(o.took[len(o.took)*99/100].Seconds()*1000, "p99-ms")
	b.ReportMetric(o.took[len(o.took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(float64(rss)/1e6, "rss-MB")
	b.ReportMetric(1000*cpu/float64(items), "cpu-ms/item")
	b.ReportMetric(0, "ns/op")
	for _, p := range all {
		p.kill()
	}
}
