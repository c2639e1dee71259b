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

// run keeps what the loop needs in registers: most words are ASCII, shorter than eight letters, with ASCII behind them. The rest is left to
// functions that work on the scanner.
func (s *scanner) run() {
	b, i, gap, dst := s.b, s.i, s.gap, s.dst
	ascii, seed := &table.ascii, table.seed
	for i < len(b) {
		k := ascii[b[i]]
		if k == 0 && i+8 <= len(b) {
			is, low := alnum(binary.LittleEndian.Uint64(b[i:]))
			n := bits.TrailingZeros64(^is&hi8) >> 3
			if n < 8 {
				if behind := ascii[b[i+n]]; behind != beyond {
					low &= 1<<(uint(n)*8) - 1
					dst = append(dst, Token{
						Hash: mix(seed^low, mixTail^uint64(n)), Start: uint32(i), End: uint32(i + n), Head: uint32(low), Gap: gap,
					})
					gap = Gap(behind)
					i += n + 1
					continue
				}
			}
		}
		if k != 0 && k != beyond {
			gap |= Gap(k)
			i++
			continue
		}
		s.i, s.gap, s.dst = i, gap, dst
		if k == 0 {
			s.word()
		} else {
			s.wide(i)
		}
		i, gap, dst = s.i, s.gap, s.dst
	}
	s.dst = dst
}

// word reads a token that begins with an ASCII letter or digit.
func (s *scanner) word() {
	b, i := s.b, s.i
	h, head, first := table.seed, uint32(0), true
	for i+8 <= len(b) {
		is, low := alnum(binary.LittleEndian.Uint64(b[i:]))
		n := uint(bits.TrailingZeros64(^is&hi8)) >> 3
		if n < 8 {
			low &= 1<<(n*8) - 1
		}
		if first {
			head, first = uint32(low), false
		}
		if n < 8 {
			s.endWord(i+int(n), mix(h^low, mixTail^uint64(n)), head)
			return
		}
		h = mix(h^low, mixWord)
		i += 8
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
		e, _ := s.look(i)
		switch e >> 16 {
		case doWord, doMulti, doSlow, doNone, doJoiner:
			s.wide(s.i)
			return
		}
	}
	s.put(Token{Hash: h, Start: uint32(s.i), End: uint32(i), Head: head})
}

func (s *scanner) put(t Token) {
	t.Gap = s.gap
	s.dst = append(s.dst, t)
	s.gap, s.i = Joined, int(t.End)
}

// look reads the rune at i: its entry of the table, and its length in bytes.
func (s *scanner) look(i int) (entry uint32, n int) {
	b := s.b
	c := uint32(b[i])
	switch {
	case c < utf8.RuneSelf:
		return table.runes[c], 1
	case c < 0xE0 && c >= 0xC2 && i+1 < len(b) && b[i+1]&0xC0 == 0x80:
		return table.runes[c&0x1F<<6|uint32(b[i+1]&0x3F)], 2
	case c < 0xF0 && c > 0xE0 && c != 0xED && i+2 < len(b) && b[i+1]&0xC0 == 0x80 && b[i+2]&0xC0 == 0x80:
		return table.runes[c&0x0F<<12|uint32(b[i+1]&0x3F)<<6|uint32(b[i+2]&0x3F)], 3
	}
	r, n := utf8.DecodeRune(b[i:])
	if r >= 0x10000 {
		return astral(r), n
	}
	return table.runes[r], n
}

// wide reads what begins at i beyond ASCII, or an ASCII word that goes on beyond it: one token, a run of characters, or one separator.
func (s *scanner) wide(i int) {
	b, runes := s.b, &table.runes
	start := i
	h, x, four := table.seed^mixWide, uint64(0), uint64(0)
	units, all, odd := 0, uint32(0), uint32(0)
	var e uint32
	for i < len(b) {
		c, w := uint32(b[i]), 0
		if c-0xC2 < 0xE0-0xC2 && i+1 < len(b) && b[i+1]&0xC0 == 0x80 {
			e, w = runes[c&0x1F<<6|uint32(b[i+1]&0x3F)], 2
		} else {
			e, w = s.look(i)
		}
		if e>>16 == doWord {
			x = x<<16 | uint64(e&0xFFFF)
			all |= e
			i += w
			if units++; units&3 == 0 {
				if units == 4 {
					four = x
				}
				h, x = mix(h^x, mixWord), 0
			}
			continue
		}
		if e>>16 < doNone { // what ends words
			break
		}
		odd |= e >> 16 &^ doNone
		i += w
	}
	switch {
	case units == 0 && odd&doSlowBit == 0:
		s.other(i, e)
	case odd != 0 || all&0xFFFF < utf8.RuneSelf:
		s.slow(start, i)
	default:
		s.put(Token{
			Hash: mix(h^x, mixTail^uint64(units&3)), Start: uint32(start), End: uint32(i), Head: wideHead(four, x, units), Wide: true,
		})
	}
}

// wideHead is the first two runes of a word whose first four are four, or of a shorter one that is x.
func wideHead(four, x uint64, units int) uint32 {
	switch {
	case units >= 4:
		return uint32(four >> 32)
	case units == 3:
		return uint32(x >> 16)
	case units == 1:
		return uint32(x) << 16
	}
	return uint32(x)
}

// other handles what stands at i when no word stands before it: a separator, a character, or the end.
func (s *scanner) other(i int, e uint32) {
	if i >= len(s.b) {
		s.i = i
		return
	}
	switch e >> 16 {
	case doChar:
		s.chars(i)
		return
	case doHard:
		s.gap = Hard
	default:
		s.gap |= Soft
	}
	_, n := s.look(i)
	s.i = i + n
}

// chars reads a run of characters, each a token of its own. One that is followed by what composes with it, or lies beyond the table, is folded
// the slow way.
func (s *scanner) chars(i int) {
	seed := table.seed ^ mixWide
	for i < len(s.b) {
		e, n := s.look(i)
		if e>>16 != doChar {
			if e>>16 == doSlow && len(s.dst) > 0 && int(s.dst[len(s.dst)-1].End) == i {
				s.composed(i)
				return
			}
			break
		}
		if e == doChar<<16 {
			s.slow(i, i+n)
		} else {
			to := e & 0xFFFF
			s.put(Token{Hash: mix(seed^uint64(to), mixTail^1), Start: uint32(i), End: uint32(i + n), Head: to << 16, Class: Char, Wide: true})
		}
		i += n
	}
	s.i = i
}

// composed takes the last character back and folds it together with what composes with it at i.
func (s *scanner) composed(i int) {
	last := s.dst[len(s.dst)-1]
	s.dst, s.gap = s.dst[:len(s.dst)-1], last.Gap
	for i < len(s.b) {
		e, n := s.look(i)
		if e>>16 != doSlow {
			break
		}
		i += n
	}
	s.slow(int(last.Start), i)
}
