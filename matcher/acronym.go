package matcher

import (
	"strings"
	"unicode/utf8"

	"tocsin/matcher/fold"
)

// intro is a place where an item tells what an acronym stands for: "Balochistan Liberation Army (BLA)", "BLA (Balochistan Liberation Army)".
type intro struct {
	acronym string // folded
	entity  int32  // whose alias the long form is; -1 when other is set
	other   bool   // the acronym stands for something else in this item
	except  []int32
	long    span // the long form
}

// introductions finds what the item says of the acronyms among its candidates.
func (s *scratch) introductions() {
	var seen []string
	for i := range s.cands {
		x := s.x.extraOf(s.cands[i].alias)
		if x == nil || x.acronym == "" || s.cands[i].state != statePending || contains(seen, x.acronym) {
			continue
		}
		seen = append(seen, x.acronym)
		s.introductionsOf(x.acronym)
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// introductionsOf looks at every place where the acronym, or its plural, stands beside a bracket.
func (s *scratch) introductionsOf(acronym string) {
	s.buf = append(append(s.buf[:0], acronym...), 's')
	plural, one := fold.Hash(s.buf), fold.Hash(s.buf[:len(acronym)])
	for f := range s.texts {
		for i := s.bounds[f]; i < s.bounds[f+1]; i++ {
			tok := s.toks[i]
			if tok.Hash != one && tok.Hash != plural {
				continue
			}
			s.buf = tok.AppendTo(s.buf[:0], s.texts[f])
			if word := string(s.buf); word != acronym && word != acronym+"s" {
				continue
			}
			text := s.texts[f]
			if opened(text[:tok.Start()]) {
				s.before(acronym, uint8(f), i)
			} else if inner := strings.TrimLeft(text[tok.End():], " "); opens(inner) {
				s.inside(acronym, uint8(f), i)
			}
		}
	}
}

// opened tells whether text ends in an opening bracket, a quote behind it apart.
func opened(text string) bool {
	text = strings.TrimRight(text, "\"'“‘«„")
	r, _ := utf8.DecodeLastRuneInString(text)
	return r == '(' || r == '（' || r == '[' || r == '﴾'
}

func opens(text string) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return r == '(' || r == '（' || r == '[' || r == '﴾'
}

// before judges the words that stand before the bracket in which token i stands.
func (s *scratch) before(acronym string, f uint8, i int32) {
	for k := range s.cands {
		c := &s.cands[k]
		if c.field == f && c.to == i-1 && s.longForm(c) {
			s.intros = append(s.intros, intro{acronym: acronym, entity: c.entity, long: c.span})
		}
	}
	first := s.initialsBackward(acronym, f, i-1)
	if first >= 0 {
		s.other(acronym, s.spanOf(f, first, i-1))
	}
}

// inside judges the words in the bracket behind token i.
func (s *scratch) inside(acronym string, f uint8, i int32) {
	for k := range s.cands {
		c := &s.cands[k]
		if c.field == f && c.from == i+1 && s.longForm(c) {
			s.intros = append(s.intros, intro{acronym: acronym, entity: c.entity, long: c.span})
		}
	}
	text := s.texts[f]
	end := s.toks[i].End() + strings.IndexAny(text[s.toks[i].End():]+")", ")）]")
	last := i
	for last+1 < s.bounds[f+1] && s.toks[last+1].End() <= end {
		last++
	}
	if first := s.initialsBackward(acronym, f, last); first == i+1 {
		s.other(acronym, s.spanOf(f, first, last))
	}
}

func (s *scratch) spanOf(f uint8, from, to int32) span {
	return span{f, from, to, uint32(s.toks[from].Start()), uint32(s.toks[to].End())}
}

// longForm tells whether a candidate is a name of more than one word, or of one word that is no acronym.
func (s *scratch) longForm(c *candidate) bool {
	x := s.x.extraOf(c.alias)
	return (x == nil || x.acronym == "") && c.state != stateExact && c.state != stateDecoy
}

// initialsBackward reads the letters of the acronym, last first, as the first letters of the words that end at token i. Short words between may be
// skipped, as in "tactics, techniques and procedures". It returns the first token of the long form, or -1.
func (s *scratch) initialsBackward(acronym string, f uint8, i int32) int32 {
	letters := []rune(acronym)
	if len(letters) < 2 {
		return -1
	}
	skipped := 0
	for k := len(letters) - 1; i >= s.bounds[f]; i-- {
		s.buf = s.toks[i].AppendTo(s.buf[:0], s.texts[f])
		r, _ := utf8.DecodeRune(s.buf)
		switch {
		case r == letters[k]:
			if k == 0 {
				return i
			}
			k--
			skipped = 0
		case runes(string(s.buf)) > 3 || skipped >= 3:
			return -1
		default:
			skipped++
		}
	}
	return -1
}

// other records that the acronym has another meaning, except for entities whose names the long form resembles: a spelling that no list has yet.
func (s *scratch) other(acronym string, long span) {
	in := intro{acronym: acronym, entity: -1, other: true, long: long}
	for _, e := range s.touched {
		if s.resembles(e, long) {
			in.except = append(in.except, e)
		}
	}
	s.intros = append(s.intros, in)
}

// resembles tells whether the long form shares a word of five letters with the name or an alias of an entity.
func (s *scratch) resembles(e int32, long span) bool {
	for i := long.from; i <= long.to; i++ {
		s.buf = s.toks[i].AppendTo(s.buf[:0], s.texts[long.field])
		if len(s.buf) < 5 || utf8.RuneCount(s.buf) < 5 {
			continue
		}
		word := string(s.buf)
		if contains(s.x.entities[e].vocabulary, word) {
			return true
		}
	}
	return false
}

// introduced is the introduction that decides a candidate, or -1. One that names the entity goes before one that names something else.
func (s *scratch) introduced(c *candidate) int32 {
	x := s.x.extraOf(c.alias)
	if len(s.intros) == 0 || x == nil || x.acronym == "" {
		return -1
	}
	found := int32(-1)
	for k := range s.intros {
		in := &s.intros[k]
		switch {
		case in.acronym != x.acronym:
		case in.entity == c.entity:
			return int32(k)
		case in.other && !containsID(in.except, c.entity):
			found = int32(k)
		case !in.other && in.entity != c.entity:
			found = int32(k)
		}
	}
	return found
}

func containsID(list []int32, id int32) bool {
	for _, x := range list {
		if x == id {
			return true
		}
	}
	return false
}
