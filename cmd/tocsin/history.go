package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"tocsin/matcher"
	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/news/strict"
)

// unattested lists the aliases that nobody has seen in real text yet.
func unattested(set *watchlist.Set) (out []*watchlist.Alias, of []*watchlist.Entity) {
	for _, l := range set.Lists {
		for _, e := range l.Entities {
			for _, a := range e.Aliases {
				if a.Unattested {
					out, of = append(out, a), append(of, e)
				}
			}
		}
	}
	return out, of
}

// aliasKey is an alias as matches name it.
type aliasKey struct{ entity, alias string }

// aliasUse is how often an alias stood in items and counted, and what stopped it when it did not.
type aliasUse struct {
	counted int
	stopped map[string]int // by check
}

func (u *aliasUse) stops() (n int) {
	for _, k := range u.stopped {
		n += k
	}
	return n
}

// history is what the watchlists did with stored items.
type history struct {
	tally   *tally
	aliases map[aliasKey]*aliasUse
}

func newHistory(worker int) *history {
	return &history{newTally(0, worker), map[aliasKey]*aliasUse{}}
}

func (h *history) of(k aliasKey) *aliasUse {
	u := h.aliases[k]
	if u == nil {
		u = &aliasUse{stopped: map[string]int{}}
		h.aliases[k] = u
	}
	return u
}

func (h *history) item(it *news.Item, e matcher.Explanation) {
	h.tally.item(it, nil, e.Matches)
	for i := range e.Matches {
		for _, m := range e.Matches[i].Mentions {
			h.of(aliasKey{m.Entity, m.Alias}).counted++
		}
	}
	for _, s := range e.Stopped {
		h.of(aliasKey{s.Entity, s.Alias}).stopped[s.Check]++
	}
}

func (h *history) merge(o *history) {
	h.tally.merge(o.tally)
	for k, u := range o.aliases {
		mine := h.of(k)
		mine.counted += u.counted
		for check, n := range u.stopped {
			mine.stopped[check] += n
		}
	}
}

type historyFlags struct {
	on     bool
	often  float64
	source itemSource
}

// checkHistory prints which entities, rules and aliases never fired over stored items, and which fired too often.
func checkHistory(ctx context.Context, s std, f *historyFlags, l lists, verbose bool) error {
	parts := make([]*history, runtime.GOMAXPROCS(0))
	for i := range parts {
		parts[i] = newHistory(i)
	}
	g := showGauge(s.err)
	read, err := f.source.each(ctx, s, g, func(w int, it *news.Item, _ time.Time) { parts[w].item(it, l.index.Explain(it)) })
	g.finish()
	if err != nil {
		return err
	}
	for _, p := range parts[1:] {
		parts[0].merge(p)
	}
	rep := parts[0].tally.report(l, l, read)
	var b bytes.Buffer
	fmt.Fprintf(&b, "\nhistory: %s\n", rep.headlines()[0])
	parts[0].writeNever(&b, l.set, rep, verbose)
	parts[0].writeOften(&b, rep, f.often)
	parts[0].writeStopped(&b, l.set, verbose)
	parts[0].writeAttested(&b, l.set)
	_, err = b.WriteTo(s.out)
	return err
}

func (h *history) writeNever(b *bytes.Buffer, set *watchlist.Set, rep *backtestReport, verbose bool) {
	var never []string
	for i := range rep.Rows {
		if r := &rep.Rows[i]; r.After == 0 {
			never = append(never, fmt.Sprintf("  %s %s (%s)\n", r.Kind, r.ID, r.Watchlist))
		}
	}
	fmt.Fprintf(b, "never fired: %d of %d entities and rules\n%s", len(never), len(rep.Rows), strings.Join(never, ""))
	var aliases []string
	for _, l := range set.Lists {
		for _, e := range l.Entities {
			for _, a := range e.Aliases {
				if u := h.aliases[aliasKey{e.ID.Value, a.Text}]; u == nil || u.counted == 0 {
					aliases = append(aliases, fmt.Sprintf("  %s: %s %q (%s)\n", place(a.Pos), e.ID.Value, a.Text, a.Lang))
				}
			}
		}
	}
	fmt.Fprintf(b, "never counted: %d of %d aliases", len(aliases), aliasCount(set))
	if verbose {
		fmt.Fprintf(b, "\n%s", strings.Join(aliases, ""))
	} else {
		b.WriteString("; --verbose lists them\n")
	}
}

func aliasCount(set *watchlist.Set) (n int) {
	for _, l := range set.Lists {
		for _, e := range l.Entities {
			n += len(e.Aliases)
		}
	}
	return n
}

func place(p strict.Pos) string {
	if p.Line == 0 {
		return p.File
	}
	return p.String()
}

// writeOften lists what fires more often than people can read, with the aliases that do it.
func (h *history) writeOften(b *bytes.Buffer, rep *backtestReport, often float64) {
	per := rep.Days
	if per == 0 {
		per = float64(max(1, rep.Read.Items)) / 1e4
	}
	var rows []*backtestRow
	for i := range rep.Rows {
		if r := &rep.Rows[i]; float64(r.AlertsAfter)/per > often {
			rows = append(rows, r)
		}
	}
	slices.SortStableFunc(rows, func(a, c *backtestRow) int { return c.AlertsAfter - a.AlertsAfter })
	fmt.Fprintf(b, "too often: %d entities and rules with over %g %s\n", len(rows), often, rep.rateName())
	for _, r := range rows {
		fmt.Fprintf(b, "  %s %s (%s): %s%s\n", r.Kind, r.ID, r.Watchlist, rep.rate(r.AlertsAfter), h.mostly(r.ID))
	}
}

// mostly names the aliases of an entity that count most often.
func (h *history) mostly(entity string) string {
	type use struct {
		alias string
		n     int
	}
	var uses []use
	for k, u := range h.aliases {
		if k.entity == entity && u.counted > 0 {
			uses = append(uses, use{k.alias, u.counted})
		}
	}
	slices.SortFunc(uses, func(a, c use) int { return cmp.Or(c.n-a.n, strings.Compare(a.alias, c.alias)) })
	out := ""
	for i, u := range uses[:min(3, len(uses))] {
		out += []string{"; mostly ", ", ", ", "}[i] + fmt.Sprintf("%s %d×", apart(u.alias), u.n)
	}
	return out
}

// oftenStopped is from how many places on an alias that never counts is worth a look; shownStopped of them are listed.
const (
	oftenStopped = 5
	shownStopped = 15
)

func (h *history) writeStopped(b *bytes.Buffer, set *watchlist.Set, verbose bool) {
	var keys []aliasKey
	for k, u := range h.aliases {
		if u.counted == 0 && u.stops() >= oftenStopped {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(x, y aliasKey) int {
		return cmp.Or(h.aliases[y].stops()-h.aliases[x].stops(), strings.Compare(x.entity+x.alias, y.entity+y.alias))
	})
	fmt.Fprintf(b, "always stopped: %d of %d aliases (in items %d times or more, and never counted)\n", len(keys), aliasCount(set), oftenStopped)
	for i, k := range keys {
		if i == shownStopped && !verbose {
			fmt.Fprintf(b, "  and %d more; --verbose lists them\n", len(keys)-i)
			break
		}
		u := h.aliases[k]
		var why []string
		for _, c := range news.SortedKeys(u.stopped) {
			why = append(why, fmt.Sprintf("%s %d", c, u.stopped[c]))
		}
		fmt.Fprintf(b, "  %s %s: %s\n", k.entity, apart(k.alias), strings.Join(why, ", "))
	}
}

// writeAttested lists aliases that are marked unattested and were seen all the same.
func (h *history) writeAttested(b *bytes.Buffer, set *watchlist.Set) {
	aliases, of := unattested(set)
	var seen []string
	for i, a := range aliases {
		if u := h.aliases[aliasKey{of[i].ID.Value, a.Text}]; u != nil && u.counted > 0 {
			seen = append(seen, fmt.Sprintf("  %s: %s %s %d×\n", place(a.Pos), of[i].ID.Value, apart(a.Text), u.counted))
		}
	}
	if len(aliases) > 0 {
		fmt.Fprintf(b, "unattested aliases seen: %d of %d\n%s", len(seen), len(aliases), strings.Join(seen, ""))
	}
}
