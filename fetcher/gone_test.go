package fetcher

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tocsin/news"
)

func entriesOf(names string) string {
	var items []string
	for _, n := range strings.Fields(names) {
		items = append(items, fmt.Sprintf("Item %s|https://herald.example/%s|g%s", n, n, n))
	}
	return rssOf(items...)
}

func TestWhatAnOutletTakesBackIsMarkedAndStays(t *testing.T) {
	for name, c := range map[string]struct{ before, after, gone string }{
		"from the middle":      {"e d c b a", "e d b a", "c"},
		"beside something new": {"e d c b a", "f e c b a", "d"},
		"scrolled away":        {"e d c b a", "g f e d c", ""},
		"scrolled at the head": {"a b c d e", "c d e f g", ""},
		"nothing known":        {"c b a", "f e d", ""},
		"in another order":     {"e d c b a", "a b d e", ""},
		"two":                  {"f e d c b a", "f c a", "e d b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, entriesOf(c.before))
			r := newRig(t, nil, Feed{URL: s.URL})
			r.poll(0)
			s.set(entriesOf(c.after), nil)
			r.poll(0)
			var want []string
			for _, n := range strings.Fields(c.gone) {
				want = append(want, news.ItemID(r.id(0), "g"+n))
			}
			var got []string
			st := r.status(0)
			for _, g := range st.Gone {
				got = append(got, g.Item)
			}
			if strings.Join(got, " ") != strings.Join(want, " ") || st.GoneSum != uint64(len(want)) {
				t.Errorf("gone %v, want %v", got, want)
			}
			if n := r.counter("tocsin_items_total", "fetch", "gone"); n != float64(len(want)) {
				t.Errorf("counted %v", n)
			}
			fresh := len(strings.Fields(c.before))
			for _, n := range strings.Fields(c.after) {
				if !strings.Contains(c.before, n) {
					fresh++
				}
			}
			if len(r.items) != fresh {
				t.Errorf("published %v: what is gone is no news", r.titles())
			}
			s.set(entriesOf(c.before), nil)
			r.poll(0)
			if len(r.items) != fresh {
				t.Errorf("what came back was published again: %v", r.titles())
			}
			for _, g := range r.status(0).Gone {
				if slices.Contains(want, g.Item) {
					t.Errorf("what came back is still marked: %v", g)
				}
			}
		})
	}
}

func TestDeletedEntriesOfAtomAndTheEndOfAJSONFeed(t *testing.T) {
	atom := func(s string) string {
		return `<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0"><id>f</id><title>F</title>` + s + `</feed>`
	}
	entry := `<entry><id>tag:h.example,1</id><title>One</title><updated>2026-11-22T09:00:00Z</updated></entry>`
	s := newSite(t, atom(entry))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	s.set(atom(`<at:deleted-entry ref="tag:h.example,1" when="2026-11-22T10:00:00Z"/><at:deleted-entry ref="never seen" when="x"/>`), nil)
	r.poll(0)
	if st := r.status(0); len(st.Gone) != 1 || st.Gone[0].Item != r.items[0].ID || len(r.items) != 1 {
		t.Errorf("gone %v, published %v", st.Gone, r.titles())
	}
	s.set(`{"version":"https://jsonfeed.org/version/1.1","title":"J","expired":true,"items":[{"id":"1","title":"One"}]}`, nil)
	r.poll(0)
	if notes := strings.Join(r.status(0).Notes, "|"); !strings.Contains(notes, "has ended") {
		t.Errorf("notes %q", notes)
	}
}

func TestTheFirstBadEntryIsKeptWithoutSecrets(t *testing.T) {
	bad := "<item><title <b>x</title><link>https://h.example/?token=s3cret</link>" + strings.Repeat("y", 6000) + "</item>"
	s := newSite(t, strings.Replace(entriesOf("a b c"), "<item><title>Item b", bad+"<item><title>Item b", 1))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	st := r.status(0)
	if len(r.items) != 3 || !strings.HasPrefix(st.BadEntry, "<item><title <b>x") || strings.Contains(st.BadEntry, "s3cret") || len(st.BadEntry) > maxBadEntry || len(st.BadEntry) < 4000 {
		t.Errorf("%d items, bad entry of %d bytes: %.100s", len(r.items), len(st.BadEntry), st.BadEntry)
	}
	if notes := strings.Join(st.Notes, "|"); !strings.Contains(notes, "1 of 4 entries dropped") {
		t.Errorf("notes %q", notes)
	}
	s.set(entriesOf("a b c"), nil)
	r.poll(0)
	if st := r.status(0); st.BadEntry != "" {
		t.Error("the bad entry outlived its document")
	}
}
