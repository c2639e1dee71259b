package fold

import (
	"hash/maphash"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// What a rune does, in the upper half of a table entry; the lower half is the folded rune.
// Those that end a word come first, those from doNone on are read over.
const (
	doSoft   = 0  // separates, softly; zero so that whatever is unknown separates
	doHard   = 1  // separates, hard
	doChar   = 2  // is a token of its own
	doWord   = 3  // belongs to a word, as the folded rune
	doNone   = 8  // is nothing: tatweel, vowel signs of Arabic script, combining accents, soft hyphen
	doJoiner = 9  // zero width non-joiner
	doMulti  = 10 // belongs to a word, as the runes in tables.multi
	doSlow   = 11 // may compose with the rune before it
)

// doSlowBit tells doMulti and doSlow from doNone and doJoiner.
const doSlowBit = 2

// isLetter marks the entries of tables.pairs that are in use.
const isLetter = 1 << 16

// beyond marks the bytes of tables.ascii that are not ASCII.
const beyond = 0xFF

// tables is everything that folding looks up. It is made once, when the program starts.
type tables struct {
	seed    uint64          // differs in every process: nobody outside can make words collide
	ascii   [256]uint8      // 0 for an ASCII letter or digit; a Gap for other ASCII; beyond for the rest
	gaps    [256]Gap        // of an ASCII separator, 0 for letters and digits, closer for the rest
	low     [16]uint64      // the bytes of a word of so many among the first eight
	high    [16]uint64      // and among the next eight
	letters [16]uint64      // the 16-bit units of a word of so many among the first four
	tails   [16]uint64      // and among the next four
	runes   [0x10000]uint32 // do<<16 | folded rune
	pairs   [0x10000]uint32 // by two bytes of text, for letters that are written in two and fold to such: isLetter | folded rune
	multi   map[rune]string // folded form of what folds to several runes
}

var table = newTables()

func newTables() *tables {
	t := &tables{seed: maphash.String(maphash.MakeSeed(), "tocsin"), multi: map[rune]string{}}
	b := builder{t: t, folder: cases.Fold(), seconds: seconds()}
	for r := rune(0); r < 0x10000; r++ {
		if r < 0xD800 || r >= 0xE000 {
			t.runes[r] = b.entry(r)
		}
	}
	for r := rune(0x80); r < 0x800; r++ {
		if e := t.runes[r]; e>>16 == doWord && e&0xFFFF >= 0x80 {
			two := utf8.AppendRune(nil, r)
			t.pairs[int(two[0])|int(two[1])<<8] = isLetter | e&0xFFFF
		}
	}
	for c := range t.ascii {
		switch e := t.runes[c]; {
		case c >= utf8.RuneSelf:
			t.ascii[c] = beyond
		case e>>16 == doWord:
			t.ascii[c] = 0
		case e>>16 == doHard:
			t.ascii[c] = uint8(Hard)
		default:
			t.ascii[c] = uint8(Soft)
		}
	}
	for n := range t.letters {
		t.letters[n] = 1<<uint(16*min(n, 4)) - 1
		t.tails[n] = 1<<uint(16*min(max(n-4, 0), 4)) - 1
	}
	for n := range t.low {
		t.low[n] = 1<<uint(8*min(n, 8)) - 1
		t.high[n] = 1<<uint(8*max(n-8, 0)) - 1
	}
	for c := range t.gaps {
		if t.gaps[c] = closer; c < utf8.RuneSelf {
			t.gaps[c] = Gap(t.ascii[c])
		}
	}
	return t
}

// seconds are the runes that may compose with a rune before them.
func seconds() map[rune]bool {
	out := map[rune]bool{}
	for r := rune(0xC0); r < 0x10000; r++ {
		if r >= 0x3400 && r < 0x9FFF || r >= 0xAC00 && r < 0xE000 {
			continue
		}
		d := norm.NFD.PropertiesString(string(r)).Decomposition()
		if d == nil || !norm.NFC.IsNormalString(string(r)) {
			continue
		}
		for i, x := range string(d) {
			if i > 0 {
				out[x] = true
			}
		}
	}
	for r := rune(0x1161); r <= 0x11C2; r++ { // Hangul vowels and finals
		out[r] = true
	}
	return out
}

// reorders tells whether normalisation may put a mark before another that stands before it (UAX #15, canonical ordering). Viramas, class 9, are left
// out: two of them never meet in a word, and Hindi is full of them.
func reorders(r rune) bool {
	c := norm.NFKC.PropertiesString(string(r)).CCC()
	return c != 0 && c != 9
}

type builder struct {
	t       *tables
	folder  cases.Caser
	seconds map[rune]bool
}

func (b *builder) entry(r rune) uint32 {
	if do, to, ok := own(r); ok {
		return uint32(do)<<16 | uint32(to)
	}
	if r >= 0x3400 && r <= 0x9FFF || r >= 0xAC00 && r <= 0xD7A3 { // ideographs and Hangul syllables fold to themselves
		if r >= 0xAC00 {
			return doWord<<16 | uint32(r)
		}
		return doChar<<16 | uint32(r)
	}
	if !inWord(r) {
		return separator(r) << 16
	}
	folded, ok := expand(b.folder, string(r))
	rs := []rune(folded)
	switch {
	case !ok:
		return doSoft << 16
	case len(rs) == 0:
		return doNone << 16
	case b.seconds[r] || reorders(r) && !isChar(rs[0]):
		b.t.multi[r] = folded
		return doSlow << 16
	case len(rs) > 1 || rs[0] >= 0x10000:
		b.t.multi[r] = folded
		return doMulti << 16
	case isChar(rs[0]):
		return doChar<<16 | uint32(rs[0])
	}
	return doWord<<16 | uint32(rs[0])
}

// expand folds text by the reference way: NFKC, case folding, NFKC, then the letters that Unicode keeps apart and we do not. ok is false when
// the text holds something that is no part of a word, such as the brackets of "⑴".
func expand(folder cases.Caser, s string) (folded string, ok bool) {
	s = norm.NFKC.String(folder.String(norm.NFKC.String(s)))
	out := make([]rune, 0, len(s))
	for _, r := range s {
		for _, x := range bare(r) {
			do, to, special := own(x)
			switch {
			case special && (do == doSoft || do == doHard):
				return "", false
			case special && do == doWord:
				out = append(out, to)
			case special:
			case !inWord(x):
				return "", false
			default:
				out = append(out, x)
			}
		}
	}
	return string(out), true
}

// bare takes accents off Latin, Greek and Cyrillic letters (й keeps its breve) and dots off Indic ones, and spells out ligatures.
func bare(r rune) []rune {
	if s, ok := spelledOut(r); ok {
		return []rune(s)
	}
	if r == 'й' {
		return []rune{r}
	}
	d := []rune(norm.NFD.String(string(r)))
	if len(d) == 1 {
		return d
	}
	switch {
	case unicode.In(d[0], unicode.Latin, unicode.Greek, unicode.Cyrillic), isNukta(d[1]):
		return append(bare(d[0]), dropMarks(d[1:])...)
	}
	return []rune{r}
}

func dropMarks(rs []rune) []rune {
	out := rs[:0]
	for _, r := range rs {
		if do, _, ok := own(r); !ok || do != doNone && do != doSlow {
			out = append(out, r)
		}
	}
	return out
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r) }

func isChar(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) ||
		r == 'ー' || r == '々' || r == '〇'
}

// separator tells soft from hard among what is no part of a word.
func separator(r rune) uint32 {
	if unicode.In(r, unicode.Pd, unicode.Zs) {
		return doSoft
	}
	switch r {
	case '\t', '\'', '/', '_', '&', '#', '@', '`', '´', '‘', '’', '‛', '′', '＇', '·', '・', '･', '‧', '⁄', '∕', '−', '﹘', '＿', '／':
		return doSoft
	}
	return doHard
}
