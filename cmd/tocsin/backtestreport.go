package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/matcher"
	"tocsin/news"
)

// backtestReport tells what two sets of watchlists make of the same items.
type backtestReport struct {
	Before  backtestSet   `json:"before"`
	After   backtestSet   `json:"after"`
	Read    itemsRead     `json:"read"`
	Days    float64       `json:"days,omitempty"` // 0 when the items tell no times
	Seconds float64       `json:"seconds"`
	Rows    []backtestRow `json:"rows"` // every entity and rule of either set, by id
}

type backtestSet struct {
	Name     string `json:"name"`
	Revision string `json:"revision,omitempty"`
	Summary  string `json:"summary"`
}

// backtestRow is one entity or rule. Counts are items; alerts are items with a headline of their own.
type backtestRow struct {
	ID           string           `json:"id"`
	Kind         string           `json:"kind"` // entity or rule
	Name         string           `json:"name"`
	Watchlist    string           `json:"watchlist"`
	Status       string           `json:"status,omitempty"` // new or removed
	Before       int              `json:"before"`
	After        int              `json:"after"`
	Plus         int              `json:"plus"`
	Minus        int              `json:"minus"`
	AlertsBefore int              `json:"alerts_before"`
	AlertsAfter  int              `json:"alerts_after"`
	Added        []backtestSample `json:"added,omitempty"`
	Removed      []backtestSample `json:"removed,omitempty"`
}

// backtestSample is an item that one set catches and the other does not, with the text around the first mention.
type backtestSample struct {
	Item    string    `json:"item,omitempty"`
	Lang    string    `json:"lang"`
	Outlet  string    `json:"outlet,omitempty"`
	When    time.Time `json:"when,omitzero"`
	Title   string    `json:"title"`
	URL     string    `json:"url,omitempty"`
	Text    string    `json:"text"`
	Mention string    `json:"mention"`
	Why     string    `json:"why,omitempty"` // what makes it count, or what stops it now
	before  string    // text before the mention
	after   string    // text behind it
}

func (r *backtestReport) changed() bool {
	return slices.ContainsFunc(r.Rows, func(x backtestRow) bool { return x.differs() })
}

// differs tells that some item is caught by one set only.
func (x *backtestRow) differs() bool { return x.Plus > 0 || x.Minus > 0 }

// worth tells that the row is shown to people.
func (x *backtestRow) worth() bool { return x.differs() || x.Status != "" }

func (l *lists) side() backtestSet {
	if len(l.set.Lists) == 0 {
		return backtestSet{Name: l.name, Summary: "nothing is watched"}
	}
	return backtestSet{Name: l.name, Revision: l.index.Revision(), Summary: l.index.Summary()}
}

// rows gives a row for every entity and rule of the set.
func (l *lists) rows(into map[string]*backtestRow, status string) {
	for _, list := range l.set.Lists {
		for _, e := range list.Entities {
			if into[e.ID.Value] == nil {
				into[e.ID.Value] = &backtestRow{ID: e.ID.Value, Kind: "entity", Name: e.Name, Watchlist: list.ID.Value, Status: status}
			}
		}
		for _, r := range list.Rules {
			if into[r.ID.Value] == nil {
				into[r.ID.Value] = &backtestRow{ID: r.ID.Value, Kind: "rule", Name: r.Title, Watchlist: list.ID.Value, Status: status}
			}
		}
	}
}

// ids are the entities and rules of the set.
func (l *lists) ids() map[string]bool {
	rows := map[string]*backtestRow{}
	l.rows(rows, "")
	out := map[string]bool{}
	for id := range rows {
		out[id] = true
	}
	return out
}

func (t *tally) report(before, after lists, read itemsRead) *backtestReport {
	rows := map[string]*backtestRow{}
	after.rows(rows, "")
	had := before.ids()
	for id, r := range rows {
		if !had[id] {
			r.Status = "new"
		}
	}
	before.rows(rows, "removed")
	rep := &backtestReport{Before: before.side(), After: after.side(), Read: read, Days: read.days()}
	for _, id := range news.SortedKeys(rows) {
		r := rows[id]
		if x := t.ids[id]; x != nil {
			x.fill(r, after.index, t.samples)
		}
		rep.Rows = append(rep.Rows, *r)
	}
	return rep
}

func (x *idTally) fill(r *backtestRow, after *matcher.Index, keep int) {
	heads := map[uint64]uint8{}
	for _, c := range x.items {
		heads[c.headline] |= c.sides
		switch c.sides {
		case sideBefore:
			r.Before, r.Minus = r.Before+1, r.Minus+1
		case sideAfter:
			r.After, r.Plus = r.After+1, r.Plus+1
		default:
			r.Before, r.After = r.Before+1, r.After+1
		}
	}
	for _, sides := range heads {
		r.AlertsBefore += int(sides & sideBefore)
		r.AlertsAfter += int(sides & sideAfter >> 1)
	}
	for _, s := range x.samples[sideAfter] {
		if x.items[s.key].sides == sideAfter && len(r.Added) < keep {
			r.Added = append(r.Added, newSample(r.ID, &s.match))
		}
	}
	for _, s := range x.samples[sideBefore] {
		if x.items[s.key].sides == sideBefore && len(r.Removed) < keep {
			b := newSample(r.ID, &s.match)
			b.Why = whyNot(r.ID, after.Explain(&s.match.Item))
			r.Removed = append(r.Removed, b)
		}
	}
}

// newSample shows the first place for which the entity or rule counts.
func newSample(id string, m *news.Match) backtestSample {
	it := &m.Item
	b := backtestSample{Item: it.ID, Lang: it.Lang, Outlet: it.Outlet, Title: headline(it), URL: it.URL, When: it.When()}
	at := news.Span{Field: "title"}
	for _, x := range m.Rules {
		if x.ID == id {
			b.Why = x.Why
			if len(x.Spans) > 0 {
				at = x.Spans[0]
			}
		}
	}
	for _, x := range m.Mentions {
		if x.Entity == id {
			at, b.Why = news.Span{Field: x.Field, Start: x.Start, End: x.End}, x.Why
			break
		}
	}
	for _, f := range it.Fields() {
		if f.Name == at.Field {
			b.before, b.Mention, b.after = around(f.Text, at.Start, at.End)
		}
	}
	b.Text = b.before + b.Mention + b.after
	return b
}

// aroundRunes are shown on each side of a mention.
const aroundRunes = 70

// around cuts the text around a place at blanks, and makes one line of it.
func around(text string, start, end int) (before, mention, after string) {
	from, n := start, 0
	for from > 0 && n < aroundRunes {
		_, size := utf8.DecodeLastRuneInString(text[:from])
		from, n = from-size, n+1
	}
	to := end
	for n = 0; to < len(text) && n < aroundRunes; n++ {
		_, size := utf8.DecodeRuneInString(text[to:])
		to += size
	}
	before, after = text[from:start], text[end:to]
	if from > 0 {
		if i := strings.IndexAny(before, " \n\t"); i >= 0 {
			before = before[i+1:]
		}
		before = "…" + before
	}
	if to < len(text) {
		if i := strings.LastIndexAny(after, " \n\t"); i >= 0 {
			after = after[:i]
		}
		after += "…"
	}
	return oneLine(before), oneLine(text[start:end]), oneLine(after)
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// whyNot tells what stops an entity or rule in an item.
func whyNot(id string, e matcher.Explanation) string {
	for _, s := range e.Stopped {
		if s.Entity == id {
			return fmt.Sprintf("%s: %s", s.Check, s.Why)
		}
	}
	for _, r := range e.Failed {
		if r.Rule == id {
			return r.Why
		}
	}
	return "nothing in it is asked for any more"
}

func writeIndented(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
