package story

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
)

var began = time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)

// told makes an item that tells of words at an hour: "@iran/land", "@hormuz/place", "@boss/name", "=close!close" for a meaning with its kind of
// event, "14:killed" for a number, anything else for a word of its language. What follows ">" stands beside the main clause.
func told(id string, hour float64, words string) Item {
	sig := &news.Signature{Version: news.SignatureVersion}
	part := news.PartHead
	for _, w := range strings.Fields(words) {
		key, more, _ := strings.Cut(w, "/")
		switch {
		case w == ">":
			part = news.PartTail
		case w[0] == '@':
			a := news.Anchor{ID: key[1:], Kind: more, Weak: more == news.AnchorLand, Bits: map[string]float64{news.AnchorLand: 4, news.AnchorPlace: 9, news.AnchorName: 12}[more], Part: part}
			sig.Anchors = append(sig.Anchors, a)
			if sig.Agent == "" {
				sig.Agent = a.ID
			}
		case w[0] == '=':
			key, class, _ := strings.Cut(w, "!")
			sig.Words = append(sig.Words, news.SigWord{Key: key, Bits: 6, Part: part, Event: class})
			if class != "" && part == news.PartHead {
				sig.Events = append(sig.Events, class)
				sig.Act = key
			}
		case w[0] >= '0' && w[0] <= '9':
			n, unit, _ := strings.Cut(w, ":")
			v, _ := strconv.ParseFloat(n, 64)
			sig.Numbers = append(sig.Numbers, news.Number{Value: v, Unit: unit, Part: part})
		default:
			sig.Words = append(sig.Words, news.SigWord{Key: w, Bits: 12, Part: part})
		}
	}
	return Item{ID: id, Lang: "en", Outlet: "outlet of " + id, At: began.Add(time.Duration(hour * float64(time.Hour))), Signature: sig}
}

func (it Item) with(f func(*Item)) Item {
	f(&it)
	return it
}

func newStage(t testing.TB, o Options) *Stage {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func add(t testing.TB, s *Stage, it Item) Decision {
	t.Helper()
	d, err := s.Add(it)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

const closing = "@iran/land @hormuz/place =close!close tanker blockade"

func TestItemsJoinByEachRule(t *testing.T) {
	text := make([]uint32, 32)
	for i := range text {
		text[i] = uint32(i)
	}
	for _, c := range []struct {
		name, why     string
		first, second Item
	}{
		{
			"one link", "same link", told("a", 0, "alpha beta gamma").with(func(it *Item) { it.URL = "https://news.example/1" }),
			told("b", 1, "delta epsilon").with(func(it *Item) { it.URL = "https://news.example/1" }),
		},
		{
			"one text", "same text", told("a", 0, "alpha beta gamma").with(func(it *Item) { it.Signature.Sketch = text }),
			told("b", 1, "alpha delta epsilon").with(func(it *Item) { it.Signature.Sketch = text }),
		},
		{"names and words", "same names and words", told("a", 0, closing), told("b", 3, closing+" navy")},
		{
			"one place and kind of event, little else", "same place, name and kind of event", told("a", 0, "@iran/land @hormuz/place =close!close =say tanker blockade"),
			told("b", 3, "@iran/land @hormuz/place =shut!close =ship =say"),
		},
		{"another language", "same names and words", told("a", 0, "@quetta/place @bla/name =bomb!attack =kill!kill 14:killed station"), told("b", 1, "@quetta/place @bla/name =bomb!attack =kill!kill 14:killed دھماکہ").with(func(it *Item) { it.Lang = "ur" })},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, Options{})
			add(t, s, c.first)
			d := add(t, s, c.second)
			if d.Story != c.first.ID || d.Opened || d.Joined == nil {
				t.Fatalf("%+v: want to join %s", d, c.first.ID)
			}
			if d.Joined.Story != c.first.ID || d.Joined.Points < joinAt || !slices.ContainsFunc(d.Joined.Evidence, func(e Evidence) bool { return e.Name == c.why && e.Points > 0 }) {
				t.Errorf("link %+v: want evidence %q", d.Joined, c.why)
			}
		})
	}
}

func TestItemsStayApart(t *testing.T) {
	form := func(f, date string) func(*Item) {
		return func(it *Item) { it.Signature.Form, it.Signature.Date = f, date }
	}
	series := func(it *Item) { it.Outlet, it.Signature.Series = "one outlet", "currencies" }
	const prices = "gold price rates today delhi"
	for _, c := range []struct {
		name, why     string
		first, second Item
	}{
		{"nothing in common", "", told("a", 0, "alpha beta"), told("b", 1, "gamma delta")},
		{"another place", "other places", told("a", 0, "@russia/land @kyiv/place =attack!attack missile dawn tower"), told("b", 2, "@russia/land @odesa/place =attack!attack missile grain quay")},
		{"after the window", "", told("a", 0, closing), told("b", 73, closing)},
		{"a column of another day", "", told("a", 0, prices).with(form(news.FormColumn, "11-01")), told("b", 24, prices).with(form(news.FormColumn, "11-02"))},
		{"columns without a day", "", told("a", 0, prices).with(form(news.FormColumn, "")), told("b", 24, prices).with(form(news.FormColumn, ""))},
		{"a column and news", "", told("a", 0, prices).with(form(news.FormColumn, "11-01")), told("b", 1, prices)},
		{"what explains", "explains, not reports", told("a", 0, "@iran/land =close!close tanker"), told("b", 1, "@iran/land =close!close tanker matters history").with(form(news.FormView, ""))},
		{"a running head", "same running head", told("a", 0, "aud usd dollar falls").with(series), told("b", 3, "nzd usd dollar gains").with(series)},
		{"another of a series", "another of a series", told("a", 0, "=first reactor =start!test"), told("b", 3, "=second reactor =start!test")},
		{"another number of one thing", "other numbers", told("a", 0, "@taiwan/land aircraft sorties 5:=aircraft"), told("b", 24, "@taiwan/land aircraft sorties 17:=aircraft")},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, Options{})
			add(t, s, c.first)
			d := add(t, s, c.second)
			if !d.Opened || d.Story != c.second.ID {
				t.Fatalf("%+v: want a story of its own", d)
			}
			if c.why != "" && (d.Nearest == nil || !slices.ContainsFunc(d.Nearest.Evidence, func(e Evidence) bool { return e.Name == c.why && e.Points < 0 })) {
				t.Errorf("nearest %+v: want evidence %q", d.Nearest, c.why)
			}
		})
	}
}

func TestLateMergeKeepsTheOlderID(t *testing.T) {
	s := newStage(t, Options{})
	add(t, s, told("old", 0, "@iran/land @hormuz/place =close!close tanker"))
	if d := add(t, s, told("young", 1, "blockade navy convoy gulf")); !d.Opened {
		t.Fatalf("%+v: want two stories first", d)
	}
	d := add(t, s, told("bridge", 2, "@iran/land @hormuz/place =close!close tanker blockade navy convoy gulf"))
	if d.Story != "old" {
		t.Errorf("story %q, want the older", d.Story)
	}
	d = add(t, s, told("more", 3, "@iran/land @hormuz/place =close!close tanker blockade navy convoy gulf"))
	all := append([]Merge{}, d.Merged...)
	if len(all) == 0 {
		d = add(t, s, told("again", 2, "blockade navy convoy gulf tanker @hormuz/place"))
		all = d.Merged
	}
	if d.Story != "old" || s.Open() > 2 {
		t.Errorf("story %q of %d open, want old", d.Story, s.Open())
	}
	for _, m := range all {
		if m.Into != "old" || m.From != "young" || m.Link.Story != "old" || len(m.Link.Evidence) == 0 {
			t.Errorf("merge %+v, want young into old with evidence", m)
		}
	}
	if s.Open() != 1 {
		t.Errorf("%d stories open, want one", s.Open())
	}
	if d := add(t, s, told("young", 3, "whatever")); !d.Again || d.Story != "old" {
		t.Errorf("an item of the story that ended: %+v, want known in the older", d)
	}
}

// stream makes items of some events, each told in its own words and some of its own, mixed with items of no event.
func stream(r *rand.Rand, events, each, lone int) []Item {
	var out []Item
	for e := range events {
		for i := range each {
			words := fmt.Sprintf("@land%d/land @place%d/place =act%d!attack core%d main%d extra%d-%d", e, e, e, e, e, e, i)
			out = append(out, told(fmt.Sprintf("e%d-%d", e, i), 6*r.Float64(), words))
		}
	}
	for i := range lone {
		out = append(out, told(fmt.Sprintf("lone%d", i), 6*r.Float64(), fmt.Sprintf("@single%d/place =do%d!talk some%d other%d", i, i, i, i)))
	}
	return out
}

// partition tells which items are together, whatever the stories are called.
func partition(t testing.TB, items []Item) map[string]string {
	t.Helper()
	s := newStage(t, Options{})
	for _, it := range items {
		add(t, s, it)
	}
	first := map[*story]string{}
	for id, st := range s.items {
		if old, ok := first[st]; !ok || id < old {
			first[st] = id
		}
	}
	out := map[string]string{}
	for id, st := range s.items {
		out[id] = first[st]
	}
	return out
}

func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		items := stream(r, 2+r.IntN(6), 2+r.IntN(5), r.IntN(10))
		want := partition(t, items)
		stories := map[string]bool{}
		for id, st := range want {
			stories[st] = true
			if e, _, ok := strings.Cut(id, "-"); ok && !strings.HasPrefix(st, e+"-") {
				t.Fatalf("%s is in the story of %s", id, st)
			}
		}
		for range 10 {
			r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
			if d := cmp.Diff(want, partition(t, items)); d != "" {
				t.Fatalf("another order, other stories (-want +got):\n%s", d)
			}
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const most, n = 50, 400
	s := newStage(t, Options{MaxStories: most})
	for i := range n {
		it := told(fmt.Sprintf("i%d", i), float64(i)/100, fmt.Sprintf("@p%d/place w%d x%d", i, i, i))
		it.URL = fmt.Sprintf("https://news.example/story/%d", i)
		add(t, s, it)
		if s.Open() > most {
			t.Fatalf("%d stories open, bound %d", s.Open(), most)
		}
	}
	if s.Evicted() != n-most {
		t.Errorf("%d evictions counted, want %d", s.Evicted(), n-most)
	}
	for name, size := range map[string]int{"items": len(s.items), "ids": len(s.ids), "links": len(s.urls), "slots": len(s.open), "gathered": len(s.gathered)} {
		if size != most {
			t.Errorf("%s: %d, want %d", name, size, most)
		}
	}
	if len(s.index) != 3*most {
		t.Errorf("index of %d keys, want %d", len(s.index), 3*most)
	}
	add(t, s, told("later", 24*9, "alpha"))
	if s.Open() != 1 || len(s.items) != 1 || len(s.index) != 1 {
		t.Errorf("nine days later %d stories, %d items, %d keys are left, want one of each", s.Open(), len(s.items), len(s.index))
	}
}

// TestReplayGivesTheSameStories stops in the middle, makes a new stage from what was decided, and goes on with both.
func TestReplayGivesTheSameStories(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 10 {
		items := stream(r, 8, 5, 20)
		items = append(items, told("old", 1, "@iran/land @hormuz/place =close!close tanker"), told("young", 2, "blockade navy convoy gulf"),
			told("bridge", 3, "@iran/land @hormuz/place =close!close tanker blockade navy convoy gulf"))
		r.Shuffle(len(items), func(i, j int) { items[i], items[j] = items[j], items[i] })
		cut := len(items) / 2
		whole, rebuilt := newStage(t, Options{}), newStage(t, Options{})
		for _, it := range items[:cut] {
			d := add(t, whole, it)
			own := d.Story
			if len(d.Merged) > 0 { // the story of the item before others joined it
				own = d.Merged[0].Into
			}
			rebuilt.Restore(it, own)
			for _, m := range d.Merged {
				rebuilt.Join(m.From, m.Into)
			}
		}
		for _, it := range items[cut:] {
			a, b := add(t, whole, it), add(t, rebuilt, it)
			if d := cmp.Diff(a, b); d != "" {
				t.Fatalf("%s is decided otherwise after a restart (-want +got):\n%s", it.ID, d)
			}
		}
	}
}

func TestKnownItemsKeepTheirStory(t *testing.T) {
	s := newStage(t, Options{})
	add(t, s, told("a", 0, closing))
	if d := add(t, s, told("a", 5, "something else altogether")); !d.Again || d.Story != "a" || s.Open() != 1 {
		t.Errorf("%+v: want the same item again", d)
	}
	if _, err := s.Add(Item{ID: "b"}); !errors.Is(err, ErrNoSignature) {
		t.Errorf("an item without a signature: %v", err)
	}
	if _, err := New(Options{Window: -1}); err == nil {
		t.Error("a negative window is accepted")
	}
}

func TestOnlyLinksOfArticlesAreOneStory(t *testing.T) {
	for link, want := range map[string]string{
		"https://news.example/world/1": "https://news.example/world/1", "https://news.example/": "", "https://news.example": "", "": "",
	} {
		if got := Of(&news.Item{ID: "a", URL: link}, &news.Signature{}); got.URL != want {
			t.Errorf("%q: link %q, want %q", link, got.URL, want)
		}
	}
}

// BenchmarkAdd adds items while 10,000 stories are open; most of them share names that everybody writes about.
func BenchmarkAdd(b *testing.B) {
	r := rand.New(rand.NewPCG(5, 6))
	pick := func(kind string, n int) string {
		return fmt.Sprintf("@%s%d/%s", kind, int(float64(n)*r.Float64()*r.Float64()), kind)
	}
	item := func(i int) Item {
		words := []string{pick(news.AnchorLand, 80), pick(news.AnchorLand, 80), pick(news.AnchorPlace, 3000), pick(news.AnchorName, 8000), fmt.Sprintf("=do%d!attack", r.IntN(170)), fmt.Sprintf("=be%d", r.IntN(170))}
		for range 5 {
			words = append(words, fmt.Sprintf("w%d", int(20_000*r.Float64()*r.Float64())))
		}
		return told(fmt.Sprint("i", i), float64(i)/1000, strings.Join(words, " "))
	}
	s := newStage(b, Options{MaxStories: 10_000})
	n := 0
	for ; s.Open() < 10_000; n++ {
		s.Restore(item(n), fmt.Sprint("s", n))
	}
	items := make([]Item, b.N)
	for i := range items {
		items[i] = item(n + i)
	}
	took := make([]time.Duration, b.N)
	b.ResetTimer()
	for i := range items {
		began := time.Now()
		add(b, s, items[i])
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(b.N)/b.Elapsed().Minutes(), "items/min")
}
