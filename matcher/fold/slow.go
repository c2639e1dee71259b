package fold

import (
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// slow writes the token between start and end by the reference way.
func (s *scanner) slow(start, end int) {
	var buf [64]byte
	parts := s.parts(start, end)
	whole, ok := s.slowToken(buf[:0], start, end)
	if !ok { // nothing was left of it
		s.i = end
		return
	}
	if len(parts) > 1 && len(parts) < 256 {
		whole.Parts = uint8(len(parts))
		gap := s.gap
		s.put(whole)
		s.gap = gap
		for i, p := range parts {
			if i > 0 {
				s.gap = Soft
			}
			s.put(p)
		}
		s.i = end
		return
	}
	s.put(whole)
}

func (s *scanner) slowToken(buf []byte, start, end int) (Token, bool) {
	folded := appendFolded(buf, string(s.b[start:end]))
	if len(folded) == 0 {
		return Token{}, false
	}
	t := Token{Hash: Hash(folded), Start: uint32(start), End: uint32(end), Wide: wide(folded)}
	t.Head, _ = Heads(folded, t.Wide)
	if r, _ := utf8.DecodeRune(folded); isChar(r) {
		t.Class = Char
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
		switch do, to, slow := lookRune(r); {
		case slow || do == doSlow:
			return appendSlow(dst[:mark], word)
		case do == doWord || do == doChar:
			dst = utf8.AppendRune(dst, rune(to))
		}
	}
	return dst
}

func lookRune(r rune) (do, to uint32, slow bool) {
	if r >= 0x10000 {
		return 0, 0, true
	}
	e := table.runes[r]
	return e >> 16, e & 0xFFFF, false
}

// appendSlow folds by x/text. It repeats until nothing changes, because dropping a mark can let its neighbours compose.
func appendSlow(dst []byte, word string) []byte {
	folder := cases.Fold()
	for range 4 {
		word = norm.NFKC.String(folder.String(norm.NFKC.String(word)))
		var next []byte
		for _, r := range word {
			next = appendRune(next, r)
		}
		if string(next) == word {
			break
		}
		word = string(next)
	}
	return append(dst, word...)
}

func appendRune(dst []byte, r rune) []byte {
	if r >= 0x10000 {
		if do, _ := astral(r); do == doWord || do == doChar || do == doSlow {
			return utf8.AppendRune(dst, r)
		}
		return dst
	}
	if m, ok := table.multi[r]; ok {
		return append(dst, m...)
	}
	if e := table.runes[r]; e>>16 == doWord || e>>16 == doChar {
		return utf8.AppendRune(dst, rune(e&0xFFFF))
	}
	return dst
}

// astral is look for runes beyond the table: ideographs are characters, other letters and digits take the slow way.
func astral(r rune) (do, to uint32) {
	switch {
	case r >= 0xE0100 && r <= 0xE01EF: // variation selectors
		return doNone, 0
	case !inWord(r):
		return doHard, 0
	case isChar(r):
		return doChar, 0
	}
	return doSlow, 0
}
