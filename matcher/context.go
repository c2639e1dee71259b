package matcher

import "slices"

// resolve decides one candidate by its conditions. A condition that asks for an entity resolves that entity's candidates first; one that comes
// back to itself does not hold.
func (s *scratch) resolve(i int32) {
	c := &s.cands[i]
	if c.state != statePending {
		return
	}
	c.state = stateResolving
	needs, unless := s.conditions(c)
	state, reason, near := stateCounts, occurrence{term: -1}, int32(-1)
	if in := s.introduced(c); in >= 0 {
		c = &s.cands[i]
		c.intro = in
		c.state = stateIntroduced
		if s.intros[in].entity != c.entity {
			c.state = stateOther
		}
		return
	}
	if needs != nil {
		ok, at, d := s.holds(needs, i, false)
		if reason, near = at, d; !ok {
			state = stateNeeds
		}
	}
	if unless != nil && state == stateCounts {
		if ok, at, d := s.holds(unless, i, true); ok {
			state, reason, near = stateUnless, at, d
		}
	}
	c = &s.cands[i]
	c.state, c.reason, c.near = state, reason, near
}

// conditions are those of the alias, else those of the entity.
func (s *scratch) conditions(c *candidate) (needs, unless *condition) {
	e := &s.x.entities[c.entity]
	needs, unless = e.needs, e.unless
	if x := s.x.extraOf(c.alias); x != nil {
		if x.needs != nil {
			needs = x.needs
		}
		if x.unless != nil {
			unless = x.unless
		}
	}
	return needs, unless
}

// holds tells whether a condition holds beside candidate i, and what satisfied it: the nearest, or the nearest that was too far.
func (s *scratch) holds(cond *condition, i int32, veto bool) (ok bool, at occurrence, near int32) {
	at, near = occurrence{term: -1}, -1
	if cond.any != nil {
		if ok, at, near = s.nearest(*cond.any, i, cond.within, veto); !ok {
			return false, at, near
		}
	}
	for _, w := range cond.all {
		ok, a, d := s.nearest(w, i, cond.within, veto)
		if !ok {
			return false, a, d
		}
		if cond.any == nil {
			at, near = a, d
		}
	}
	return true, at, near
}

const far = 1 << 30

const summaryField = 1 // as item.Fields orders them

// fieldGap is how many words the break between the title and the summary is worth.
const fieldGap = 8

// apart is the number of words from one place to another. The summary goes on below the title after a gap. Any other field counts only when the
// condition has no distance: a body may begin anywhere, as it does where each paragraph of a paper is an item under the paper's title.
func (a span) apart(b span) int32 {
	switch {
	case a.field == b.field:
		return a.distance(b)
	case max(a.field, b.field) == summaryField: // so the other is the title
		return a.distance(b) + fieldGap
	}
	return far - 1
}

// nearest finds what is wanted next to candidate i. near is the distance in words, -1 for a field that has none. What stands inside the alias itself
// satisfies needs unless it is the alias, and never a veto.
func (s *scratch) nearest(w want, i int32, within int, veto bool) (ok bool, at occurrence, near int32) {
	best, bestAt := int32(far), occurrence{term: -1}
	consider := func(o occurrence) {
		c := &s.cands[i]
		if o.inside(c.span) && (veto || o.same(c.span)) {
			return
		}
		d := c.apart(o.span)
		if d < best {
			best, bestAt = d, o
		}
	}
	s.each(w.terms, func(g *group) { s.around(g, s.cands[i].span, func() int32 { return best }, consider) })
	for _, e := range w.entities {
		for k := 0; k < len(s.byEntity[e]); k++ {
			j := s.byEntity[e][k]
			if j == i {
				continue
			}
			s.resolve(j)
			if s.cands[j].state.counts() {
				consider(occurrence{s.cands[j].span, -1 - e})
			}
		}
	}
	ok = best < far && (within == 0 || best <= int32(within))
	if best >= far-1 {
		best = -1
	}
	return ok, bestAt, best
}

// group is where the places of one term stand among all that are sorted by term.
type group struct {
	term        int32
	lo, hi      int
	overlapping bool
}

// groups finds the places of each term.
func (s *scratch) groupWords() {
	s.groups = s.groups[:0]
	for lo := 0; lo < len(s.occs); {
		hi := lo + 1
		for hi < len(s.occs) && s.occs[hi].term == s.occs[lo].term {
			hi++
		}
		s.groups = append(s.groups, group{s.occs[lo].term, lo, hi, overlapping(s.occs[lo:hi])})
		lo = hi
	}
}

func (s *scratch) group(term int32) *group {
	i, ok := slices.BinarySearchFunc(s.groups, term, func(g group, t int32) int { return int(g.term - t) })
	if !ok {
		return nil
	}
	return &s.groups[i]
}

// each calls f for every term that the item holds. An item holds few of the many words that lists know, so mostly it goes by those that it holds.
func (s *scratch) each(terms []int32, f func(*group)) {
	if len(terms)*8 < len(s.groups) {
		for _, t := range terms {
			if g := s.group(t); g != nil {
				f(g)
			}
		}
		return
	}
	for i := range s.groups {
		if _, ok := slices.BinarySearch(terms, s.groups[i].term); ok {
			f(&s.groups[i])
		}
	}
}

// around calls f for the places of a term that may be the nearest to c: those about it until they are further than the best, the first in each
// direction, and the first of all, which may stand in another field.
func (s *scratch) around(g *group, c span, best func() int32, f func(occurrence)) {
	at := s.occs[g.lo:g.hi]
	mid, _ := slices.BinarySearchFunc(at, c, func(o occurrence, c span) int { return compareSpans(o.span, c) })
	for i := mid - 1; i >= 0; i-- {
		f(at[i])
		if c.from-at[i].from > best()+maxTokens {
			break
		}
	}
	for i := mid; i < len(at); i++ {
		f(at[i])
		if at[i].from-c.to > best() {
			break
		}
	}
	f(at[0])
	f(at[len(at)-1])
}
