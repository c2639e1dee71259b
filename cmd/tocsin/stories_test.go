package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/matcher"
	"tocsin/notifier/story"
)

// storyRow is one labelled item.
type storyRow struct {
	storyInput
	Story string `json:"story"`
	Label string `json:"label"`
}

// joinRows runs rows through a stage, in the given order, and gives the story that each is in at the end.
func joinRows(t *testing.T, items []story.Item, order []int) []string {
	t.Helper()
	stage, err := story.New(story.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, into := make([]string, len(items)), map[string]string{}
	for _, i := range order {
		d, err := stage.Add(items[i])
		if err != nil {
			t.Fatal(err)
		}
		got[i] = d.Story
		for _, m := range d.Merged {
			into[m.From] = m.Into
		}
	}
	for i := range got {
		for into[got[i]] != "" {
			got[i] = into[got[i]]
		}
	}
	return got
}

func signed(x *matcher.Index, rows []storyRow) []story.Item {
	out := make([]story.Item, len(rows))
	for i := range rows {
		it := rows[i].item()
		sig := x.Signature(&it)
		out[i] = story.Of(&it, &sig)
	}
	return out
}

func shippedIndex(t *testing.T) *matcher.Index {
	t.Helper()
	x, _, err := loadIndex("")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// invariant is a handful of items, and how many stories they are in whatever order they arrive.
type invariant struct {
	Name        string
	Least, Most int
	Items       []storyRow
}

func readInvariants(t *testing.T) []invariant {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "stories", "invariants.json"))
	if err != nil {
		t.Fatal(err)
	}
	var sets []invariant
	if err := json.Unmarshal(raw, &sets); err != nil {
		t.Fatal(err)
	}
	return sets
}

func TestStoriesKeepTheirInvariantsInEveryOrder(t *testing.T) {
	x := shippedIndex(t)
	began := time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC)
	for _, set := range readInvariants(t) {
		t.Run(set.Name, func(t *testing.T) {
			for i := range set.Items {
				set.Items[i].ID = fmt.Sprintf("item%d", i)
				set.Items[i].Source = fmt.Sprintf("outlet%d", i)
			}
			items := signed(x, set.Items)
			orders := 0
			permute(len(items), func(order []int) {
				orders++
				for at, i := range order {
					items[i].At = began.Add(time.Duration(at) * 20 * time.Minute)
				}
				if fault := set.fault(joinRows(t, items, order)); fault != "" && !t.Failed() {
					t.Errorf("order %v: %s", order, fault)
				}
			})
			t.Logf("%d orders", orders)
		})
	}
}

// fault tells what is wrong with the stories of an invariant's items, "" when nothing is.
func (set *invariant) fault(got []string) string {
	titles := map[string][]string{}
	for i := range got {
		titles[got[i]] = append(titles[got[i]], set.Items[i].Title)
	}
	if n := len(titles); n < set.Least || n > set.Most {
		return fmt.Sprintf("%d stories, want %d to %d: %q", n, set.Least, set.Most, titles)
	}
	for i := range got {
		for j := range i {
			if set.Least == set.Most && (got[i] == got[j]) != (set.Items[i].Story == set.Items[j].Story) {
				return fmt.Sprintf("%q and %q: together is %v", set.Items[i].Title, set.Items[j].Title, got[i] == got[j])
			}
		}
	}
	return ""
}

// permute calls f with every order of n things.
func permute(n int, f func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var next func(int)
	next = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			next(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	next(0)
}

// TestStoriesOnSharedData prints the scores of the labelled set beside two baselines, and holds floors. The command and the stage must agree.
func TestStoriesOnSharedData(t *testing.T) {
	dir := os.Getenv("TOCSIN_DATA")
	if dir == "" {
		t.Skip("data test left out: TOCSIN_DATA is not set")
	}
	rows, contrasts := readStories(t, dir)
	items := signed(shippedIndex(t), rows)
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	ours := joinRows(t, items, order)
	t.Logf("%-34s pairs P    R    F1   | B3 P    R    F1   | other languages P R | apart", "")
	for _, b := range []struct {
		name string
		got  []string
	}{{"title Jaccard .30, single link", jaccardStories(rows)}, {"TF-IDF, average link, 48 h", tfidfStories(rows)}, {"tocsin", ours}} {
		t.Logf("%-34s %s", b.name, gradeStories(rows, b.got, contrasts))
	}
	s := gradeStories(rows, ours, contrasts)
	for name, v := range map[string][2]float64{
		"pairwise F1": {s.pairs.f1(), .90}, "B-cubed F1": {s.cubed.f1(), .945}, "pairs apart": {float64(s.apart), 32},
		"precision across languages": {s.foreign.p, .80}, "recall across languages": {s.foreign.r, .50},
	} {
		if v[0] < v[1] {
			t.Errorf("%s %.4f, want %.4f at least", name, v[0], v[1])
		}
	}
	if s.cubed.p < s.cubed.r {
		t.Errorf("B-cubed precision %.4f is below recall %.4f", s.cubed.p, s.cubed.r)
	}
	if got := commandStories(t, rows); !maps.Equal(got, byID(rows, ours)) {
		t.Error("tocsin stories joins otherwise than the stage")
	}
}

func byID(rows []storyRow, got []string) map[string]string {
	out := map[string]string{}
	for i := range rows {
		out[rows[i].ID] = got[i]
	}
	return out
}

// commandStories gives what the command prints for rows.
func commandStories(t *testing.T, rows []storyRow) map[string]string {
	t.Helper()
	var in, out, told bytes.Buffer
	enc := json.NewEncoder(&in)
	for i := range rows {
		if err := enc.Encode(&rows[i].storyInput); err != nil {
			t.Fatal(err)
		}
	}
	if code := execute(t.Context(), []string{"stories"}, std{in: &in, out: &out, err: &told}); code != 0 {
		t.Fatalf("tocsin stories ends with %d: %s", code, &told)
	}
	got := map[string]string{}
	for dec := json.NewDecoder(&out); dec.More(); {
		var o storyOutput
		if err := dec.Decode(&o); err != nil {
			t.Fatal(err)
		}
		got[o.ID] = o.Story
	}
	return got
}

func readStories(t *testing.T, dir string) (rows []storyRow, contrasts [][2]string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "stories.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var r storyRow
		if err := json.Unmarshal(sc.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "stories_contrasts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	for _, pair := range list {
		a, b, _ := strings.Cut(pair, "/")
		contrasts = append(contrasts, [2]string{a, b})
	}
	return rows, contrasts
}

func TestStoriesTellWhy(t *testing.T) {
	in := `{"id":"a","lang":"en","source":"x","title":"Iran closes the Strait of Hormuz to tankers","published":"2026-11-01T06:00:00Z"}
{"id":"b","lang":"en","source":"y","title":"Tehran shuts the Strait of Hormuz to tankers","published":"2026-11-01T07:00:00Z"}
{"id":"c","lang":"en","source":"z","title":"Iran names a new envoy for talks in Oman","published":"2026-11-01T08:00:00Z"}
`
	var out, told bytes.Buffer
	if code := execute(t.Context(), []string{"stories", "--why"}, std{in: strings.NewReader(in), out: &out, err: &told}); code != 0 {
		t.Fatalf("ends with %d: %s", code, &told)
	}
	for _, want := range []string{"a Iran closes", "opens story a", "joins a: +", "same names and words (", "@hormuz", "opens story c", "start"} {
		if !strings.Contains(told.String(), want) {
			t.Errorf("why lacks %q:\n%s", want, &told)
		}
	}
	if want := `{"id":"a","story":"a"}` + "\n" + `{"id":"b","story":"a"}` + "\n" + `{"id":"c","story":"c"}` + "\n"; out.String() != want {
		t.Errorf("stories:\n%swant:\n%s", &out, want)
	}
}
