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

// places are the distinct places of what is wanted, in order of the text. The caller must not change them: those of one word are lent.
func (s *scratch) places(w want, fields uint8) []occurrence {
	if len(w.terms) == 1 && len(w.entities) == 0 && fields == inAll {
		if g := s.group(w.terms[0]); g != nil && !g.overlapping {
			return s.occs[g.lo:g.hi:g.hi]
		}
	}
	var out []occurrence
	s.each(w.terms, func(g *group) {
		for _, o := range s.occs[g.lo:g.hi] {
			if fields>>o.field&1 != 0 {
				out = append(out, o)
			}
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
	if !slices.IsSortedFunc(at, compareOccurrences) {
		slices.SortFunc(at, compareOccurrences)
	}
	return at
}

func compareOccurrences(a, b occurrence) int {
	if c := compareSpans(a.span, b.span); c != 0 {
		return c
	}
	return int(a.term - b.term)
}

// distinct orders places and drops those that overlap one before.
func distinct(at []occurrence) []occurrence {
	at = ordered(at)
	if !overlapping(at) {
		return at
	}
	out := at[:0]
	for _, o := range at {
		if n := len(out); n == 0 || !out[n-1].overlaps(o.span) {
			out = append(out, o)
		}
	}
	return out
}

// overlapping tells whether a place overlaps the one before, in places that are in order.
func overlapping(at []occurrence) bool {
	for i := 1; i < len(at); i++ {
		if at[i-1].overlaps(at[i].span) {
			return true
		}
	}
	return false
}

func (q *query) refuse(d int32) {
	if q.near < 0 || d < q.near {
		q.near = d
	}
}

// why words what satisfied a rule.
func (s *scratch) why(r *rule, v verdict) string {
	var parts []string
	seen := map[string]bool{}
	for _, o := range v.at {
		if t := s.text(o.span); !seen[t] {
			seen[t] = true
			parts = append(parts, fmt.Sprintf("%q", t))
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
