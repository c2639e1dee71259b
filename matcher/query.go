package matcher

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// verdict is what a rule makes of an item.
type verdict struct {
	ok     bool
	at     []occurrence // what satisfied it, in order
	points int          // of a score
	near   int32        // the shortest distance that a NEAR found and refused, -1 for none
}

type ruleCost struct {
	rule int32
	ok   bool
	took time.Duration
}

// ask collects the rules that the item may satisfy: announced by a word, by a mention, or always.
func (s *scratch) ask() []int32 {
	for _, r := range s.x.always {
		s.announce(r)
	}
	for _, c := range s.cands {
		if c.state.counts() {
			for _, r := range s.x.entities[c.entity].rules {
				s.announce(r)
			}
		}
	}
	slices.Sort(s.asked)
	return s.asked
}

// judge evaluates one rule.
func (s *scratch) judge(r int32) verdict {
	if !s.traced {
		return s.evaluate(&s.x.rules[r])
	}
	start := time.Now()
	v := s.evaluate(&s.x.rules[r])
	s.costs = append(s.costs, ruleCost{r, v.ok, time.Since(start)})
	return v
}

func (s *scratch) evaluate(r *rule) verdict {
	if r.query != nil {
		q := query{s: s, near: -1}
		ok, at := q.eval(r.query, inAll)
		return verdict{ok: ok, at: ordered(at), near: q.near}
	}
	v := verdict{near: -1}
	if r.Rule.Score == nil {
		return v
	}
	for _, w := range r.score {
		if at := s.places(w.want, inAll); len(at) > 0 {
			v.points += w.points
			v.at = append(v.at, at...)
		}
	}
	v.ok = v.points >= r.Rule.Score.AtLeast
	v.at = ordered(v.at)
	return v
}

// query evaluates one query over one item.
type query struct {
	s    *scratch
	near int32
}

func (q *query) eval(n *node, fields uint8) (bool, []occurrence) {
	switch n.op {
	case opLeaf:
		at := q.s.places(n.want, fields)
		return len(at) > 0, at
	case opAnd:
		return q.and(n.kids, fields)
	case opOr:
		return q.or(n.kids, fields)
	case opNot:
		ok, _ := q.eval(n.kids[0], fields)
		return !ok, nil
	case opNear:
		return q.nearby(n, fields)
	case opAtLeast:
		ok, at := q.eval(n.kids[0], fields)
		at = distinct(at)
		return ok && len(at) >= int(n.n), at
	case opIn:
		if q.s.sentence { // a sentence of a list stands for any field
			return q.eval(n.kids[0], fields)
		}
		return q.eval(n.kids[0], fields&n.fields)
	case opLang:
		return q.s.lang(n.text), nil
	case opFeed:
		return q.s.sentence || isFeed(n.text, q.s.item.Feed, q.s.item.Outlet), nil
	}
	return false, nil
}

func (q *query) and(kids []*node, fields uint8) (bool, []occurrence) {
	var all []occurrence
	for _, k := range kids {
		ok, at := q.eval(k, fields)
		if !ok {
			return false, nil
		}
		all = append(all, at...)
	}
	return true, all
}

func (q *query) or(kids []*node, fields uint8) (bool, []occurrence) {
	var all []occurrence
	any := false
	for _, k := range kids {
		if ok, at := q.eval(k, fields); ok {
			any = true
			all = append(all, at...)
		}
	}
	return any, all
}

// lang compares the language of the item by its primary subtag.
func (s *scratch) lang(code string) bool {
	have := s.item.Lang
	if s.sentence {
		if s.sentLang == "" {
			return true
		}
		have = s.sentLang
	}
	primary, _, _ := strings.Cut(have, "-")
	return strings.EqualFold(primary, code)
}

func isFeed(want, feed, outlet string) bool {
	return want == feed || outlet != "" && strings.EqualFold(want, outlet)
}

// places are the distinct places of what is wanted, in order of the text.
func (s *scratch) places(w want, fields uint8) []occurrence {
	var out []occurrence
	s.each(w.terms, func(o occurrence) {
		if fields>>o.field&1 != 0 {
			out = append(out, o)
		}
	})
	for _, e := range w.entities {
		for _, i := range s.byEntity[e] {
			if c := s.cands[i]; c.state.counts() && fields>>c.field&1 != 0 {
				out = append(out, occurrence{c.span, -1 - e})
			}
		}
	}
	return distinct(out)
}

func ordered(at []occurrence) []occurrence {
	slices.SortFunc(at, func(a, b occurrence) int {
		if c := compareSpans(a.span, b.span); c != 0 {
			return c
		}
		return int(a.term - b.term)
	})
	return at
}

// distinct orders places and drops those that overlap one before.
func distinct(at []occurrence) []occurrence {
	at = ordered(at)
	out := at[:0]
	for _, o := range at {
		if n := len(out); n == 0 || !out[n-1].overlaps(o.span) {
			out = append(out, o)
		}
	}
	return out
}

// nearby looks for one place of each operand, all within n words of one another, in one field.
func (q *query) nearby(n *node, fields uint8) (bool, []occurrence) {
	sets := make([][]occurrence, len(n.kids))
	for i, k := range n.kids {
		ok, at := q.eval(k, fields)
		if !ok {
			return false, nil
		}
		sets[i] = distinct(at)
	}
	var found []occurrence
	chosen := make([]occurrence, 0, len(sets))
	for _, o := range sets[0] {
		if c := q.choose(n, sets, append(chosen[:0], o)); c != nil {
			found = append(found, c...)
		}
	}
	return len(found) > 0, distinct(found)
}

// choose extends a choice of places by one of each further operand, or returns nil.
func (q *query) choose(n *node, sets [][]occurrence, chosen []occurrence) []occurrence {
	if len(chosen) == len(sets) {
		return chosen
	}
	set := sets[len(chosen)]
	first := chosen[0]
	// Places are in order, so those too far before the first choice can be skipped.
	from, _ := slices.BinarySearchFunc(set, first, func(o, f occurrence) int {
		if o.field != f.field {
			return int(o.field) - int(f.field)
		}
		if o.to < f.from-n.n {
			return -1
		}
		return 1
	})
	if from > 0 && set[from-1].field == first.field {
		q.refuse(set[from-1].distance(first.span))
	}
	for _, o := range set[from:] {
		if o.field != first.field || o.from > first.to+n.n {
			if o.field == first.field {
				q.refuse(o.distance(first.span))
			}
			return nil
		}
		if !q.fits(n, chosen, o) {
			continue
		}
		if c := q.choose(n, sets, append(chosen, o)); c != nil {
			return c
		}
	}
	return nil
}

func (q *query) fits(n *node, chosen []occurrence, o occurrence) bool {
	for i, c := range chosen {
		if c.overlaps(o.span) {
			return false
		}
		if d := c.distance(o.span); d > n.n {
			q.refuse(d)
			return false
		}
		if n.ordered && i == len(chosen)-1 && o.from <= c.to {
			return false
		}
	}
	return true
}

func (q *query) refuse(d int32) {
	if q.near < 0 || d < q.near {
		q.near = d
	}
}

// why words what satisfied a rule.
func (s *scratch) why(r *rule, v verdict) string {
	var parts []string
	for _, o := range v.at {
		t := fmt.Sprintf("%q", s.text(o.span))
		if !contains(parts, t) {
			parts = append(parts, t)
		}
	}
	list := shortened(parts)
	if r.Rule.Score != nil {
		return fmt.Sprintf("%d points of %d: %s", v.points, r.Rule.Score.AtLeast, list)
	}
	if list == "" {
		return "nothing in it speaks against"
	}
	return list
}

func (s *scratch) text(at span) string { return s.texts[at.field][at.start:at.end] }
