package newsroom

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mmcdole/gofeed"
	"golang.org/x/text/encoding/unicode"
)

func start(t *testing.T, o Options) *World {
	t.Helper()
	w, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

func get(t *testing.T, url string, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

// read parses a document as a reader must: UTF-16 is decoded first, because encoding/xml cannot begin without it.
func read(t *testing.T, f Feed, body []byte) *gofeed.Feed {
	t.Helper()
	if f.Encoding == "utf-16" {
		b, err := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(body)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.Replace(b, []byte("utf-16"), []byte("utf-8"), 1)
	}
	parsed, err := gofeed.NewParser().Parse(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v\n%.600s", f.Outlet, err, body)
	}
	return parsed
}

func feedOf(t *testing.T, w *World, trait string) Feed {
	t.Helper()
	for _, f := range w.Feeds() {
		if slices.Contains(f.Traits, trait) || f.Outlet == trait {
			return f
		}
	}
	t.Fatalf("no outlet is or has %q", trait)
	return Feed{}
}

func TestEveryProperFeedParsesWithWholeText(t *testing.T) {
	w := start(t, Options{Span: time.Millisecond, Slow: time.Millisecond, Noise: 2, Window: 10_000})
	time.Sleep(5 * time.Millisecond)
	titles := map[string][]string{}
	n := map[string]int{}
	for _, it := range w.items {
		titles[it.url] = []string{it.Title}
		for _, e := range it.edits {
			titles[it.url] = append(titles[it.url], e.title)
		}
		n[it.Outlet]++
		if it.twice {
			n[it.Outlet]++
		}
	}
	for _, f := range w.Feeds() {
		if slices.Contains(f.Traits, "error") || slices.Contains(f.Traits, "broken") || slices.Contains(f.Traits, "dies") {
			continue
		}
		t.Run(f.Outlet, func(t *testing.T) {
			url := f.URL
			if slices.Contains(f.Traits, "redirects") {
				res, _ := get(t, url, nil)
				if res.StatusCode != http.StatusMovedPermanently {
					t.Fatalf("status %d, want 301", res.StatusCode)
				}
				url = strings.TrimSuffix(f.URL, "/old/feed") + res.Header.Get("Location")
			}
			res, body := get(t, url, map[string]string{"Accept-Encoding": "identity"})
			if res.StatusCode != http.StatusOK {
				t.Fatalf("status %d", res.StatusCode)
			}
			parsed := read(t, f, body)
			if len(parsed.Items) != n[f.Outlet] {
				t.Errorf("%d entries, want %d", len(parsed.Items), n[f.Outlet])
			}
			for _, it := range parsed.Items {
				link := it.Link
				if !strings.HasPrefix(link, "http") { // relative to xml:base
					link = strings.TrimSuffix(f.URL, "atom.xml") + link
				}
				want, ok := titles[link]
				if !ok {
					t.Fatalf("entry with unknown link %q", it.Link)
				}
				if !slices.Contains(want, it.Title) {
					t.Errorf("title %q, want one of %q", it.Title, want)
				}
				if it.Description == "" && it.Content == "" {
					t.Errorf("%s: no text", link)
				}
				wantGUID := f.Format == "atom" || f.Format == "json" || f.Format == "rss2" && !slices.Contains(f.Traits, "no-guid")
				if wantGUID != (it.GUID != "") && f.Format != "rss1" {
					t.Errorf("%s: guid %q", link, it.GUID)
				}
				if slices.Contains(f.Traits, "no-date") != (it.PublishedParsed == nil) {
					t.Errorf("%s: published %q", link, it.Published)
				}
			}
		})
	}
}

func TestBrokenFeedKeepsWholeItems(t *testing.T) {
	w := start(t, Options{Span: time.Millisecond, Noise: -1})
	time.Sleep(5 * time.Millisecond)
	f := feedOf(t, w, "broken")
	_, body := get(t, f.URL, nil)
	if _, err := gofeed.NewParser().Parse(bytes.NewReader(body)); err == nil {
		t.Error("the broken feed parses: it proves nothing")
	}
	for _, it := range w.Items() {
		if it.Outlet == f.Outlet && !bytes.Contains(body, []byte("<title>"+esc(it.Title)+"</title>\n<link>"+it.URL)) {
			t.Errorf("item %s is not whole", it.ID)
		}
	}
}

func TestConditionalRequests(t *testing.T) {
	w := start(t, Options{Span: 10_000 * time.Hour, Slow: time.Millisecond})
	for _, f := range w.Feeds() {
		if slices.Contains(f.Traits, "error") || slices.Contains(f.Traits, "redirects") {
			continue
		}
		res, _ := get(t, f.URL, nil)
		tag, mod := res.Header.Get("ETag"), res.Header.Get("Last-Modified")
		if (tag == "") != slices.Contains(f.Traits, "no-etag") || mod == "" {
			t.Errorf("%s: ETag %q, Last-Modified %q", f.Outlet, tag, mod)
		}
		for _, h := range []map[string]string{{"If-None-Match": tag}, {"If-Modified-Since": mod}} {
			if res, body := get(t, f.URL, h); h["If-None-Match"]+h["If-Modified-Since"] != "" && (res.StatusCode != http.StatusNotModified || len(body) > 0) {
				t.Errorf("%s: %v gives %d", f.Outlet, h, res.StatusCode)
			}
		}
		if res, _ := get(t, f.URL, map[string]string{"If-None-Match": `"other"`, "If-Modified-Since": mod}); tag != "" && res.StatusCode != http.StatusOK {
			t.Errorf("%s: a wrong tag beside a good date gives %d", f.Outlet, res.StatusCode)
		}
	}
}

func TestLastModifiedMovesWithEveryChange(t *testing.T) {
	w := start(t, Options{Span: 2 * time.Second})
	f := feedOf(t, w, "no-etag")
	seen := map[string]string{}
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		res, body := get(t, f.URL, nil)
		mod := res.Header.Get("Last-Modified")
		if old, ok := seen[mod]; ok && old != string(body) {
			t.Fatalf("two documents with Last-Modified %s", mod)
		}
		seen[mod] = string(body)
	}
	if len(seen) < 3 {
		t.Fatalf("only %d documents in a second", len(seen))
	}
}

func TestGzipOnlyWhenAccepted(t *testing.T) {
	w := start(t, Options{})
	f := feedOf(t, w, "gzip")
	plain, body := get(t, f.URL, map[string]string{"Accept-Encoding": "identity"})
	packed, zipped := get(t, f.URL, map[string]string{"Accept-Encoding": "gzip"})
	if plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("encodings %q and %q", plain.Header.Get("Content-Encoding"), packed.Header.Get("Content-Encoding"))
	}
	z, err := gzip.NewReader(bytes.NewReader(zipped))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || !bytes.Equal(got, body) {
		t.Fatalf("unpacked document differs (%v)", err)
	}
}

func TestDeadErrorAndSlowOutlets(t *testing.T) {
	w := start(t, Options{Span: 400 * time.Millisecond, Slow: 150 * time.Millisecond})
	dies := feedOf(t, w, "dies")
	if res, _ := get(t, dies.URL, nil); res.StatusCode != http.StatusOK {
		t.Errorf("the dying outlet answers %d at first", res.StatusCode)
	}
	if res, _ := get(t, feedOf(t, w, "error").URL, nil); res.StatusCode != http.StatusInternalServerError {
		t.Errorf("the failing outlet answers %d", res.StatusCode)
	}
	before := time.Now()
	get(t, feedOf(t, w, "slow").URL, nil)
	if d := time.Since(before); d < 150*time.Millisecond {
		t.Errorf("the slow outlet answers after %s", d)
	}
	time.Sleep(250 * time.Millisecond)
	if res, _ := get(t, dies.URL, nil); res.StatusCode != http.StatusGone {
		t.Errorf("the dying outlet answers %d at last", res.StatusCode)
	}
}

func TestItemsStayUntilTheyWereServed(t *testing.T) {
	w := start(t, Options{Span: time.Millisecond, Window: 1, Keep: time.Nanosecond, Noise: -1, Slow: time.Millisecond})
	time.Sleep(5 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, f := range w.Feeds() {
		if !slices.Contains(f.Traits, "dies") && !slices.Contains(f.Traits, "error") {
			url := f.URL
			if slices.Contains(f.Traits, "redirects") {
				url = strings.Replace(url, "/old/feed", "/index.rdf", 1)
			}
			get(t, url, nil)
		}
	}
	n := w.Unserved()
	if err := w.WaitServed(ctx); err == nil || n == 0 {
		t.Error("the dead outlet's items count as served")
	}
	for _, r := range w.Report(nil).Rows {
		if r.State == Waiting && r.Item.Outlet != feedOf(t, w, "dies").Outlet {
			t.Errorf("%s was not served", r.Item.ID)
		}
	}
}

// TestIdsAreShared keeps the script's awkward ids: an entry that stands twice, and two entries of one document under one id.
func TestIdsAreShared(t *testing.T) {
	w := start(t, Options{Span: time.Millisecond, Noise: -1, Window: 1000})
	time.Sleep(5 * time.Millisecond)
	_, body := get(t, feedOf(t, w, "kohsar-times").URL, nil)
	if n := strings.Count(string(body), "kohsar-times:business-page<"); n != 2 {
		t.Errorf("the shared id stands %d times", n)
	}
	_, body = get(t, feedOf(t, w, "roznama-mashal").URL, nil)
	if n := strings.Count(string(body), "/news/ttp-dik<"); n != 2 {
		t.Errorf("the doubled entry stands %d times", n)
	}
}

func TestEditsAppear(t *testing.T) {
	w := start(t, Options{Span: 400 * time.Millisecond, Noise: -1})
	f := feedOf(t, w, "kohsar-times")
	first, body := get(t, f.URL, nil)
	if !strings.Contains(string(body), "Nine soldiers") || strings.Contains(string(body), "Twelve soldiers") {
		t.Fatal("the first document is not the first version")
	}
	time.Sleep(200 * time.Millisecond)
	res, body := get(t, f.URL, map[string]string{"If-None-Match": first.Header.Get("ETag")})
	if res.StatusCode != http.StatusOK || strings.Contains(string(body), "Nine soldiers") || !strings.Contains(string(body), "Twelve soldiers") {
		t.Errorf("after the edit: %d", res.StatusCode)
	}
	_, page := get(t, strings.TrimSuffix(f.URL, "/rss.xml")+"/news/bannu-post-kohsar", nil)
	if !strings.Contains(string(page), "Twelve soldiers") {
		t.Error("the article page keeps the old text")
	}
}

func TestSameSeedSameScript(t *testing.T) {
	plan := func(seed int64) (ids []string) {
		s, err := loadScript()
		if err != nil {
			t.Fatal(err)
		}
		for _, it := range s.plan(Options{Seed: seed}.withDefaults()).items {
			ids = append(ids, it.ID+it.at.String()+it.Title)
		}
		return ids
	}
	if !slices.Equal(plan(7), plan(7)) {
		t.Error("one seed gives two scripts")
	}
	if slices.Equal(plan(7), plan(8)) {
		t.Error("two seeds give one script")
	}
}
