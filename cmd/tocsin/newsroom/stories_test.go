package newsroom

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"tocsin/matcher"
	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/notifier/story"
	"tocsin/watchlists"
)

// TestStoriesOfTheScript joins the planted items of the script, whose sentences nobody tuned the rules on, in the order of several seeds, and counts
// how many join an item of their own event and how many join others. It guards against a change that joins more wrongly than rightly; the figures
// stand in the log.
func TestStoriesOfTheScript(t *testing.T) {
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
	var right, wrong, wrongSameLang, split int
	for seed := range int64(4) {
		items := slices.DeleteFunc(s.plan(Options{Seed: seed + 1, Noise: -1}.withDefaults()).items, func(it *item) bool { return it.Kind != Planted })
		slices.SortStableFunc(items, func(a, b *item) int { return cmp.Compare(a.at, b.at) })
		stage, err := story.New(story.Options{})
		if err != nil {
			t.Fatal(err)
		}
		of, told := map[string][]*item{}, map[string]bool{}
		for _, it := range items {
			at := time.Unix(1_700_000_000, 0).Add(it.at)
			n := news.Item{ID: it.ID, Lang: it.Lang, Title: it.Title, Summary: it.Text, Outlet: it.outlet.Name, Published: at, FirstSeen: at}
			sig := index.Signature(&n)
			d, err := stage.Add(story.Of(&n, &sig))
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range d.Merged {
				of[m.Into] = append(of[m.Into], of[m.From]...)
			}
			same := slices.ContainsFunc(of[d.Story], func(o *item) bool { return it.Story != "" && o.Story == it.Story })
			switch {
			case same:
				right++
			case d.Joined != nil:
				wrong++
				if slices.ContainsFunc(of[d.Story], func(o *item) bool { return o.Lang == it.Lang }) {
					wrongSameLang++
				}
			case told[it.Story]:
				split++
			}
			told[it.Story] = it.Story != ""
			of[d.Story] = append(of[d.Story], it)
		}
	}
	t.Logf("%d joined rightly, %d wrongly (%d to a story with items of their language), %d opened another story of an event that had one", right, wrong, wrongSameLang, split)
	if 2*wrong > right || right == 0 {
		t.Errorf("%d joined wrongly, %d rightly", wrong, right)
	}
}
