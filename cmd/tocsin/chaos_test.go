package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

// chaos is a webhook receiver of which three answers in ten are wrong: too many requests, a server's fault, a connection that breaks off before or
// after the message was taken, or no answer at all.
type chaos struct {
	*httptest.Server
	mu    sync.Mutex
	rng   *rand.Rand
	calls int
	kept  map[string]int    // how often each delivery was taken, by webhook-id
	named map[string]string // the delivery that first named each alert
	twice []string          // alerts that a second delivery named
}

func openChaos(t testing.TB, seed uint64) *chaos {
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 2)), kept: map[string]int{}, named: map[string]string{}}
	c.Server = httptest.NewServer(http.HandlerFunc(c.serve))
	t.Cleanup(c.Close)
	return c
}

func (c *chaos) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender was killed
	}
	switch fault, after := c.draw(); fault {
	case "429":
		if after != "" {
			w.Header().Set("Retry-After", after) // holds the whole channel
		}
		http.Error(w, "slower", http.StatusTooManyRequests)
	case "503":
		http.Error(w, "later", http.StatusServiceUnavailable)
	case "drop":
		panic(http.ErrAbortHandler)
	case "lose":
		c.keep(r.Header.Get("webhook-id"), body)
		panic(http.ErrAbortHandler)
	case "hang":
		c.keep(r.Header.Get("webhook-id"), body)
		<-r.Context().Done()
	default:
		c.keep(r.Header.Get("webhook-id"), body)
	}
}

func (c *chaos) draw() (fault, after string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	switch x := c.rng.Float64(); {
	case x < 0.08:
		return "429", []string{"", "1"}[c.rng.IntN(20)/19]
	case x < 0.16:
		return "503", ""
	case x < 0.22:
		return "drop", ""
	case x < 0.28:
		return "lose", ""
	case x < 0.30:
		return "hang", ""
	}
	return "", ""
}

func (c *chaos) keep(id string, body []byte) {
	var e struct {
		Data struct {
			Alert    string
			Revision int
			Entries  []string
		}
	}
	err := json.Unmarshal(body, &e)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || id == "" {
		c.twice = append(c.twice, "a body that is no event: "+string(body))
		return
	}
	c.kept[id]++
	if len(e.Data.Entries) == 0 {
		e.Data.Entries = []string{e.Data.Alert + "." + strconv.Itoa(e.Data.Revision)}
	}
	for _, key := range e.Data.Entries {
		if first := c.named[key]; first != "" && first != id {
			c.twice = append(c.twice, key)
		}
		c.named[key] = id
	}
}

func (c *chaos) count() (named, duplicates, calls int, twice []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.named), repeats(c.kept), c.calls, c.twice
}

// chaosConfig sends every alert to four receivers: three at once, the fourth in groups and under a throttle.
func chaosConfig(t testing.TB, w *newsroom.World, dir, addr string, hooks []*chaos) string {
	t.Helper()
	write(t, dir, "feeds.yaml", string(w.FeedsYAML()))
	write(t, dir, "webhook.secret", w.WebhookSecret)
	for name, text := range w.WatchlistsYAML() {
		write(t, dir, "lists/"+name, string(text))
	}
	channels := ""
	for i, h := range hooks {
		channels += fmt.Sprintf(`
  - id: hook%d
    webhook: {url: "%s", secret_file: webhook.secret, allow_http: true, concurrency: 8, timeout: 1s}
    schedule: [0s%s]`, i, h.URL, schedules(60))
	}
	return write(t, dir, "tocsin.yaml", fmt.Sprintf(`
data_dir: data
http: {listen: "%s"}
bus: {max_store: 4GiB}
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1], min_interval: 1s, host_gap: 0s}
matcher: {watchlists: lists}
channels:%s
  - {id: own, file: {path: own.jsonl}}
notifier:
  route:
    channels: [hook0, hook1, hook2]
    routes:
      - {matchers: ['watchlist="tocsin"'], channels: [own]}
      - {id: all, matchers: ['kind=~".*"'], channels: [hook0, hook1, hook2], continue: true}
      - {id: grouped, matchers: ['kind=~".*"'], channels: [hook3], group_by: [watchlist, feed], group_wait: 1s, group_interval: 3s, throttle: {per: 5s, max: 20}}
`, addr, channels))
}

func schedules(n int) (s string) {
	for range n {
		s += ", 1s"
	}
	return s + ", 24h" // never reached; a delivery dies of age after all of it, and a slow machine has a long queue
}

var ledgerLine = regexp.MustCompile(`(?m)^tocsin_ledger_(?:entries\{state="(\w+)"\}|(mismatch)) (\S+)$`)

// identity reads the ledger's counts off a scrape; ok is false while the instance is down.
func identity(addr string) (states map[string]int, ok bool) {
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, false
	}
	states = map[string]int{}
	for _, m := range ledgerLine.FindAllStringSubmatch(string(b), -1) {
		n, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, false
		}
		states[m[1]+m[2]] = int(n)
	}
	return states, len(states) == 6
}

func missingOf(s map[string]int) int {
	return s["accepted"] - s["delivered"] - s["dead"] - s["suppressed"] - s["pending"]
}

// chaosSize is 5,000 deliveries and 10 kills; TOCSIN_SOAK=1 is the full size of `make soak`, a larger number are that many mentions.
func chaosSize() (mentions, feeds, kills int, span time.Duration) {
	const full = 25_000
	switch n, _ := strconv.Atoi(os.Getenv("TOCSIN_SOAK")); {
	case n == 1:
		return full, 100, 30, 10 * time.Minute
	case n > 1:
		return n, 100, max(10, 30*n/full), time.Duration(n) * 10 * time.Minute / full
	}
	return 1250, 20, 10, 15 * time.Second
}

// TestChaos kills the process at random moments while alerts flow to four receivers that answer wrongly three times in ten: every alert is named
// to every receiver, by one delivery; a repetition carries the same id and is counted as ambiguous; the identity holds at every scrape.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("breaks processes of its own for a minute or two: nothing of this process runs at the same time")
	}
	t.Parallel()
	mentions, feeds, kills, span := chaosSize()
	// nothing leaves a feed: a process that is killed again and again would miss it, and that is not what this test is about
	w, err := newsroom.Flood(mentions, feeds, newsroom.Options{Seed: 11, Span: span, Interval: time.Second, Keep: 24 * time.Hour, Window: mentions})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed: %d", seed)
	var hooks []*chaos
	for i := range uint64(4) {
		hooks = append(hooks, openChaos(t, seed+i))
	}
	dir, addr := t.TempDir(), freeAddr(t)
	config := chaosConfig(t, w, dir, addr, hooks)
	rng := rand.New(rand.NewPCG(seed, 1))
	p := start(t, config, addr)
	began, stop, scraped := time.Now(), make(chan struct{}), make(chan int, 1)
	go func() { scraped <- scrape(t, addr, span/100, stop) }()
	for range kills {
		until(hooks, 1+rng.IntN(mentions*len(hooks)/4/kills), mentions, time.Minute)
		p.kill()
		p = start(t, config, addr)
	}
	for end := time.Now().Add(10*span + 2*time.Minute); ; time.Sleep(100 * time.Millisecond) {
		if s, ok := identity(addr); ok && s["pending"] == 0 && s["accepted"] >= len(hooks)*mentions {
			break
		}
		if time.Now().After(end) {
			s, _ := identity(addr)
			t.Fatalf("not at rest: %v\nstatus: %s\ndead: %s\nlog: %s", s, p.get("/api/v1/status"), p.get("/api/v1/dead"), tail(p.output(), 2000))
		}
	}
	close(stop)
	t.Logf("%d deliveries at rest after %s", len(hooks)*mentions, time.Since(began).Round(time.Second))
	checkChaos(t, p, hooks, mentions)
	if n := <-scraped; n < 5 {
		t.Errorf("only %d scrapes", n)
	} else {
		t.Logf("%d scrapes", n)
	}
	if err := p.interrupt(30 * time.Second); err != nil {
		t.Error(err)
	}
}

// until waits for so many more attempts, so that a kill meets deliveries under way; not longer than most, and not when all mentions are named.
func until(hooks []*chaos, attempts, mentions int, most time.Duration) {
	count := func() (calls int, done bool) {
		done = true
		for _, h := range hooks {
			named, _, n, _ := h.count()
			calls += n
			done = done && named == mentions
		}
		return calls, done
	}
	first, done := count()
	for now, end := first, time.Now().Add(most); now < first+attempts && !done && time.Now().Before(end); now, done = count() {
		time.Sleep(10 * time.Millisecond)
	}
}

// scrape reads the identity until it is told to stop, and gives the number of scrapes.
func scrape(t *testing.T, addr string, every time.Duration, stop chan struct{}) (n int) {
	for {
		select {
		case <-stop:
			return n
		case <-time.After(every):
		}
		if s, ok := identity(addr); ok {
			n++
			if missingOf(s) != 0 || s["mismatch"] != 0 {
				t.Errorf("the identity is off by %d: %v", missingOf(s), s)
			}
		}
	}
}

func checkChaos(t *testing.T, p *proc, hooks []*chaos, mentions int) {
	t.Helper()
	var rep ledgerReport
	if err := json.Unmarshal([]byte(p.get("/api/v1/ledger/check?since=24h")), &rep); err != nil {
		t.Fatal(err)
	}
	if !rep.ok() {
		t.Errorf("ledger check: %+v", rep)
	}
	duplicates := 0
	for i, h := range hooks {
		named, more, calls, twice := h.count()
		duplicates += more
		t.Logf("receiver %d: %d attempts, %d alerts named, %d duplicates; ledger %+v", i, calls, named, more, rep.Channels[fmt.Sprint("hook", i)])
		if named != mentions {
			t.Errorf("receiver %d: %d alerts named, %d sent", i, named, mentions)
		}
		if len(twice) > 0 {
			t.Errorf("receiver %d: %d alerts were named under two ids: %s", i, len(twice), twice[0])
		}
		if c := rep.Channels[fmt.Sprint("hook", i)]; c.Delivered != mentions || c.Dead+c.Suppressed+c.Pending != 0 {
			t.Errorf("receiver %d: ledger %+v", i, c)
		}
	}
	t.Logf("%d duplicates, %d ambiguous attempts", duplicates, rep.Ambiguous)
	if duplicates > rep.Ambiguous {
		t.Errorf("%d duplicates, only %d ambiguous attempts in the ledger", duplicates, rep.Ambiguous)
	}
}
