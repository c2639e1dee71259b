package story

import "math"

// nearest finds the story that the item joins, and notes the nearest that it does not.
func (s *Stage) nearest(p *profile, d *Decision) *story {
	var links []Link
	var of []*story
	for _, st := range s.candidates(p) {
		if l, ok := compare(p, st, false); ok {
			links, of = append(links, l), append(of, st)
		}
	}
	best, second, others := contest(links)
	if best < 0 {
		return nil
	}
	told := func(i int) *Link {
		l, _ := compare(p, of[i], true)
		l.Story = of[i].id
		return &l
	}
	first := told(best)
	if second >= 0 {
		first.put("other stories alike", others, of[second].id)
	}
	if links[best].Points+others < joinAt {
		d.Nearest = first
		return nil
	}
	d.Joined = first
	if second >= 0 {
		d.Nearest = told(second)
	}
	return of[best]
}

// contest finds the two strongest links, -1 for none, and what the others take from the strongest: where many stories are alike, being like one
// of them proves less.
func contest(links []Link) (best, second int, others float64) {
	best, second = -1, -1
	for i := range links {
		switch {
		case best < 0 || links[i].Points > links[best].Points:
			best, second = i, best
		case second < 0 || links[i].Points > links[second].Points:
			second = i
		}
	}
	if second < 0 {
		return best, second, 0
	}
	for i := range links {
		if i != best {
			others += math.Exp(links[i].Points)
		}
	}
	return best, second, weights.rivals * math.Log1p(others)
}

func (l *Link) put(name string, points float64, detail string) {
	l.Points += points
	l.Evidence = append(l.Evidence, Evidence{Name: name, Points: points, Detail: detail})
}

// settle compares a story that has changed with its neighbours again and again, until none is one with it.
func (s *Stage) settle(st *story, d *Decision) *story {
	for {
		var links []Link
		var of []*story
		for _, o := range s.candidates(st.whole) {
			if o == st || !s.fit(st, o) {
				continue
			}
			if l, ok := compareStories(st, o, false); ok {
				links, of = append(links, l), append(of, o)
			}
		}
		best, second, others := contest(links)
		if best < 0 || links[best].Points+others < mergeAt {
			return st
		}
		into, from := st, of[best]
		if from.born < into.born {
			into, from = from, into
		}
		l, _ := compareStories(st, of[best], true)
		if l.Story = into.id; second >= 0 {
			l.put("other stories alike", others, of[second].id)
		}
		d.Merged = append(d.Merged, Merge{From: from.id, Into: into.id, Link: l})
		s.absorb(into, from)
		st = into
	}
}

// fit tells whether two stories lie near enough in time to be one.
func (s *Stage) fit(a, b *story) bool {
	return gap(a.whole, b.whole) <= s.o.Window && span(a.whole, b.whole) <= s.o.MaxAge
}
