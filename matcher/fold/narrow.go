package fold

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unicode/utf8"
	"unsafe"
)

const (
	block = 64  // bytes that are marked together
	chunk = 256 // bytes that narrow takes at once, whole blocks
	over  = 16  // bytes that it reads beyond
)

// narrow reads ASCII text and the separators beyond ASCII in it. It first marks where words begin and end, many bytes at once, and then makes a token of each pair of marks, so that
// nothing waits for the length of the word before. It stops at what is not ASCII and no separator.
func (s *scanner) narrow() {
	var tail [block + over]byte
	var marks [chunk + block]uint16
	for s.i < len(s.b) && s.b[s.i] < utf8.RuneSelf {
		src := s.b[s.i:]
		n := min(len(src)-over, chunk) &^ (block - 1)
		if n <= 0 {
			n = min(len(src), block)
			copy(tail[:], src)
			clear(tail[n:])
			src = tail[:]
		}
		n, found := s.mark(&marks, src, n)
		if s.narrowWords(src, marks[:found], n) {
			return
		}
	}
}

// narrowWords makes tokens of the marked words in the first n bytes of src, which stand at s.i, and moves on. It tells whether narrow must stop.
func (s *scanner) narrowWords(src []byte, marks []uint16, n int) (stop bool) {
	gap, skip, whole := uint8(Joined), 0, true
	if s.i+n < len(s.b) && s.b[s.i+n] >= utf8.RuneSelf {
		gap, skip = s.behind(s.i + n)
		stop, whole = skip == 0, gap != beyond
	} else {
		whole = s.i+n == len(s.b)
	}
	if len(marks)%2 != 0 { // the last word touches n
		from := int(marks[len(marks)-1])
		if whole {
			marks = append(marks, uint16(n))
		} else {
			marks, n, gap, skip = marks[:len(marks)-1], from, uint8(Joined), 0
			stop = stop || n == 0
		}
	}
	s.tokens(src, marks, n)
	if gap != beyond {
		s.gap |= Gap(gap)
	}
	s.i += n + skip
	return stop
}

const (
	lo8    = 0x0101010101010101
	hi8    = 0x8080808080808080
	small8 = 0x2020202020202020 // makes ASCII capitals small and leaves digits
)

// alnum has the high bit of each byte set that is an ASCII letter or digit.
func alnum(x uint64) uint64 {
	y := x &^ hi8
	l := y | small8
	letter := (l + (0x80-'a')*lo8) &^ (l + (0x7f-'z')*lo8)
	digit := (y + (0x80-'0')*lo8) &^ (y + (0x7f-'9')*lo8)
	return (letter | digit) & hi8 &^ x
}

// pack8 gathers the high bits of eight bytes in one.
func pack8(x uint64) uint64 { return x >> 7 * 0x0102040810204080 >> 56 }

// mark writes where words begin and end, in turns, in the first n bytes of src, or up to the first rune that is neither ASCII nor a separator. It
// returns how many bytes it took and how many marks it wrote: an odd number when the last word touches the end.
func (s *scanner) mark(marks *[chunk + block]uint16, src []byte, n int) (taken, found int) {
	before := uint64(0) // whether the block before ends in a word
	for at := 0; at < n; at += block {
		words, wides := look64((*[block]byte)(src[at:]))
		if at+block > n {
			words &= 1<<uint(n-at) - 1
			wides &= 1<<uint(n-at) - 1
		}
		if wides != 0 {
			if stop := s.clear(at, wides, n); stop < n {
				n = stop
				words &= 1<<uint(n-at) - 1
			}
		}
		turns := words ^ (words<<1 | before)
		if n < at+block { // what lies beyond n is no end
			turns &= 1<<uint(n-at) - 1
		}
		before = words >> 63
		count := bits.OnesCount64(turns)
		for k := 0; k < count; k += 4 {
			to, base := (*[4]uint16)(marks[found+k:]), uint16(at)
			to[0] = base + uint16(bits.TrailingZeros64(turns))
			turns &= turns - 1
			to[1] = base + uint16(bits.TrailingZeros64(turns))
			turns &= turns - 1
			to[2] = base + uint16(bits.TrailingZeros64(turns))
			turns &= turns - 1
			to[3] = base + uint16(bits.TrailingZeros64(turns))
			turns &= turns - 1
		}
		found += count
	}
	return n, found
}

// clear looks at the runes beyond ASCII that wides marks from at on. It returns the place of the first that is no separator or goes beyond n, else n.
func (s *scanner) clear(at int, wides uint64, n int) int {
	for wides != 0 {
		k := bits.TrailingZeros64(wides)
		e, size := s.look(s.i + at + k)
		if e>>16 > doHard || at+k+size > n {
			return at + k
		}
		wides &^= (1<<uint(size) - 1) << uint(k)
	}
	return n
}

// look64 tells which bytes are ASCII letters or digits, and which are not ASCII: one bit each.
func look64(b *[block]byte) (words, wides uint64) {
	for k := 0; k < block; k += 16 {
		x, y := binary.LittleEndian.Uint64(b[k:]), binary.LittleEndian.Uint64(b[k+8:])
		words |= (pack8(alnum(x)) | pack8(alnum(y))<<8) << (k & 63)
		if (x|y)&hi8 != 0 {
			wides |= (pack8(x&hi8) | pack8(y&hi8)<<8) << (k & 63)
		}
	}
	return words, wides
}

// tokens makes a token of each pair of marks and gathers the gaps up to n. src has bytes to read beyond every mark, so the loop reads without
// asking where it ends.
func (s *scanner) tokens(src []byte, marks []uint16, n int) {
	count := len(marks) / 2
	if count == 0 {
		s.gap |= s.between(0, n)
		return
	}
	t, base, gap, end := table, uint64(s.i), s.gap|s.between(0, int(marks[0])), int(marks[0])
	s.dst = slices.Grow(s.dst, count)
	dst := s.dst[len(s.dst) : len(s.dst)+count]
	p, m := unsafe.Pointer(&src[0]), unsafe.Pointer(&marks[0])
	for k := range dst {
		mark := (*[2]uint16)(unsafe.Add(m, 4*k))
		from, size := int(mark[0]), int(mark[1]-mark[0])
		b := (*[16]byte)(unsafe.Add(p, from))
		x, y := binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
		h := last(t.seed, (x|small8)&t.low[size&15], (y|small8)&t.high[size&15], size)
		if from-end > 2 || size > 15 || gap&closer != 0 {
			if gap = gap&^closer | s.between(end, from); size > 15 {
				h = t.long(src[from : from+size])
			}
		}
		dst[k] = Token{h, base + uint64(from) | uint64(size)<<lenShift | uint64(gap)<<gapShift}
		end = from + size
		behind := (*[2]byte)(unsafe.Add(p, end)) // two separators, or one and a letter, which has no gap
		gap = t.gaps[behind[0]] | t.gaps[behind[1]]
	}
	s.gap = s.between(end, n)
	s.dst = s.dst[:len(s.dst)+count]
}

// long is the hash of a word of 16 ASCII letters and more.
func (t *tables) long(b []byte) uint64 {
	h := t.seed
	for ; len(b) >= 16; b = b[16:] {
		h = mix(h^(binary.LittleEndian.Uint64(b)|small8), mixWord^(binary.LittleEndian.Uint64(b[8:])|small8))
	}
	x, y := little(b), little(b[min(8, len(b)):])
	return last(h, (x|small8)&t.low[len(b)], (y|small8)&t.high[len(b)], len(b))
}

// closer is the Gap in tables.gaps of a byte that is not ASCII.
const closer Gap = 0x40

// between is the gap that the separators from s.i+from to s.i+to make.
func (s *scanner) between(from, to int) Gap {
	if from == to {
		return Joined
	}
	return s.gapOver(s.i+from, s.i+to)
}

//go:noinline
func (s *scanner) gapOver(from, to int) (gap Gap) {
	for i := from; i < to; {
		if k := table.gaps[s.b[i]]; k != closer {
			gap |= k
			i++
			continue
		}
		e, n := s.look(i)
		if e>>16 == doHard {
			gap = Hard
		}
		gap |= Soft
		i += n
	}
	return gap
}
