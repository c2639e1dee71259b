package fold

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
	"unsafe"
)

// Odd constants with well-spread bits (the fractional parts of the golden ratio and of two square roots).
const (
	mixWord = 0x9E3779B97F4A7C15
	mixTail = 0xD6E8FEB86659FD93
	mixWide = 0xA0761D6478BD642F
)

// mix folds the 128-bit product of a and b.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Hash is the hash of folded bytes, as tokens carry it: over blocks of 16 ASCII bytes, or of eight 16-bit units for anything else. The last block
// has its length in the top byte, which it never fills.
func Hash(folded []byte) uint64 {
	if !wide(folded) {
		return hashASCII(folded)
	}
	h, block, n := table.seed^mixWide, [8]uint16{}, 0
	unit := func(u uint16) {
		block[n] = u
		if n++; n == 8 {
			h = mix(h^pack(block[:4]), mixWord^pack(block[4:]))
			block, n = [8]uint16{}, 0
		}
	}
	for _, r := range string(folded) {
		if r >= 0x10000 {
			unit(uint16(r >> 16))
		}
		unit(uint16(r))
	}
	return last(h, pack(block[:4]), pack(block[4:]), n)
}

// last mixes the last block of n bytes or units in.
func last(h, a, b uint64, n int) uint64 { return mix(h^a, mixTail^b^uint64(n)<<56) }

func pack(units []uint16) (x uint64) {
	for i, u := range units {
		x |= uint64(u) << (16 * i)
	}
	return x
}

func hashASCII(b []byte) uint64 {
	h := table.seed
	for len(b) >= 16 {
		h = mix(h^binary.LittleEndian.Uint64(b), mixWord^binary.LittleEndian.Uint64(b[8:]))
		b = b[16:]
	}
	return last(h, little(b), little(b[min(8, len(b)):]), len(b))
}

// Heads gives the key by which tokens that begin with the folded prefix are found, and the mask under which a token's Head equals it. The Head of a
// token whose folded form is all ASCII is its first six letters as bytes; of any other, its first four runes as 16-bit units, so an ASCII prefix has
// a second form for words in mixed script: ask with wide set.
func Heads(folded []byte, wide bool) (key, mask uint64) {
	if !wide {
		n := min(6, len(folded))
		return little(folded[:n]), 1<<uint(8*n) - 1
	}
	n := uint(0)
	for _, r := range string(folded) {
		if n == 4 {
			break
		}
		key |= uint64(uint16(r)) << (16 * n)
		n++
	}
	return key, 1<<(16*n) - 1
}

func little(b []byte) (x uint64) {
	for i, c := range b[:min(8, len(b))] {
		x |= uint64(c) << (8 * i)
	}
	return x
}

func wide(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// bytesOf reads a string as bytes without a copy; nothing here writes to them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
