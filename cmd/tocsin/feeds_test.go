package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/fetcher"
)

// tocsin runs one command line in this process.
func tocsin(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(t.Context(), args, std{in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

const smallFeed = `<rss version="2.0"><channel><title>Border Herald</title><item><title>Bridge reopens</title><link>https://herald.example/1</link><guid isPermaLink="false">g1</guid></item></channel></rss>`

// outlets is a server of a page that names feeds, feeds, and a feed that comes and goes.
func outlets(t *testing.T) (*httptest.Server, *sync.Map) {
	t.Helper()
	var hits sync.Map
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := hits.LoadOrStore(r.URL.Path, new(int))
		*n.(*int)++
		switch r.URL.Path {
		case "/":
			fmt.Fprint(w, `<html><head><base href="/sub/"><link rel="alternate" type="application/rss+xml" title="Comments" href="comments.xml"><link rel="alternate" type="application/atom+xml" title="News" href="../news.xml"></head><body>x</body></html>`)
		case "/throttled.xml":
			w.Header().Set("Retry-After", "7200")
			w.WriteHeader(http.StatusTooManyRequests)
		case "/bad.xml":
			fmt.Fprint(w, "<html><title>Log in</title></html>")
		default:
			fmt.Fprint(w, smallFeed)
		}
	}))
	t.Cleanup(srv.Close)
	return srv, &hits
}

func hitsOf(m *sync.Map, path string) int {
	n, ok := m.Load(path)
	if !ok {
		return 0
	}
	return *n.(*int)
}

func TestFeedsAreFoundAddedAndRemoved(t *testing.T) {
	srv, hits := outlets(t)
	dir := t.TempDir()
	list := "# ours\nfeeds:\n  - {url: \"" + srv.URL + "/one.xml\", outlet: One}  # keep\n"
	file := write(t, dir, "feeds.yaml", list)
	config := write(t, dir, "tocsin.yaml", "fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1], host_gap: 0s}\n")
	code, out, errs := tocsin(t, "feeds", "discover", srv.URL+"/", "--config", config)
	news, comments := strings.Index(out, srv.URL+"/news.xml"), strings.Index(out, srv.URL+"/sub/comments.xml")
	if code != 0 || news < 0 || comments < news {
		t.Errorf("discover: %d\n%s%s", code, out, errs)
	}
	if hitsOf(hits, "/") != 1 || hitsOf(hits, "/news.xml") != 0 {
		t.Error("discovery asks the page once and nothing else")
	}
	if code, out, _ = tocsin(t, "feeds", "add", srv.URL+"/", "--config", config); code == 0 || !strings.Contains(out, "/news.xml") {
		t.Errorf("a page was added: %d %s", code, out)
	}
	if code, _, errs = tocsin(t, "feeds", "add", srv.URL+"/news.xml", "--config", config, "--country", "PK", "--tags", "a,b"); code != 0 {
		t.Fatal(errs)
	}
	if hitsOf(hits, "/news.xml") != 1 {
		t.Errorf("adding asked the feed %d times", hitsOf(hits, "/news.xml"))
	}
	text, _ := os.ReadFile(file)
	if want := list + fmt.Sprintf("  - {url: %q, outlet: Border Herald, country: PK, tags: [a, b]}\n", srv.URL+"/news.xml"); string(text) != want {
		t.Errorf("the list is\n%swant\n%s", text, want)
	}
	if code, _, errs = tocsin(t, "feeds", "add", srv.URL+"/news.xml", "--config", config); code != exitUsage || !strings.Contains(errs, "stands there already") {
		t.Errorf("twice: %d %s", code, errs)
	}
	if code, _, errs = tocsin(t, "feeds", "remove", "border herald", "--config", config); code != 0 {
		t.Fatal(errs)
	}
	if text, _ = os.ReadFile(file); string(text) != list {
		t.Errorf("after removing the list is\n%s", text)
	}
	if code, _, errs = tocsin(t, "feeds", "remove", "nobody", "--config", config); code != exitUsage {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs = tocsin(t, "feeds", "remove", "Tabnak"); code != exitUsage || !strings.Contains(errs, "inside the program") {
		t.Errorf("a shipped feed: %d %s", code, errs)
	}
	if code, _, errs = tocsin(t, "feeds", "add", srv.URL+"/x.xml"); code != exitUsage || !strings.Contains(errs, "--file") {
		t.Errorf("without a list: %d %s", code, errs)
	}
}

func TestFeedsImportKeepsWhatCanBeRead(t *testing.T) {
	srv, hits := outlets(t)
	dir := t.TempDir()
	write(t, dir, "feeds.yaml", "feeds:\n  - url: "+srv.URL+"/one.xml\n")
	config := write(t, dir, "tocsin.yaml", "fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1], host_gap: 0s}\n")
	opml := write(t, dir, "in.opml", fmt.Sprintf(`<opml version="2.0"><body><outline text="Region"><outline type="rss" text="One" xmlUrl="%[1]s/one.xml"/><outline type="rss" text="Two" xmlUrl="%[1]s/two.xml"/><outline type="rss" text="Bad" xmlUrl="%[1]s/bad.xml"/></outline></body></opml>`, srv.URL))
	code, out, errs := tocsin(t, "feeds", "import", opml, "--config", config, "--check")
	if code != 0 || !strings.Contains(out, "1 feeds added, 1 stood there already, 1 cannot be read") {
		t.Fatalf("%d %s%s", code, out, errs)
	}
	if hitsOf(hits, "/one.xml") != 0 {
		t.Error("a feed that is listed already was asked")
	}
	cfg, faults := loadConfig(config)
	feeds, more := loadFeeds(&cfg)
	if err := append(faults, more...).Err(); err != nil || len(feeds) != 2 || feeds[1].Outlet != "Two" || strings.Join(feeds[1].Tags, "") != "Region" {
		t.Errorf("%v %+v", err, feeds)
	}
}

func TestChecksOfOneHostKeepTheirDistance(t *testing.T) {
	var mu sync.Mutex
	var at []time.Time
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		at = append(at, time.Now())
		mu.Unlock()
		fmt.Fprint(w, smallFeed)
	}))
	t.Cleanup(srv.Close)
	ch := fetcher.NewChecker(fetcher.Options{Client: func(fetcher.Feed) (*http.Client, error) { return srv.Client(), nil }, UserAgent: "t", HostGap: 60 * time.Millisecond})
	var feeds []fetcher.Feed
	for i := range 5 {
		feeds = append(feeds, fetcher.Feed{URL: fmt.Sprintf("%s/%d", srv.URL, i)})
	}
	start := time.Now()
	done, bad := checkAll(context.Background(), std{out: &bytes.Buffer{}, err: &bytes.Buffer{}}, ch, feeds, 8, func(*fetcher.CheckResult) {})
	if done != 5 || bad != 0 {
		t.Fatalf("%d done, %d bad", done, bad)
	}
	// From the start on, because one late arrival on a busy machine brings the next one nearer to it.
	for i := range at {
		if d := at[i].Sub(start); d < time.Duration(i)*60*time.Millisecond {
			t.Errorf("request %d came %s after the start", i, d)
		}
	}
	if groups := byHost(append(feeds, fetcher.Feed{URL: "https://other.example/"})); len(groups) != 2 || len(groups[0]) != 5 {
		t.Errorf("%d groups", len(groups))
	}
}

func TestFeedsShowAndPollAskTheInstance(t *testing.T) {
	srv, hits := outlets(t)
	dir, addr := t.TempDir(), freeAddr(t)
	write(t, dir, "feeds.yaml", fmt.Sprintf("feeds:\n  - {url: \"%[1]s/news.xml\", outlet: Border Herald}\n  - {url: \"%[1]s/throttled.xml\", outlet: Busy One}\n  - {url: \"%[1]s/bad.xml\", outlet: Busy Two}\n", srv.URL))
	write(t, dir, "key", strings.Repeat("k", 40))
	config := write(t, dir, "tocsin.yaml", fmt.Sprintf("data_dir: data\nhttp: {listen: %q}\nfetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1], host_gap: 0s, websub: {callback: \"https://t.example/websub\", key_file: key}}\n", addr))
	p := start(t, config, addr)
	p.waitReady(2 * time.Minute)
	server := "http://" + addr
	show := func(word string) (d feedDetail) {
		code, out, errs := tocsin(t, "feeds", "show", word, "--server", server, "--format", "json")
		if code != 0 {
			t.Fatalf("show %s: %d %s", word, code, errs)
		}
		if err := json.Unmarshal([]byte(out), &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	waitFor(t, 20*time.Second, "three first polls", func() bool {
		return len(show("border herald").Polls) == 1 && len(show("busy one").Polls) == 1 && len(show("busy two").Polls) == 1
	})
	d := show(srv.URL + "/news.xml")
	if d.Polls[0].New != 1 || d.State != "live" || d.Verdict == "" || show(d.ID[:6]).ID != d.ID {
		t.Errorf("%+v", d)
	}
	if d = show("busy two"); !strings.Contains(d.Head, "Log in") || d.Reason != "not_feed" {
		t.Errorf("%+v", d)
	}
	if code, out, errs := tocsin(t, "feeds", "show", "Border Herald", "--server", server); code != 0 || !strings.Contains(out, "verdict  live: reached") || !strings.Contains(out, "ENTRIES") {
		t.Errorf("%d\n%s%s", code, out, errs)
	}
	if code, _, errs := tocsin(t, "feeds", "show", "busy", "--server", server); code == 0 || !strings.Contains(errs, "several feeds fit") {
		t.Errorf("%d %s", code, errs)
	}
	if code, out, errs := tocsin(t, "feeds", "poll", "Border Herald", "--server", server); code != 0 || !strings.Contains(out, "polled now") {
		t.Errorf("%d %s%s", code, out, errs)
	}
	waitFor(t, 20*time.Second, "the poll that was asked for", func() bool { return len(show("border herald").Polls) == 2 })
	code, out, _ := tocsin(t, "feeds", "poll", "Busy One", "--server", server)
	time.Sleep(300 * time.Millisecond)
	if code != 0 || !strings.Contains(out, "left alone") || hitsOf(hits, "/throttled.xml") != 1 {
		t.Errorf("poll of a throttled feed: %d %s, %d requests", code, out, hitsOf(hits, "/throttled.xml"))
	}
	resp, err := http.Post(server+"/websub/unknown", "text/xml", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown callback: %d", resp.StatusCode)
	}
}

func TestNetworkAlertComesOnceAndEnds(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	first, since := networkAlert(true, time.Time{}, now)
	again, since2 := networkAlert(true, since, now.Add(time.Minute))
	end, since3 := networkAlert(false, since2, now.Add(2*time.Hour))
	if first.Kind != "health" || first.Revision != 1 || again.ID != "" || end.Revision != 2 || end.ID != first.ID || !since3.IsZero() {
		t.Errorf("first %+v\nagain %+v\nend %+v", first, again, end)
	}
	if none, _ := networkAlert(false, time.Time{}, now); none.ID != "" {
		t.Error("an alert without cause")
	}
}

func TestWebSubConfigIsChecked(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "short", "abc")
	write(t, dir, "key", strings.Repeat("k", 40))
	for text, want := range map[string]string{
		`{callback: "https://t.example/websub", key_file: key}`:   "",
		`{callback: "http://t.example/websub", key_file: key}`:    "write https",
		`{callback: "https://t.example/hooks", key_file: key}`:    "end in /websub",
		`{callback: "https://t.example/websub", key_file: short}`: "holds 3 bytes",
		`{callback: "https://t.example/websub", key_file: none}`:  "cannot read key_file none",
		`{key_file: key}`: "is not an address",
	} {
		_, faults := loadConfig(write(t, dir, "tocsin.yaml", "fetcher: {websub: "+text+"}\n"))
		if got := faults.Error(); want == "" && len(faults) > 0 || !strings.Contains(got, want) {
			t.Errorf("%s: %s", text, got)
		}
	}
}

func TestListFileIsNeverHalfWritten(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, "feeds.yaml", "feeds:\n  - url: https://a.example/\n")
	err := editList(file, func([]byte) ([]byte, error) { return nil, fmt.Errorf("no") })
	text, _ := os.ReadFile(file)
	left, _ := filepath.Glob(filepath.Join(dir, ".feeds-*"))
	if err == nil || !strings.Contains(string(text), "a.example") || len(left) != 0 {
		t.Errorf("%v, %q, left %v", err, text, left)
	}
}
