package fetcher

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin/news"
	"tocsin/news/strict"
)

func listOf(files map[string]string) ([]Feed, strict.Faults) {
	fsys := fstest.MapFS{}
	var names []string
	for _, n := range news.SortedKeys(files) {
		fsys[n] = &fstest.MapFile{Data: []byte(files[n])}
		names = append(names, n)
	}
	return LoadFeeds(fsys, names...)
}

func TestFeedListInYAML(t *testing.T) {
	feeds, faults := listOf(map[string]string{"pk.yaml": `title: Pakistan
defaults: {country: PK, lang: en, tags: [pakistan], expect: 12h}
feeds:
  - {url: "https://Herald.example:443/rss", outlet: Border Herald, tier: 1, note: not verified}
  - url: https://news.example/ur
    was: http://old.example/ur
    lang: ur
    interval: 5m
    timeout: 20s
    max_bytes: 2097152
    charset: windows-1256
    zone: Asia/Karachi
    paused: yes
    backfill: true
    tags: [urdu]
    headers: {X-Key: "file:/run/secrets/key"}
`})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := []Feed{
		{
			ID: news.FeedID("https://herald.example/rss"), URL: "https://Herald.example:443/rss", Outlet: "Border Herald", Tier: 1, Note: "not verified",
			Country: "PK", Lang: "en", Tags: []string{"pakistan"}, Expect: 12 * time.Hour,
		},
		{
			ID: news.FeedID("http://old.example/ur"), URL: "https://news.example/ur", Was: "http://old.example/ur", Lang: "ur", Country: "PK", Interval: 5 * time.Minute,
			Timeout: 20 * time.Second, MaxBytes: 2 << 20, Charset: "windows-1256", Zone: "Asia/Karachi", Paused: true, Backfill: true,
			Tags: []string{"urdu", "pakistan"}, Expect: 12 * time.Hour, Headers: map[string]string{"X-Key": "file:/run/secrets/key"},
		},
	}
	if d := cmp.Diff(want, feeds, cmpopts.IgnoreFields(Feed{}, "Pos")); d != "" {
		t.Error(d)
	}
	if got := feeds[1].Pos.String(); got != "pk.yaml:5:5" {
		t.Errorf("place of the second feed: %s", got)
	}
}

func TestEveryFaultOfAListIsToldAtOnce(t *testing.T) {
	_, faults := listOf(map[string]string{
		"a.yaml": `feeds:
  - {outlet: nothing}
  - {url: "ftp://x.example/rss"}
  - {url: "https://a.example/?key=secret", lang: English, country: pakistan, tier: 9, timeout: 1h, max_bytes: 999999999, charset: klingon, zone: Mars/Base}
  - {url: "https://b.example/", headers: {Authorization: Bearer 123, User-Agent: "file:/x", "bad name": "file:/x", X-Y: "file:relative"}}
  - {url: "https://c.example/", outlt: Typo}
`,
		"b.opml": `<opml><body><outline type="rss" text="x"/><outline xmlUrl="nonsense" tocsin:tier="high"/></body></opml>`,
		"c.opml": `<html></html>`,
	})
	text := faults.Error()
	for _, want := range []string{
		"a.yaml:2:5: a feed without url", `the scheme "ftp"`, `lang "English"`, `country "pakistan"`, "tier 9", "timeout 1h0m0s", "max_bytes 999999999",
		`charset "klingon"`, `zone "Mars/Base"`, "header Authorization: the value stands in the list", `header "User-Agent" may not be set`, `header "bad name"`, "header X-Y",
		`unknown key "outlt": did you mean "outlet"?`, "b.opml:1:13: an outline of type rss without xmlUrl", `"nonsense" has the scheme`, `tier "high"`, "c.opml:1: no opml element",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not told: %s", want)
		}
	}
	if strings.Contains(text, "secret") || strings.Contains(text, "Bearer") {
		t.Error("a secret is told")
	}
	if t.Failed() {
		t.Log(text)
	}
	if _, faults := LoadFeeds(fstest.MapFS{}, "missing.yaml"); faults.Err() == nil || !strings.Contains(faults.Error(), "missing.yaml") {
		t.Errorf("a missing file: %v", faults)
	}
}

func TestDoubleFeedsAreAWarningAndPolledOnce(t *testing.T) {
	feeds, faults := listOf(map[string]string{
		"a.yaml": "feeds:\n  - {url: \"https://a.example/rss\", outlet: A}\n  - {url: \"http://a.example/rss\"}\n",
		"b.opml": `<opml><body><outline text="again" xmlUrl="HTTPS://A.example:443/rss#top"/></body></opml>`,
	})
	errs, warnings := faults.Split()
	if len(feeds) != 2 || len(errs) != 0 || len(warnings) != 1 || !strings.Contains(warnings[0].Error(), "a.yaml:2:5") || !strings.Contains(warnings[0].Error(), "b.opml:1:13") {
		t.Errorf("%d feeds, %v", len(feeds), faults)
	}
}

func TestOPMLInAndOut(t *testing.T) {
	in := `<?xml version="1.0" encoding="windows-1251"?>
<opml version="2.0" xmlns:tocsin="urn:tocsin:feeds"><head><title>x</title></head><body>
<outline text="Asia"><outline text="Pakistan">
  <outline TEXT="Herald &amp; Sons" TYPE="rss" XMLURL="https://herald.example/rss" language="en-GB" tocsin:country="PK" tocsin:tier="2" category="/daily,/asia/press"/>
</outline></outline>
<outline text="` + "\xcd\xee\xe2\xee\xf1\xf2\xe8" + `" xmlUrl="https://novosti.example/rss"/>
</body></opml>`
	feeds, faults := listOf(map[string]string{"x.opml": in})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := []Feed{
		{URL: "https://herald.example/rss", Outlet: "Herald & Sons", Lang: "en", Country: "PK", Tier: 2, Tags: []string{"Asia", "Pakistan", "daily", "asia/press"}},
		{URL: "https://novosti.example/rss", Outlet: "Новости"},
	}
	ignore := cmpopts.IgnoreFields(Feed{}, "Pos", "ID")
	if d := cmp.Diff(want, feeds, ignore); d != "" {
		t.Fatal(d)
	}
	feeds[1].Was, feeds[1].Note = "https://old.example/", `quotes " and <brackets>`
	var out bytes.Buffer
	if err := WriteOPML(&out, feeds); err != nil {
		t.Fatal(err)
	}
	again, faults := listOf(map[string]string{"y.opml": out.String()})
	if d := cmp.Diff(feeds, again, cmpopts.IgnoreFields(Feed{}, "Pos", "ID")); d != "" || len(faults) > 0 {
		t.Errorf("%s %v\n%s", d, faults, out.String())
	}
	deep := "<opml><body>" + strings.Repeat("<outline text='x'>", 40)
	if _, faults := listOf(map[string]string{"z.opml": deep}); !strings.Contains(faults.Error(), "deeper than 32") {
		t.Errorf("deep list: %v", faults)
	}
	if _, faults := readOPML("big.opml", make([]byte, maxListBytes+1)); !strings.Contains(faults.Error(), "the limit is") {
		t.Errorf("big list: %v", faults)
	}
}

func TestShippedListsAreFine(t *testing.T) {
	dir := filepath.Join("..", "watchlists")
	files, err := filepath.Glob(filepath.Join(dir, "feeds", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no shipped lists: %v", err)
	}
	var names []string
	for _, f := range files {
		names = append(names, "feeds/"+filepath.Base(f))
	}
	feeds, faults := LoadFeeds(os.DirFS(dir), names...)
	if len(faults) > 0 || len(feeds) < 50 {
		t.Errorf("%d feeds, %v", len(feeds), faults)
	}
}
