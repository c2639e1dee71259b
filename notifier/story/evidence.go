package story

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"tocsin/news"
)

// weights say how much each piece of evidence counts, in units of log odds. They were fitted on labelled titles by logistic regression and then
// rounded; what the labels held too few cases of (ordinals, places, columns) was set by hand.
var weights = struct {
	start, startForeign                                     float64
	alike, alikeHead, covers, bits, rarest, second, phrases float64
	apart, apartCommon, gap                                 float64
	sameAct, otherAct, otherAgent                           float64
	sameNumber, otherNumber, toll                           float64
	lands, names, places, scenes, events, contrary, ordinal float64
	means                                                   float64
	unfounded                                               float64
	aside, deedToday                                        float64
	meanings                                                float64
	rivals                                                  float64
	deed, people, scene                                     float64
	view, series, column, live, sameOutlet, crowd           float64
}{
	start: -4.1, startForeign: -4.5,
	alike: 1.2, alikeHead: 0.6, covers: 1.6, bits: 4, rarest: 1.6, second: 1.3, phrases: 1.4,
	apart: -0.3, apartCommon: -1, gap: -0.3,
	sameAct: 0, otherAct: -0.65, otherAgent: -0.8,
	sameNumber: 0.3, otherNumber: -6, toll: -1.5,
	lands: -1, names: -0.6, places: -2, scenes: -5, events: -0.15, contrary: -0.6, ordinal: -3, means: -1.5, unfounded: -6,
	aside: -1.2, deedToday: 0.9,
	meanings: 1,
	rivals:   -0.6,
	deed:     0.6, people: -2, scene: 1.8,
	view: -4, series: -2.5, column: -3, live: -0.3, sameOutlet: -0.3, crowd: 0.3,
}

const (
	joinAt    = 0.0  // points from which an item joins a story
	mergeAt   = 0.3  // points from which two stories become one
	sure      = 10.0 // points of the same link or the same text
	alike     = 0.85 // share of text from which two texts are the same
	today     = 12 * time.Hour
	sceneBits = 5.0 // rarity that a place needs to prove something
	scarce    = 7.5 // bits of the rarest shared key below which time counts more
)

// words weighs names and words in common.
func (w *scale) words(a, b *profile, c *shared, foreign bool) {
	w.put("same names and words", weights.bits, min(c.shared, 50)/30, func() string { return some(c.keys) })
	w.put("share of all words", weights.alike, ratio(c.shared, c.united), func() string { return percent(ratio(c.shared, c.united)) })
	w.put("share of main clauses", weights.alikeHead, ratio(c.head, c.headAll), func() string { return percent(ratio(c.head, c.headAll)) })
	w.put("share of meanings", weights.meanings, ratio(c.means, c.meanAll), func() string { return percent(ratio(c.means, c.meanAll)) })
	w.put("share of the shorter", weights.covers, min(1, c.shared/max(c.least, 20)), func() string { return percent(min(1, c.shared/max(c.least, 20))) })
	w.put("rarest in common", weights.rarest, c.top[0]/10, func() string { return some(c.keys[:min(1, len(c.keys))]) })
	w.put("second rarest", weights.second, c.top[1]/10, nil)
	if !foreign {
		n := meeting(a.pairs, b.pairs)
		w.put("same phrases", weights.phrases, min(1, float64(n)/float64(max(min(len(a.pairs), len(b.pairs)), 4))), func() string { return strconv.Itoa(n) })
	}
	w.put("many items", weights.crowd, math.Log2(float64(min(a.n, b.n))), nil)
}

// meeting counts what two sorted lists share.
func meeting(a, b []uint32) (n int) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			n, i, j = n+1, i+1, j+1
		}
	}
	return n
}

func (w *scale) time(a, b *profile, c *shared) {
	days := min(apart(a, b), 4)
	w.put("days apart", weights.apart, days, func() string { return fmt.Sprintf("%.1f days", days) })
	if c.top[0] < scarce {
		w.put("days apart, common words", weights.apartCommon, days, func() string { return fmt.Sprintf("%.1f days", days) })
	}
	g := min(gap(a, b).Hours()/24, 7)
	w.put("silence between", weights.gap, g, func() string { return fmt.Sprintf("%.1f days", g) })
}

// doers weighs who acts and what happens.
func (w *scale) doers(a, b *profile) {
	same, known := 0, 0
	for _, x := range a.acts {
		for _, y := range b.acts {
			if x.key == "" || y.key == "" {
				continue
			}
			known += x.n * y.n
			if x.key == y.key {
				same += x.n * y.n
			}
		}
	}
	all := float64(a.n * b.n)
	w.put("same action", weights.sameAct, float64(same)/all, func() string { return acts(a) })
	w.put("other action", weights.otherAct, float64(known-same)/all, func() string { return acts(a) + " / " + acts(b) })
	done := together(a.deeds, b.deeds)
	w.put("same deed", weights.deed, float64(done)/all, nil)
	if gap(a, b) < today {
		w.put("same deed, same day", weights.deedToday, float64(done)/all, nil)
	}
	if place, name := scene(a, b); name != "" && gap(a, b) < 2*today {
		w.put("same place, name and kind of event", weights.scene, 1, func() string { return place + ", " + name })
	} else if x, y := doings(a), doings(b); len(x) > 0 && len(y) > 0 && !overlap(x, y) && (asides(a, y) || asides(b, x)) {
		w.put("only a circumstance", weights.aside, 1, func() string { return some(x) + " / " + some(y) })
	}
	other := 0
	for _, x := range a.agents {
		for _, y := range b.agents {
			if len(x.group) > 0 && len(y.group) > 0 && !slices.ContainsFunc(x.group, func(id string) bool { return slices.Contains(y.group, id) }) {
				other += x.n * y.n
			}
		}
	}
	w.put("another acts", weights.otherAgent, float64(other)/all, func() string { return agents(a) + " / " + agents(b) })
}

// scene finds a place below a country that both name, and another name, when both tell of one kind of event. A place that everybody writes about
// these weeks is no scene.
func scene(a, b *profile) (at, name string) {
	for i := range a.entries {
		x := &a.entries[i]
		if x.key[0] != '@' || x.n == 0 {
			continue
		}
		y := b.find(x.key)
		switch {
		case y == nil || y.n == 0:
		case x.kind == place && at == "" && min(x.bits, y.bits) >= sceneBits:
			at = x.key
		default:
			name = x.key
		}
	}
	if at == "" || name == "" || !slices.ContainsFunc(a.entries, func(x entry) bool { return x.n > 0 && bodily(x.event) && b.tells(x.event) }) {
		return "", ""
	}
	return at, name
}

// bodily tells whether an event of this kind happens at a place, unlike talks, threats and prices.
func bodily(event string) bool {
	switch event {
	case "attack", "kill", "close", "disaster", "accident", "rescue", "crime":
		return true
	}
	return false
}

// tells tells whether a title holds a word of a kind of event.
func (p *profile) tells(event string) bool {
	return slices.ContainsFunc(p.entries, func(e entry) bool { return e.event == event && e.n > 0 })
}

// together counts the pairs of items, one of each side, that have a key in common.
func together(a, b []tally) (n int) {
	for _, x := range a {
		for _, y := range b {
			if x.key == y.key {
				n += x.n * y.n
			}
		}
	}
	return n
}

// doings are the actions that the main clauses of at least half of the items tell.
func doings(p *profile) []string {
	var out []string
	for i := range p.entries {
		if e := &p.entries[i]; e.event != "" && e.heads > 0 && 2*e.heads >= p.n {
			out = append(out, e.key)
		}
	}
	return out
}

// asides tells whether p holds one of these actions in its titles, only not in main clauses: "Oil falls after US and Iran pause attacks" is not the
// story of the pause.
func asides(p *profile, actions []string) bool {
	return slices.ContainsFunc(actions, func(k string) bool {
		e := p.find(k)
		return e != nil && 2*e.n >= p.n && 2*e.heads < p.n
	})
}

func acts(p *profile) string {
	var keys []string
	for _, t := range p.acts {
		if t.key != "" {
			keys = append(keys, t.key)
		}
	}
	return some(keys)
}

func agents(p *profile) string {
	var keys []string
	for _, a := range p.agents {
		if len(a.group) > 0 {
			keys = append(keys, a.group[0])
		}
	}
	return some(keys)
}

// figures weighs numbers. Tolls rise while a story lasts, so a greater one does not keep items apart; a much smaller later one does.
func (w *scale) figures(a, b *profile) {
	equal, detail := 0.0, []string(nil)
	same, other := map[string]bool{}, ""
	for _, x := range a.numbers {
		for _, y := range b.numbers {
			if x == y {
				equal += math.Log2(1 + math.Abs(x.Value))
				same[x.Unit] = true
				detail = append(detail, strconv.FormatFloat(x.Value, 'g', -1, 64)+" "+x.Unit)
			}
		}
	}
	w.put("same numbers", weights.sameNumber, min(equal, 6)/3, func() string { return some(detail) })
	for _, x := range a.numbers {
		for _, y := range b.numbers {
			if x.Unit == y.Unit && x.Value != y.Value && !same[x.Unit] && counts(x.Unit) && other == "" {
				other = fmt.Sprintf("%g / %g %s", x.Value, y.Value, x.Unit)
			}
		}
	}
	if other != "" {
		w.put("other numbers", weights.otherNumber, 1, func() string { return other })
	}
	first, then := a.toll, b.toll
	if b.middle/float64(b.n) < a.middle/float64(a.n) {
		first, then = then, first
	}
	if first > 0 && then > 0 && (then*2 < first || then > first*10) {
		w.put("tolls do not fit", weights.toll, 1, func() string { return fmt.Sprintf("%g, then %g", first, then) })
	}
}

// counts tells whether a number of this unit stays as it is while an event lasts.
func counts(unit string) bool {
	switch unit {
	case "", news.UnitKilled, news.UnitWounded, news.UnitMoney, news.UnitPercent:
		return false
	}
	return true
}

// forms weighs how the items are made. What explains an event is not the report of it, though two that explain may be one.
func (w *scale) forms(a, b *profile) {
	side := func(n, of int) float64 {
		if n == of {
			return 1
		}
		return 0
	}
	w.put("explains, not reports", weights.view, math.Abs(side(a.views, a.n)-side(b.views, b.n)), nil)
	w.put("daily column", weights.column, side(a.columns, a.n)+side(b.columns, b.n), nil)
	w.put("live page", weights.live, side(a.lives, a.n)+side(b.lives, b.n), nil)
	if n := together(a.series, b.series); n > 0 {
		w.put("same running head", weights.series, float64(n)/float64(a.n*b.n), func() string { return a.series[0].key })
	}
	if a.outlet != "" && a.outlet == b.outlet {
		w.put("same outlet", weights.sameOutlet, 1, func() string { return a.outlet })
	}
}

// alike is the greatest share of text that an item has in common with one of the story.
func (st *story) alike(p *profile) float64 {
	best := 0.0
	for _, x := range p.sketches {
		for _, y := range st.whole.sketches {
			best = max(best, (&news.Signature{Sketch: x}).Alike(&news.Signature{Sketch: y}))
		}
	}
	return best
}
