package news_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
)

// The ids below were computed with sha256sum, base32 and xxd, not by this program. Stored messages, feed state and delivery records are keyed by
// them: when a line fails, the change orphans what is stored. Do not adapt the line.
func TestIDsNeverChange(t *testing.T) {
	feed := news.FeedID("https://example.org/feed.xml")
	for _, c := range []struct{ what, got, want string }{
		{"feed", feed, "25hzzjigqpv6ztzg"},
		{"item", news.ItemID(feed, "guid-1"), "a162a6aee6ee47cf143876671575b80f"},
		{"content", news.ContentHash(" A  title ", "https://example.org/1", "Some\n\ttext."), "b62b4db57981ede0"},
		{"match", news.MatchID("item", "rev", "armed-groups", "lrev"), "4a00ba9526e243900d5787ed89510622"},
		{"alert", news.AlertID("story", "armed-groups"), "ux5wot3vkm5xiipb5sw563gqdc"},
		{"delivery", news.DeliveryID("alert", 2, "desk", "mail", "ann@example.org"), "waogx4bocr5lcqlkalyaajhj2y"},
	} {
		if c.got != c.want {
			t.Errorf("%s id = %s, want %s", c.what, c.got, c.want)
		}
	}
}

func TestIDsAreTokensOfTheBus(t *testing.T) {
	token := regexp.MustCompile(`^[a-z0-9]+$`)
	for _, id := range []string{
		news.FeedID("https://example.org/é?q=.*>"), news.ItemID("f", "a.b *>"), news.ContentHash("", "", ""), news.MatchID("", "", "", ""),
		news.AlertID("s.t", "w"), news.DeliveryID("a", 1, "r.r", "c", "ann.b@example.org"),
	} {
		if !token.MatchString(id) {
			t.Errorf("id %q is not a token of a subject", id)
		}
	}
}

func TestIDsTellInputsApart(t *testing.T) {
	seen := map[string]string{}
	for what, id := range map[string]string{
		"base":      news.DeliveryID("a", 1, "r", "c", "p"),
		"alert":     news.DeliveryID("b", 1, "r", "c", "p"),
		"revision":  news.DeliveryID("a", 2, "r", "c", "p"),
		"route":     news.DeliveryID("a", 1, "s", "c", "p"),
		"channel":   news.DeliveryID("a", 1, "r", "d", "p"),
		"recipient": news.DeliveryID("a", 1, "r", "c", "q"),
	} {
		if other := seen[id]; other != "" {
			t.Errorf("%s and %s share the delivery id %s", what, other, id)
		}
		seen[id] = what
	}
	if news.ContentHash("a", "l", "b c") != news.ContentHash("a ", "l", "b\n c") {
		t.Error("white space alone makes a revision")
	}
	for _, other := range []string{news.ContentHash("A", "l", "b"), news.ContentHash("a", "m", "b"), news.ContentHash("a", "l", "c")} {
		if other == news.ContentHash("a", "l", "b") {
			t.Error("a changed title, link or text makes no revision")
		}
	}
}

func TestCanonicalURL(t *testing.T) {
	for raw, want := range map[string]string{
		"HTTPS://Example.ORG":                  "https://example.org/",
		"https://example.org:443/a":            "https://example.org/a",
		"http://example.org:80/a":              "http://example.org/a",
		"http://example.org:443/a":             "http://example.org:443/a",
		"https://example.org/A?b=C#frag":       "https://example.org/A?b=C",
		"  https://example.org/a/  ":           "https://example.org/a/",
		"https://example.org/a%2Fb?x=1&x=2":    "https://example.org/a%2Fb?x=1&x=2",
		"https://user:secret@example.org:8443": "https://user:secret@example.org:8443/",
		"https://[2001:DB8::1]:443/x":          "https://[2001:db8::1]/x",
		"not a url":                            "not a url",
		"http://a b/":                          "http://a b/",
		"":                                     "",
	} {
		if got := news.CanonicalURL(raw); got != want {
			t.Errorf("CanonicalURL(%q) = %q, want %q", raw, got, want)
		}
	}
	if news.FeedID("http://example.org/") == news.FeedID("https://example.org/") {
		t.Error("http and https share an id")
	}
}

func FuzzCanonicalURL(f *testing.F) {
	for _, s := range []string{"HTTP://EX.org:80", "https://[::1]:443/#", "http://ex.org/%2f?#", "//ex.org", "http://ex.org:80:80/", " x "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once := news.CanonicalURL(raw)
		if twice := news.CanonicalURL(once); twice != once {
			t.Errorf("%q becomes %q, then %q: the id depends on how often it was read", raw, once, twice)
		}
	})
}

func TestSeverity(t *testing.T) {
	last := news.SeverityNone
	for _, name := range news.Severities() {
		var s news.Severity
		if err := s.UnmarshalText([]byte(name)); err != nil {
			t.Fatal(err)
		}
		if s <= last || s.String() != name {
			t.Errorf("%s reads as %d (%s) after %d", name, s, s, last)
		}
		last = s
	}
	if last != news.SeverityCritical {
		t.Errorf("the highest is %d", last)
	}
	for _, bad := range []string{"Critical", "urgent", " high", "5"} {
		s := news.SeverityLow
		if err := s.UnmarshalText([]byte(bad)); err == nil || !strings.Contains(err.Error(), "critical") {
			t.Errorf("%q: error %v, want one that lists the names", bad, err)
		}
	}
	s := news.SeverityHigh
	if err := s.UnmarshalText(nil); err != nil || s != news.SeverityNone {
		t.Errorf("empty text reads as %d, error %v", s, err)
	}
	for _, odd := range []news.Severity{-1, news.SeverityNone, news.SeverityCritical + 1} {
		if odd.String() != "" {
			t.Errorf("Severity(%d) is called %q", odd, odd)
		}
	}
	b, err := json.Marshal(map[string]news.Severity{"s": news.SeverityHigh})
	if err != nil || string(b) != `{"s":"high"}` {
		t.Errorf("JSON %s, error %v", b, err)
	}
}

func TestLater(t *testing.T) {
	cause := errors.New("busy")
	err := news.Later(time.Minute, cause)
	var later *news.LaterError
	if !errors.As(err, &later) || later.After != time.Minute || !errors.Is(err, cause) || err.Error() != "again in 1m0s: busy" {
		t.Errorf("got %v", err)
	}
	if got := news.Later(time.Second, nil).Error(); got != "again in 1s" {
		t.Errorf("without a cause: %q", got)
	}
}

func TestItemWhen(t *testing.T) {
	seen, published := time.Unix(2000, 0), time.Unix(1000, 0)
	it := news.Item{FirstSeen: seen}
	if !it.When().Equal(seen) {
		t.Errorf("without a date: %v", it.When())
	}
	it.Published = published
	if !it.When().Equal(published) {
		t.Errorf("with a date: %v", it.When())
	}
}

func TestItemFields(t *testing.T) {
	it := news.Item{Title: "t", Summary: "s", Body: "b"}
	want := [3]news.Field{{Name: "title", Text: "t"}, {Name: "summary", Text: "s"}, {Name: "body", Text: "b"}}
	if diff := cmp.Diff(want, it.Fields()); diff != "" {
		t.Error(diff)
	}
}

func TestMatchIDs(t *testing.T) {
	m := news.Match{
		Entities: []news.EntityHit{{ID: "ttp"}, {ID: "bla"}},
		Rules:    []news.RuleHit{{ID: "drones"}, {ID: "bla"}},
	}
	if diff := cmp.Diff([]string{"bla", "drones", "ttp"}, m.IDs()); diff != "" {
		t.Error(diff)
	}
}

func TestMatchSpans(t *testing.T) {
	m := news.Match{
		Mentions: []news.Mention{{Field: "title", Start: 10, End: 14}, {Field: "body", Start: 0, End: 3}, {Field: "title", Start: 0, End: 4}},
		Rules: []news.RuleHit{{Spans: []news.Span{
			{Field: "title", Start: 2, End: 6}, {Field: "title", Start: 11, End: 12}, {Field: "title", Start: 20, End: 22}, {Field: "summary", Start: 1, End: 2},
		}}},
	}
	want := []news.Span{{Field: "title", Start: 0, End: 6}, {Field: "title", Start: 10, End: 14}, {Field: "title", Start: 20, End: 22}}
	if diff := cmp.Diff(want, m.Spans("title")); diff != "" {
		t.Error(diff)
	}
	if m.Mentions[0].Start != 10 {
		t.Error("Spans reorders the match itself")
	}
	if got := m.Spans("nothing"); len(got) != 0 {
		t.Errorf("an unknown field has spans: %v", got)
	}
}

func TestSortedKeys(t *testing.T) {
	if diff := cmp.Diff([]string{"a", "b", "c"}, news.SortedKeys(map[string]int{"c": 1, "a": 2, "b": 3})); diff != "" {
		t.Error(diff)
	}
	if got := news.SortedKeys(map[string]bool(nil)); got == nil || len(got) != 0 {
		t.Errorf("no keys give %#v, want an empty list", got)
	}
}
