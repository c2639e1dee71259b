package matcher

import (
	"slices"
	"strings"

	"tocsin/matcher/fold"
	"tocsin/matcher/watchlist"
	"tocsin/news"
)

// scratch is the memory of one match. It is reused, so that an item without a hit allocates nothing.
type scratch struct {
	x      *Index
	item   *news.Item
	texts  [3]string
	bounds [4]int32 // tokens of field f are toks[bounds[f]:bounds[f+1]]
	toks   []fold.Token
	hits   []hit
	sifted []int32 // by the sieve of the table in use
	walk   walker
	buf    []byte

	cands     []candidate
	decoys    []span
	decoyOf   []int32
	occs      []occurrence // sorted by term, then place
	groups    []group      // of occs, sorted by term
	intros    []intro
	byEntity  [][]int32 // candidates of the entities in touched
	touched   []int32
	announced []bool // rules, by number
	asked     []int32
	sentence  bool   // the item is a sentence of a list: sources and fields do not restrict
	sentLang  string // language of the sentence, "" when not stated
	traced    bool   // rule costs are wanted
	costs     []ruleCost
}

func newScratch(x *Index) *scratch {
	return &scratch{x: x, byEntity: make([][]int32, len(x.entities)), announced: make([]bool, len(x.rules))}
}

// span is a place in the text: tokens from..to (to is the last) and bytes.
type span struct {
	field      uint8
	from, to   int32
	start, end uint32
}

func (a span) inside(b span) bool { return a.field == b.field && a.start >= b.start && a.end <= b.end }

func (a span) overlaps(b span) bool {
	return a.field == b.field && a.start < b.end && b.start < a.end
}

// distance is the number of words from one span to the next: 1 for neighbours, 0 when they overlap.
func (a span) distance(b span) int32 {
	switch {
	case b.from > a.to:
		return b.from - a.to
	case a.from > b.to:
		return a.from - b.to
	}
	return 0
}

// occurrence is a term or entity at a place.
type occurrence struct {
	span
	term int32
}

// candidate is an alias at a place and what became of it.
type candidate struct {
	span
	alias, entity int32
	state         state
	by            int32      // the candidate that hides it, when hidden by one
	reason        occurrence // what satisfied needs or unless; term is -1 for an entity, see near
	near          int32      // words between, -1 for somewhere in the item
	intro         int32      // the introduction that decided
}

// state is what became of a candidate.
type state uint8

const (
	statePending state = iota
	stateResolving
	stateCounts
	stateIntroduced // counts because the item introduces it
	stateExact
	stateHidden
	stateDecoy
	stateForeign // the same words are an alias in the item's language, which decides
	stateNeeds
	stateUnless
	stateOther // the item introduces it with another meaning
)

func (s state) counts() bool { return s == stateCounts || s == stateIntroduced }

// reset forgets the last item.
func (s *scratch) reset(item *news.Item) {
	for _, e := range s.touched {
		s.byEntity[e] = s.byEntity[e][:0]
	}
	for _, r := range s.asked {
		s.announced[r] = false
	}
	s.item = item
	s.toks, s.hits, s.cands, s.occs = s.toks[:0], s.hits[:0], s.cands[:0], s.occs[:0]
	s.groups = s.groups[:0]
	s.decoys, s.decoyOf = s.decoys[:0], s.decoyOf[:0]
	s.intros, s.touched, s.asked, s.costs = s.intros[:0], s.touched[:0], s.asked[:0], s.costs[:0]
}

// look reads the item and finds the aliases and rules that it may be about. It tells whether there are any.
func (s *scratch) look(item *news.Item) bool {
	s.reset(item)
	s.texts = [3]string{item.Title, item.Summary, item.Body} // as item.Fields orders them
	for f, text := range s.texts {
		if text != "" {
			s.toks = fold.Append(s.toks, text)
		}
		s.bounds[f+1] = int32(len(s.toks))
	}
	s.scan(s.x.primary)
	return len(s.hits) > 0 || len(s.x.always) > 0
}

func (s *scratch) scan(t *table) {
	for f := range s.texts {
		base := s.bounds[f]
		if base == s.bounds[f+1] {
			continue
		}
		t.scan(s, s.texts[f], s.toks[base:s.bounds[f+1]], uint8(f), base)
	}
}

func (s *scratch) span(h hit) span {
	return span{h.field, h.from, h.to, uint32(s.toks[h.from].Start()), uint32(s.toks[h.to].End())}
}

// decide works out which candidates count.
func (s *scratch) decide() {
	s.candidates()
	s.hits = s.hits[:0]
	s.scan(s.x.secondary)
	s.words()
	s.checkExact()
	s.native()
	s.longest()
	s.introductions()
	for i := range s.cands {
		s.resolve(int32(i))
	}
}

// candidates turns hits of the primary table into candidates and announced rules.
func (s *scratch) candidates() {
	for _, h := range s.hits {
		at := s.span(h)
		s.x.primary.refs(h.phrase, func(r ref) {
			if r.kind() == refAnchor {
				s.announce(int32(r.id()))
				return
			}
			a := s.x.aliases[r.id()]
			s.cands = append(s.cands, candidate{span: at, alias: int32(r.id()), entity: a.entity, by: -1, intro: -1, near: -1})
		})
	}
	slices.SortFunc(s.cands, compareCandidates)
	s.cands = slices.CompactFunc(s.cands, func(a, b candidate) bool { return a.alias == b.alias && a.span.same(b.span) })
	for i, c := range s.cands {
		if len(s.byEntity[c.entity]) == 0 {
			s.touched = append(s.touched, c.entity)
		}
		s.byEntity[c.entity] = append(s.byEntity[c.entity], int32(i))
	}
}

func (s *scratch) announce(r int32) {
	if !s.announced[r] {
		s.announced[r] = true
		s.asked = append(s.asked, r)
	}
}

func (a span) same(b span) bool { return a.field == b.field && a.start == b.start && a.end == b.end }

// compareSpans orders by field and place, longer first.
func compareSpans(a, b span) int {
	switch {
	case a.field != b.field:
		return int(a.field) - int(b.field)
	case a.start != b.start:
		return int(a.start) - int(b.start)
	}
	return int(b.end) - int(a.end)
}

func compareCandidates(a, b candidate) int {
	if c := compareSpans(a.span, b.span); c != 0 {
		return c
	}
	return int(a.alias) - int(b.alias)
}

// words turns hits of the secondary table into occurrences and decoys.
func (s *scratch) words() {
	for _, h := range s.hits {
		at := s.span(h)
		s.x.secondary.refs(h.phrase, func(r ref) {
			switch {
			case r.kind() == refDecoy:
				s.decoys = append(s.decoys, at)
				s.decoyOf = append(s.decoyOf, int32(r.id()))
			case s.x.terms[r.id()].exact == "" || s.bare(at) == s.x.terms[r.id()].exact:
				s.occs = append(s.occs, occurrence{at, int32(r.id())})
			}
		})
	}
	slices.SortFunc(s.occs, func(a, b occurrence) int {
		if a.term != b.term {
			return int(a.term - b.term)
		}
		return compareSpans(a.span, b.span)
	})
	s.groupWords()
}

// bare is the original text of the tokens of a span, without what stands between them.
func (s *scratch) bare(at span) string {
	s.buf = s.buf[:0]
	for _, t := range s.toks[at.from : at.to+1] {
		if t.Parts() == 0 {
			s.buf = append(s.buf, s.texts[at.field][t.Start():t.End()]...)
		}
	}
	return string(s.buf)
}

func (s *scratch) checkExact() {
	for i := range s.cands {
		c := &s.cands[i]
		if x := s.x.extraOf(c.alias); x != nil && x.exact != "" && s.bare(c.span) != x.exact {
			c.state = stateExact
		}
	}
}

func (x *Index) extraOf(alias int32) *extra {
	if e := x.aliases[alias].extra; e >= 0 {
		return &x.extras[e]
	}
	return nil
}

// native lets the alias of the item's language decide where an entity has the same words under several languages: چابهار is a port in Pashto news
// and mostly a town in Persian news.
func (s *scratch) native() {
	for i := 0; i < len(s.cands); {
		j := i + 1
		for j < len(s.cands) && s.cands[j].same(s.cands[i].span) {
			j++
		}
		if j-i > 1 {
			s.nativeOf(s.cands[i:j])
		}
		i = j
	}
}

func (s *scratch) nativeOf(group []candidate) {
	for i := range group {
		c := &group[i]
		if c.state != statePending || s.isNative(c) {
			continue
		}
		for k := range group {
			if d := &group[k]; d.entity == c.entity && d.state == statePending && s.isNative(d) {
				c.state = stateForeign
				break
			}
		}
	}
}

func (s *scratch) isNative(c *candidate) bool {
	lang := s.x.aliases[c.alias].Lang
	return lang == "" || lang == watchlist.AnyLang || lang == s.langOf(c.field)
}

// langOf is the language of the item, else a guess from the letters of the field.
func (s *scratch) langOf(field uint8) string {
	lang := s.item.Lang
	if lang == "" || lang == "und" {
		lang = guessLang(s.texts[field])
	}
	if primary, _, _ := strings.Cut(lang, "-"); primary != "prs" {
		return primary
	}
	return "fa"
}

// longest hides what stands inside a longer candidate of any entity, or inside a decoy of its own.
func (s *scratch) longest() {
	for i := range s.cands {
		c := &s.cands[i]
		if c.state != statePending {
			continue
		}
		if d := s.decoyAround(*c); d >= 0 {
			c.state, c.by = stateDecoy, d
		} else if b := s.longerAround(i); b >= 0 {
			c.state, c.by = stateHidden, b
		}
	}
}

func (s *scratch) decoyAround(c candidate) int32 {
	for i, d := range s.decoys {
		if s.decoyOf[i] == c.entity && c.inside(d) {
			return int32(i)
		}
	}
	return -1
}

// longerAround looks at the neighbours of candidate i, which is in order of place.
func (s *scratch) longerAround(i int) int32 {
	c := &s.cands[i]
	for j := i - 1; j >= 0 && s.cands[j].field == c.field && c.from-s.cands[j].from < maxSpan; j-- {
		if s.hides(j, c) {
			return int32(j)
		}
	}
	return -1
}

// maxSpan is more tokens than a phrase fills, those that are parts of others counted.
const maxSpan = 3 * maxTokens

// hides tells whether candidate j is the name that c is only a part of. A theme or event is about the things named in it and does not hide them.
func (s *scratch) hides(j int, c *candidate) bool {
	d := &s.cands[j]
	if d.entity != c.entity {
		switch s.x.entities[d.entity].Kind {
		case "theme", "event":
			return false
		}
	}
	return d.state != stateExact && d.state != stateForeign && c.inside(d.span) && !c.same(d.span)
}
