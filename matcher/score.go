package matcher

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"tocsin/news"
)

// Labelled is an item with the ids that a careful analyst would flag. Ids under Optional count neither as found nor as false.
type Labelled struct {
	ID       string   `json:"id"`
	Lang     string   `json:"lang"`
	Source   string   `json:"source,omitempty"`
	Title    string   `json:"title,omitempty"`
	Summary  string   `json:"summary,omitempty"`
	Body     string   `json:"body,omitempty"`
	URL      string   `json:"url,omitempty"`
	Expect   []string `json:"expect"`
	Optional []string `json:"optional,omitempty"`
	HardFor  []string `json:"hard_negative_for,omitempty"` // ids that the item seems to mention and does not
}

// Report tells how well an index finds what labelled items hold. Only ids that some item names are judged: an index may watch more.
type Report struct {
	Items       int              `json:"items"`
	All         Tally            `json:"all"`
	Entities    map[string]Tally `json:"entities"`
	Langs       map[string]Tally `json:"langs"`
	HardItems   int              `json:"hard_negatives"`         // pairs of an item and an id that it only seems to mention
	HardFlagged int              `json:"hard_negatives_flagged"` // those flagged all the same
	Unknown     []string         `json:"unknown,omitempty"`      // ids that items expect and no list has
	Misses      []Mistake        `json:"misses"`
	FalseAlarms []Mistake        `json:"false_alarms"`
}

// Tally counts decisions.
type Tally struct {
	Found  int `json:"found"`
	Missed int `json:"missed"`
	False  int `json:"false"`
}

// Mistake is one wrong decision.
type Mistake struct {
	Item   string `json:"item"`
	Lang   string `json:"lang"`
	Entity string `json:"entity"`
	Hard   bool   `json:"hard,omitempty"` // a false alarm for which the item is a hard negative
	Why    string `json:"why"`
	Text   string `json:"text"` // the title, else the beginning of the text
}

// Precision is the share of flags that were right, 1 when nothing was flagged.
func (t Tally) Precision() float64 { return share(t.Found, t.Found+t.False) }

// Recall is the share of expected ids that were flagged, 1 when nothing was expected.
func (t Tally) Recall() float64 { return share(t.Found, t.Found+t.Missed) }

// F1 is the harmonic mean of precision and recall.
func (t Tally) F1() float64 { return share(2*t.Found, 2*t.Found+t.Missed+t.False) }

func share(part, whole int) float64 {
	if whole == 0 {
		return 1
	}
	return float64(part) / float64(whole)
}

// Score matches the items and compares what is flagged with their labels.
func Score(items []Labelled, x *Index) Report {
	r := Report{Items: len(items), Entities: map[string]Tally{}, Langs: map[string]Tally{}, Misses: []Mistake{}, FalseAlarms: []Mistake{}}
	judged := map[string]bool{}
	for _, it := range items {
		for _, id := range slices.Concat(it.Expect, it.Optional, it.HardFor) {
			judged[id] = true
		}
	}
	for i := range items {
		r.item(&items[i], x, judged)
	}
	known := map[string]bool{}
	for _, l := range x.lists {
		for _, e := range l.Entities {
			known[e.ID.Value] = true
		}
		for _, rule := range l.Rules {
			known[rule.ID.Value] = true
		}
	}
	for _, id := range news.SortedKeys(judged) {
		if !known[id] {
			r.Unknown = append(r.Unknown, id)
		}
	}
	return r
}

func (r *Report) item(it *Labelled, x *Index, judged map[string]bool) {
	e := x.Explain(&news.Item{ID: it.ID, Lang: it.Lang, Title: it.Title, Summary: it.Summary, Body: it.Body, URL: it.URL})
	flagged := map[string]bool{}
	for i := range e.Matches {
		for _, id := range e.Matches[i].IDs() {
			flagged[id] = true
		}
	}
	r.HardItems += len(it.HardFor)
	for _, id := range it.Expect {
		if flagged[id] {
			r.count(id, it.Lang, Tally{Found: 1})
			continue
		}
		r.count(id, it.Lang, Tally{Missed: 1})
		r.Misses = append(r.Misses, it.mistake(id, false, e.whyNot(id)))
	}
	for _, id := range news.SortedKeys(flagged) {
		if !judged[id] || slices.Contains(it.Expect, id) || slices.Contains(it.Optional, id) {
			continue
		}
		hard := slices.Contains(it.HardFor, id)
		if hard {
			r.HardFlagged++
		}
		r.count(id, it.Lang, Tally{False: 1})
		r.FalseAlarms = append(r.FalseAlarms, it.mistake(id, hard, e.whyFlagged(id)))
	}
}

func (e *Explanation) whyFlagged(id string) string {
	var parts []string
	for i := range e.Matches {
		if why := e.whyFlags(e.Matches[i].Watchlist, id); why != "" {
			parts = append(parts, why)
		}
	}
	return strings.Join(parts, "; ")
}

func (r *Report) count(id, lang string, t Tally) {
	r.All = r.All.plus(t)
	r.Entities[id] = r.Entities[id].plus(t)
	r.Langs[lang] = r.Langs[lang].plus(t)
}

func (t Tally) plus(o Tally) Tally {
	return Tally{t.Found + o.Found, t.Missed + o.Missed, t.False + o.False}
}

func (it *Labelled) mistake(id string, hard bool, why string) Mistake {
	text := cutText(strings.TrimSpace(it.Title + " | " + it.Summary + it.Body))
	return Mistake{Item: it.ID, Lang: it.Lang, Entity: id, Hard: hard, Why: why, Text: text}
}

// Write prints the report as tables, then every mistake.
func (r Report) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintf(tw, "\tprecision\trecall\tF1\tfound\tmissed\tfalse\n")
	line := func(name string, t Tally) {
		fmt.Fprintf(tw, "%s\t%.3f\t%.3f\t%.3f\t%d\t%d\t%d\n", name, t.Precision(), t.Recall(), t.F1(), t.Found, t.Missed, t.False)
	}
	line("all", r.All)
	for _, id := range news.SortedKeys(r.Langs) {
		line("lang "+id, r.Langs[id])
	}
	for _, id := range news.SortedKeys(r.Entities) {
		line(id, r.Entities[id])
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d items; hard negatives flagged: %d of %d (%.1f %%)\n", r.Items, r.HardFlagged, r.HardItems, 100*zeroShare(r.HardFlagged, r.HardItems))
	if len(r.Unknown) > 0 {
		fmt.Fprintf(&b, "no list has: %s\n", strings.Join(r.Unknown, ", "))
	}
	for _, m := range r.Misses {
		fmt.Fprintf(&b, "missed  %s %s %s: %s\n        %s\n", m.Item, m.Lang, m.Entity, m.Why, m.Text)
	}
	for _, m := range r.FalseAlarms {
		fmt.Fprintf(&b, "false   %s %s %s: %s\n        %s\n", m.Item, m.Lang, m.Entity, m.Why, m.Text)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

func zeroShare(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
