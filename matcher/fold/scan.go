package fold

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// scanner cuts bytes into tokens in one pass. gap is what was read since the last token.
type scanner struct {
	text string
	b    []byte // of text
	i    int
	gap  Gap
	dst  []Token
}

func (s *scanner) run() {
	ascii := &table.ascii
	for s.i < len(s.b) {
		switch k := ascii[s.b[s.i]]; k {
		case 0:
			s.word()
		case 0xFF:
			s.wide(s.i)
		default:
			s.gap |= Gap(k)
			s.i++
		}
	}
}

const (
	lo8 = 0x0101010101010101
	hi8 = 0x8080808080808080
)

// alnum looks at eight bytes at once: a high bit for each ASCII letter or digit, and the bytes with capitals made small.
func alnum(x uint64) (is, lower uint64) {
	y := x &^ hi8
	l := y | 0x20*lo8
	letter := (l + (0x80-'a')*lo8) &^ (l + (0x7f-'z')*lo8) & hi8 &^ x
	digit := (y + (0x80-'0')*lo8) &^ (y + (0x7f-'9')*lo8) & hi8 &^ x
	return letter | digit, x | letter>>2
}

// word reads a token that begins with an ASCII letter or digit.
func (s *scanner) word() {
	b, i := s.b, s.i
	h, head, first := table.seed, uint32(0), true
	for i+8 <= len(b) {
		is, low := alnum(binary.LittleEndian.Uint64(b[i:]))
		if is == hi8 {
			if first {
				head, first = uint32(low), false
			}
			h = mix(h^low, mixWord)
			i += 8
			continue
		}
		n := uint(bits.TrailingZeros64(^is&hi8)) >> 3
		low &= 1<<(n*8) - 1
		if first {
			head = uint32(low)
		}
		s.endWord(i+int(n), mix(h^low, mixTail^uint64(n)), head)
		return
	}
	low, n := uint64(0), uint(0)
	for i < len(b) && b[i] < utf8.RuneSelf && table.lower[b[i]] != 0 {
		low |= uint64(table.lower[b[i]]) << (8 * n)
		n++
		i++
	}
	if first {
		head = uint32(low)
	}
	s.endWord(i, mix(h^low, mixTail^uint64(n)), head)
}

// endWord writes the ASCII token that ends at i, unless its word goes on beyond ASCII.
func (s *scanner) endWord(i int, h uint64, head uint32) {
	if i < len(s.b) && s.b[i] >= utf8.RuneSelf {
		switch do, _, _ := s.look(i); do {
		case doWord, doMulti, doSlow, doNone, doJoiner:
			s.wide(s.i)
			return
		}
	}
	s.dst = append(s.dst, Token{Hash: h, Start: uint32(s.i), End: uint32(i), Head: head, Gap: s.gap})
	s.gap, s.i = Joined, i
}

// look reads the rune at i: what it does, what it folds to, and its length in bytes.
func (s *scanner) look(i int) (do uint32, to uint32, n int) {
	b := s.b
	c := uint32(b[i])
	switch {
	case c < utf8.RuneSelf:
		n, c = 1, table.runes[c]
	case c < 0xE0 && c >= 0xC2 && i+1 < len(b) && b[i+1]&0xC0 == 0x80:
		n, c = 2, table.runes[c&0x1F<<6|uint32(b[i+1]&0x3F)]
	case c < 0xF0 && c > 0xE0 && c != 0xED && i+2 < len(b) && b[i+1]&0xC0 == 0x80 && b[i+2]&0xC0 == 0x80:
		n, c = 3, table.runes[c&0x0F<<12|uint32(b[i+1]&0x3F)<<6|uint32(b[i+2]&0x3F)]
	default:
		var r rune
		if r, n = utf8.DecodeRune(b[i:]); r >= 0x10000 {
			do, to = astral(r)
			return do, to, n
		}
		c = table.runes[r]
	}
	return c >> 16, c & 0xFFFF, n
}

// wide reads what begins at i beyond ASCII, or an ASCII word that goes on beyond it: one token, one character, or one separator.
func (s *scanner) wide(i int) {
	start := i
	h, x, n := table.seed^mixWide, uint64(0), uint(0)
	units, all, head := 0, uint32(0), uint64(0)
	slow, joiner := false, false
	for i < len(s.b) {
		do, to, w := s.look(i)
		switch do {
		case doWord:
			x |= uint64(to) << (16 * n)
			all |= to
			units++
			if n++; n == 4 {
				if units == 4 {
					head = x
				}
				h, x, n = mix(h^x, mixWord), 0, 0
			}
			i += w
			continue
		case doNone:
			i += w
			continue
		case doJoiner:
			joiner = true
			i += w
			continue
		case doMulti, doSlow:
			slow = true
			i += w
			continue
		}
		if units == 0 && !slow {
			s.other(i, do, to, w)
			return
		}
		break
	}
	if units < 4 {
		head = x
	}
	switch {
	case units == 0 && !slow:
		s.i = i
	case slow || joiner || all < utf8.RuneSelf:
		s.slow(start, i)
	default:
		s.put(Token{Hash: mix(h^x, mixTail^uint64(n)), Start: uint32(start), End: uint32(i), Head: uint32(head), Wide: true})
	}
}

// other handles the rune at i that is no part of a word, when no word stands before it.
func (s *scanner) other(i int, do, to uint32, w int) {
	if do != doChar {
		if do == doHard {
			s.gap = Hard
		} else {
			s.gap |= Soft
		}
		s.i = i + w
		return
	}
	if end := i + w; end < len(s.b) && s.b[end] >= utf8.RuneSelf {
		if next, _, _ := s.look(end); next == doSlow {
			s.slow(i, s.slowEnd(end))
			return
		}
	}
	if to == 0 { // beyond the table
		s.slow(i, i+w)
		return
	}
	h := mix(table.seed^mixWide^uint64(to), mixTail^1)
	s.put(Token{Hash: h, Start: uint32(i), End: uint32(i + w), Head: to, Class: Char, Wide: true})
}

// slowEnd skips what composes with a character before i.
func (s *scanner) slowEnd(i int) int {
	for i < len(s.b) {
		do, _, w := s.look(i)
		if do != doSlow {
			break
		}
		i += w
	}
	return i
}

func (s *scanner) put(t Token) {
	t.Gap = s.gap
	s.dst = append(s.dst, t)
	s.gap, s.i = Joined, int(t.End)
}
