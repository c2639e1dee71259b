package fold

import (
	"math/bits"
	"slices"
	"unsafe"
)

// Sieve finds the few tokens of a text at which a phrase may begin. It keeps two bits for the hash of each phrase of one token, and for each pair of
// tokens that longer phrases begin with; what it lets pass by chance, some in a thousand, the caller must tell apart.
type Sieve struct{ ones, twos Bits }

// NewSieve makes a Sieve for so many phrases of one token and so many pairs.
func NewSieve(ones, twos int) Sieve { return Sieve{NewBits(ones), NewBits(twos)} }

// AddOne lets tokens with this hash pass alone.
func (s Sieve) AddOne(hash uint64) { s.ones.Add(hash) }

// AddTwo lets pairs of tokens with this PairKey pass.
func (s Sieve) AddTwo(key uint64) { s.twos.Add(key) }

// Two tells whether the pair with this PairKey may pass.
func (s Sieve) Two(key uint64) bool { return s.twos.Has(key) }

// Size is the memory of the Sieve in bytes.
func (s Sieve) Size() int { return 8 * (len(s.ones) + len(s.twos)) }

// PairKey is the key of two tokens in a row. It needs no multiplication: hashes of tokens are spread already.
func PairKey(a, b uint64) uint64 { return bits.RotateLeft64(a, 21) + b }

// Sift appends to dst, for each token that may be a phrase, twice its number, and for each that may begin a longer one with the token behind it,
// twice its number and one. parted tells whether a token has parts; such tokens have neighbours that Sift does not know.
func (s Sieve) Sift(dst []int32, toks []Token) (out []int32, parted bool) {
	if len(toks) == 0 {
		return dst, false
	}
	ones, oneMask := unsafe.Pointer(&s.ones[0]), uint64(len(s.ones)-1)<<3
	twos, twoMask := unsafe.Pointer(&s.twos[0]), uint64(len(s.twos)-1)<<3
	n := len(dst)
	dst = slices.Grow(dst, 2*len(toks))[:n+2*len(toks)]
	to := unsafe.Pointer(&dst[0]) // room for all: each number is written, and stays when its bits say so
	h, places := toks[0].Hash, toks[0].Place
	for i, t := range toks[1:] {
		places |= t.Place
		w := *(*uint64)(unsafe.Add(ones, h>>27&oneMask))
		*(*int32)(unsafe.Add(to, 4*n)) = int32(2 * i)
		n += int(w >> (h >> 24 & 63) & (w >> (h >> 18 & 63)) & 1)
		key := PairKey(h, t.Hash)
		w = *(*uint64)(unsafe.Add(twos, key>>27&twoMask))
		*(*int32)(unsafe.Add(to, 4*n)) = int32(2*i + 1)
		n += int(w >> (key >> 24 & 63) & (w >> (key >> 18 & 63)) & 1)
		h = t.Hash
	}
	dst = dst[:n]
	if s.ones.Has(h) {
		dst = append(dst, int32(2*len(toks)-2))
	}
	return dst, places>>partsShift != 0
}

// Bits answers "surely not" for a hash. Each key has two bits in one word of memory; the number of words is a power of two.
type Bits []uint64

const minWords = 1 << 6

// NewBits has at least 32 bits for each of n keys, so that one key in some hundreds passes by chance.
func NewBits(n int) Bits { return make(Bits, max(minWords, 1<<bits.Len(uint(max(n/2, 1))))) }

// Add lets a key pass.
func (b Bits) Add(key uint64) { b[key>>30&uint64(len(b)-1)] |= 1<<(key>>24&63) | 1<<(key>>18&63) }

// Has tells whether a key may have been added.
func (b Bits) Has(key uint64) bool {
	w := b[key>>30&uint64(len(b)-1)]
	return w>>(key>>24&63)&(w>>(key>>18&63))&1 != 0
}
