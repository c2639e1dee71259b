package fetcher

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/news"
)

// documents polls a feed with one document after the other and gives the rig.
func documents(t *testing.T, feed Feed, docs ...string) *rig {
	t.Helper()
	s := newSite(t, "")
	feed.URL = s.URL
	r := newRig(t, nil, feed)
	for _, d := range docs {
		s.set(d, nil)
		r.poll(0)
	}
	return r
}

func TestSameContentIsSeenOnce(t *testing.T) {
	a := "One|https://herald.example/1?utm_source=rss|g1|Sun, 22 Nov 2026 09:00:00 GMT|Text."
	moved := "One|https://herald.example/1?utm_source=mail|g1|Sun, 22 Nov 2026 11:00:00 GMT|Text.   "
	r := documents(t, Feed{}, rssOf(a), rssOf(moved), rssOf(a, "Two|https://herald.example/2|g2"), rssOf(a))
	if got := strings.Join(r.titles(), ","); got != "One,Two" {
		t.Errorf("published %s: a moved date, a tracking parameter and spaces are no edit", got)
	}
}

func TestEditIsARevision(t *testing.T) {
	v1 := "Three dead in blast|https://herald.example/1|g1||First text."
	v2 := "Five dead in blast|https://herald.example/1|g1||First text."
	v3 := "Five dead in blast|https://herald.example/2|g1||Second text."
	r := documents(t, Feed{}, rssOf(v1), rssOf(v2), rssOf(v3), rssOf(v1), rssOf(v2), rssOf(v3))
	if len(r.items) != 3 {
		t.Fatalf("published %v: texts that were there before are no news", r.titles())
	}
	one, two, three := r.items[0], r.items[1], r.items[2]
	if two.ID != one.ID || two.Reason != news.ReasonEdited || two.Previous != one.Revision || !slices.Equal(two.Changed, []string{"title"}) || two.Backfill {
		t.Errorf("second revision = %+v", two)
	}
	if three.Previous != two.Revision || !slices.Equal(three.Changed, []string{"url", "text"}) {
		t.Errorf("third revision = %+v", three)
	}
	if two.Key() == one.Key() {
		t.Error("the revision has the key of the item: the bus would swallow it")
	}
}

func TestLiveEntryIsHeldBackAfterTwentyEditsADay(t *testing.T) {
	var docs []string
	for i := range 30 {
		docs = append(docs, rssOf(fmt.Sprintf("Live: part %d|https://herald.example/live|live||Text %d.", i, i)))
	}
	s := newSite(t, docs[0])
	r := newRig(t, nil, Feed{URL: s.URL, Interval: time.Minute})
	for _, d := range docs {
		s.set(d, nil)
		r.poll(0)
	}
	if len(r.items) != 1+dayEdits {
		t.Fatalf("%d revisions in a day", len(r.items))
	}
	r.advance(24 * time.Hour)
	s.set(docs[29]+" ", nil)
	r.poll(0)
	if last := r.items[len(r.items)-1]; len(r.items) != 2+dayEdits || last.Title != "Live: part 29" {
		t.Errorf("the last text did not come with the next day: %s", last.Title)
	}
}

func TestReusedGUIDIsNewNews(t *testing.T) {
	old := "Flood warning for Swat valley|https://herald.example/flood|latest|Sun, 22 Nov 2026 08:00:00 GMT"
	fresh := "Parliament votes on rail budget|https://herald.example/rail|latest|Sun, 22 Nov 2026 11:00:00 GMT"
	r := documents(t, Feed{}, rssOf(old), rssOf(fresh), rssOf(fresh))
	if len(r.items) != 2 || r.items[1].Reason != news.ReasonNew || r.items[1].ID == r.items[0].ID || r.items[1].ID != news.ItemID(r.id(0), "latest|https://herald.example/rail") {
		t.Errorf("items %+v", r.items)
	}
}

func TestGUIDChurnIsNoNewsAndKeepsTheItem(t *testing.T) {
	r := documents(t, Feed{}, rssOf("One story|https://herald.example/1|a1", "Two story|https://herald.example/2|a2"),
		rssOf("One story|https://herald.example/1|b1", "Two story|https://herald.example/2|b2"),
		rssOf("One story|https://herald.example/1|c1", "Two story|https://herald.example/2|c2"))
	if len(r.items) != 2 || r.state(0).Lost != 0 {
		t.Fatalf("published %v, lost %d: churn is neither news nor a gap", r.titles(), r.state(0).Lost)
	}
	s := newSite(t, rssOf("One story, corrected|https://herald.example/1|c1"))
	r.feeds[0] = Feed{URL: s.URL, Was: r.feeds[0].URL}
	r.f.SetFeeds(r.feeds)
	r.poll(0)
	if last := r.items[len(r.items)-1]; last.Reason != news.ReasonEdited || last.ID != news.ItemID(r.id(0), "a1") {
		t.Errorf("an edit after churn: %+v", last)
	}
}

func TestNewIDOnAKnownLinkIsNewUnlessTheOldIDLeft(t *testing.T) {
	r := documents(t, Feed{}, rssOf("Live page: morning|https://herald.example/live|m"), rssOf("Live page: talks collapse|https://herald.example/live|n"))
	if len(r.items) != 2 {
		t.Errorf("another title: published %v", r.titles())
	}
	r = documents(t, Feed{}, rssOf("Live page|https://herald.example/live|m"), rssOf("Live page|https://herald.example/live|n", "Live page|https://herald.example/live|m"))
	if len(r.items) != 2 {
		t.Errorf("both ids in one document: published %v", r.titles())
	}
}

func TestNewIDOnAKnownLinkWithAnotherTitleIsNew(t *testing.T) {
	r := documents(t, Feed{}, rssOf("Live page: morning|https://herald.example/live|m"), rssOf("Live page: talks collapse|https://herald.example/live|n", "Live page: morning|https://herald.example/live|m"))
	if len(r.items) != 2 {
		t.Errorf("published %v", r.titles())
	}
}

func TestOneIDForTwoThingsInADocumentKeepsBoth(t *testing.T) {
	d := rssOf("Quake in Herat|https://herald.example/q|x", "Rail deal signed|https://herald.example/r|x", "Quake in Herat|https://herald.example/q|x", "Third|https://herald.example/3|g3", "Fourth|https://herald.example/4|g4", "Fifth|https://herald.example/5|g5", "Sixth|https://herald.example/6|g6")
	r := documents(t, Feed{}, d, d)
	if got := strings.Join(sortedTitles(r), ","); got != "Fifth,Fourth,Quake in Herat,Rail deal signed,Sixth,Third" {
		t.Errorf("published %s", got)
	}
	r = documents(t, Feed{}, rssOf("Quake in Herat|https://herald.example/q|x"), d, rssOf("Rail deal signed|https://herald.example/r|x"))
	if len(r.items) != 6 {
		t.Errorf("published %v: what was known under the plain id stays it", r.titles())
	}
}

func TestIDSharedByMostIsNoIdentity(t *testing.T) {
	d1 := rssOf("A story|https://herald.example/a|feed", "B story|https://herald.example/b|feed", "C story|https://herald.example/c|feed")
	d2 := rssOf("D story|https://herald.example/d|feed", "A story|https://herald.example/a|feed", "B story|https://herald.example/b|feed")
	r := documents(t, Feed{}, d1, d2)
	if got := strings.Join(r.titles(), ","); got != "A story,B story,C story,D story" || r.state(0).Mode != "link" {
		t.Errorf("published %s, mode %q", got, r.state(0).Mode)
	}
	unique := rssOf("D story|https://herald.example/d|1", "A story|https://herald.example/a|2", "E story|https://herald.example/e|3")
	r = documents(t, Feed{}, d1, d2, unique)
	if got := r.titles()[4:]; strings.Join(got, ",") != "E story" || r.state(0).Mode != "" {
		t.Errorf("a change of mode published %v, mode %q", got, r.state(0).Mode)
	}
}

func TestEntriesWithoutIDHaveLinkOrTitleAndDate(t *testing.T) {
	d := rssOf("Linked|https://herald.example/1", "Dated||DROP|Sun, 22 Nov 2026 09:00:00 GMT", "Bare")
	d = strings.ReplaceAll(d, `<guid isPermaLink="false">DROP</guid>`, "")
	r := documents(t, Feed{}, d, d)
	if len(r.items) != 3 || r.items[0].ID != news.ItemID(r.id(0), "https://herald.example/1") || r.items[1].ID != news.ItemID(r.id(0), "Dated|2026-11-22T09:00:00Z") {
		t.Errorf("items %+v", r.items)
	}
}

func TestFirstDocumentIsBackfillUnlessTheListSaysOtherwise(t *testing.T) {
	for _, listed := range []bool{false, true} {
		r := documents(t, Feed{Backfill: listed}, rssOf("One|https://herald.example/1|1"), rssOf("Two|https://herald.example/2|2", "One|https://herald.example/1|1"))
		if r.items[0].Backfill == listed || r.items[1].Backfill {
			t.Errorf("backfill: %v gave %v, %v", listed, r.items[0].Backfill, r.items[1].Backfill)
		}
	}
}

func TestGapIsCountedAsPossiblyLost(t *testing.T) {
	doc := func(from, to int, day int) string {
		var items []string
		for i := to; i >= from; i-- {
			items = append(items, fmt.Sprintf("Item %d|https://herald.example/%d|g%d|%s", i, i, i, time.Date(2026, 11, day, i%24, 0, 0, 0, time.UTC).Format(time.RFC1123)))
		}
		return rssOf(items...)
	}
	s := newSite(t, doc(0, 9, 22))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	if r.state(0).Lost != 0 {
		t.Fatal("the first poll is no gap")
	}
	r.advance(20 * time.Hour)
	s.set(doc(24, 33, 23), nil)
	r.poll(0)
	// One item an hour, about 21 hours, 10 of them here.
	if lost := r.state(0).Lost; lost < 8 || lost > 14 {
		t.Errorf("possibly lost: %d", lost)
	}
	if n := r.counter("tocsin_feed_items_possibly_lost_total"); uint64(n) != r.state(0).Lost {
		t.Errorf("counter %v", n)
	}
	if r.state(0).Hurry == 0 {
		t.Error("a gap did not shorten the interval")
	}
	lost := r.state(0).Lost
	s.set(doc(25, 34, 23), nil)
	r.poll(0)
	if r.state(0).Lost != lost {
		t.Error("a document with known entries is no gap")
	}
}

func TestLongDocumentsAreSeenOnceAndFitTheState(t *testing.T) {
	doc := func(from, n int) string {
		var items []string
		for i := from + n - 1; i >= from; i-- {
			items = append(items, fmt.Sprintf("Item %d|https://herald.example/%d|guid-%d", i, i, i))
		}
		return rssOf(items...)
	}
	for _, n := range []int{maxWhole, maxWhole + 1, 3000, maxEntries - 5} {
		s := newSite(t, doc(0, n))
		r := newRig(t, nil, Feed{URL: s.URL})
		r.poll(0)
		s.set(doc(5, n), nil)
		r.poll(0)
		s.set(doc(5, n)+" ", nil)
		r.poll(0)
		if got := len(r.items); got != n+5 {
			t.Errorf("%d entries: %d items after 5 new ones", n, got)
		}
		if size := len(r.states[r.id(0)]); size > maxState {
			t.Errorf("%d entries: state of %d bytes", n, size)
		}
	}
}

func TestStateStaysWithinItsSizeUnderEdits(t *testing.T) {
	s := newSite(t, "")
	r := newRig(t, nil, Feed{URL: s.URL, Interval: time.Minute})
	for round := range 4 {
		var items []string
		for i := range maxWhole {
			items = append(items, fmt.Sprintf("Item %d round %d|https://herald.example/%d|guid-%d|||", i, round, i, i+round%2*5000))
		}
		s.set(rssOf(items...), nil)
		r.poll(0)
	}
	if size := len(r.states[r.id(0)]); size > maxState {
		t.Errorf("state of %d bytes", size)
	}
	st := r.state(0)
	back, err := st.encode()
	if err != nil || string(back) != string(r.states[r.id(0)]) {
		t.Errorf("the state does not survive a round: %v", err)
	}
}

func TestForgottenAfterThirtyDays(t *testing.T) {
	st := &state{}
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	see := func(id string, when time.Time) int {
		e, it := []Entry{{ID: id, Title: id}}, []news.Item{{Title: id}}
		return len(judgeAll("f", st, e, it, when).out)
	}
	see("old", at)
	see("other", at.Add(29*day))
	if n := see("old", at.Add(30*day)); n != 0 {
		t.Error("forgotten after 30 days")
	}
	see("other", at.Add(70*day))
	if n := see("old", at.Add(71*day)); n != 1 {
		t.Error("still known after 40 days out of sight")
	}
}

func TestDatesOfItems(t *testing.T) {
	r := documents(t, Feed{Zone: "+05:00"}, rssOf(
		"Future|https://h.example/1|1|Mon, 23 Nov 2026 10:00:00 GMT", "Old|https://h.example/2|2|Mon, 01 Jan 1980 10:00:00 GMT",
		"No zone|https://h.example/3|3|Sun, 22 Nov 2026 14:00:00", "None|https://h.example/4|4", "Nonsense|https://h.example/5|5|yesterday"))
	want := map[string]struct {
		flag, claimed string
		published     time.Time
	}{
		"Future":   {news.FlagFutureDate, "Mon, 23 Nov 2026 10:00:00 GMT", time.Time{}},
		"Old":      {news.FlagNoDate, "Mon, 01 Jan 1980 10:00:00 GMT", time.Time{}},
		"No zone":  {"", "", time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)},
		"None":     {news.FlagNoDate, "", time.Time{}},
		"Nonsense": {news.FlagNoDate, "yesterday", time.Time{}},
	}
	for _, it := range r.items {
		w := want[it.Title]
		if !it.Published.Equal(w.published) || it.PublishedClaimed != w.claimed || strings.Join(it.Flags, ",") != w.flag || !it.FirstSeen.Equal(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %+v", it.Title, it)
		}
	}
}
