package matcher

import "math"

const (
	sketchSize   = 32
	sketchShort  = 24 // tokens of text below which a sketch says too little
	sketchTokens = 400
)

// sketch is the MinHash of the three-word runs of a text with its title: the share of equal places in two sketches estimates how much of the
// text is the same. It is nil for short texts.
func sketch(title, text string) []uint32 {
	toks := sigTokens(text)
	if len(toks) < sketchShort {
		return nil
	}
	toks = append(sigTokens(title), toks[:min(len(toks), sketchTokens)]...)
	out := make([]uint32, sketchSize)
	for i := range out {
		out[i] = math.MaxUint32
	}
	for i := 0; i+2 < len(toks); i++ {
		h := uint64(14695981039346656037)
		for k := i; k < i+3; k++ {
			for _, c := range []byte(toks[k].text) {
				h = (h ^ uint64(c)) * 1099511628211
			}
			h = (h ^ ' ') * 1099511628211
		}
		for k := range out {
			h = remix(h + uint64(k)*0x9E3779B97F4A7C15)
			out[k] = min(out[k], uint32(h>>32))
		}
	}
	return out
}

// remix spreads the bits of h.
func remix(h uint64) uint64 {
	h ^= h >> 30
	h *= 0xBF58476D1CE4E5B9
	h ^= h >> 27
	h *= 0x94D049BB133111EB
	return h ^ h>>31
}
