package fetcher

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tocsin/news"
)

// fuzzSeeds are documents of our own, whole and broken.
func fuzzSeeds() []string {
	whole := rssOf("Bridge reopens|https://herald.example/1|g1|Sun, 22 Nov 2026 09:00:00 GMT|<![CDATA[<p>Text & more</p>]]>", "Rail talks|https://herald.example/2|g2")
	return []string{
		whole, whole[:len(whole)/2], strings.ReplaceAll(whole, "</item>", ""), strings.ReplaceAll(whole, "&", "&#x0B;"), "\xff\xfe<\x00r\x00",
		`<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://h.example/" xml:lang="ur"><id>f</id><title type="html">&lt;b>T&lt;/b></title><entry><id>HTTP://x</id><link href="/a"/><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">x<br/></div></title><updated>2026-11-22T10:00:00+05:00</updated><content type="html"><![CDATA[<p>x]]></content></entry></feed>`,
		`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel rdf:about="x"><title>t</title></channel><item rdf:about="y"><title>a</title></item></rdf:RDF>`,
		`<!DOCTYPE rss [<!ENTITY a "b">]><rss><channel><item><title>&a;</title></item></channel></rss>`,
		`{"version":"https://jsonfeed.org/version/1.1","items":[{"id":1,"title":"x","tags":"a"},null]}`,
		"<rss><channel>" + strings.Repeat("<item>", 300),
	}
}

func FuzzToUTF8(f *testing.F) {
	for _, s := range fuzzSeeds() {
		f.Add([]byte(s), "text/xml; charset=windows-1251", "ru")
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType, lang string) {
		text, _, err := toUTF8(body, charsetHints{contentType: contentType, lang: lang})
		if err == nil && !utf8.Valid(text) {
			t.Fatalf("not UTF-8: %q", text)
		}
		if err != nil && asFault(err).Reason != ReasonEncoding {
			t.Fatal(err)
		}
	})
}

func FuzzClean(f *testing.F) {
	for _, s := range fuzzSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text, _, err := toUTF8(body, charsetHints{})
		if err != nil {
			return
		}
		root, ok := cutToRoot(text)
		if !ok {
			return
		}
		clean := dropIllegal(dropDeclarations(root))
		if again := dropIllegal(dropDeclarations(clean)); len(again) > len(clean) || len(clean) > len(text) {
			t.Fatalf("cleaning grew the document")
		}
		if i := nextIllegal(clean, 0); i >= 0 && nextIllegal(dropIllegal(clean), 0) >= 0 && !bytes.Contains(clean, []byte("&#")) {
			t.Fatalf("illegal character left at %d of %q", i, clean)
		}
	})
}

// What the scan passes must be parsed within 3 s and 512 MB; the test measures time, the memory limit of the run does the rest.
func FuzzParse(f *testing.F) {
	for _, s := range fuzzSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		start := processorTime()
		doc := Document{Body: body, URL: "https://h.example/feed", Feed: Feed{ID: "f"}, FirstSeen: noon}
		res, err := Parse(doc)
		if took := processorTime() - start; took > 3*time.Second {
			t.Fatalf("took %s", took)
		}
		if err != nil {
			var broken *panicFault
			if asPanic(err, &broken) && !bytes.Contains(body, []byte("null")) {
				t.Fatalf("panic: %s\n%s", err, broken.stack)
			}
			return
		}
		for _, it := range res.Items(&doc) {
			for _, x := range append(append([]string{it.Title, it.Summary, it.Body, it.GUID, it.URL}, it.Authors...), it.Categories...) {
				if !utf8.ValidString(x) || strings.ContainsRune(x, utf8.RuneError) {
					t.Fatalf("not clean text: %q", x)
				}
			}
			if len(it.Title) > news.MaxTitle || len(it.Summary) > news.MaxSummary || len(it.Body) > news.MaxBody || len(it.URL) > news.MaxURL || len(it.GUID) > news.MaxURL {
				t.Fatal("over the limits")
			}
			if it.Published.After(noon.Add(10*time.Minute)) || !it.Published.IsZero() && it.Published.Year() < 1990 {
				t.Fatalf("published %s", it.Published)
			}
			if _, err := news.Encode(it); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzRebuild(f *testing.F) {
	for _, s := range fuzzSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		root, ok := cutToRoot(body)
		if !ok || !utf8.Valid(root) {
			return
		}
		again, lost := rebuild(dropIllegal(dropDeclarations(root)))
		if lost.n < 0 || len(lost.first) > maxBadEntry || again == nil {
			return
		}
		if _, err := scan(again); err != nil && len(again) < 1<<20 && lost.n == 0 && bytes.Count(again, []byte("<")) < 1000 {
			t.Fatalf("rebuilt document does not pass: %v\n%q", err, again)
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, s := range []string{"Sun, 22 Nov 2026 10:00:00 PKT", "2026-11-22T10:00:00.5+05:30", "22/11/2026 24:00", "۲۲ نوامبر ۲۰۲۶", "1795341600", "2026-326", "Sun Nov 22 10:00:00 UTC 2026", "2026年11月22日"} {
		f.Add(s, "zh", "US")
	}
	f.Fuzz(func(t *testing.T, s, lang, country string) {
		d := dateReader{zone: time.FixedZone("", 5*3600), lang: lang, country: country}
		if at, ok := d.read(s); ok && (at.Year() < 1990 || at.Year() > 2200) {
			t.Fatalf("%q is %s", s, at)
		}
		_, _ = parseZone(s)
	})
}

func FuzzOPML(f *testing.F) {
	f.Add([]byte(`<opml version="2.0"><body><outline text="a"><outline xmlUrl="https://h.example/rss" text="b" category="/x,/y"/></outline></body></opml>`))
	f.Add([]byte(`<opml><outline type="rss"><outline`))
	f.Fuzz(func(t *testing.T, b []byte) {
		feeds, faults := readOPML("x.opml", b)
		for _, x := range faults {
			if x.Fact == "" || x.File == "" {
				t.Fatalf("fault without fact or file: %+v", x)
			}
		}
		var kept []Feed
		for _, fd := range feeds {
			bad := faults[:0:0]
			fd.check(&bad)
			if len(bad) == 0 {
				kept = append(kept, fd)
			}
		}
		var out bytes.Buffer
		if err := WriteOPML(&out, kept); err != nil {
			t.Fatal(err)
		}
		again, _ := readOPML("y.opml", out.Bytes())
		if len(again) != len(kept) {
			t.Fatalf("%d feeds became %d\n%s", len(kept), len(again), out.String())
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add("120", "max-age=60", "5")
	f.Add("Sun, 22 Nov 2026 13:00:00 GMT", "public, max-age=9999999999999", "-1")
	f.Fuzz(func(t *testing.T, retry, cache, age string) {
		h := http.Header{"Retry-After": {retry}, "Cache-Control": {cache}, "Age": {age}, "Expires": {retry}, "Date": {age}}
		if d := retryAfter(h, noon); d < 0 || d > maxRetry {
			t.Fatalf("retry after %s", d)
		}
		if d := freshness(h); d < 0 || d > longest {
			t.Fatalf("fresh for %s", d)
		}
	})
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"v":1,"seen":{"w":"AAAA","b":"AAAAAAAA","h":"AA==","a":{"0000000000000001":"x"}},"gaps":[1,2]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeState(b)
		if err != nil {
			return
		}
		p := plan{id: "f", now: noon, min: time.Minute, state: st, failing: true}
		if at, _ := p.next(); at.Before(noon) && st.RetryUntil.IsZero() {
			t.Fatalf("next at %s", at)
		}
		st.Seen.index()
		st.Seen.prune(nil, 20000)
		if _, err := json.Marshal(st); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzText(f *testing.F) {
	f.Add("<p>x</p>&amp;<script>y")
	f.Fuzz(func(t *testing.T, s string) {
		for _, out := range []string{plain(s), titleText(s, true), titleText(s, false)} {
			if strings.ContainsAny(out, "\x00\x0b") || strings.TrimSpace(out) != out {
				t.Fatalf("%q gave %q", s, out)
			}
		}
		_ = tidy(s, true)
		_ = withoutTracking(s)
	})
}
