package matcher

import (
	"bytes"
	"cmp"
	"slices"

	"tocsin/matcher/fold"
)

// tableBuilder collects phrases and makes a table of them.
type tableBuilder struct {
	text  []byte
	items []item
	toks  []fold.Token
	edges int    // at most so many
	sizes [4]int // phrases of one, two and more tokens
	open  []open
}

type item struct {
	at   uint32
	size uint16
	n    uint8 // tokens
	ref  ref
}

// open is a phrase whose last word may go on.
type open struct {
	folded string
	ref    ref
}

// add takes a folded phrase; false when it has no tokens or more than maxTokens.
func (b *tableBuilder) add(folded string, r ref) bool {
	b.toks = fold.Append(b.toks[:0], folded)
	b.text = append(b.text, folded...)
	return b.keep(len(folded), r)
}

// addText takes a text that has no other form than its folded one.
func (b *tableBuilder) addText(text string, r ref) bool {
	b.toks = fold.Append(b.toks[:0], text)
	at := len(b.text)
	b.text = fold.AppendString(b.text, text, b.toks)
	return b.keep(len(b.text)-at, r)
}

// keep takes the last size bytes of b.text, of which b.toks are the tokens.
func (b *tableBuilder) keep(size int, r ref) bool {
	n := len(b.toks)
	if n == 0 || n > maxTokens || size > maxPhrase {
		b.text = b.text[:len(b.text)-size]
		return false
	}
	b.items = append(b.items, item{uint32(len(b.text) - size), uint16(size), uint8(n), r})
	b.edges += max(1, n-2)
	b.sizes[min(n, 3)]++
	return true
}

// addOpen takes a folded phrase whose last word may go on.
func (b *tableBuilder) addOpen(folded string, r ref) bool {
	b.toks = fold.Append(b.toks[:0], folded)
	if len(b.toks) == 0 || len(b.toks) > maxTokens {
		return false
	}
	b.open = append(b.open, open{folded, r})
	return true
}

func (b *tableBuilder) build() *table {
	t := &table{
		sieve: fold.NewSieve(b.sizes[1], b.sizes[2]+b.sizes[3]), pairs: fold.NewBits(b.sizes[2]), threes: fold.NewBits(b.sizes[3]), text: bytes.Clone(b.text),
	}
	if b.edges > 0 {
		t.edges = make([]edge, b.edges+b.edges/3+8)
		t.phrases = make([]phrase, 0, len(b.items))
	}
	nodes := uint32(0)
	for _, it := range b.items {
		folded := b.text[it.at : it.at+uint32(it.size)]
		b.toks = fold.Append(b.toks[:0], string(folded))
		e := t.insert(b.toks, &nodes)
		t.attach(e, it, folded)
	}
	t.prefixes = newPrefixes(b.open)
	return t
}

// insert makes the edges of a phrase and returns the last.
func (t *table) insert(toks []fold.Token, nodes *uint32) *edge {
	if len(toks) == 1 {
		t.sieve.AddOne(toks[0].Hash)
		return t.ensure(toks[0].Hash, nodes)
	}
	key := fold.PairKey(toks[0].Hash, toks[1].Hash)
	t.sieve.AddTwo(key)
	if len(toks) == 2 {
		t.pairs.Add(key)
		return t.ensure(key, nodes)
	}
	key = tripleKey(key, toks[2].Hash)
	t.threes.Add(key)
	e := t.ensure(key, nodes)
	for _, tok := range toks[3:] {
		e.node |= hasMore
		e = t.ensure(nodeKey(e.node&^hasMore, tok.Hash), nodes)
	}
	return e
}

func (t *table) ensure(key uint64, nodes *uint32) *edge {
	a, b := uint32(key)|1, uint32(key>>32)
	for i := t.slot(key); ; i = (i + 1) % len(t.edges) {
		e := &t.edges[i]
		if e.fp == a && e.fp2 == b {
			return e
		}
		if e.fp == 0 {
			*e = edge{fp: a, fp2: b, node: *nodes, out: -1}
			*nodes++
			return e
		}
	}
}

// attach adds a target to the phrase at e that has this folded text.
func (t *table) attach(e *edge, it item, folded []byte) {
	p := e.out
	for p >= 0 && string(t.folded(p)) != string(folded) {
		p = t.phrases[p].next
	}
	if p < 0 {
		p = int32(len(t.phrases))
		t.phrases = append(t.phrases, phrase{at: it.at, size: it.size, next: e.out, first: none})
		e.out = p
	}
	t.phrases[p].first = t.join(t.phrases[p].first, it.ref)
}

// join adds r to the targets that start at first: nothing (none), one target in place, or ^k for a chain in table.targets.
func (t *table) join(first int32, r ref) int32 {
	switch {
	case first == none:
		return int32(r)
	case first >= 0:
		if ref(first) == r {
			return first
		}
		t.targets = append(t.targets, target{ref(first), -1})
		first = ^int32(len(t.targets) - 1)
	default:
		for k := ^first; k >= 0; k = t.targets[k].next {
			if t.targets[k].ref == r {
				return first
			}
		}
	}
	t.targets = append(t.targets, target{r, ^first})
	return ^int32(len(t.targets) - 1)
}

func (t *table) folded(p int32) []byte {
	x := t.phrases[p]
	return t.text[x.at : x.at+uint32(x.size)]
}

// refs calls f for everything that phrase p stands for; open phrases come behind the others.
func (t *table) refs(p int32, f func(ref)) {
	if p < 0 {
		f(t.prefixes.items[^p].ref)
		return
	}
	first := t.phrases[p].first
	if first >= 0 {
		f(ref(first))
		return
	}
	for k := ^first; k >= 0; k = t.targets[k].next {
		f(t.targets[k].ref)
	}
}

// prefixes finds phrases whose last word may go on, by the first letters of that word.
type prefixes struct {
	items []openPhrase
	keys  [2][]keyed // by mask and key; narrow and wide words apart
	maybe [2]fold.Bits
	masks [2][]uint64
}

type openPhrase struct {
	words []string // folded, with the gaps that fold.String writes before all but the first
	ref   ref
}

type keyed struct {
	mask, key uint64
	item      int32
}

func newPrefixes(opens []open) prefixes {
	p := prefixes{}
	if len(opens) == 0 {
		return p
	}
	p.maybe = [2]fold.Bits{fold.NewBits(len(opens)), fold.NewBits(2 * len(opens))}
	for _, o := range opens {
		x := openPhrase{ref: o.ref}
		toks := fold.Append(nil, o.folded)
		from := 0
		for _, tok := range toks {
			x.words = append(x.words, o.folded[from:tok.End()])
			from = tok.End()
		}
		last := toks[len(toks)-1].AppendTo(nil, o.folded)
		p.items = append(p.items, x)
		p.key(1, last, int32(len(p.items)-1))
		if !toks[len(toks)-1].Wide() {
			p.key(0, last, int32(len(p.items)-1))
		}
	}
	for w := range p.keys {
		slices.SortFunc(p.keys[w], compareKeyed)
	}
	return p
}

func (p *prefixes) key(w int, last []byte, item int32) {
	key, mask := fold.Heads(last, w == 1)
	p.keys[w] = append(p.keys[w], keyed{mask, key, item})
	p.maybe[w].Add(headHash(key, mask))
	if !slices.Contains(p.masks[w], mask) {
		p.masks[w] = append(p.masks[w], mask)
	}
}

func headHash(key, mask uint64) uint64 { return mix(key^mixB, mask^mixA) }
func (p *prefixes) any() bool          { return len(p.items) > 0 }

func compareKeyed(a, b keyed) int {
	return cmp.Or(cmp.Compare(a.mask, b.mask), cmp.Compare(a.key, b.key), cmp.Compare(a.item, b.item))
}

func (p *prefixes) scan(w *walker) {
	for i := range w.toks {
		tok := &w.toks[i]
		if tok.Class() == fold.Char {
			continue
		}
		wide := 0
		if tok.Wide() {
			wide = 1
		}
		head := tok.Head(w.text)
		for _, mask := range p.masks[wide] {
			if key := head & mask; p.maybe[wide].Has(headHash(key, mask)) {
				p.at(w, i, wide, keyed{mask: mask, key: key})
			}
		}
	}
}

func (p *prefixes) at(w *walker, i, wide int, from keyed) {
	k, _ := slices.BinarySearchFunc(p.keys[wide], from, compareKeyed)
	for ; k < len(p.keys[wide]) && p.keys[wide][k].mask == from.mask && p.keys[wide][k].key == from.key; k++ {
		item := p.keys[wide][k].item
		if first, ok := p.backward(w, i, p.items[item].words); ok {
			w.emit(^item, first, i)
		}
	}
}

// backward compares the words of an open phrase with the tokens that end at token i.
func (p *prefixes) backward(w *walker, i int, words []string) (first int, ok bool) {
	for k := len(words) - 1; k >= 0; k-- {
		if i < 0 {
			return 0, false
		}
		tok := w.toks[i]
		want := []byte(words[k])
		gap, skip := fold.Gap(fold.Joined), 0
		if k > 0 {
			gap, skip = gapOf(want)
		}
		w.s.buf = tok.AppendTo(w.s.buf[:0], w.text)
		got, want := w.s.buf, want[skip:]
		if len(got) < len(want) || string(got[:len(want)]) != string(want) || k < len(words)-1 && len(got) != len(want) {
			return 0, false
		}
		first = i
		i--
		for i >= 0 && w.toks[i].Parts() > 0 { // a whole word stands before its parts
			i--
		}
		if k > 0 && (i < 0 || !reads(w.toks[i].Class(), tok, gap)) {
			return 0, false
		}
	}
	return first, true
}
