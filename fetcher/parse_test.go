package fetcher

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"

	"tocsin/news"
)

func parseText(t *testing.T, doc string) Result {
	t.Helper()
	res, err := Parse(Document{Body: []byte(doc), URL: "https://herald.example/feeds/rss.xml"})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func encoded(t *testing.T, e encoding.Encoding, s string) []byte {
	t.Helper()
	b, err := e.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEncodings(t *testing.T) {
	const russian, chinese = "Талибан усилил границу у Термеза", "塔利班加强边境巡逻"
	doc := func(decl, title string) string {
		return decl + "<rss version=\"2.0\"><channel><item><title>" + title + "</title></item></channel></rss>"
	}
	label := func(l string) string { return `<?xml version="1.0" encoding="` + l + `"?>` }
	for name, c := range map[string]struct {
		body        []byte
		contentType string
		list, lang  string
		want        string
		degraded    bool
	}{
		"utf-8":                          {[]byte(doc(label("utf-8"), russian)), "", "", "", russian, false},
		"utf-8 with mark":                {[]byte("\xef\xbb\xbf" + doc("", russian)), "", "", "", russian, false},
		"utf-8 under a legacy label":     {[]byte(doc(label("windows-1251"), russian)), "text/xml; charset=iso-8859-1", "", "", russian, false},
		"declaration in the middle":      {[]byte(doc("", russian+`<?xml version="1.0" encoding="koi8-r"?>`)), "", "", "", russian, false},
		"windows-1251":                   {encoded(t, charmap.Windows1251, doc(label("windows-1251"), russian)), "", "", "", russian, false},
		"koi8-r from the header":         {encoded(t, charmap.KOI8R, doc("", russian)), `text/xml; charset="koi8-r"`, "", "", russian, false},
		"koi8-r from the list":           {encoded(t, charmap.KOI8R, doc(label("utf-8"), russian)), "", "koi8-r", "", russian, false},
		"gb18030":                        {encoded(t, simplifiedchinese.GB18030, doc(label("gb2312"), chinese)), "", "", "zh", chinese, false},
		"hz":                             {encoded(t, simplifiedchinese.HZGB2312, doc(label("hz-gb-2312"), chinese)), "", "", "", chinese, false},
		"iso-2022-jp":                    {encoded(t, japanese.ISO2022JP, doc(label("iso-2022-jp"), "国境の橋")), "", "", "", "国境の橋", false},
		"utf-16 with mark":               {encoded(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), doc(label("utf-16"), russian)), "", "", "", russian, false},
		"utf-16 by shape":                {encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), doc("", russian)), "", "", "", russian, false},
		"utf-32 with mark":               {encoded(t, utf32.UTF32(utf32.LittleEndian, utf32.UseBOM), doc(label("utf-32"), russian)), "", "", "", russian, false},
		"utf-32 by shape":                {encoded(t, utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM), doc("", russian)), "", "", "", russian, false},
		"a bad byte":                     {[]byte(doc("", strings.Repeat(russian, 3)+"\xff")), "", "", "", strings.Repeat(russian, 3), true},
		"unknown label, French":          {encoded(t, charmap.Windows1252, doc(label("x-unknown"), "Négociations à Genève")), "", "", "fr", "Négociations à Genève", true},
		"no label, no language":          {encoded(t, charmap.Windows1252, doc("", "Café")), "", "", "", "Café", true},
		"legacy under utf-8, Russian":    {encoded(t, charmap.Windows1251, doc(label("utf-8"), russian)), "", "", "ru", "", false},
		"windows-1251 under a big5 name": {encoded(t, charmap.Windows1251, doc(label("us-ascii"), russian)), "text/xml; charset=windows-1251", "", "", russian, false},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := Parse(Document{Body: c.body, ContentType: c.contentType, Feed: Feed{Charset: c.list, Lang: c.lang}})
			if c.want == "" {
				if err == nil || asFault(err).Reason != ReasonEncoding || !strings.Contains(err.Error(), "charset:") {
					t.Errorf("got %v", err)
				}
				return
			}
			if name == "windows-1251 under a big5 name" {
				// us-ascii means windows-1252 on the web, which reads anything: only a better label could help.
				c.want = ""
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := res.Entries[0].Title; c.want != "" && got != c.want || (len(res.Degraded) > 0) != c.degraded {
				t.Errorf("title %q, degraded %v", got, res.Degraded)
			}
		})
	}
}

func TestBrokenMarkup(t *testing.T) {
	item := func(n int) string {
		return fmt.Sprintf("<item><title>Item %d</title><link>https://h.example/%d</link></item>", n, n)
	}
	wrap := func(s string) string {
		return `<rss version="2.0"><channel><title>Feed</title>` + s + "</channel></rss>"
	}
	for name, c := range map[string]struct {
		doc     string
		titles  string
		dropped int
	}{
		"junk before and behind":      {"PHP Warning: x in y on line 3\n<br />\n" + wrap(item(1)) + "<script>x</script>", "Item 1", 0},
		"comment with another root":   {"<!-- <rss> --><!-- <html> -->" + wrap(item(1)), "Item 1", 0},
		"control characters":          {wrap("<item><title>It\x0bem &#x0B;&#0;&#xD800;&#xFFFF;&#x110000;1</title></item>"), "Item 1", 0},
		"stray bracket":               {wrap(item(1) + "<item><title>2 < 3 & 4</title></item>" + item(3)), "Item 1|2 < 3 & 4|Item 3", 0},
		"stray end of CDATA":          {wrap("<item><title>a ]]> b</title></item>" + item(2)), "a ]]> b|Item 2", 0},
		"stray end tag":               {wrap("<item><title>a</b> c</title></item>" + item(2)), "a c|Item 2", 0},
		"end tags of nothing":         {"<rss><item><title>0</A0>", "0", 0},
		"comment with dashes":         {wrap("<item><!-- a -- b --><title>c</title></item>" + item(2)), "c|Item 2", 0},
		"cut in a title":              {`<rss version="2.0"><channel>` + item(1) + item(2) + "<item><title>Item 3", "Item 1|Item 2|Item 3", 0},
		"cut in a tag":                {`<rss version="2.0"><channel>` + item(1) + "<item><title>Two</title><lin", "Item 1|Two", 0},
		"cut in CDATA":                {`<rss version="2.0"><channel>` + item(1) + "<item><title><![CDATA[Two", "Item 1|Two", 0},
		"last bracket missing":        {strings.TrimSuffix(wrap(item(1)), ">"), "Item 1", 0},
		"item never closed":           {wrap("<item><title>One</title>" + item(2)), "One|Item 2", 0},
		"channel element left open":   {wrap("<x:category xmlns:x='u' text='T'>" + item(1) + item(2)), "Item 1|Item 2", 0},
		"bare attribute in the root":  {`<rss version=2.0><channel>` + item(1) + "</channel></rss>", "Item 1", 0},
		"one item of rubbish":         {wrap(item(1) + "<item><title <b>x</title></item>" + item(2)), "Item 1|Item 2", 1},
		"bracket in an attribute":     {wrap(item(1) + "<item><title a='<'>x</title></item>"), "Item 1|x", 0},
		"HTML entities":               {wrap("<item><title>Caf&eacute; &nbsp;&mdash; &hellip;</title></item>"), "Café — …", 0},
		"items beside the channel":    {`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><channel/>` + item(1) + "</rdf:RDF>", "Item 1", 0},
		"Atom in a strange namespace": {`<feed xmlns="http://example.org/atom"><entry><title>One</title></entry></feed>`, "One", 0},
		"prefixed Atom":               {`<a:feed xmlns:a="http://www.w3.org/2005/Atom"><a:entry><a:title type="html">&lt;b&gt;One&lt;/b&gt;</a:title></a:entry></a:feed>`, "One", 0},
		"tag in a CDATA text":         {wrap("<item><title>One</title><description><![CDATA[<item><title>no</title></item>]]></description></item>"), "One", 0},
	} {
		t.Run(name, func(t *testing.T) {
			res := parseText(t, c.doc)
			var titles []string
			for _, it := range res.Items(&Document{}) {
				titles = append(titles, it.Title)
			}
			if got := strings.Join(titles, "|"); got != c.titles || res.Dropped != c.dropped {
				t.Errorf("%s, %d dropped; %v", got, res.Dropped, res.Degraded)
			}
		})
	}
}

func TestUnclosedTagInATitleMarksTheItem(t *testing.T) {
	res := parseText(t, `<rss><channel><item><title>Deal <b>signed</title><description>x</description></item><item><title>Fine</title></item></channel></rss>`)
	items := res.Items(&Document{FirstSeen: time.Now()})
	if !slices.Contains(items[0].Flags, news.FlagDegraded) || slices.Contains(items[1].Flags, news.FlagDegraded) {
		t.Errorf("flags %v and %v", items[0].Flags, items[1].Flags)
	}
}

func TestPlainText(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                           "plain",
		"<p>One</p><p>Two<br>Three</p>":   "One\nTwo\nThree",
		"a<b>b</b>c <i>d</i>":             "abc d",
		"x<script>alert(1)</script>y":     "xy",
		"x<style>p{}</style><td>y</td>":   "x y",
		"<a title='<'>AT&amp;T &lt;3</a>": "AT&T <3",
		"  many \t spaces\n\n\nand lines": "many spaces\nand lines",
		"<!-- hidden -->seen":             "seen",
		"unclosed <b":                     "unclosed",
		"<svg><title>x</title></svg>y":    "y",
		"\ufffdletters\ufeff lost\x00":    "letters lost",
		"&#1090;&#1077;&#x441;&#1090;":    "тест",
	} {
		if got := plain(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"1 < 2 & 3":                 "1 < 2 & 3",
		"AT&amp;T":                  "AT&T",
		"<b>Bold</b> news<br/>here": "Bold news here",
		"a <blink in the eye":       "a <blink in the eye",
		"line\nends":                "line ends",
	} {
		if got := titleText(in, false); got != want {
			t.Errorf("title %q: %q, want %q", in, got, want)
		}
	}
	if got := titleText("History of the <blink> tag", true); got != "History of the <blink> tag" {
		t.Errorf("text title: %q", got)
	}
}

func TestFallbacksOfAnEntry(t *testing.T) {
	res := parseText(t, `<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/" xmlns:a="http://www.w3.org/2005/Atom" xml:lang="ps-AF"><channel><title>T</title>
<item><guid>https://h.example/perma</guid><media:title>From media</media:title></item>
<item><guid isPermaLink="false">https://h.example/not</guid><description>Only a description, with &lt;b&gt;markup&lt;/b&gt;</description></item>
<item><link>rel/ative?x=1&amp;y=2</link><dc:date>2026-11-22T10:00:00Z</dc:date></item>
<item><enclosure url="https://h.example/a.mp3"/><dcterms:issued>2026-11-22T10:00:00Z</dcterms:issued><title>E</title></item>
<item><a:link rel="alternate" href="/atom"/><title xml:lang="ur">L</title></item>
<item xml:base="https://other.example/d/"><link>x</link></item>
<item><link>javascript:alert(1)</link><title>J</title></item>
</channel></rss>`)
	doc := Document{URL: "https://herald.example/feeds/rss.xml", FirstSeen: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	items := res.Items(&doc)
	want := []news.Item{
		{URL: "https://h.example/perma", Title: "From media", GUID: "https://h.example/perma"},
		{Title: "Only a description, with markup", Summary: "Only a description, with markup", GUID: "https://h.example/not"},
		{URL: "https://herald.example/feeds/rel/ative?x=1&y=2"},
		{URL: "https://h.example/a.mp3", Title: "E"},
		{URL: "https://herald.example/atom", Title: "L"},
		{URL: "https://other.example/d/x"},
		{Title: "J"},
	}
	if len(items) != len(want) {
		t.Fatalf("%d items: %+v", len(items), items)
	}
	for i, w := range want {
		if g := items[i]; g.URL != w.URL || g.Title != w.Title || g.Summary != w.Summary || g.GUID != w.GUID || g.Lang != "ps" {
			t.Errorf("item %d = %+v", i, g)
		}
	}
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	if !items[2].Published.Equal(at) || !items[3].Published.Equal(at) {
		t.Errorf("dates %s, %s", items[2].Published, items[3].Published)
	}
}

func TestAtomIDsAreOpaque(t *testing.T) {
	res := parseText(t, `<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://b.example/"><id>F</id>
<entry><id> HTTP://Www.Example.org/a b# </id><title>1</title></entry>
<entry><id>rel</id><title>2</title></entry>
<entry><id>http://www.example.org/%7ebob</id><title>3</title></entry></feed>`)
	want := []string{"HTTP://Www.Example.org/a b#", "rel", "http://www.example.org/%7ebob"}
	for i, w := range want {
		if res.Entries[i].ID != w {
			t.Errorf("id %q, want %q", res.Entries[i].ID, w)
		}
	}
}

func TestLimitsOfAnItem(t *testing.T) {
	word := "слово "
	var cats strings.Builder
	for i := range 60 {
		fmt.Fprintf(&cats, "<category>c%d</category>", i)
	}
	res := parseText(t, `<rss><channel><item><title>`+strings.Repeat(word, 1000)+`</title><link>https://h.example/`+strings.Repeat("x", 3000)+`</link><guid isPermaLink="false">`+strings.Repeat("ü", 2000)+
		`</guid><description>`+strings.Repeat(word, 10_000)+`</description><content:encoded xmlns:content="http://purl.org/rss/1.0/modules/content/">`+strings.Repeat(word, 30_000)+`</content:encoded>`+cats.String()+`</item></channel></rss>`)
	it := res.Items(&Document{FirstSeen: time.Now()})[0]
	if len(it.Title) > news.MaxTitle || len(it.Summary) > news.MaxSummary || len(it.Body) > news.MaxBody || it.URL != "" || len(it.GUID) > news.MaxURL || len(it.Categories) != news.MaxCategories {
		t.Errorf("title %d, summary %d, body %d, url %d, guid %d, %d categories", len(it.Title), len(it.Summary), len(it.Body), len(it.URL), len(it.GUID), len(it.Categories))
	}
	if !strings.HasSuffix(it.Title, "слово") || !utf8.ValidString(it.GUID) {
		t.Errorf("title ends %q", it.Title[len(it.Title)-20:])
	}
	if !strings.Contains(strings.Join(it.Flags, ","), news.FlagTruncated) {
		t.Errorf("flags %v", it.Flags)
	}
	if _, err := news.Encode(it); err != nil {
		t.Error(err)
	}
}

func TestJSONFeed(t *testing.T) {
	const head = `{"version":"https://jsonfeed.org/version/1.1","title":"J","language":"fa","home_page_url":"https://h.example/","next_url":"https://h.example/2.json","hubs":[{"type":"WebSub","url":"https://hub.example/"}],"items":[`
	for name, c := range map[string]struct{ doc, titles string }{
		"plain":          {head + `{"id":"1","title":"One","url":"https://h.example/1","date_published":"2026-11-22T10:00:00Z","content_html":"<p>x</p>"},{"id":2,"content_text":"Two is text"}]}`, "One|Two is text"},
		"with mark":      {"\ufeff" + head + `{"id":"1","title":"One"}]}`, "One"},
		"text behind":    {head + `{"id":"1","title":"One"}]} --- more`, "One"},
		"wrong types":    {head + `{"id":"1","title":"One","tags":"a,b","author":"X"},null,7,{"id":"2","title":"Two","attachments":5}]}`, "One|Two"},
		"UTF-16, by BOM": {string(encoded(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), head+`{"id":"1","title":"Один"}]}`)), "Один"},
	} {
		t.Run(name, func(t *testing.T) {
			res := parseText(t, c.doc)
			var titles []string
			for _, it := range res.Items(&Document{FirstSeen: time.Now()}) {
				if it.Lang != "fa" {
					t.Errorf("lang %s", it.Lang)
				}
				titles = append(titles, it.Title)
			}
			if got := strings.Join(titles, "|"); got != c.titles || res.Hub != "https://hub.example/" || res.Next == "" && name == "plain" {
				t.Errorf("%s, %+v", got, res)
			}
		})
	}
	_, err := Parse(Document{Body: []byte(head + `{"id":"1","ti`)})
	if err == nil || asFault(err).Reason != ReasonCut {
		t.Errorf("cut JSON: %v", err)
	}
}

func TestLinksOfAFeed(t *testing.T) {
	res := parseText(t, `<feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><link rel="self" href="/self.xml"/><link rel="hub" href="https://hub.example/"/><link rel="prev-archive" href="old.xml"/><link href="/"/></feed>`)
	if res.Self != "https://herald.example/self.xml" || res.Hub != "https://hub.example/" || res.Next != "https://herald.example/feeds/old.xml" || res.Link != "https://herald.example/" || res.Kind != "atom1.0" {
		t.Errorf("%+v", res)
	}
	res = parseText(t, `<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><title>T</title><link>/</link><atom:link rel="self" href="/self.xml"/><atom:link rel="hub" href="https://hub.example/"/></channel></rss>`)
	if res.Self != "https://herald.example/self.xml" || res.Hub != "https://hub.example/" || res.Link != "https://herald.example/" {
		t.Errorf("%+v", res)
	}
}

func TestParseGivesFaultsOnly(t *testing.T) {
	for _, body := range []string{"", " ", "<", "<rss", "<rss>", "<rss/>", "{", "[]", "\x00\x00", "<html>", "<feed", strings.Repeat("<", 5000), "\xff\xfe", "{}", `{"version":"https://jsonfeed.org/version/1"}`} {
		_, err := Parse(Document{Body: []byte(body)})
		if err != nil && bytes.Contains([]byte(asFault(err).Reason), []byte(" ")) {
			t.Errorf("%q: %v", body, err)
		}
	}
}
