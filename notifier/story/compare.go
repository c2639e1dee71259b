package story

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"tocsin/news"
)

// compare weighs one item against a story: in the item's language when the story has items in it, else by what is the same in every language. With
// tell the evidence says what it rests on.
func compare(p *profile, st *story, tell bool) (Link, bool) {
	if q := st.langs[p.lang]; q != nil {
		return weigh(p, q, false, tell)
	}
	return weigh(p, st.whole, true, tell)
}

// compareStories weighs two stories against one another: by the languages that both have, else by what is the same in every language.
func compareStories(a, b *story, tell bool) (best Link, ok bool) {
	shared := false
	for _, lang := range sortedLangs(a) {
		q := b.langs[lang]
		if q == nil {
			continue
		}
		shared = true
		if l, fine := weigh(a.langs[lang], q, false, tell); fine && (!ok || l.Points > best.Points) {
			best, ok = l, true
		}
	}
	if ok && !slices.ContainsFunc(best.Evidence, func(e Evidence) bool { return e.Name == otherPlaces }) {
		w := scale{tell: tell, evidence: best.Evidence}
		w.places(a.whole, b.whole) // what one language leaves out another tells
		best = w.link()
	}
	if shared {
		return best, ok
	}
	return weigh(a.whole, b.whole, true, tell)
}

func sortedLangs(st *story) []string { return news.SortedKeys(st.langs) }

// clash tells whether two can never be one: a daily column and news, or columns that do not state one day.
func clash(a, b *profile) bool {
	ca, cb := a.columns == a.n, b.columns == b.n
	return ca != cb || ca && (a.date == "" || a.date != b.date)
}

// weigh gathers the evidence that two profiles tell of one event. ok is false when they share too little to ask, or clash.
func weigh(a, b *profile, foreign, tell bool) (Link, bool) {
	if clash(a, b) {
		return Link{}, false
	}
	c := common(a, b, foreign, tell)
	if c.shared < sharedAt {
		return Link{}, false
	}
	w := scale{tell: tell}
	w.put("start", bias(foreign), 1, nil)
	w.words(a, b, &c, foreign)
	w.time(a, b, &c)
	w.doers(a, b)
	w.figures(a, b)
	w.conflicts(a, b, &c, foreign)
	w.forms(a, b)
	return w.link(), true
}

// shared is what two profiles have in common, and what only one of them holds.
type shared struct {
	shared, united float64 // weight in both, in either
	head, headAll  float64 // the same of main clauses
	means, meanAll float64 // the same of meanings, "=..." keys
	least          float64 // the weight of the lighter
	top            [2]float64
	tell           bool     // keep the keys
	keys           []string // heaviest two first, then as they come
	onlyA, onlyB   []*entry // of the core
	both           []*entry // of a's core and b's
}

func common(a, b *profile, foreign, tell bool) shared {
	c := shared{tell: tell}
	var totA, totB, headA, headB float64
	na, nb := float64(a.n), float64(b.n)
	i, j := 0, 0
	for i < len(a.entries) || j < len(b.entries) {
		var x, y *entry
		switch {
		case j == len(b.entries) || i < len(a.entries) && a.entries[i].key < b.entries[j].key:
			x = &a.entries[i]
			i++
		case i == len(a.entries) || b.entries[j].key < a.entries[i].key:
			y = &b.entries[j]
			j++
		default:
			x, y = &a.entries[i], &b.entries[j]
			i, j = i+1, j+1
		}
		if foreign && bound(x, y) {
			continue
		}
		if k := orOther(x, y).key; k[0] == '=' {
			c.meanAll += max(meanOf(x, na), meanOf(y, nb))
		}
		if x != nil {
			totA, headA = totA+x.all/na, headA+x.head/na
		}
		if y != nil {
			totB, headB = totB+y.all/nb, headB+y.head/nb
		}
		if x != nil && y != nil {
			c.meet(min(x.all/na, y.all/nb), min(x.head/na, y.head/nb), x.key)
			if x.key[0] == '=' {
				c.means += min(x.all/na, y.all/nb)
			}
		}
		c.sort(a, b, x, y)
	}
	c.united, c.headAll, c.least = totA+totB-c.shared, headA+headB-c.head, min(totA, totB)
	return c
}

// bound tells whether a key belongs to one language.
func bound(x, y *entry) bool {
	k := orOther(x, y).key
	return k[0] != '@' && k[0] != '='
}

func orOther(x, y *entry) *entry {
	if x == nil {
		return y
	}
	return x
}

func meanOf(e *entry, n float64) float64 {
	if e == nil {
		return 0
	}
	return e.all / n
}

func (c *shared) meet(all, head float64, key string) {
	c.shared, c.head = c.shared+all, c.head+head
	at := len(c.keys)
	switch {
	case all > c.top[0]:
		c.top, at = [2]float64{all, c.top[0]}, 0
	case all > c.top[1]:
		c.top[1], at = all, min(1, at)
	}
	if c.tell {
		c.keys = slices.Insert(c.keys, at, key)
	}
}

// sort notes which core holds an entry.
func (c *shared) sort(a, b *profile, x, y *entry) {
	inA, inB := x != nil && a.core(x), y != nil && b.core(y)
	switch {
	case inA && inB:
		c.both = append(c.both, x)
	case inA:
		c.onlyA = append(c.onlyA, x)
	case inB:
		c.onlyB = append(c.onlyB, y)
	}
}

// scale collects evidence.
type scale struct {
	tell     bool // what the evidence rests on
	evidence []Evidence
}

func bias(foreign bool) float64 {
	if foreign {
		return weights.startForeign
	}
	return weights.start
}

func (w *scale) put(name string, weight, amount float64, detail func() string) {
	if amount == 0 || weight == 0 {
		return
	}
	e := Evidence{Name: name, Points: weight * amount}
	if w.tell && detail != nil {
		e.Detail = detail()
	}
	w.evidence = append(w.evidence, e)
}

func (w *scale) link() Link {
	l := Link{Evidence: w.evidence}
	for _, e := range w.evidence {
		l.Points += e.Points
	}
	if w.tell {
		slices.SortStableFunc(l.Evidence, func(x, y Evidence) int { return cmp.Compare(math.Abs(y.Points), math.Abs(x.Points)) })
	}
	return l
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func percent(f float64) string { return fmt.Sprintf("%.0f %%", 100*f) }

func some(keys []string) string {
	const most = 8
	if len(keys) > most {
		keys = append(slices.Clone(keys[:most]), fmt.Sprintf("%d more", len(keys)-most))
	}
	return strings.Join(keys, ", ")
}
