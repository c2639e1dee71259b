package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/matcher"
	"tocsin/matcher/watchlist"
	"tocsin/news"
)

type backtestFlags struct {
	source         itemSource
	against        string
	samples        int
	markdown, json bool
	failOnChange   bool
}

func backtestCommand(s std) *cobra.Command {
	var f backtestFlags
	c := &cobra.Command{
		Use:   "backtest [DIR]",
		Short: "What an edited set of watchlists would have caught: + and - items against another set",
		Long: `Match stored items against the watchlists in DIR (default: those inside the program) and against another set, and show what differs: items that
only one of them catches, alerts a day of each entity and rule, and samples. Nothing is changed and nobody is alerted.

The items are those that the running instance stored, or files (--items). The other set (--against) is what is live in the running instance
(current), what is inside the program (shipped), nothing (none), or another folder.`,
		Example: `  tocsin backtest --since 30d ./watchlists
  tocsin backtest --items week.jsonl.gz --against shipped ./watchlists
  tocsin backtest --since 7d --against main/watchlists --markdown --fail-on-change ./watchlists`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f.source.sinceSet = c.Flags().Changed("since")
			if !c.Flags().Changed("against") && len(f.source.files) > 0 {
				f.against = shipped
			}
			return backtest(c.Context(), s, &f, append(args, shipped)[0])
		},
	}
	f.source.flags(c)
	c.Flags().StringVar(&f.against, "against", "current", "the other set: current (live in the running instance), shipped, none, or a folder; with --items the default is shipped")
	c.Flags().IntVar(&f.samples, "samples", 3, "samples of each kind for each entity and rule")
	c.Flags().BoolVar(&f.markdown, "markdown", false, "write the report as Markdown, for a pull request")
	c.Flags().BoolVar(&f.json, "json", false, "write the report as JSON")
	c.Flags().BoolVar(&f.failOnChange, "fail-on-change", false, "exit status 1 when an item is caught by one set only")
	c.MarkFlagsMutuallyExclusive("markdown", "json")
	return c
}

// lists are a set of watchlists with a name that people recognise.
type lists struct {
	name  string
	set   *watchlist.Set
	index *matcher.Index
}

// openLists reads a set: a folder, shipped, none, or current.
func openLists(ctx context.Context, name, server string) (lists, error) {
	l := lists{name: name}
	var err error
	switch name {
	case "current":
		archive, err := liveWatchlists(ctx, server)
		if err != nil {
			return l, err
		}
		set, faults := unpacked(archive, name)
		l.set = set
		l.index, _, err = compileSet(set, faults)
		return l, err
	case "none":
		l.set = &watchlist.Set{}
		l.index, err = matcher.Compile(l.set)
		return l, err
	}
	set, faults := loadSet(name)
	l.set = set
	if l.index, _, err = compileSet(set, faults); err != nil {
		return l, usage(fmt.Errorf("watchlists %s are refused:\n%w", filepath.ToSlash(name), err))
	}
	return l, nil
}

// liveWatchlists asks a running instance for the files of its live watchlists.
func liveWatchlists(ctx context.Context, server string) ([]byte, error) {
	c, err := newClient(server)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/watchlists", nil)
	if err != nil {
		return nil, fmt.Errorf("%w; or name another set with --against", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the live watchlists: %w", err)
	}
	return b, nil
}

func backtest(ctx context.Context, s std, f *backtestFlags, dir string) error {
	before, err := openLists(ctx, f.against, f.source.server)
	if err != nil {
		return err
	}
	after, err := openLists(ctx, dir, f.source.server)
	if err != nil {
		return err
	}
	began := time.Now()
	p := showGauge(s.err)
	t, read, err := compare(ctx, s, &f.source, p, before.index, after.index, f.samples)
	p.finish()
	if err != nil {
		return err
	}
	rep := t.report(before, after, read)
	rep.Seconds = time.Since(began).Seconds()
	switch {
	case f.json:
		err = writeIndented(s.out, rep)
	case f.markdown:
		err = rep.writeMarkdown(s.out)
	default:
		err = rep.writeText(s.out, s.terminal())
	}
	if err == nil && f.failOnChange && rep.changed() {
		return failed(errors.New("the sets differ"))
	}
	return err
}

// compare matches every item with both sets, on all cores.
func compare(ctx context.Context, s std, src *itemSource, p *gauge, before, after *matcher.Index, samples int) (*tally, itemsRead, error) {
	tallies := make([]*tally, runtime.GOMAXPROCS(0))
	for i := range tallies {
		tallies[i] = newTally(samples, i)
	}
	read, err := src.each(ctx, s, p, func(w int, it *news.Item, _ time.Time) { tallies[w].item(it, before.Match(it), after.Match(it)) })
	if err != nil {
		return nil, read, err
	}
	for _, t := range tallies[1:] {
		tallies[0].merge(t)
	}
	return tallies[0], read, nil
}

// Sides of a comparison, as bits.
const (
	sideBefore = 1
	sideAfter  = 2
)

// tally counts for each entity and rule which items the two sets catch. Revisions of an item count as one.
type tally struct {
	samples int
	worker  int
	unnamed int
	ids     map[string]*idTally
}

type idTally struct {
	items   map[string]caught
	samples [4][]sample // by sides; the few with the smallest hash, so that the choice is fair and the same every time
}

type caught struct {
	sides    uint8
	headline uint64
}

// with adds what another revision shows. Of their headlines the one with the smallest hash stands for the item, whatever the order of reading.
func (c caught) with(sides uint8, headline uint64) caught {
	if c.sides != 0 {
		headline = min(headline, c.headline)
	}
	return caught{c.sides | sides, headline}
}

type sample struct {
	order uint64
	key   string // of the item in idTally.items
	match news.Match
}

// before chooses between two items with the same text, whatever the order of reading.
func (s *sample) before(o *sample) bool {
	a, b := &s.match.Item, &o.match.Item
	return a.ID < b.ID || a.ID == b.ID && a.When().Before(b.When())
}

func newTally(samples, worker int) *tally {
	return &tally{samples: samples, worker: worker, ids: map[string]*idTally{}}
}

func (t *tally) of(id string) *idTally {
	x := t.ids[id]
	if x == nil {
		x = &idTally{items: map[string]caught{}}
		t.ids[id] = x
	}
	return x
}

// item counts one item with what each set makes of it.
func (t *tally) item(it *news.Item, before, after []news.Match) {
	if len(before) == 0 && len(after) == 0 {
		return
	}
	key := it.ID
	if key == "" {
		t.unnamed++
		key = fmt.Sprintf("?%d.%d", t.worker, t.unnamed)
	}
	sides := map[string]uint8{}
	from := map[string]*news.Match{}
	for _, x := range []struct {
		side    uint8
		matches []news.Match
	}{{sideBefore, before}, {sideAfter, after}} {
		for i := range x.matches {
			for _, id := range x.matches[i].IDs() {
				sides[id] |= x.side
				from[id] = &x.matches[i]
			}
		}
	}
	head := headlineHash(it)
	for id, side := range sides {
		x := t.of(id)
		c := x.items[key]
		x.items[key] = c.with(side, head)
		if side != sideBefore|sideAfter {
			x.offer(side, sample{sampleOrder(id, it), key, *from[id]}, t.samples)
		}
	}
}

func headlineHash(it *news.Item) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, strings.ToLower(headline(it))) // a hash takes everything
	return h.Sum64()
}

// sampleOrder depends on the text alone: items with the same text are one sample.
func sampleOrder(id string, it *news.Item) uint64 {
	h := fnv.New64a()
	for _, s := range []string{id, it.Title, it.Summary, it.Body} {
		_, _ = io.WriteString(h, s) // a hash takes everything
	}
	return h.Sum64()
}

// offer keeps a sample if it is among the first. Some more than asked for are kept: another revision of the item may show that it is no difference.
func (x *idTally) offer(side uint8, s sample, keep int) {
	list := x.samples[side]
	i, found := slices.BinarySearchFunc(list, s.order, func(a sample, o uint64) int {
		switch {
		case a.order < o:
			return -1
		case a.order > o:
			return 1
		}
		return 0
	})
	if found && s.before(&list[i]) {
		list[i] = s
	}
	if found || i >= 4*keep {
		return
	}
	list = slices.Insert(list, i, s)
	x.samples[side] = list[:min(len(list), 4*keep)]
}

func (t *tally) merge(o *tally) {
	for id, from := range o.ids {
		x := t.of(id)
		for key, c := range from.items {
			x.items[key] = x.items[key].with(c.sides, c.headline)
		}
		for side, list := range from.samples {
			for _, s := range list {
				x.offer(uint8(side), s, t.samples)
			}
		}
	}
}
