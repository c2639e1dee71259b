package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// syncBuffer takes the log and output of an instance, and forgets the oldest of much.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b.Len() > 256<<10 {
		s.b.Next(128 << 10)
	}
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// within is an instance inside the test process.
type within struct {
	*instance
	log  *syncBuffer
	addr string
	stop func()
}

func openWithin(t testing.TB, dir, config string) *within {
	t.Helper()
	w, err := tryWithin(t, dir, config)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func tryWithin(t testing.TB, dir, config string) (*within, error) {
	t.Helper()
	cfg, faults := loadConfig(write(t, dir, "tocsin.yaml", config))
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	w := &within{log: &syncBuffer{}}
	var err error
	w.instance, err = open(t.Context(), cfg, roles{true, true, true}, slog.New(slog.NewTextHandler(w.log, nil)), std{out: w.log, err: w.log})
	if err != nil {
		return nil, err
	}
	w.addr = w.listen.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("instance stopped with %v", err)
		}
	})
	t.Cleanup(w.stop)
	waitFor(t, 20*time.Second, "instance to be ready", w.ready.Load)
	return w, nil
}

func (w *within) get(t testing.TB, path string) string {
	t.Helper()
	resp, err := http.Get("http://" + w.addr + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// watchlists is the state of the watchlists.
func (w *within) lists() listStatus { return w.reload.lists[0].status() }

const quietConfig = `
data_dir: data
http: {listen: "127.0.0.1:0"}
fetcher: {feeds: [feeds.yaml]}
matcher: {watchlists: lists}
`

// quietFeeds is a feed list that is never polled.
const quietFeeds = "feeds:\n  - {url: \"http://127.0.0.1:1/none.xml\", outlet: None, lang: en, paused: true}\n"

func list(id, alias string) string {
	return fmt.Sprintf("id: %s\ntitle: T\nentities:\n  - id: %s-front\n    name: Front\n    aliases: {en: [%s]}\n    flag: [\"The %s met.\"]\n", id, id, alias, alias)
}

func TestReloadRefusesAndRecovers(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "feeds.yaml", quietFeeds)
	write(t, dir, "lists/a.yaml", list("a", "Xylophone Front"))
	w := openWithin(t, dir, quietConfig)
	first := w.lists().Revision

	write(t, dir, "lists/a.yaml", strings.Replace(list("a", "Yellow Front"), "The Yellow", "A yellow house in", 1))
	waitFor(t, 20*time.Second, "refusal of a list whose sentence fails", func() bool { return !w.lists().OK })
	if s := w.lists(); s.Revision != first || w.match.Revision() != first || !strings.Contains(s.Refused, "a.yaml:7:12: ") {
		t.Errorf("after the refusal: %+v", s)
	}
	for path, want := range map[string]string{
		"/metrics": `tocsin_config_last_reload_successful{what="watchlists"} 0`, "/api/v1/status": `"ok":false`, "/": "the watchlists were refused: a.yaml:7:12: ",
		"/system": "The watchlists were refused",
	} {
		if got := w.get(t, path); !strings.Contains(got, want) {
			t.Errorf("%s does not say %q", path, want)
		}
	}
	waitFor(t, 20*time.Second, "the health alert", func() bool { return strings.Contains(w.log.String(), "Watchlists refused: 1 fault") })
	if got := w.log.String(); !strings.Contains(got, `level=ERROR msg="lists refused, the last good ones keep running" component=watchlists file=`) || !strings.Contains(got, "line=7") {
		t.Errorf("the log does not name file and line:\n%s", got)
	}

	write(t, dir, "lists/a.yaml", list("a", "Yellow Front"))
	waitFor(t, 20*time.Second, "the mended list", func() bool { return w.lists().OK && w.lists().Revision != first })
	if w.match.Revision() != w.lists().Revision || w.index.Load().Revision() != w.lists().Revision {
		t.Error("the mended list is not what matches")
	}
	waitFor(t, 20*time.Second, "the alert that it is over", func() bool { return strings.Contains(w.log.String(), "Watchlists accepted again") })
	if got := w.get(t, "/metrics"); !strings.Contains(got, `tocsin_config_last_reload_successful{what="watchlists"} 1`) {
		t.Error("the metric still says refused")
	}
}

// TestHangup sends SIGHUP after an edit that names, sizes and times do not show: it is read at once, and the program goes on.
func TestHangup(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	write(t, dir, "feeds.yaml", quietFeeds)
	file := write(t, dir, "lists/a.yaml", list("a", "Xylophone Front"))
	p := start(t, write(t, dir, "tocsin.yaml", strings.Replace(quietConfig, "127.0.0.1:0", addr, 1)), addr)
	p.waitReady(2 * time.Minute)
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "lists/a.yaml", list("a", "Xylophone Frond"))
	if err := os.Chtimes(file, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 10*time.Second, "the edit to be live", func() bool { return strings.Contains(p.output(), "msg=\"lists live\" component=watchlists") })
	t.Logf("live after %s", time.Since(began).Round(time.Millisecond))
	if err := p.interrupt(30 * time.Second); err != nil {
		t.Error(err)
	}
}

func TestReloadFeeds(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "feeds.yaml", quietFeeds)
	write(t, dir, "lists/a.yaml", list("a", "Xylophone Front"))
	w := openWithin(t, dir, quietConfig)
	for _, c := range []struct {
		text  string
		feeds int
		ok    bool
	}{
		{quietFeeds + "  - {url: \"http://127.0.0.1:1/more.xml\", outlet: More, lang: en, paused: true}\n", 2, true},
		{"feeds:\n  - {url: nothing}\n", 2, false},
		{"feeds: []\n", 2, false},
		{quietFeeds, 1, true},
	} {
		write(t, dir, "feeds.yaml", c.text)
		all := w.reload.all(t.Context())
		status, err := w.fetch.Status(t.Context())
		if err != nil || len(status) != c.feeds || all[1].OK != c.ok {
			t.Errorf("%q gives %d feeds, %+v, %v", c.text, len(status), all[1], err)
		}
	}
}

// TestLastGoodAtStart breaks the lists between two runs: the second begins with what was accepted last, and says so. A first start refuses.
func TestLastGoodAtStart(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "feeds.yaml", quietFeeds)
	write(t, dir, "lists/a.yaml", "id: broken\n")
	if _, err := tryWithin(t, dir, quietConfig); err == nil || !strings.Contains(err.Error(), "a.yaml:1:") {
		t.Fatalf("a first start with broken lists gives %v", err)
	}
	write(t, dir, "lists/a.yaml", list("a", "Xylophone Front"))
	w := openWithin(t, dir, quietConfig)
	first := w.lists().Revision
	waitFor(t, 20*time.Second, "the set in the bucket", func() bool {
		r, _, err := w.setStore().record(t.Context())
		return err == nil && r.Revision == first
	})
	w.stop()
	write(t, dir, "lists/a.yaml", "id: broken\n")
	w = openWithin(t, dir, quietConfig)
	if s := w.lists(); s.Revision != first || w.match.Revision() != first || s.OK || s.From != fromLastGood {
		t.Errorf("second start: %+v", s)
	}
	write(t, dir, "lists/a.yaml", list("a", "Yellow Front"))
	waitFor(t, 20*time.Second, "the mended list", func() bool { return w.lists().OK && w.lists().From == fromFiles })
}

// TestClusterFollows runs two instances on one server: what one accepts the other follows, and a restart with an old folder does not go back.
func TestClusterFollows(t *testing.T) {
	s := bustest.Server(t)
	config := strings.Replace(quietConfig, "data_dir: data", fmt.Sprintf("bus: {url: %q, setup: true, max_store: 1GiB}", s.ClientURL()), 1)
	one, two := t.TempDir(), t.TempDir()
	for _, dir := range []string{one, two} {
		write(t, dir, "feeds.yaml", quietFeeds)
		write(t, dir, "lists/a.yaml", list("a", "Xylophone Front"))
	}
	a := openWithin(t, one, config)
	b := openWithin(t, two, strings.Replace(config, "watchlists: lists", "watchlists: shipped", 1))
	old := a.lists().Revision
	waitFor(t, 20*time.Second, "b to follow a from the start", func() bool { return b.match.Revision() == old })

	write(t, one, "lists/a.yaml", list("a", "Yellow Front"))
	waitFor(t, 20*time.Second, "a to load its edit", func() bool { return a.match.Revision() != old })
	waitFor(t, 20*time.Second, "b to follow", func() bool { return b.match.Revision() == a.match.Revision() })
	if s := b.lists(); s.From != fromCluster || !s.OK {
		t.Errorf("b: %+v", s)
	}
	latest := a.match.Revision()

	write(t, one, "lists/a.yaml", "id: broken\n")
	waitFor(t, 20*time.Second, "a to refuse", func() bool { return !a.lists().OK })
	if b.match.Revision() != latest || a.match.Revision() != latest {
		t.Error("a broken edit changed what matches")
	}

	c := openWithin(t, two, config) // its folder is the one that a began with
	if got := c.match.Revision(); got != latest {
		t.Errorf("an old folder went live: %s, want %s", got, latest)
	}
	write(t, two, "lists/b.yaml", list("b", "Zebra Front"))
	waitFor(t, 20*time.Second, "all to follow c", func() bool {
		r := c.match.Revision()
		return r != latest && a.match.Revision() == r && b.match.Revision() == r
	})
	if a.lists().OK {
		t.Error("a hides that its own folder is broken")
	}
}

// manyAliases is a list of n aliases; version changes its revision and nothing else.
func manyAliases(n, version int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "id: big\ntitle: Version %d\nentities:\n", version)
	for i := range n {
		if i%100 == 0 {
			fmt.Fprintf(&b, "%s- id: e%d\n  name: E%d\n  aliases:\n    en: [", map[bool]string{true: "]\n"}[i > 0], i/100, i/100)
		} else {
			b.WriteByte(',')
		}
		b.WriteString(manyAlias(i))
	}
	b.WriteString("]\n")
	return b.String()
}

func manyAlias(i int) string {
	var s [4]byte
	for k := range s {
		s[k] = byte('a' + i%20)
		i /= 20
	}
	return "q" + string(s[:2]) + " w" + string(s[2:])
}

func matchesOf(t testing.TB, w *within) map[string][]string {
	t.Helper()
	revisions := map[string][]string{}
	err := w.bus.ReadMatches(t.Context(), time.Time{}, false, func(m news.Match, _ bus.Meta) error {
		revisions[m.Item.ID] = append(revisions[m.Item.ID], m.Revision)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return revisions
}

// TestReloadUnderLoad reloads a list of 100,000 aliases while items stream in: each item is matched once, by one revision or the other.
func TestReloadUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const aliases, reloads = 100_000, 4
	dir := t.TempDir()
	write(t, dir, "feeds.yaml", quietFeeds)
	write(t, dir, "lists/big.yaml", manyAliases(aliases, 0))
	w := openWithin(t, dir, strings.Replace(quietConfig, "watchlists: lists", "watchlists: lists, workers: 4", 1))
	published, stop := make(chan int), make(chan struct{})
	go func() {
		n := 0
		defer func() { published <- n }()
		for ; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			it := news.Item{ID: fmt.Sprintf("%032x", n), Revision: "r", Reason: news.ReasonNew, Feed: "f", Lang: "en", Title: "The " + manyAlias(n*37%aliases) + " met", FirstSeen: time.Now()}
			if _, err := w.bus.PublishItem(t.Context(), it); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for v := range reloads {
		write(t, dir, "lists/big.yaml", manyAliases(aliases, v+1))
		began := time.Now()
		if s := w.reload.all(t.Context())[0]; !s.OK {
			t.Fatal(s.Refused)
		}
		t.Logf("reload of %d aliases under load: %s", aliases, time.Since(began).Round(time.Millisecond))
	}
	close(stop)
	n := <-published
	var got map[string][]string
	waitFor(t, 60*time.Second, "all items to be matched", func() bool { got = matchesOf(t, w); return len(got) >= n })
	used := map[string]int{}
	for id, revisions := range got {
		if len(revisions) != 1 {
			t.Errorf("item %s is matched by %v", id, revisions)
		}
		used[revisions[0]]++
	}
	t.Logf("%d items, each matched once; by revision: %v", n, used)
	if len(used) < 3 {
		t.Errorf("only %d revisions matched: the test did not load", len(used))
	}
}

// TestReloadsLeaveMemoryFlat reloads a thousand times, after as many that fill caches: the heap at the end is that of the beginning.
func TestReloadsLeaveMemoryFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	dir := t.TempDir()
	write(t, dir, "feeds.yaml", quietFeeds)
	write(t, dir, "lists/big.yaml", manyAliases(200, 0))
	w := openWithin(t, dir, quietConfig)
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc) / 1e6
	}
	const reloads, warm = 2000, 1000 // the server's own caches of what it stored fill first
	var x, y []float64
	began := time.Now()
	for i := range reloads {
		if err := os.WriteFile(filepath.Join(dir, "lists/big.yaml"), []byte(manyAliases(200, i+1)), 0o600); err != nil {
			t.Fatal(err)
		}
		if s := w.reload.all(t.Context())[0]; !s.OK {
			t.Fatal(s.Refused)
		}
		if i >= warm && i%50 == 0 {
			x, y = append(x, float64(i)), append(y, heap())
		}
	}
	per := slope(x, y) * 1000
	t.Logf("%d reloads in %s; heap %.1f MB at %g, %.1f MB at %g; slope %.3f MB per 1,000 reloads", reloads, time.Since(began).Round(time.Second), y[0], x[0], y[len(y)-1], x[len(x)-1], per)
	if per > 1 {
		t.Errorf("memory grows by %.1f MB in 1,000 reloads", per)
	}
	if got := strings.Count(w.get(t, "/metrics"), "tocsin_watchlist_info{"); got > 2 {
		t.Errorf("%d series of tocsin_watchlist_info: old revisions stay", got)
	}
}

// slope is that of the line of least squares.
func slope(x, y []float64) float64 {
	var sx, sy, sxx, sxy float64
	for i := range x {
		sx, sy, sxx, sxy = sx+x[i], sy+y[i], sxx+x[i]*x[i], sxy+x[i]*y[i]
	}
	n := float64(len(x))
	return (n*sxy - sx*sy) / (n*sxx - sx*sx)
}

// BenchmarkReload reads, judges, swaps and stores a list of 100,000 aliases.
func BenchmarkReload(b *testing.B) {
	dir := b.TempDir()
	write(b, dir, "feeds.yaml", quietFeeds)
	write(b, dir, "lists/big.yaml", manyAliases(100_000, 0))
	w := openWithin(b, dir, quietConfig)
	v := 0
	for b.Loop() {
		b.StopTimer()
		v++
		write(b, dir, "lists/big.yaml", manyAliases(100_000, v))
		b.StartTimer()
		if s := w.reload.all(b.Context())[0]; !s.OK {
			b.Fatal(s.Refused)
		}
	}
}
