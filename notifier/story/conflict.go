package story

import (
	"slices"
	"strings"
)

// conflicts weighs what each side holds in its core and the other does not.
func (w *scale) conflicts(a, b *profile, c *shared, foreign bool) {
	la, lb := keysOf(c.onlyA, weak), keysOf(c.onlyB, weak)
	if len(la) > 0 && len(lb) > 0 && len(keysOf(c.both, place)) == 0 {
		w.put("other countries", weights.lands, 1, func() string { return some(la) + " / " + some(lb) })
	}
	w.names(a, b, c)
	if foreign && ground(a, b, c) == "" {
		w.put("nothing singles it out", weights.unfounded, 1, nil)
	}
	w.places(a, b)
	if x, y := coreEvents(a), coreEvents(b); len(x) > 0 && len(y) > 0 && !overlap(x, y) {
		w.put("other kind of event", weights.events, 1, func() string { return some(x) + " / " + some(y) })
	}
	for _, x := range c.onlyA {
		if x.contrary != "" && slices.ContainsFunc(c.onlyB, func(y *entry) bool { return y.key == x.contrary || y.contrary == x.key }) {
			w.put("the contrary", weights.contrary, 1, func() string { return x.key + " / " + x.contrary })
			break
		}
	}
	if x, y := ordinals(a), ordinals(b); x != "" && y != "" && x != y {
		w.put("another of a series", weights.ordinal, 1, func() string { return x + " / " + y })
	}
	if x, y := meansOf(a), meansOf(b); len(x) > 0 && len(y) > 0 && !overlap(x, y) {
		w.put("other means", weights.means, 1, func() string { return some(x) + " / " + some(y) })
	}
	if x, y := peopleOf(a), peopleOf(b); len(x) > 0 && len(y) > 0 && !overlap(x, y) {
		w.put("other people", weights.people, 1, func() string { return some(x) + " / " + some(y) })
	}
}

const otherPlaces = "other places"

// places weighs that both say where, and say otherwise. What happens at a place does not happen at another; talks and plans may name any.
func (w *scale) places(a, b *profile) {
	x, y := places(a), places(b)
	if len(x) == 0 || len(y) == 0 || related(x, y, a, b) {
		return
	}
	weight := weights.places
	if a.happened() && b.happened() {
		weight = weights.scenes
	}
	w.put(otherPlaces, weight, 1, func() string { return some(x) + " / " + some(y) })
}

// names weighs strong names when the two have none in common.
func (w *scale) names(a, b *profile, c *shared) {
	if len(keysOf(c.both, strong, place, capital)) > 0 {
		return
	}
	x, y := keysOf(c.onlyA, strong, place, capital), keysOf(c.onlyB, strong, place, capital)
	if len(x) > 0 && len(y) > 0 && !related(x, y, a, b) {
		w.put("other names", weights.names, 1, func() string { return some(x) + " / " + some(y) })
	}
}

func keysOf(list []*entry, kinds ...kind) []string {
	var out []string
	for _, e := range list {
		if slices.Contains(kinds, e.kind) {
			out = append(out, e.key)
		}
	}
	return out
}

// places are the places below a country that main clauses name, and the capitals where something happened.
func places(p *profile) []string {
	var out []string
	for i := range p.entries {
		if e := &p.entries[i]; e.heads > 0 && (e.kind == place || e.kind == capital && p.happened() && !p.acting(e)) {
			out = append(out, e.key)
		}
	}
	return out
}

// related tells whether one of x lies within one of y, or is it, or the other way round.
func related(x, y []string, a, b *profile) bool {
	for _, k := range x {
		for _, l := range y {
			if inside(k, l, a) || inside(l, k, b) {
				return true
			}
		}
	}
	return false
}

func inside(k, l string, p *profile) bool {
	if k == l {
		return true
	}
	e := p.find(k)
	return e != nil && slices.Contains(e.within, strings.TrimPrefix(l, "@"))
}

func coreEvents(p *profile) []string {
	var out []string
	for _, t := range p.events {
		if 2*t.n >= p.n {
			out = append(out, t.key)
		}
	}
	return out
}

func overlap(x, y []string) bool {
	return slices.ContainsFunc(x, func(k string) bool { return slices.Contains(y, k) })
}

// ordinals tells which of a series the items tell of, title or text.
func ordinals(p *profile) string {
	for i := range p.entries {
		if e := &p.entries[i]; e.ordinal > 0 && (p.n == 1 || p.core(e)) {
			return e.key
		}
	}
	return ""
}

// meansOf tells by what harm was done: what goes off, what is shot, what nature does.
func meansOf(p *profile) []string {
	return p.among(func(key string) string {
		switch key {
		case "=bomb", "=mine":
			return "explosion"
		case "=shoot", "=quake", "=flood", "=storm", "=crash", "=avalanche":
			return key[1:]
		}
		return ""
	})
}

// peopleOf tells whom it befell, as far as their trade or age is told.
func peopleOf(p *profile) []string {
	return p.among(func(key string) string {
		switch key {
		case "=general", "=police", "=soldier", "=child", "=woman", "=pilot", "=crew", "=climber", "=civilian":
			return key[1:]
		}
		return ""
	})
}

// among gives what name makes of the keys of the core, "" apart.
func (p *profile) among(name func(key string) string) (out []string) {
	for i := range p.entries {
		if e := &p.entries[i]; p.core(e) {
			if n := name(e.key); n != "" {
				out = append(out, n)
			}
		}
	}
	return out
}
