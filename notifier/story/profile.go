package story

import (
	"cmp"
	"math"
	"slices"
	"time"

	"tocsin/news"
)

// profile is what one item, or all items of a story, tell of. Sums and counts run over the items; dividing by n gives the mean.
type profile struct {
	n        int
	lang     string  // of a single item
	entries  []entry // sorted by key
	events   []tally // classes of event in main clauses, sorted
	acts     []tally // what happens, "" when a main clause names no action
	agents   []agent // who acts
	deeds    []tally // who does what to whom
	numbers  []news.Number
	pairs    []uint32 // neighbouring words of titles, sorted
	sketches [][]uint32
	columns  int
	views    int
	lives    int
	date     string
	series   []tally // outlets with the running heads of their titles
	outlet   string  // of a single item
	toll     float64
	first    time.Time
	last     time.Time
	middle   float64 // sum of times in hours
}

// entry is one name or word with how much it weighs.
type entry struct {
	key       string
	all, head float64 // weight in the item, in its main clause
	bits      float64 // rarity, the least of the items
	n         int     // items that hold it in the title
	heads     int     // items that hold it in the main clause
	event     string
	kind      kind
	ordinal   int8
	within    []string
	contrary  string
}

type kind uint8

const (
	word    kind = iota
	strong       // a name that proves something
	place        // a strong name of a place below a country
	weak         // a country, a bloc, a head of state
	capital      // a place that stands for its government
)

type tally struct {
	key string
	n   int
}

type agent struct {
	group []string // the anchor and what it lies within or stands for
	n     int
}

// Shares of the weight of a key by the part of the item that holds it: main clause, rest of the title, text.
const (
	headShare = 1
	tailShare = 0.6
	textShare = 0.3
)

func share(part int) float64 {
	switch part {
	case news.PartHead:
		return headShare
	case news.PartTail:
		return tailShare
	}
	return textShare
}

const (
	impliedShare = 0.35 // of the bits of a place that count for what holds it
	nameBits     = 10   // a name in capitals that is at least so rare counts as strong
	maxEntries   = 400  // of a story; beyond it what one item alone holds is dropped
	maxSketches  = 4
	maxNumbers   = 40
	maxPairs     = 400
)

// newProfile is the profile of one item. Keys that are common in the stream weigh less than their rarity in all news says.
func newProfile(it *Item, c *commons) *profile {
	s := it.Signature
	p := &profile{n: 1, lang: it.Lang, date: s.Date, outlet: it.Outlet, first: it.At, last: it.At, middle: hours(it.At), pairs: s.Pairs}
	within := map[string][]string{}
	for _, a := range s.Anchors {
		within[a.ID] = a.Within
		p.put("@"+a.ID, c.bits("@"+a.ID, a.Bits), a.Part, entry{kind: kindOf(a), within: a.Within})
	}
	for _, w := range s.Words {
		e := entry{event: w.Event, contrary: w.Contrary, ordinal: ordinal(w.Key)}
		if w.Name && w.Bits >= nameBits {
			e.kind = strong
		}
		p.put(w.Key, c.bits(w.Key, w.Bits), w.Part, e)
	}
	p.imply(s.Anchors, c)
	slices.SortFunc(p.entries, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	c.count(p)
	for _, e := range s.Events {
		p.events = addTally(p.events, e, 1)
	}
	p.acts = []tally{{s.Act, 1}}
	p.agents = []agent{{group(s.Agent, within), 1}}
	if s.Agent != "" && s.Act != "" && s.Object != "" {
		p.deeds = []tally{{root(s.Agent, within) + s.Act + "@" + root(s.Object, within), 1}}
	}
	for _, n := range s.Numbers {
		if n.Part <= news.PartTail {
			p.number(n)
		}
	}
	p.form(it)
	if len(s.Sketch) > 0 {
		p.sketches = [][]uint32{s.Sketch}
	}
	return p
}

// imply adds what holds a named place, lightly: an attack in a town is one in its province.
func (p *profile) imply(anchors []news.Anchor, c *commons) {
	for _, a := range anchors {
		for depth, id := range a.Within {
			key := "@" + id
			if slices.ContainsFunc(p.entries, func(e entry) bool { return e.key == key }) {
				continue
			}
			bits := a.Bits * impliedShare / float64(depth+1)
			p.entries = append(p.entries, entry{key: key, all: min(bits, c.bits(key, bits)) * share(a.Part), bits: bits, kind: weak})
		}
	}
}

// root is the outermost of an anchor and what it lies within.
func root(id string, within map[string][]string) string {
	if chain := within[id]; len(chain) > 0 {
		return chain[len(chain)-1]
	}
	return id
}

func (p *profile) form(it *Item) {
	switch it.Signature.Form {
	case news.FormColumn:
		p.columns = 1
	case news.FormView:
		p.views = 1
	case news.FormLive:
		p.lives = 1
	}
	if it.Signature.Series != "" {
		p.series = []tally{{it.Outlet + ", " + it.Signature.Series, 1}}
	}
}

func kindOf(a news.Anchor) kind {
	switch {
	case a.Weak:
		return weak
	case a.Kind == news.AnchorPlace && a.Stands:
		return capital
	case a.Kind == news.AnchorPlace:
		return place
	}
	return strong
}

func ordinal(key string) int8 {
	switch key {
	case "=first":
		return 1
	case "=second":
		return 2
	case "=third":
		return 3
	}
	return 0
}

// group is an anchor with all that it lies within.
func group(id string, within map[string][]string) []string {
	if id == "" {
		return nil
	}
	return append([]string{id}, within[id]...)
}

func (p *profile) put(key string, bits float64, part int, e entry) {
	e.key, e.all, e.bits = key, bits*share(part), bits
	if part == news.PartHead {
		e.head, e.heads = bits, 1
	}
	if part <= news.PartTail {
		e.n = 1
	}
	p.entries = append(p.entries, e)
}

func (p *profile) number(n news.Number) {
	n.Part = 0
	if n.Unit == news.UnitKilled {
		p.toll = max(p.toll, n.Value)
	}
	if len(p.numbers) < maxNumbers && !slices.Contains(p.numbers, n) {
		p.numbers = append(p.numbers, n)
	}
}

// find gives the entry of a key, nil when there is none.
func (p *profile) find(key string) *entry {
	i, ok := slices.BinarySearchFunc(p.entries, key, func(e entry, k string) int { return cmp.Compare(e.key, k) })
	if !ok {
		return nil
	}
	return &p.entries[i]
}

// add puts the items of o beside those of p.
func (p *profile) add(o *profile) {
	if p.n == 0 {
		*p = *o
		p.entries, p.events, p.acts, p.agents, p.deeds = slices.Clone(o.entries), slices.Clone(o.events), slices.Clone(o.acts), slices.Clone(o.agents), slices.Clone(o.deeds)
		p.series = slices.Clone(o.series)
		p.numbers, p.pairs, p.sketches = slices.Clone(o.numbers), slices.Clone(o.pairs), slices.Clone(o.sketches)
		return
	}
	p.entries = addEntries(p.entries, o.entries)
	for _, t := range o.events {
		p.events = addTally(p.events, t.key, t.n)
	}
	for _, t := range o.acts {
		p.acts = addTally(p.acts, t.key, t.n)
	}
	for _, t := range o.deeds {
		p.deeds = addTally(p.deeds, t.key, t.n)
	}
	for _, t := range o.series {
		p.series = addTally(p.series, t.key, t.n)
	}
	for _, a := range o.agents {
		p.agents = addAgent(p.agents, a)
	}
	for _, n := range o.numbers {
		p.number(n)
	}
	if p.pairs = append(p.pairs, o.pairs...); len(p.pairs) <= maxPairs {
		slices.Sort(p.pairs)
		p.pairs = slices.Compact(p.pairs)
	} else {
		p.pairs = p.pairs[:maxPairs:maxPairs]
	}
	p.sketches = append(p.sketches, o.sketches[:min(len(o.sketches), maxSketches-min(maxSketches, len(p.sketches)))]...)
	p.n += o.n
	p.columns, p.views, p.lives = p.columns+o.columns, p.views+o.views, p.lives+o.lives
	p.outlet, p.lang = "", ""
	p.toll = max(p.toll, o.toll)
	p.first, p.last, p.middle = earlier(p.first, o.first), later(p.last, o.last), p.middle+o.middle
}

func addEntries(a, b []entry) []entry {
	out := make([]entry, 0, len(a)+len(b)/2)
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case j == len(b) || i < len(a) && a[i].key < b[j].key:
			out = append(out, a[i])
			i++
		case i == len(a) || b[j].key < a[i].key:
			out = append(out, b[j])
			j++
		default:
			e := a[i]
			e.all, e.head, e.n, e.heads, e.kind, e.bits = e.all+b[j].all, e.head+b[j].head, e.n+b[j].n, e.heads+b[j].heads, max(e.kind, b[j].kind), min(e.bits, b[j].bits)
			out = append(out, e)
			i, j = i+1, j+1
		}
	}
	return out
}

func addTally(list []tally, key string, n int) []tally {
	i, ok := slices.BinarySearchFunc(list, key, func(t tally, k string) int { return cmp.Compare(t.key, k) })
	if ok {
		list[i].n += n
		return list
	}
	return slices.Insert(list, i, tally{key, n})
}

func addAgent(list []agent, a agent) []agent {
	for i := range list {
		if slices.Equal(list[i].group, a.group) {
			list[i].n += a.n
			return list
		}
	}
	return append(list, a)
}

// core tells whether at least half of the items hold the entry in their titles.
func (p *profile) core(e *entry) bool { return e.n > 0 && 2*e.n >= p.n }

func hours(t time.Time) float64 { return float64(t.Unix()) / 3600 }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// gap is the time between the nearest ends of two profiles, 0 when they overlap.
func gap(a, b *profile) time.Duration { return max(0, a.first.Sub(b.last), b.first.Sub(a.last)) }

// span is the time from the first item of both to the last.
func span(a, b *profile) time.Duration { return later(a.last, b.last).Sub(earlier(a.first, b.first)) }

// apart is the days between the middles of two profiles.
func apart(a, b *profile) float64 {
	return math.Abs(a.middle/float64(a.n)-b.middle/float64(b.n)) / 24
}
