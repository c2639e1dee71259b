package notifier

import (
	"slices"
	"strings"
	"testing"

	"tocsin/news"
)

func TestAnUpdateSaysWhatIsNewAndWhoElseReports(t *testing.T) {
	m := match("i1")
	a := &news.Alert{
		Kind: news.KindUpdate, Match: m, Headline: "Nine killed", Opened: news.SeverityHigh, Severity: news.SeverityCritical, Before: "Nine killed in Bannu",
		New:      []string{"entity bla", "entity isk", "severity critical", "number 12 killed, 9 before", "place bannu", "lang ur", "tier 1"},
		Also:     []news.Source{{Outlet: "Mashal", Lang: "ur", Title: "نو اہلکار", URL: "https://mashal.example/1"}, {URL: "javascript:x", Outlet: "Post"}, {Outlet: "Post"}},
		AlsoMore: 3,
	}
	v := NewView(a, nil)
	want := []string{
		"BLA", "isk", "severity is now critical", "12 killed, 9 before", "place: bannu", "first report in Urdu", "first report by a source of tier 1",
		"the title was: Nine killed in Bannu", "also reported by Mashal, Post and 3 more",
	}
	if got := v.News(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if v.ThreadTitle() != "Nine killed" || v.ThreadSeverity() != "high" || v.Also[0].Host != "mashal.example" || v.Also[1].Link != "" {
		t.Errorf("thread %q %q, also %+v", v.ThreadTitle(), v.ThreadSeverity(), v.Also)
	}
	p := &Page{View: v}
	text, err := p.Text()
	must(t, err)
	html, err := p.HTML()
	must(t, err)
	for _, want := range []string{"Update: what is new", "Also reported by", "https://mashal.example/1", "and 3 more", "12 killed, 9 before"} {
		if !strings.Contains(string(text), want) || !strings.Contains(string(html), want) {
			t.Errorf("the page lacks %q:\n%s\n%s", want, text, html)
		}
	}
	if strings.Contains(string(html), "javascript") {
		t.Error("a link that is no link")
	}
}
