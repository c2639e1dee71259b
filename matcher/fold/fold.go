// Package fold gives text of any script one comparable form and keeps the place of every word in the original bytes. It owns what counts as the
// same letter (case, accents, the many yehs and kafs of Arabic script, nukta, full width, digits of every script) and what separates words
// (gap classes). It promises that the same folded text always has the same hash within a process, that offsets lie on rune borders of the
// original, that folding a folded text changes nothing, and that any bytes are accepted. What is looked for is the matcher's business.
package fold

import "unicode/utf8"

// Gap classes what stands between two tokens. The classes are ordered: a phrase written with a gap also reads across a lesser one.
type Gap uint8

// The gaps.
const (
	Joined Gap = 0 // nothing: neighbouring Han characters, a letter beside one
	Soft   Gap = 1 // space, hyphen, apostrophe, slash, zero width non-joiner: a phrase reads on
	Hard   Gap = 3 // . , ; : quotes, brackets, new line, and the start of the text: a phrase ends
)

// Class says what a token is made of.
type Class uint8

// The classes.
const (
	Word Class = iota // a run of letters and digits
	Char              // one character of a script written without spaces: Han, Kana, Thai, Lao, Khmer, Myanmar
)

// Token is one word, or one character of a script without spaces: its hash and its place in 16 bytes.
//
// A word that holds zero width non-joiners is written several times: first whole, with Parts telling how many tokens follow that cover it part by
// part. A reader takes the whole or all its parts.
type Token struct {
	Hash  uint64 // of the folded bytes; equal text has an equal hash, unequal text may
	Place uint64 // what the methods read: start 32 bits, length 20, gap 2, class 1, wide 1, parts 8
}

const (
	lenShift   = 32
	gapShift   = 52
	classShift = 54
	wideShift  = 55
	partsShift = 56
	maxLen     = 1<<20 - 1
	charBit    = uint64(Char) << classShift
	wideBit    = 1 << wideShift
)

// Start is the first byte of the token in the original text.
func (t Token) Start() int { return int(uint32(t.Place)) }

// End is the byte behind the token in the original text.
func (t Token) End() int { return int(uint32(t.Place)) + int(t.Place>>lenShift&maxLen) }

// Gap is what stands before the token.
func (t Token) Gap() Gap { return Gap(t.Place >> gapShift & 3) }

// Class says what the token is made of.
func (t Token) Class() Class { return Class(t.Place >> classShift & 1) }

// Wide tells whether the folded form is not all ASCII.
func (t Token) Wide() bool { return t.Place&wideBit != 0 }

// Parts is 0, or the number of tokens behind this one that split it.
func (t Token) Parts() int { return int(t.Place >> partsShift) }

// MaxText is the longest text in bytes that Append reads; what lies beyond is left out. A word longer than a mebibyte is skipped.
const MaxText = 1 << 30

// Append cuts text into tokens and appends them to dst. Bytes that are not UTF-8 separate words.
func Append(dst []Token, text string) []Token {
	if len(text) > MaxText {
		text = text[:MaxText]
	}
	s := scanner{text: text, b: bytesOf(text), gap: Hard, dst: dst}
	s.run()
	return s.dst
}

// AppendTo appends the folded bytes of the token to dst. text is the text that the token was cut from.
func (t Token) AppendTo(dst []byte, text string) []byte {
	return appendFolded(dst, text[t.Start():t.End()])
}

// Head is the key of the token's first letters; see Heads.
func (t Token) Head(text string) uint64 {
	b := bytesOf(text)[t.Start():t.End()]
	var key uint64
	if !t.Wide() {
		for i, c := range b[:min(6, len(b))] {
			if c >= utf8.RuneSelf {
				return t.slowHead(text)
			}
			key |= uint64(c|0x20) << (8 * i)
		}
		return key
	}
	for i, k := 0, 0; k < 4 && i < len(b); k++ {
		e, n := uint32(0), 2
		switch {
		case i+1 < len(b) && b[i] < 0xE0:
			e = table.pairs[int(b[i])|int(b[i+1])<<8]
		case i+2 < len(b):
			if r := three(uint32(b[i]), uint32(b[i+1]), uint32(b[i+2])); table.runes[r]>>16 == doWord {
				e, n = table.runes[r], 3
			}
		}
		if e == 0 {
			return t.slowHead(text)
		}
		key |= uint64(e&0xFFFF) << (16 * k)
		i += n
	}
	return key
}

func (t Token) slowHead(text string) uint64 {
	var buf [64]byte
	key, _ := Heads(t.AppendTo(buf[:0], text), t.Wide())
	return key
}

// String is the folded text: tokens with a space for a soft gap, a line break for a hard one, nothing for none. It is the form in which phrases
// are compared, and String(String(x)) == String(x).
func String(text string) string {
	return string(AppendString(nil, text, Append(nil, text)))
}

// AppendString appends the folded text of toks, cut from text, to dst. Words with parts are written part by part.
func AppendString(dst []byte, text string, toks []Token) []byte {
	first := true
	for _, t := range toks {
		if t.Parts() > 0 {
			continue
		}
		if !first {
			dst = t.Gap().appendTo(dst)
		}
		first = false
		dst = t.AppendTo(dst, text)
	}
	return dst
}

func (g Gap) appendTo(dst []byte) []byte {
	switch {
	case g >= Hard:
		return append(dst, '\n')
	case g == Soft:
		return append(dst, ' ')
	}
	return dst
}
