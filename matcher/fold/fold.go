// Package fold gives text of any script one comparable form and keeps the place of every word in the original bytes. It owns what counts as the
// same letter (case, accents, the many yehs and kafs of Arabic script, nukta, full width, digits of every script) and what separates words
// (gap classes). It promises that the same folded text always has the same hash within a process, that offsets lie on rune borders of the
// original, that folding a folded text changes nothing, and that any bytes are accepted. What is looked for is the matcher's business.
package fold

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

// Token is one word, or one character of a script without spaces.
//
// A word that holds zero width non-joiners is written several times: first whole, with Parts telling how many tokens follow that cover it part by
// part. A reader takes the whole or all its parts.
type Token struct {
	Hash       uint64 // of the folded bytes; equal text has an equal hash, unequal text may
	Start, End uint32 // bytes in the original text
	Head       uint32 // of the first letters; see Heads
	Gap        Gap    // before the token
	Class      Class
	Parts      uint8 // 0, or the number of tokens behind this one that split it
	Wide       bool  // the folded form is not all ASCII
}

// MaxText is the longest text in bytes that Append reads; what lies beyond is left out. Items are far below it.
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
	return appendFolded(dst, text[t.Start:t.End])
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
		if t.Parts > 0 {
			continue
		}
		if !first {
			dst = t.Gap.appendTo(dst)
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
