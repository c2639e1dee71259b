package fold

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// slow writes the token between start and end from its folded bytes, and its parts when it may have some.
func (s *scanner) slow(start, end int, joiner bool) {
	var buf [64]byte
	var parts []Token
	if joiner {
		parts = s.parts(start, end)
	}
	whole, ok := s.slowToken(buf[:0], start, end)
	if !ok { // nothing was left of it
		s.i = end
		return
	}
	if len(parts) < 2 || len(parts) > 255 {
		s.put(whole)
		return
	}
	gap := s.gap
	whole.Place |= uint64(len(parts)) << partsShift
	s.put(whole)
	s.gap = gap
	for i, p := range parts {
		if i > 0 {
			s.gap = Soft
		}
		s.put(p)
	}
	s.i = end
}

func (s *scanner) slowToken(buf []byte, start, end int) (Token, bool) {
	folded := appendFolded(buf, s.text[start:end])
	if len(folded) == 0 {
		return Token{}, false
	}
	t := Token{Hash(folded), placed(start, end, Joined)}
	if wide(folded) {
		t.Place |= wideBit
	}
	if r, _ := utf8.DecodeRune(folded); isChar(r) {
		t.Place |= charBit
	}
	return t, true
}

// parts cuts a word of Arabic script at its zero width non-joiners.
func (s *scanner) parts(start, end int) (out []Token) {
	from, arabicBefore := start, false
	cut := func(to int) {
		if t, ok := s.slowToken(nil, from, to); ok {
			out = append(out, t)
		}
	}
	for i := start; i < end; {
		r, w := utf8.DecodeRune(s.b[i:end])
		if r == 0x200C && arabicBefore {
			cut(i)
			from = i + w
		}
		arabicBefore = r >= 0x600 && r < 0x900 || r >= 0xFB50 && r < 0xFF00
		i += w
	}
	if from == start {
		return nil
	}
	if from < end {
		cut(end)
	}
	return out
}

// appendFolded appends the folded form of one token's bytes.
func appendFolded(dst []byte, word string) []byte {
	mark := len(dst)
	for _, r := range word {
		if r >= 0x10000 {
			return appendSlow(dst[:mark], word)
		}
		switch e := table.runes[r]; e >> 16 {
		case doWord, doChar:
			dst = utf8.AppendRune(dst, rune(e&0xFFFF))
		case doMulti:
			dst = append(dst, table.multi[r]...)
		case doSlow:
			return appendSlow(dst[:mark], word)
		}
	}
	return dst
}

// appendSlow folds a word in which runes may compose, or that holds runes beyond the table. It repeats until nothing changes, because folding can
// bring together what composes.
func appendSlow(dst []byte, word string) []byte {
	var one, two [96]byte
	now, next := append(one[:0], word...), two[:0]
	for range 4 {
		next = norm.NFKC.Append(next[:0], now...)
		now = now[:0]
		for i := 0; i < len(next); {
			r, n := utf8.DecodeRune(next[i:])
			now = appendRune(now, r)
			i += n
		}
		if string(next) == string(now) {
			break
		}
	}
	return append(dst, now...)
}

func appendRune(dst []byte, r rune) []byte {
	if r >= 0x10000 {
		if do := astral(r) >> 16; do == doChar || do == doSlow {
			return utf8.AppendRune(dst, foldAstral(r))
		}
		return dst
	}
	switch e := table.runes[r]; e >> 16 {
	case doWord, doChar:
		return utf8.AppendRune(dst, rune(e&0xFFFF))
	case doMulti, doSlow:
		return append(dst, table.multi[r]...)
	}
	return dst
}

// foldAstral is the case folding of runes beyond the table: Deseret, Osage, Adlam and the like, which have simple pairs only.
func foldAstral(r rune) rune { return unicode.ToLower(r) }

// astral is the table entry of runes beyond the table, without what they fold to: ideographs are characters, other letters and digits take the slow
// way.
func astral(r rune) uint32 {
	switch {
	case r >= 0xE0100 && r <= 0xE01EF: // variation selectors
		return doNone << 16
	case !inWord(r):
		return doHard << 16
	case isChar(r):
		return doChar << 16
	}
	return doSlow << 16
}
