package newsroom

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"tocsin/matcher"
	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/watchlists"
)

// TestTruthAgainstTheShippedLists runs the real matcher over every version of every item of two scripts. What it flags must be the truth: a
// difference is a fault of the lists, of the matcher or of the script, and the demo would show it.
func TestTruthAgainstTheShippedLists(t *testing.T) {
	set, faults := watchlist.Load(watchlists.Lists)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	index, err := matcher.Compile(set)
	if err != nil {
		t.Fatal(err)
	}
	s, err := loadScript()
	if err != nil {
		t.Fatal(err)
	}
	listOf, right := s.listOf(), 0
	for seed := range int64(2) {
		for _, it := range s.plan(Options{Seed: seed, Noise: 20}.withDefaults()).items {
			if seed > 0 && it.Kind != Noise {
				continue
			}
			for d := range versions(it) {
				title, text, _ := it.current(d)
				flagged := listsOfIDs(index.Match(&news.Item{ID: it.ID, Lang: it.Lang, Title: title, Summary: text, FirstSeen: time.Now()}))
				if diff := compare(it.Item, flagged, listOf); diff != "" {
					t.Errorf("%s %s (%s): %s\n\t%s\n\t%s", it.Kind, it.ID, it.Lang, diff, title, text)
					continue
				}
				right++
			}
		}
	}
	t.Logf("%d right", right)
}

// versions are the moments at which an item changes.
func versions(it *item) map[time.Duration]bool {
	at := map[time.Duration]bool{it.at: true}
	for _, e := range it.edits {
		at[e.at] = true
	}
	return at
}

// listsOfIDs gives what was flagged, with the list of each id.
func listsOfIDs(matches []news.Match) map[string]string {
	ids := map[string]string{}
	for _, m := range matches {
		for _, id := range m.IDs() {
			ids[id] = m.Watchlist
		}
	}
	return ids
}

func compare(it Item, flagged, listOf map[string]string) string {
	var faults []string
	for _, id := range it.Expect {
		if flagged[id] == "" {
			faults = append(faults, "misses "+id)
		} else if flagged[id] != listOf[id] {
			faults = append(faults, fmt.Sprintf("%s is of %s, the script says %s", id, flagged[id], listOf[id]))
		}
	}
	for _, id := range news.SortedKeys(flagged) {
		judged := slices.Contains(Judged(), flagged[id]) // places and people stand in many texts in passing
		if judged && !slices.Contains(it.Expect, id) && !slices.Contains(it.Allow, id) {
			faults = append(faults, "falsely flags "+id)
		}
	}
	return strings.Join(faults, ", ")
}

func TestFloodTextIsFoundByItsLists(t *testing.T) {
	w, err := Flood(2500, 3, Options{Span: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	files := fstest.MapFS{}
	for name, data := range w.WatchlistsYAML() {
		files[name] = &fstest.MapFile{Data: data}
	}
	set, faults := watchlist.Load(files)
	for _, f := range faults {
		t.Error(f)
	}
	index, err := matcher.Compile(set)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Lists()) != 3 || len(index.CheckSentences()) > 0 {
		t.Errorf("%d lists, faults %v", len(w.Lists()), index.CheckSentences())
	}
	for _, it := range w.Items() {
		got := index.Match(&news.Item{ID: it.ID, Lang: it.Lang, Title: it.Title, Summary: it.Text})
		if len(got) != 1 || !slices.Equal(got[0].IDs(), it.Expect) {
			t.Fatalf("%s: %d matches for %q %q", it.ID, len(got), it.Title, it.Text)
		}
	}
}

func TestOpenBeginsAnew(t *testing.T) {
	w := start(t, Options{Span: 300 * time.Millisecond, Noise: 4})
	time.Sleep(400 * time.Millisecond)
	done, total := w.Progress()
	w.Open()
	again, _ := w.Progress()
	if done != total || again >= total {
		t.Errorf("%d of %d published, after Open %d", done, total, again)
	}
}
