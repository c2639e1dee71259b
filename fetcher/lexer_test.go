package fetcher

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sameBothWays reads cleaned text the quick way and the long way and reports what differs. It tells whether the quick way took it.
func sameBothWays(t *testing.T, text []byte) bool {
	t.Helper()
	out, ok := scanPlain(text)
	if !ok {
		return false
	}
	slow, err := scan(text)
	if err != nil {
		t.Fatalf("the scan refuses what the quick one takes: %v\n%q", err, text)
	}
	if out.end != slow.end || out.found != slow.found || out.root != slow.root || len(out.entries()) != len(slow.entries()) || !reflect.DeepEqual(out.deleted, slow.deleted) {
		t.Fatalf("the scans differ: %+v, %+v\n%q", out, slow, text)
	}
	p := parsePlain(text)
	if p == nil {
		return false
	}
	q, err := parseAny(text)
	if err != nil {
		t.Fatalf("gofeed refuses what it takes in its short form: %v\n%q", err, text)
	}
	doc := &Document{URL: "https://h.example/feed", Feed: Feed{ID: "f"}, FirstSeen: noon}
	if long, quick := q.result(doc), p.result(doc); !reflect.DeepEqual(long, quick) {
		t.Fatalf("read in another way: %s\n%q", cmp.Diff(long, quick), text)
	}
	return true
}

// The quick way and the long way give the same, field by field.
func FuzzPlain(f *testing.F) {
	for _, s := range append(fuzzSeeds(), slimSeed) {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) < 64<<10 {
			sameBothWays(t, text)
		}
	})
}

// slimSeed holds everything that is kept from gofeed, and its neighbours.
var slimSeed = `<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:x="urn:x">
<channel><title>T</title><link>https://h.example/</link><pubDate>Sun, 22 Nov 2026 08:00:00 GMT</pubDate><lastBuildDate>Sun, 22 Nov 2026 09:00:00 GMT</lastBuildDate>
<item><title>A &amp; <![CDATA[B]]></title><guid isPermaLink="false">g1</guid><link>/1</link><pubDate>Sun, 22 Nov 2026 09:00:00 GMT</pubDate><dc:date>2020-01-01</dc:date>
<description>` + strings.Repeat("&lt;p&gt;one &amp;amp; two&lt;/p&gt; ", 4) + `</description><content:encoded> <![CDATA[` + strings.Repeat("<p>three & four</p>", 8) + `]]> </content:encoded>
<x:deep><x:er a="b">gone</x:er></x:deep><media:thumbnail url="u"/><comments>c</comments></item>
<item><title></title><title>second</title><guid>https://h.example/2</guid><media:group><media:title>m</media:title><media:content url="v"/><media:description>` + strings.Repeat("five &lt;six&gt; ", 8) + `</media:description></media:group></item>
</channel></rss>`

func TestPlainDocumentsAreReadTheSameBothWays(t *testing.T) {
	if !sameBothWays(t, []byte(slimSeed)) {
		t.Fatal("the seed is not taken as plain")
	}
	p := parsePlain([]byte(slimSeed))
	if n := len(p.out.forParser([]byte(slimSeed)[:p.out.end])); n > len(slimSeed)*2/3 {
		t.Errorf("gofeed gets %d of %d bytes", n, len(slimSeed))
	}
	for _, atom := range []string{
		`<feed xmlns="http://www.w3.org/2005/Atom"><updated>2026-11-22T10:00:00Z</updated><entry><id> HTTP://x </id><title type="html">&lt;b>T&lt;/b></title><link href="/a"/><link rel="self" href="/s"/><updated>2026-11-22T10:00:00Z</updated><author><name>N</name><uri>u</uri></author><summary type="html">` + strings.Repeat("&lt;p&gt;text&lt;/p&gt;", 8) + `</summary></entry></feed>`,
		`<feed xmlns="http://purl.org/atom/ns#"><entry><title mode="escaped">a</title><issued>2004-01-01</issued><modified>2004-01-02</modified><content mode="base64">` + strings.Repeat("aGFsbG8g", 20) + `</content></entry></feed>`,
	} {
		if !sameBothWays(t, []byte(atom)) {
			t.Errorf("not plain: %s", atom)
		}
	}
}

// What is not written plainly is left to encoding/xml.
func TestOnlyPlainMarkupIsReadQuickly(t *testing.T) {
	for _, s := range []string{
		"", "<rss>", "<rss></RSS>", "<rss></rss >x", "<a b=c></a>", "<a b></a>", `<a b="1"c="2"></a>`, `<a b="<"></a>`, "<a b=\"\r\"></a>", "<a>]]></a>", "<a>\x0b</a>",
		"<a>\xff</a>", "<a>\uFFFE</a>", "<a>&#11;</a>", "<a>&#0000000000000000011;</a>", "<a:b:c></a:b:c>", "<:a></:a>", "<é></é>", "<a><!-- -- --></a>", "<a><!DOCTYPE b></a>",
		"<a><?xml version='1.0'?></a>", "<a><b></a></b>", "<a><![CDATA[</a>", "<a></b></a>",
	} {
		_, ok := scanPlain([]byte(s))
		if want := s == "<rss></rss >x"; ok != want {
			t.Errorf("%q: plain is %v", s, ok)
		}
	}
}

// Most of what real outlets write is plain, and all of it is read the same both ways.
func TestRealDocumentsAreReadTheSameBothWays(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(dataDir(t), "feeds", "*"))
	if err != nil {
		t.Fatal(err)
	}
	docs := map[string][]byte{}
	for _, f := range files {
		if docs[f], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	real := len(docs)
	for name, body := range loadCorpus(t).docs {
		docs["corpus/"+name] = body
	}
	plain := 0
	for name, body := range docs {
		text, _, err := toUTF8(body, charsetHints{})
		if err != nil {
			continue
		}
		if root, ok := cutToRoot(text); ok && sameBothWays(t, clean(text, root)) && !strings.HasPrefix(name, "corpus/") {
			plain++
		}
	}
	if plain*10 < real*8 {
		t.Errorf("%d of %d real documents are plain", plain, real)
	}
}
