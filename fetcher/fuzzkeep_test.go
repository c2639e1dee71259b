package fetcher

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	counters "runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/mmcdole/gofeed"
)

// plainly reads a document with gofeed alone, as programs do that repair nothing.
func plainly(body []byte) (items []*gofeed.Item) {
	defer func() {
		if recover() != nil {
			items = nil
		}
	}()
	feed, err := gofeed.NewParser().Parse(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	for _, it := range feed.Items {
		if it != nil && (plain(it.Title) != "" || webAddress(strings.TrimSpace(it.Link))) {
			items = append(items, it)
		}
	}
	return items
}

// Whatever plain parsing finds, ours finds too: cleaning and repair lose nothing. What the limits refuse is left out.
func FuzzRepairKeeps(f *testing.F) {
	for _, s := range fuzzSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 64<<10 || bytes.Count(body, []byte("<")) > 2000 {
			return
		}
		want := plainly(body)
		if len(want) == 0 {
			return
		}
		doc := Document{Body: body, URL: "https://h.example/feed", Feed: Feed{ID: "f"}, FirstSeen: noon}
		res, err := Parse(doc)
		if err != nil {
			switch fl := asFault(err); fl.Reason {
			case ReasonRefusedNesting, ReasonRefusedSize, ReasonEncoding:
				return
			default:
				t.Fatalf("plain parsing finds %d items, ours says: %s", len(want), err)
			}
		}
		if res.Refused == nil && len(res.Entries) < len(want) {
			t.Fatalf("plain parsing finds %d items, ours %d: %v", len(want), len(res.Entries), res.Degraded)
		}
	})
}

// allocated is the sum of all that was ever allocated. Unlike runtime.ReadMemStats it stops nothing, which cost more than a run.
func allocated() uint64 {
	s := []counters.Sample{{Name: "/gc/heap/allocs:bytes"}}
	counters.Read(s)
	return s[0].Value.Uint64()
}

// What the scan passes is parsed in bounded time and memory; nothing makes it panic.
func FuzzScan(f *testing.F) {
	for _, s := range fuzzSeeds() {
		f.Add([]byte(s))
	}
	f.Add([]byte("<rss " + strings.Repeat(`xmlns:a="b" `, 70) + ">"))
	f.Add([]byte("<feed>" + strings.Repeat("<x:y>", 300)))
	f.Fuzz(func(t *testing.T, text []byte) {
		before, start := allocated(), processorTime()
		out, err := scan(text)
		if root := out.root; err == nil && (root == "rss" || root == "rdf" || root == "feed") {
			end := len(text)
			if out.end > 0 {
				end = int(out.end)
			}
			_, _ = newParser().Parse(bytes.NewReader(neutral(text[:end], out.typed))) // what it says is judged elsewhere
		}
		if took := processorTime() - start; took > 3*time.Second {
			t.Fatalf("took %s", took)
		}
		if n := allocated() - before; n > 512<<20 {
			t.Fatalf("%d MB", n>>20)
		}
		for _, e := range out.entries() {
			if e.start < 0 || e.end > int64(len(text)) || e.end < e.start {
				t.Fatalf("entry from %d to %d of %d bytes", e.start, e.end, len(text))
			}
		}
	})
}

// Whatever a stranger sends to the callback: no panic, no deed, and the answers of the standard.
func FuzzWebSubRequest(f *testing.F) {
	f.Add("POST", "sha256=00", "hub.mode=subscribe", "<rss/>", true)
	f.Add("GET", "", "hub.mode=subscribe&hub.topic=x&hub.challenge=y&hub.lease_seconds=-1", "", true)
	f.Add("GET", "sha1", "hub.mode=denied;&%zz", "", false)
	w := &WebSub{Callback: "https://t.example/websub", Key: bytes.Repeat([]byte("k"), 32)}
	f.Fuzz(func(t *testing.T, method, signature, query, body string, known bool) {
		r := newRig(t, func(o *Options) { o.WebSub = w }, Feed{URL: "https://h.example/rss"})
		path := "/websub/" + strings.Repeat("0", 16) + "-" + strings.Repeat("0", 32)
		if known {
			path = strings.TrimPrefix(w.callback(r.id(0)), "https://t.example")
		}
		q := &http.Request{
			Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{"X-Hub-Signature": {signature}},
			Body: io.NopCloser(strings.NewReader(body)),
		}
		rec := httptest.NewRecorder()
		r.f.WebSub().ServeHTTP(rec, q)
		if len(r.items) > 0 || len(r.armed) > 0 {
			t.Fatalf("%s with signature %q published", method, signature)
		}
		if code := rec.Code; !known && code != 404 || code == 200 || code >= 500 {
			t.Fatalf("%s %q answered %d", method, query, code)
		}
		if got := leaseOf(query); got < leaseLeast || got > 400*day {
			t.Fatalf("lease %s", got)
		}
		if _, ok := w.feedOf(query); ok {
			t.Fatal("a guessed path counts")
		}
	})
}

func FuzzAppendFeeds(f *testing.F) {
	f.Add("feeds:\n  - {url: \"https://a.example/\"}\n", "https://b.example/rss", "B")
	f.Add("feeds: []\n# x\ndefaults: {lang: en}\n", "https://b.example/rss?a=b&c", "a: b # c")
	f.Fuzz(func(t *testing.T, list, address, outlet string) {
		fd := Feed{URL: address, Outlet: outlet}
		if checkURL(address) != nil {
			return
		}
		old, _ := readYAML("l.yaml", []byte(list))
		out, err := AppendFeeds("l.yaml", []byte(list), fd)
		if err != nil {
			return
		}
		again, faults := readYAML("l.yaml", out)
		if err := faults.Err(); err != nil || len(again) != len(old)+1 {
			t.Fatalf("%d feeds became %d, %v\n%s", len(old), len(again), err, out)
		}
		if fmt.Sprint(addresses(again[:len(old)])) != fmt.Sprint(addresses(old)) {
			t.Fatal("old feeds changed")
		}
	})
}
