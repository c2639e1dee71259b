package watchlist

import (
	"math"

	"tocsin/news/strict"
)

const maxPoints = 1000

func (b *builder) rule(raw *rawRule) *Rule {
	r := &Rule{
		Pos: raw.Pos, List: b.list, ID: raw.ID, Title: clean(raw.Title.Value), About: clean(raw.About.Value),
		Severity: b.severity(raw.Severity, b.list.Severity), Labels: b.labels(raw.Labels),
	}
	b.checkID(raw.ID, raw.Pos, "rule")
	if r.Title == "" {
		r.Title = raw.ID.Value
	}
	switch {
	case raw.Query != nil && raw.Score != nil:
		b.add(raw.Query.Pos, "keep one of them: make two rules if both are meant", "rule %q has a query and a score", raw.ID.Value)
	case raw.Query == nil && raw.Score == nil:
		b.add(raw.Pos, "add query: or score:", "rule %q has neither query nor score", raw.ID.Value)
	}
	if raw.Query != nil {
		r.Source = raw.Query.Value
		r.Query = b.query(*raw.Query)
	}
	if raw.Score != nil && raw.Score.Line > 0 {
		r.Score = b.score(raw.Score)
	}
	r.Flag, r.Ignore = b.sentences(raw.Flag, raw.Ignore)
	if len(raw.Flag) == 0 {
		b.warn(raw.Pos, "add flag: with a sentence that must be found, so that tocsin check can prove it", "rule %q has no flag: sentence", raw.ID.Value)
	}
	return r
}

// query parses a query once, even if an anchor repeats it in thousands of rules.
func (b *builder) query(t strict.Text) Expr {
	if x, ok := b.queries[t.Pos]; ok {
		return x
	}
	x, fs := parseQuery(t.Value, b.locate(t.Pos, t.Value))
	b.faults = append(b.faults, fs...)
	b.queries[t.Pos] = x
	return x
}

func (b *builder) score(raw *rawScore) *Score {
	s := &Score{}
	sum, known := 0, true
	seen := map[string]strict.Pos{}
	for _, p := range raw.Words {
		t, ok := b.term(p.Term)
		if !ok {
			known = false
			continue
		}
		key := string(rune('0'+t.Kind)) + normal(t.Text)
		if first, twice := seen[key]; twice {
			b.add(p.Term.Pos, "keep one of them", "the word %q has points already at line %d", p.Term.Value, first.Line)
		}
		seen[key] = p.Term.Pos
		n := p.Points.N
		switch {
		case p.Points.Bad:
			known = false
		case n == 0:
			b.add(p.Points.Pos, "write points above or below 0, or remove the word", "%q has 0 points", p.Term.Value)
		case n < -maxPoints || n > maxPoints:
			known = false
			b.add(p.Points.Pos, "write smaller points and a smaller at_least", "%d points are out of range -%d to %d", n, maxPoints, maxPoints)
		case n > 0:
			sum += n
		}
		s.Words = append(s.Words, Weight{t, n})
	}
	if len(raw.Words) == 0 {
		b.add(raw.Pos, "add words: with points, as in {railway: 10}", "the score has no words")
		return s
	}
	if !known {
		sum = math.MaxInt
	}
	b.atLeast(raw, s, sum)
	return s
}

func (b *builder) atLeast(raw *rawScore, s *Score, sum int) {
	if raw.AtLeast == nil {
		b.add(raw.Pos, "add at_least: with the points that an item must reach", "the score has no at_least")
		return
	}
	s.AtLeast = raw.AtLeast.N
	switch {
	case raw.AtLeast.Bad:
	case s.AtLeast < 1:
		b.add(raw.AtLeast.Pos, "write 1 or more", "at_least %d holds for every item", s.AtLeast)
	case s.AtLeast > sum:
		b.add(raw.AtLeast.Pos, "lower at_least or raise the points", "at_least %d cannot be reached: all words together give %d", s.AtLeast, sum)
	}
}
