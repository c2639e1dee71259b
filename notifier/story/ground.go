package story

import (
	"slices"

	"tocsin/news"
)

// ground tells what singles an event out for two reports in different languages, "" for nothing. Within one language the words of a title do that;
// across languages only names, numbers and kinds of event can be compared, and those are much the same for all that one group does in one week, or
// all that happens at one port. So two kinds of evidence that do not follow from one another must agree: who did what to whom, where and what, how
// many and what, two names and what, three names, three countries that talk, or two different things that happened.
func ground(a, b *profile, c *shared) string {
	what := happenings(c)
	alike := kindsAlike(a, b)
	switch {
	case done(a, b):
		return "deed"
	case counted(a, b):
		return "number"
	case names(a, b, a.core, b.core) > 2:
		return "names"
	case len(what) == 0 && alike == "":
		return ""
	case where(a, b):
		return "place"
	case names(a, b, a.holds, b.holds) > 1:
		return "names"
	case alike == "talk" && lands(c) > 2:
		return "countries"
	case len(what) > 1 && len(c.both) > len(what):
		return "happenings"
	}
	return ""
}

// done tells whether at least half of the pairs tell of one deed.
func done(a, b *profile) bool { return 2*together(a.deeds, b.deeds) >= a.n*b.n }

// happenings are the kinds of event that both cores tell of by one word, but for the claim of an attack, which says nothing of it.
func happenings(c *shared) []string {
	var out []string
	for _, e := range c.both {
		if k := family(e.event); e.event != "" && e.event != "claim" && !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// kindsAlike gives the kind of event that both cores tell of, be it by other words, "" for none. Only talks and what happens at a place are told by
// words of one kind alone.
func kindsAlike(a, b *profile) string {
	for i := range a.entries {
		x := &a.entries[i]
		k := family(x.event)
		if !a.core(x) || !bodily(x.event) && k != "talk" {
			continue
		}
		if slices.ContainsFunc(b.entries, func(y entry) bool { return b.core(&y) && family(y.event) == k }) {
			return k
		}
	}
	return ""
}

// family puts together the classes that one event is told by: who meets talks and agrees, and an attack is one that kills.
func family(class string) string {
	switch class {
	case "meet", "visit", "deal", "talk":
		return "talk"
	case "attack", "kill", "wound":
		return "attack"
	}
	return class
}

// where tells whether both name one place below a country, one of them in the title.
func where(a, b *profile) bool {
	for i := range a.entries {
		x := &a.entries[i]
		if !scenic(x, a) {
			continue
		}
		for j := range b.entries {
			y := &b.entries[j]
			if !scenic(y, b) || x.n == 0 && y.n == 0 || min(x.bits, y.bits) < sceneBits {
				continue
			}
			if inside(x.key, y.key, a) || inside(y.key, x.key, b) {
				return true
			}
		}
	}
	return false
}

// scenic tells whether an entry is a place where things happen: one below a country, or a capital in which something happened.
func scenic(e *entry, p *profile) bool {
	if !p.holds(e) {
		return false
	}
	return e.kind == place || e.kind == capital && p.happened() && !p.acting(e)
}

// holds tells whether at least half of the items name an entry, in the title or the text.
func (p *profile) holds(e *entry) bool {
	return p.core(e) || e.kind != weak && 2*e.all >= textShare*e.bits*float64(p.n)
}

// happened tells whether main clauses tell of what happens at a place.
func (p *profile) happened() bool {
	return slices.ContainsFunc(p.entries, func(e entry) bool { return 2*e.heads >= p.n && bodily(e.event) })
}

// acting tells whether a capital stands for its government, which does something to somebody.
func (p *profile) acting(e *entry) bool {
	if !slices.ContainsFunc(p.agents, func(a agent) bool { return len(a.group) > 0 && "@"+a.group[0] == e.key }) {
		return false
	}
	return slices.ContainsFunc(p.entries, func(o entry) bool { return o.heads > 0 && o.key[0] == '@' && o.key != e.key && !kin(e, &o) })
}

// counted tells whether both hold one number of one thing. Small numbers agree by chance.
func counted(a, b *profile) bool {
	return slices.ContainsFunc(a.numbers, func(n news.Number) bool { return n.Unit != "" && n.Value >= telling && slices.Contains(b.numbers, n) })
}

const telling = 5.0 // the least number that says something by being equal

// names counts the strong names that both hold and that do not lie within one another.
func names(a, b *profile, inA, inB func(*entry) bool) int {
	var seen []*entry
	for i := range a.entries {
		x := &a.entries[i]
		if x.kind != strong && x.kind != place && x.kind != capital || x.key[0] != '@' || !inA(x) {
			continue
		}
		y := b.find(x.key)
		if y == nil || !inB(y) || x.n == 0 && y.n == 0 || slices.ContainsFunc(seen, func(o *entry) bool { return kin(x, o) }) {
			continue
		}
		seen = append(seen, x)
	}
	return len(seen)
}

// lands counts the countries and blocs in common.
func lands(c *shared) (n int) {
	for _, e := range c.both {
		if e.kind == weak && e.key[0] == '@' {
			n++
		}
	}
	return n
}

func kin(a, b *entry) bool {
	return slices.Contains(a.within, b.key[1:]) || slices.Contains(b.within, a.key[1:])
}
