package page

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"tocsin/news"
)

// TestSearch finds items by words of any script, in any form of the letters, by the beginning of a word, and never by its middle.
func TestSearch(t *testing.T) {
	w := newWorld(t, nil)
	for i, x := range []struct{ lang, title, text string }{
		{"en", "Convoy attacked near Wana", "Six soldiers were killed."},
		{"fa", "انفجار در غرب کابل", "هفت تن کشته شدند."},
		{"ar", "انفجار في كابول", ""},
		{"zh", "三国外长对话在喀布尔举行", "会后将发表联合声明。"},
		{"ru", "Боевики напали на колонну", "Дорога на Вану перекрыта."},
		{"hi", "काबुल में दूतावास", ""},
	} {
		w.Item(&news.Item{ID: fmt.Sprint(i), Lang: x.lang, Title: x.title, Summary: x.text, Outlet: "Courier", FirstSeen: time.Now()})
	}
	w.Item(&news.Item{ID: "0", Lang: "en", Title: "Convoy attacked near Wana, again", FirstSeen: time.Now(), Reason: news.ReasonEdited})
	for q, want := range map[string][]string{
		"convoy": {"again"}, "CONVOY wana": {"again"}, "attac": {"again"}, "onvoy": nil, "convoy kabul": nil, "كابل": {"غرب"}, "کابل": {"غرب"},
		"喀布尔": {"三国"}, "外长": {"三国"}, "колонну": {"Боевики"}, "काबुल": {"दूतावास"}, "courier": {"Боевики", "三国", "غرب"}, "": nil, "'\"<>": nil,
	} {
		code, body, _ := w.get(t, "/search?q="+url.QueryEscape(q))
		plain := strings.NewReplacer("<mark>", "", "</mark>", "").Replace(body)
		if code != http.StatusOK {
			t.Errorf("%q gives %d", q, code)
		}
		for _, x := range want {
			if !strings.Contains(plain, x) {
				t.Errorf("%q does not find %s", q, x)
			}
		}
		if n := strings.Count(body, `class="text"`) + strings.Count(body, "<h2 dir"); (n == 0) != (len(want) == 0) {
			t.Errorf("%q gives %d texts", q, n)
		}
	}
	_, body, _ := w.get(t, "/search?q="+url.QueryEscape("外长"))
	if !strings.Contains(body, "三国<mark>外长</mark>对话") {
		t.Error("the found characters are not marked")
	}
	if _, body, _ := w.get(t, "/search?q=kabul&lang=zh"); strings.Contains(body, "<h2 dir") {
		t.Error("another language is found")
	}
}

// TestSearchOfTheStore searches everything that is stored, one search at a time.
func TestSearchOfTheStore(t *testing.T) {
	w := newWorld(t, nil)
	w.o.Items, w.Page.o.Items = nil, itemsOf(400)
	_, body, _ := w.get(t, "/search?q=convoy&deep=1")
	if !strings.Contains(body, "All stored items were searched") || !strings.Contains(body, "Convoy</mark> 399<") || strings.Contains(body, "Convoy</mark> 3<") {
		t.Error("the newest hits of the store are not on the first page")
	}
	w.searches <- struct{}{}
	if _, body, _ := w.get(t, "/search?q=convoy&deep=1"); !strings.Contains(body, "Somebody searches") {
		t.Error("two searches of the store run at once")
	}
}

// TestPaging walks through all alerts, each shown once, newest first.
func TestPaging(t *testing.T) {
	w := newWorld(t, nil)
	for n := 1; n <= 3*perPage+7; n++ {
		w.Alert(alertOf(n, fmt.Sprintf("TTP number %d.", n), "TTP"), uint64(n*3))
	}
	path, seen := "/", []string{}
	number := regexp.MustCompile(`</mark> number (\d+)\.`)
	for pages := 0; path != ""; pages++ {
		if pages > 10 {
			t.Fatal("the pages never end")
		}
		_, body, _ := w.get(t, path)
		for _, m := range number.FindAllStringSubmatch(body, -1) {
			seen = append(seen, m[1])
		}
		path = ""
		if m := regexp.MustCompile(`class="button" href="([^"]+)">Older`).FindStringSubmatch(body); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
	}
	if len(seen) != 3*perPage+7 {
		t.Fatalf("%d alerts on all pages", len(seen))
	}
	for i, s := range seen {
		if want := fmt.Sprint(3*perPage + 7 - i); s != want {
			t.Fatalf("alert %d of the list is %s, want %s", i, s, want)
		}
	}
}

// TestBookIsBounded keeps the newest records only, and the fates of those alone.
func TestBookIsBounded(t *testing.T) {
	b := newBook(100)
	for n := 1; n <= 1000; n++ {
		b.add(alertOf(n, "TTP", "TTP"), uint64(n))
	}
	if len(b.rows) > 110 || len(b.byRef) != len(b.rows) {
		t.Errorf("%d rows, %d known", len(b.rows), len(b.byRef))
	}
	if _, ok := b.note(news.AlertRef{ID: "alert1", Revision: 1}, &news.LedgerEntry{Event: news.EventDelivered}); ok {
		t.Error("a record that went is told of")
	}
	if e, ok := b.at(filter{}, 1000); !ok || e.View.Title() != "TTP" {
		t.Error("the newest record is not kept")
	}
}

// TestStories gathers the items of a story from several watchlists, and tells what each added.
func TestStories(t *testing.T) {
	w := newWorld(t, nil)
	for i, x := range []struct {
		item, list, outlet, kind string
		added                    []string
	}{
		{"i1", "groups", "Courier", news.KindFirst, nil},
		{"i1", "places", "Courier", news.KindFirst, nil},
		{"i2", "groups", "Gazette", news.KindFold, nil},
		{"i3", "groups", "丝路日报", news.KindUpdate, []string{"entity iskp"}},
	} {
		a := alertOf(i+1, "TTP in Bajaur", "TTP")
		a.Story, a.Match.Item.ID, a.Watchlist, a.Match.Title, a.Match.Item.Outlet, a.Kind, a.New = "one", x.item, x.list, x.list, x.outlet, x.kind, x.added
		w.Alert(a, uint64(i+1))
	}
	w.Alert(alertOf(9, "TTP elsewhere", "TTP"), 9)
	late := alertOf(10, "TTP in Bajaur, too", "TTP")
	w.Alert(late, 10)
	bridge := alertOf(11, "TTP in Bajaur, both", "TTP")
	bridge.Story, bridge.Kind = "one", news.KindFold
	bridge.Joined = &news.StoryLink{Story: "one", Points: 3, Evidence: []news.Evidence{{Name: "same names and words", Points: 4.5, Detail: "TTP, Bajaur"}, {Name: "other places", Points: -1.5}}}
	bridge.Merged = []news.StoryMerge{{From: late.Story, Into: "one"}}
	w.Alert(bridge, 11)
	_, body, _ := w.get(t, "/stories")
	if n := strings.Count(body, `<article class="story`); n != 2 {
		t.Errorf("%d stories", n)
	}
	for _, want := range []string{"<b>5</b> items from <bdi>Courier</bdi>, <bdi>Gazette</bdi>, <bdi>丝路日报</bdi>", "<b>&#43;4.5</b> same names and words: <bdi>TTP, Bajaur</bdi>", "<b>-1.5</b> other places", ">nothing new<", ">update<", "New: <bdi>"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page of stories does not say %s", want)
		}
	}
	if _, body, _ := w.get(t, "/stories?several=1"); strings.Count(body, `<article class="story`) != 1 {
		t.Error("a story of one item counts as several")
	}
}

// TestFeedsPage shows states, reasons and polls, and finds a feed by its outlet.
func TestFeedsPage(t *testing.T) {
	w := newWorld(t, nil)
	_, body, _ := w.get(t, "/feeds")
	if dead, live := strings.Index(body, "روز هرات"), strings.Index(body, "Kabul Courier"); dead < 0 || live < dead {
		t.Error("the dead feed does not stand first")
	}
	for path, want := range map[string]string{
		"/feeds?state=dead": "روز هرات", "/feeds?q=courier": "Kabul Courier", "/feeds?q=persian": "روز هرات", "/feeds?q=nothing": "No feed like that",
	} {
		if _, body, _ := w.get(t, path); !strings.Contains(body, want) || strings.Count(body, `<th scope="row">`) > 1 {
			t.Errorf("%s does not show %s alone", path, want)
		}
	}
	if code, _, _ := w.get(t, "/feeds/unknown"); code != http.StatusNotFound {
		t.Errorf("an unknown feed gives %d", code)
	}
}
