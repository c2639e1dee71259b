package newsroom

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// plan lays the script out in time. What appears "over time" is spread over 95 % of the span; the outlets of one story follow one another
// within a twentieth of it.
func (s *script) plan(o Options) plan {
	rng := rand.New(rand.NewPCG(uint64(o.Seed), 0x746f6373696e))
	p := plan{lists: s.listOf()}
	byID := map[string]*outlet{}
	for _, spec := range s.Outlets {
		out := newOutlet(spec)
		byID[spec.ID] = out
		p.outlets = append(p.outlets, out)
	}
	for _, spec := range s.Items {
		it := spec.item(byID[spec.Outlet])
		it.at = spec.when(o, rng)
		for _, e := range spec.Edits {
			it.edits = append(it.edits, edit{at: it.at + share(o.Span, e.After), title: e.Title, text: e.Text})
		}
		p.items = append(p.items, it)
	}
	p.items = append(p.items, s.background(o, rng, p.outlets, len(p.items))...)
	for _, it := range p.items {
		it.outlet.items = append(it.outlet.items, it)
		if it.outlet.has("dies") {
			it.hasten()
		}
	}
	for _, out := range p.outlets {
		slices.SortStableFunc(out.items, func(a, b *item) int { return cmp.Compare(a.at, b.at) })
	}
	return p
}

func (spec *itemSpec) item(out *outlet) *item {
	kind := Planted
	if spec.Decoy != "" {
		kind = Decoy
	}
	return &item{
		Item: Item{
			ID: spec.ID, Kind: kind, Outlet: out.ID, Lang: out.Lang, Story: spec.Story,
			Title: spec.Title, Text: strings.TrimSpace(spec.Text), Expect: spec.Expect, Allow: spec.Allow,
		},
		outlet: out, guid: orElse(spec.GUID, spec.ID), twice: spec.Twice,
	}
}

func (spec *itemSpec) when(o Options, rng *rand.Rand) time.Duration {
	u := rng.Float64()
	switch {
	case spec.Start:
		return 0
	case spec.Story != "":
		h := fnv.New64a()
		fmt.Fprintf(h, "%d %s", o.Seed, spec.Story)
		lead := rand.New(rand.NewPCG(h.Sum64(), 1)).Float64()
		u = lead*0.9 + u*0.05
	default:
		u *= 0.95
	}
	return share(o.Span, u)
}

// hasten lets an item of the outlet that dies in the middle of the span be seen before that.
func (it *item) hasten() {
	it.at = it.at * 3 / 10
	for i := range it.edits {
		it.edits[i].at = it.edits[i].at * 3 / 10
	}
}

func share(span time.Duration, u float64) time.Duration { return time.Duration(float64(span) * u) }

// background makes o.Noise items for each of n, in the language of each outlet, a fifth of them from the beginning.
func (s *script) background(o Options, rng *rand.Rand, outlets []*outlet, n int) []*item {
	var live []*outlet
	for _, out := range outlets {
		if !out.has("error") && len(s.noise[out.Lang].Lines) > 0 {
			live = append(live, out)
		}
	}
	if len(live) == 0 || o.Noise < 0 {
		return nil
	}
	var all []*item
	for i := range n * o.Noise {
		out := live[i%len(live)]
		title, text := s.noise[out.Lang].line(rng)
		it := &item{outlet: out, guid: "n" + strconv.Itoa(i)}
		it.Item = Item{ID: fmt.Sprintf("%s-%d", out.Lang, i), Kind: Noise, Outlet: out.ID, Lang: out.Lang, Title: title, Text: text}
		if rng.IntN(5) > 0 {
			it.at = share(o.Span, 0.95*rng.Float64())
		}
		all = append(all, it)
	}
	return all
}

func (n noiseSpec) line(rng *rand.Rand) (title, text string) {
	l := n.Lines[rng.IntN(len(n.Lines))]
	c, t := rng.IntN(len(n.Cities)), rng.IntN(len(n.Teams))
	r := strings.NewReplacer(
		"{city}", n.Cities[c], "{city2}", n.Cities[(c+1)%len(n.Cities)],
		"{team}", n.Teams[t], "{team2}", n.Teams[(t+1)%len(n.Teams)],
		"{n}", strconv.Itoa(2+rng.IntN(38)), "{m}", strconv.Itoa(100+rng.IntN(800)),
	)
	return r.Replace(l.Title), r.Replace(l.Text)
}
