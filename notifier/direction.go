package notifier

import (
	"strings"
	"unicode"
)

// Marks that give a text its direction where its first letter would give the wrong one (Unicode UAX 9).
const (
	lrm = "\u200E"
	rlm = "\u200F"
)

// isRTL tells whether a letter runs from right to left.
func isRTL(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Hebrew, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Adlam, unicode.Hanifi_Rohingya)
}

// runs counts the letters of each direction outside of isolates, and tells which comes first: 'r', 'l', or 0 for none.
func runs(s string) (right, left int, first byte) {
	depth := 0
	for _, r := range s {
		switch {
		case string(r) == fsi:
			depth++
		case string(r) == pdi:
			depth = max(0, depth-1)
		case depth > 0 || !unicode.IsLetter(r):
		case isRTL(r):
			right++
			if first == 0 {
				first = 'r'
			}
		default:
			left++
			if first == 0 {
				first = 'l'
			}
		}
	}
	return right, left, first
}

// Direction gives the direction of a text for a dir attribute, rtl or ltr: the way most of its letters run, where the first letter alone, which
// dir="auto" goes by, would turn an Urdu headline that begins with CPEC the wrong way round. In a language that is written from right to left a
// quarter of the letters is enough. Without any letter it is auto.
func Direction(lang, s string) string {
	right, left, first := runs(s)
	switch {
	case first == 0:
		return "auto"
	case right >= left || RightToLeft(lang) && right*4 >= left:
		return "rtl"
	}
	return "ltr"
}

// RightToLeft tells whether a language is written from right to left.
func RightToLeft(lang string) bool {
	primary, _, _ := strings.Cut(lang, "-")
	return primary != "" && strings.Contains(" ar bal ckb dv fa he ps sd ug ur yi ", " "+strings.ToLower(primary)+" ")
}

// lead is the mark that an isolated text needs in front, "" where its first letter already tells its direction.
func lead(s string) string {
	right, left, first := runs(s)
	switch {
	case first == 'l' && right >= left:
		return rlm
	case first == 'r' && right < left:
		return lrm
	}
	return ""
}
