package fold

import (
	"encoding/binary"
	"math/bits"
	"slices"
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

// run reads on by the way that suits what comes next, and by the general way where a fast one comes no further.
func (s *scanner) run() {
	for s.i < len(s.b) {
		at, c := s.i, s.b[s.i]
		switch k := table.ascii[c]; {
		case k != 0 && k != beyond:
			s.gap |= Gap(k)
			s.i++
			continue
		case k == 0 && s.i+8 < len(s.b) && (s.b[s.i+4]|s.b[s.i+8]) < utf8.RuneSelf:
			s.narrow()
		case k == 0:
			s.short()
		case c < 0xE0:
			s.pairs()
		}
		if s.i == at {
			s.step()
		}
	}
}

// more is how many tokens a full buffer grows by, at least.
const more = 256

// sight is more bytes than pairs looks at: a word of 16, a separator of up to four and one byte behind it.
const sight = 24

func placed(start, end int, gap Gap) uint64 {
	return uint64(start) | uint64(end-start)<<lenShift | uint64(gap)<<gapShift
}

// pairs reads words whose letters are written in two bytes each and fold to such (Arabic script, Cyrillic, Greek, Hebrew), eight letters at once,
// and one separator behind each.
func (s *scanner) pairs() {
	b, i, gap, dst, t := s.b, s.i, s.gap, s.dst, table
	for i+sight <= len(b) {
		at, h := i, t.seed^mixWide
		lo, hi, n := t.eight(b[at:])
		for n == 8 && at+16+sight <= len(b) {
			h = mix(h^lo, mixWord^hi)
			at += 16
			lo, hi, n = t.eight(b[at:])
		}
		end := at + 2*n
		if end == i {
			k := t.ascii[b[i]]
			if k == 0 || k == beyond {
				break
			}
			gap |= Gap(k)
			i++
			continue
		}
		behind, skip := t.ascii[b[end]], 1
		if behind == beyond {
			behind, skip = s.behind(end)
		}
		if n == 8 || behind == 0 && skip == 1 || behind == beyond || end-i > maxLen {
			break
		}
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, more)
		}
		dst = dst[:len(dst)+1] // its old content is overwritten whole
		to := &dst[len(dst)-1]
		to.Hash, to.Place = last(h, lo, hi, n), placed(i, end, gap)|wideBit
		i = end + skip
		gap = Gap(behind)
	}
	s.i, s.gap, s.dst = i, gap, dst
}

// eight folds up to eight letters of two bytes each at the start of b, and tells how many there are.
func (t *tables) eight(b []byte) (lo, hi uint64, n int) {
	x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	e0, e1, e2, e3 := t.pairs[uint16(x)], t.pairs[uint16(x>>16)], t.pairs[uint16(x>>32)], t.pairs[x>>48]
	e4, e5, e6, e7 := t.pairs[uint16(y)], t.pairs[uint16(y>>16)], t.pairs[uint16(y>>32)], t.pairs[y>>48]
	are := e0>>16 | e1>>15&2 | e2>>14&4 | e3>>13&8 | e4>>12&16 | e5>>11&32 | e6>>10&64 | e7>>9&128
	n = bits.TrailingZeros32(^are)
	lo = uint64(e0&0xFFFF) | uint64(e1&0xFFFF)<<16 | uint64(e2&0xFFFF)<<32 | uint64(e3)<<48
	hi = uint64(e4&0xFFFF) | uint64(e5&0xFFFF)<<16 | uint64(e6&0xFFFF)<<32 | uint64(e7)<<48
	return lo & t.letters[n&15], hi & t.tails[n&15], n
}

// behind looks at what is not ASCII at i, behind a word: the gap of a separator and its length, nothing for a character, or beyond when the word
// goes on.
func (s *scanner) behind(i int) (gap uint8, skip int) {
	switch e, n := s.look(i); e >> 16 {
	case doSoft:
		return uint8(Soft), n
	case doHard:
		return uint8(Hard), n
	case doChar:
		return uint8(Joined), 0
	}
	return beyond, 0
}

// step reads one word, a run of characters, or a separator.
func (s *scanner) step() {
	switch e, n := s.look(s.i); e >> 16 {
	case doSoft:
		s.gap |= Soft
		s.i += n
	case doHard:
		s.gap = Hard
		s.i += n
	case doChar:
		s.chars()
	default:
		s.word()
	}
}

// short reads one ASCII word of up to 15 letters, as they stand in text of other scripts.
func (s *scanner) short() {
	b, i, t := s.b, s.i, table
	var low [2]uint64
	n := 0
	for ; n < 16 && i+n < len(b) && t.ascii[b[i+n]] == 0; n++ {
		low[n>>3] |= uint64(b[i+n]|0x20) << (n << 3 & 63)
	}
	gap, skip := uint8(Joined), 0
	if i+n < len(b) && b[i+n] >= utf8.RuneSelf {
		gap, skip = s.behind(i + n)
	}
	if n == 16 || gap == beyond {
		return
	}
	s.dst = append(s.dst, Token{last(t.seed, low[0], low[1], n), placed(i, i+n, s.gap)})
	s.i, s.gap = i+n+skip, Gap(gap)
}

func (s *scanner) put(t Token) {
	end := t.End()
	t.Place = t.Place&^(3<<gapShift) | uint64(s.gap)<<gapShift
	s.dst = append(s.dst, t)
	s.gap, s.i = Joined, end
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
	case i+2 < len(b):
		if r := three(c, uint32(b[i+1]), uint32(b[i+2])); r != 0 {
			return table.runes[r], 3
		}
	}
	r, n := utf8.DecodeRune(b[i:])
	if r >= 0x10000 {
		return astral(r), n
	}
	return table.runes[r], n
}

// three decodes a rune of three bytes, 0 when it is none. It leaves those that begin with ED to the library, because half of them are no runes.
func three(a, b, c uint32) uint32 {
	r := a&0x0F<<12 | b&0x3F<<6 | c&0x3F
	if a&0xF0 != 0xE0 || a == 0xED || (b^0x80)|(c^0x80) > 0x3F || r < 0x800 {
		return 0
	}
	return r
}

// word reads a word of any length and script.
func (s *scanner) word() { s.wordTo(len(s.b), false) }

// wordTo reads a word up to end at most: Hash, unit by unit, in registers. A part of a word looks for no parts of its own.
func (s *scanner) wordTo(end int, part bool) {
	b, runes, i := s.b[:end], &table.runes, s.i
	h, lo, x, n := table.seed^mixWide, uint64(0), uint64(0), uint(0)
	all, odd := uint32(0), uint32(0)
	for i < len(b) {
		e, size := uint32(0), 1
		switch c := uint32(b[i]); {
		case c < utf8.RuneSelf:
			e = runes[c]
		case c < 0xE0 && c >= 0xC2 && i+1 < len(b) && b[i+1]&0xC0 == 0x80:
			e, size = runes[c&0x1F<<6|uint32(b[i+1]&0x3F)], 2
		case c == 0xE0 && i+2 < len(b) && b[i+1]&0xE0 == 0xA0 && b[i+2]&0xC0 == 0x80:
			e, size = runes[uint32(b[i+1]&0x3F)<<6|uint32(b[i+2]&0x3F)], 3
		default:
			e, size = s.look(i)
		}
		if e < doWord<<16 { // what ends words
			break
		}
		i += size
		if e >= doNone<<16 {
			if n == 0 && odd == 0 && e < doMulti<<16 {
				s.i = i // what is nothing does not begin a word
			} else {
				odd |= e >> 16 &^ doNone
			}
			continue
		}
		x |= uint64(e&0xFFFF) << (n << 4 & 63)
		all |= e
		if n++; n&3 == 0 {
			if n&7 == 4 {
				lo = x
			} else {
				h = mix(h^lo, mixWord^x)
			}
			x = 0
		}
	}
	if n&4 == 0 {
		lo, x = x, 0
	}
	joined, narrow := odd == 1 && !part, all&0xFFFF < utf8.RuneSelf
	switch {
	case i-s.i > maxLen || n == 0 && odd&doSlowBit == 0: // nothing of a word was left
		s.i = i
	case odd&doSlowBit != 0 || narrow && (joined || n > 7):
		s.slow(s.i, i, odd&1 != 0 && !part)
	case narrow: // accents and digits of other scripts fold to ASCII
		s.put(Token{last(table.seed, narrowed(lo)|narrowed(x)<<32, 0, int(n)), placed(s.i, i, s.gap)})
	case joined:
		s.parted(Token{last(h, lo, x, int(n&7)), placed(s.i, i, s.gap) | wideBit})
	default:
		s.put(Token{last(h, lo, x, int(n&7)), placed(s.i, i, s.gap) | wideBit})
	}
}

// narrowed packs four 16-bit units of ASCII in four bytes.
func narrowed(x uint64) uint64 {
	x = (x | x>>8) & 0x0000FFFF0000FFFF
	return (x | x>>16) & 0xFFFFFFFF
}

// parted writes a word that holds zero width non-joiners whole, and the parts between those that stand behind a letter of Arabic script.
func (s *scanner) parted(whole Token) {
	at, start, end, gap := len(s.dst), whole.Start(), whole.End(), s.gap
	s.put(whole)
	from := start
	for i := start + 2; i+2 < end; i++ {
		if s.b[i] == 0xE2 && s.b[i+1] == 0x80 && s.b[i+2] == 0x8C && arabicLead(s.b[i-2]) {
			s.i, s.gap = from, Soft
			s.wordTo(i, true)
			from = i + 3
		}
	}
	if from > start && from < end {
		s.i, s.gap = from, Soft
		s.wordTo(end, true)
	}
	parts := len(s.dst) - at - 1
	if parts < 2 || parts > 255 {
		s.dst = s.dst[:at+1]
	} else {
		s.dst[at].Place |= uint64(parts) << partsShift
		s.dst[at+1].Place = s.dst[at+1].Place&^(3<<gapShift) | uint64(gap)<<gapShift
	}
	s.i, s.gap = end, Joined
}

// arabicLead tells whether c is the first byte of a letter of the Arabic blocks, which are written in two.
func arabicLead(c byte) bool { return c >= 0xD8 && c <= 0xDB || c == 0xDD }

// chars reads a run of characters, each a token of its own, and the separators in it.
func (s *scanner) chars() {
	b, i, gap, t := s.b, s.i, uint64(s.gap)<<gapShift, table
	seed := t.seed ^ mixWide
	n := len(s.dst)
	s.dst = slices.Grow(s.dst, (len(b)-i)/3)
	dst := s.dst[:n+(len(b)-i)/3]
	for i+4 <= len(b) {
		x := binary.LittleEndian.Uint32(b[i:])
		r := x&0x0F<<12 | x>>2&0xFC0 | x>>16&0x3F
		if x&0xC0C0F0 != 0x8080E0 {
			break
		}
		if r-0x4E00 >= 0xA000-0x4E00 { // not the ideographs that fold to themselves
			if r < 0x800 || r&0xF800 == 0xD800 {
				break
			}
			e := t.runes[r]
			if e>>16 <= doHard {
				gap |= uint64(Soft|Gap(e>>16<<1)) << gapShift
				i += 3
				continue
			}
			if r = e & 0xFFFF; e>>16 != doChar {
				break
			}
		}
		to := &dst[n]
		n++
		to.Hash = last(seed, uint64(r), 0, 1)
		to.Place = uint64(i) | gap | 3<<lenShift | wideBit | charBit
		gap = 0
		i += 3
	}
	if i == s.i { // the last of the text
		if e, w := s.look(i); e>>16 == doChar && e&0xFFFF != 0 {
			dst[n] = Token{last(seed, uint64(e&0xFFFF), 0, 1), placed(i, i+w, s.gap) | wideBit | charBit}
			i, n, gap = i+w, n+1, 0
		}
	}
	s.i, s.gap, s.dst = i, Gap(gap>>gapShift), dst[:n]
	s.afterChars()
}

// afterChars handles what ended a run of characters: one beyond the table, or something that composes with the last.
func (s *scanner) afterChars() {
	if s.i == len(s.b) {
		return
	}
	switch e, n := s.look(s.i); e >> 16 {
	case doChar:
		s.slow(s.i, s.i+n, false)
	case doSlow:
		if k := len(s.dst); k > 0 && s.dst[k-1].End() == s.i {
			s.composed(s.i)
		}
	}
}

// composed takes the last character back and folds it together with what composes with it at i.
func (s *scanner) composed(i int) {
	last := s.dst[len(s.dst)-1]
	s.dst, s.gap = s.dst[:len(s.dst)-1], last.Gap()
	for i < len(s.b) {
		e, n := s.look(i)
		if e>>16 != doSlow {
			break
		}
		i += n
	}
	s.slow(last.Start(), i, false)
}
