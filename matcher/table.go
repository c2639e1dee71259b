package matcher

import (
	"math/bits"

	"tocsin/matcher/fold"
)

// maxTokens is the longest phrase in tokens. A phrase of Han characters has one token a character.
const maxTokens = 64

// maxPhrase is the longest folded phrase in bytes.
const maxPhrase = 1 << 15

// ref is what a phrase stands for: a kind in the upper bits, a number in the lower.
type ref uint32

const (
	refAlias  ref = iota << 29 // an alias
	refAnchor                  // a rule that is worth evaluating
	refTerm                    // a word of a condition or rule
	refDecoy                   // an entity, whose aliases do not count inside
)

const refMask = 1<<29 - 1

func (r ref) kind() ref { return r &^ refMask }
func (r ref) id() int   { return int(r & refMask) }

// table finds phrases in tokens. Single tokens, pairs and triples of tokens are looked up in bitsets that nearly always say no, then in one flat
// table of edges; longer phrases walk on from the triple. Hashes only propose: the folded bytes decide.
type table struct {
	sieve    fold.Sieve // phrases of one token, and the first two tokens of longer ones
	pairs    fold.Bits  // phrases of two tokens
	threes   fold.Bits  // the first three tokens of longer phrases
	edges    []edge
	phrases  []phrase
	targets  []target
	text     []byte // folded phrases, one behind the other
	prefixes prefixes
}

// edge leads from one, two or three tokens, or from a node by the next token, to a node. fp and fp2 are the key; fp is never 0 in a used edge.
type edge struct {
	fp, fp2 uint32
	node    uint32 // the number of the node that it leads to; hasMore when edges leave it
	out     int32  // the first phrase that ends here, or -1
}

const hasMore = 1 << 31

// phrase is one folded text. Phrases whose keys are equal by chance hang together by next.
type phrase struct {
	at    uint32 // in table.text
	size  uint16
	next  int32
	first int32 // what it stands for; see table.join
}

// none is the first of a phrase that stands for nothing yet.
const none = -1 << 31

type target struct {
	ref  ref
	next int32
}

const (
	mixA = 0x9E3779B97F4A7C15
	mixB = 0xD6E8FEB86659FD93
)

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

func tripleKey(pair, c uint64) uint64      { return fold.PairKey(pair, c) }
func nodeKey(node uint32, h uint64) uint64 { return mix(h^mixB, uint64(node)*mixA|1) }

// slot is where the search for key begins.
func (t *table) slot(key uint64) int {
	hi, _ := bits.Mul64(key, uint64(len(t.edges)))
	return int(hi)
}

func (t *table) find(key uint64) *edge {
	if len(t.edges) == 0 {
		return nil
	}
	a, b := uint32(key)|1, uint32(key>>32)
	for i := t.slot(key); ; {
		e := &t.edges[i]
		if e.fp == a && e.fp2 == b {
			return e
		}
		if e.fp == 0 {
			return nil
		}
		if i++; i == len(t.edges) {
			i = 0
		}
	}
}

// hit is a phrase found in the tokens from..to of a field; to is the last token.
type hit struct {
	phrase   int32
	field    uint8
	from, to int32
}

// after is the token that follows token i, or i's parts.
func after(toks []fold.Token, i int) int { return i + 1 + toks[i].Parts() }

// scan finds every phrase in toks. Hits carry token numbers counted from base.
func (t *table) scan(s *scratch, text string, toks []fold.Token, field uint8, base int32) {
	var parted bool
	s.sifted, parted = t.sieve.Sift(s.sifted[:0], toks)
	if len(s.sifted) == 0 && !parted && !t.prefixes.any() {
		return
	}
	w := &s.walk
	w.table, w.s, w.text, w.toks, w.field, w.base = t, s, text, toks, field, base
	for _, x := range s.sifted {
		if i := int(x >> 1); x&1 == 0 {
			w.single(i, toks[i].Hash)
		} else {
			w.pair(i, i+1, fold.PairKey(toks[i].Hash, toks[i+1].Hash))
		}
	}
	if parted {
		w.parted()
	}
	if t.prefixes.any() {
		t.prefixes.scan(w)
	}
}

// walker follows one phrase through the tokens of a field.
type walker struct {
	*table
	s     *scratch
	text  string
	toks  []fold.Token
	field uint8
	base  int32
	path  [maxTokens]int32
}

func (w *walker) single(i int, h uint64) {
	w.path[0] = int32(i)
	if e := w.find(h); e != nil {
		w.report(e, 1)
	}
}

// parted looks up the pairs that are no neighbours because one of them is written whole and in parts.
func (w *walker) parted() {
	for i := range w.toks {
		j := after(w.toks, i)
		if j >= len(w.toks) {
			continue
		}
		if j > i+1 {
			w.maybePair(i, j)
		}
		if w.toks[j].Parts() > 0 {
			w.maybePair(i, j+1)
		}
	}
}

func (w *walker) maybePair(i, j int) {
	if key := fold.PairKey(w.toks[i].Hash, w.toks[j].Hash); w.sieve.Two(key) {
		w.begin(i, j, key)
	}
}

// pair goes on from two neighbours. A word written whole is no neighbour of its own first part.
func (w *walker) pair(i, j int, key uint64) {
	if w.toks[i].Parts() == 0 {
		w.begin(i, j, key)
	}
}

func (w *walker) begin(i, j int, key uint64) {
	w.path[0], w.path[1] = int32(i), int32(j)
	if w.pairs.Has(key) {
		if e := w.find(key); e != nil {
			w.report(e, 2)
		}
	}
	k := after(w.toks, j)
	if k >= len(w.toks) {
		return
	}
	w.triple(k, key)
	if w.toks[k].Parts() > 0 {
		w.triple(k+1, key)
	}
}

func (w *walker) triple(k int, pair uint64) {
	if key := tripleKey(pair, w.toks[k].Hash); w.threes.Has(key) {
		w.path[2] = int32(k)
		w.walk(3, key)
	}
}

// walk reports the phrases that end with the first n tokens of the path, and goes on to longer ones.
func (w *walker) walk(n int, key uint64) {
	e := w.find(key)
	if e == nil {
		return
	}
	w.report(e, n)
	j := after(w.toks, int(w.path[n-1]))
	if e.node&hasMore == 0 || n == maxTokens || j >= len(w.toks) {
		return
	}
	node := e.node &^ hasMore
	w.path[n] = int32(j)
	w.walk(n+1, nodeKey(node, w.toks[j].Hash))
	if w.toks[j].Parts() > 0 {
		w.path[n] = int32(j + 1)
		w.walk(n+1, nodeKey(node, w.toks[j+1].Hash))
	}
}

func (w *walker) report(e *edge, n int) {
	for p := e.out; p >= 0; p = w.phrases[p].next {
		if w.same(w.phrases[p], n) {
			w.emit(p, int(w.path[0]), int(w.path[n-1]))
		}
	}
}

func (w *walker) emit(p int32, from, to int) {
	to += w.toks[to].Parts()
	w.s.hits = append(w.s.hits, hit{p, w.field, w.base + int32(from), w.base + int32(to)})
}

// same compares the folded bytes and the gaps of the first n tokens of the path with a phrase.
func (w *walker) same(p phrase, n int) bool {
	rest := w.table.text[p.at : p.at+uint32(p.size)]
	for k, i := range w.path[:n] {
		tok := w.toks[i]
		if k > 0 {
			gap, skip := gapOf(rest)
			rest = rest[skip:]
			if !reads(w.toks[w.path[k-1]].Class(), tok, gap) {
				return false
			}
		}
		w.s.buf = tok.AppendTo(w.s.buf[:0], w.text)
		if len(w.s.buf) > len(rest) || string(rest[:len(w.s.buf)]) != string(w.s.buf) {
			return false
		}
		rest = rest[len(w.s.buf):]
	}
	return len(rest) == 0
}

// gapOf reads the gap at the start of the rest of a folded phrase.
func gapOf(rest []byte) (g fold.Gap, n int) {
	if len(rest) == 0 {
		return fold.Joined, 0
	}
	switch rest[0] {
	case ' ':
		return fold.Soft, 1
	case '\n':
		return fold.Hard, 1
	}
	return fold.Joined, 0
}

// reads tells whether a phrase whose gap is want reads on across the gap before tok. Between two characters of a script without spaces the text
// may not hold more than the phrase does; elsewhere a soft gap always reads on.
func reads(before fold.Class, tok fold.Token, want fold.Gap) bool {
	if before == fold.Char && tok.Class() == fold.Char {
		return tok.Gap() <= want
	}
	return tok.Gap() <= max(want, fold.Soft)
}
