package matcher

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"tocsin/news"
)

const (
	unknownName = 15.0 // bits of a name that the rarity table does not hold
	unknownWord = 13.0 // bits of a word that it does not hold
	bodyTokens  = 60   // of summary or body that count beside the title
)

// Signature tells what an item is about, in a form that compares across outlets, wordings and languages. It reads the title, the beginning of the
// text, and the entities of all lists, whichever lists watch the item. The same item gives the same signature every time, whatever lists are live
// but for its entities.
func (x *Index) Signature(item *news.Item) news.Signature {
	b := sigBuilder{l: signatureLexicon(), lang: item.Lang, anchors: map[string]news.Anchor{}, words: map[string]news.SigWord{}, numbers: map[news.Number]bool{}}
	entities := x.entitySpans(item)
	title := item.Title
	if title == "" {
		title = firstSentence(item.Summary + item.Body)
	}
	segs := segments(title)
	whole := sigTokens(title)
	day, _ := b.l.statedDay(whole)
	b.out.Form, b.out.Series = formOf(title, day, segs, whole), b.series(title)
	if b.out.Form == news.FormColumn {
		b.out.Date = day
	}
	for i, s := range segs {
		part := news.PartTail
		if i == 0 {
			part = news.PartHead
		}
		b.read(s, part, 0)
	}
	text := item.Summary
	if text == "" {
		text = item.Body
	}
	if text == "" {
		b.read(slug(item.URL), news.PartText, bodyTokens)
	} else if item.Title != "" {
		b.read(text, news.PartText, bodyTokens)
	}
	b.entities(entities)
	b.out.Sketch = sketch(item.Title, text)
	return b.finish()
}

// series is the running head of a title, "" when there is none or it names what the item is about.
func (b *sigBuilder) series(title string) string {
	head, _, ok := strings.Cut(title, ": ")
	toks := sigTokens(head)
	if !ok || len(toks) == 0 || len(toks) > 6 {
		return ""
	}
	words := make([]string, len(toks))
	for i := range toks {
		if refs, n := b.l.longest(toks[i:]); n > 0 && refs[0].name {
			return ""
		}
		words[i] = toks[i].text
	}
	return strings.Join(words, " ")
}

func firstSentence(s string) string {
	if i := strings.IndexAny(s, ".。۔।!?\n"); i > 0 {
		return s[:i]
	}
	return s
}

// sigBuilder collects a signature.
type sigBuilder struct {
	l       *lexicon
	lang    string
	anchors map[string]news.Anchor
	words   map[string]news.SigWord
	events  []string
	numbers map[news.Number]bool
	last    string // key of the word before, for pairs
	aside   bool   // the name in hand only describes another: "Iran-backed"
	light   bool   // the action noted is a verb that says little: "launch" an attack
	out     news.Signature
}

// mark is what a run of tokens stands for.
type mark struct {
	refs     []lexRef
	from, to int
}

// read takes one text in; most bounds its tokens, 0 for no bound.
func (b *sigBuilder) read(text string, part, most int) {
	toks := sigTokens(text)
	if most > 0 && len(toks) > most {
		toks = toks[:most]
	}
	_, isDate := b.l.statedDay(toks)
	marks := b.marks(toks, isDate)
	figures := b.l.figures(text, toks, isDate)
	from, to := 0, len(toks)
	if part == news.PartHead {
		if from, to = mainClause(toks); to-from <= 4 && !b.tellsAction(marks, from, to) {
			from, to = 0, len(toks) // "Message from X as ships report gunfire": the event is in the other clause
		}
	}
	partAt := func(i int) int {
		if part == news.PartHead && (i < from || i >= to) {
			return news.PartTail
		}
		return part
	}
	b.figures(toks, marks, figures, partAt)
	counted := map[int]bool{}
	for _, f := range figures {
		for i := f.from; i < f.to; i++ {
			counted[i] = true
		}
	}
	capitals := titled(toks)
	b.last = ""
	next := 0
	for i := 0; i < len(toks); i++ {
		if next < len(marks) && marks[next].from == i {
			b.aside = ofSomething(text, toks, marks[next].to)
			for _, r := range marks[next].refs {
				b.mark(r, partAt(i))
			}
			i = marks[next].to - 1
			next++
			continue
		}
		if counted[i] || isDate(i) || toks[i].digits {
			continue
		}
		b.plain(toks, i, i == 0 || capitals, partAt(i))
	}
}

// marks finds what the tables know, longest first from the left.
func (b *sigBuilder) marks(toks []sigToken, isDate func(int) bool) []mark {
	var out []mark
	for i := 0; i < len(toks); i++ {
		if isDate(i) {
			continue
		}
		refs, n := b.l.longest(toks[i:])
		if n == 0 && b.lang == "ar" {
			refs, n = b.withoutClitic(toks[i:])
		}
		if n > 0 {
			out = append(out, mark{refs, i, i + n})
			i += n - 1
		}
	}
	return out
}

// withoutClitic looks an Arabic word up without the article and the one-letter words that are written joined.
func (b *sigBuilder) withoutClitic(toks []sigToken) ([]lexRef, int) {
	for _, p := range []string{"وال", "بال", "لل", "فال", "كال", "ال", "و", "ب", "ل", "ف"} {
		rest, ok := strings.CutPrefix(toks[0].text, p)
		if !ok || utf8.RuneCountInString(rest) < 3 {
			continue
		}
		bare := slices.Clone(toks[:min(len(toks), 3)])
		bare[0].text = rest
		if refs, n := b.l.longest(bare); n > 0 {
			return refs, n
		}
	}
	return nil, 0
}

func (b *sigBuilder) mark(r lexRef, part int) {
	if !r.name {
		w := b.l.words[r.id]
		b.word("="+r.id, b.l.bits("="+r.id, 7), false, part)
		if w.class != "" && part == news.PartHead {
			b.events = append(b.events, w.class)
			if b.out.Act == "" || b.light {
				b.out.Act, b.light = "="+r.id, light(r.id)
			}
		}
		return
	}
	n := b.l.names[r.id]
	if part == news.PartHead && !b.aside && (n.kind != news.AnchorPlace || n.stands) {
		b.doer(r.id)
	}
	b.name(r.id, part)
	if n.stands && n.within != "" {
		b.last = "" // the larger place is no neighbour
		over := b.l.names[n.within]
		b.anchor(news.Anchor{ID: n.within, Kind: over.kind, Weak: over.weak, Within: b.l.chain(n.within), Bits: b.l.nameBits(n.within), Part: part})
	}
}

// name notes a name of the tables.
func (b *sigBuilder) name(id string, part int) {
	n := b.l.names[id]
	b.anchor(news.Anchor{ID: id, Kind: n.kind, Weak: n.weak, Stands: n.stands, Within: b.l.chain(id), Bits: b.l.nameBits(id), Part: part})
}

func (b *sigBuilder) anchor(a news.Anchor) {
	b.pair("@"+a.ID, a.Part)
	if old, ok := b.anchors[a.ID]; ok {
		a.Part = min(a.Part, old.Part)
	}
	b.anchors[a.ID] = a
}

// pair notes that key follows the word before it in a title.
func (b *sigBuilder) pair(key string, part int) {
	if part == news.PartText {
		return
	}
	if b.last != "" && b.last != key {
		h := uint64(14695981039346656037)
		for _, c := range []byte(b.last + " " + key) {
			h = (h ^ uint64(c)) * 1099511628211
		}
		b.out.Pairs = append(b.out.Pairs, uint32(remix(h)>>32))
	}
	b.last = key
}

func (b *sigBuilder) word(key string, bits float64, name bool, part int) {
	w := news.SigWord{Key: key, Bits: bits, Name: name, Part: part}
	if id, ok := strings.CutPrefix(key, "="); ok {
		known := b.l.words[id]
		if w.Event = known.class; known.contrary != "" {
			w.Contrary = "=" + known.contrary
		}
	}
	b.pair(key, part)
	if old, ok := b.words[key]; ok {
		w.Name, w.Part = w.Name || old.Name, min(w.Part, old.Part)
	}
	b.words[key] = w
}

// plain takes a word that no table knows. In scripts without spaces two neighbouring characters make one.
func (b *sigBuilder) plain(toks []sigToken, i int, capitalSaysNothing bool, part int) {
	t := &toks[i]
	if t.char {
		if i+1 < len(toks) && toks[i+1].char && toks[i+1].gap == 0 && !b.l.stop[t.text] && !b.l.stop[toks[i+1].text] {
			if _, n := b.l.longest(toks[i+1:]); n == 0 {
				key := t.text + toks[i+1].text
				b.word(key, b.l.bits(key, unknownWord-2), false, part)
			}
		}
		return
	}
	if b.l.stop[t.text] || utf8.RuneCountInString(t.text) < 2 {
		return
	}
	key := stem(t.text)
	name := t.capital && (!capitalSaysNothing || t.upper > 1)
	bits := b.l.bits(key, unknownWord)
	if capitalSaysNothing && bits >= unknownWord {
		name = true
	}
	b.word(key, bits, name, part)
}

func (b *sigBuilder) finish() news.Signature {
	s := b.out
	s.Version = news.SignatureVersion
	for _, a := range b.anchors {
		s.Anchors = append(s.Anchors, a)
	}
	for _, w := range b.words {
		s.Words = append(s.Words, w)
	}
	for n := range b.numbers {
		s.Numbers = append(s.Numbers, n)
	}
	slices.SortFunc(s.Anchors, func(a, b news.Anchor) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Words, func(a, b news.SigWord) int { return cmp.Compare(a.Key, b.Key) })
	slices.SortFunc(s.Numbers, func(a, b news.Number) int {
		return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Part, b.Part))
	})
	slices.Sort(b.events)
	slices.Sort(s.Pairs)
	s.Pairs = slices.Compact(s.Pairs)
	s.Events = slices.Compact(b.events)
	return s
}
