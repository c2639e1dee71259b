package matcher

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// spellings gives other ways in which writers of a language spell a phrase, inflection apart: words run together, particles written to the word,
// letters with two customs. Like the forms of inflect they are made once, when a list is compiled.
func spellings(lang string, ws []word) [][]word {
	var out [][]word
	if joined := hashtag(ws); joined != nil && !isAcronym(ws) {
		out = append(out, joined)
	}
	switch lang {
	case "ur", "ps", "fa", "prs":
		if open := droppedBlanks(ws); open != nil {
			out = append(out, open)
		}
		return append(out, glued(ws, particles(lang))...)
	case "hi":
		return append(out, nasals(ws)...)
	}
	return out
}

// dottedAcronym is T.T.P. for TTP. A gap that may be hard reads over a soft one too.
func dottedAcronym(ws []word) []word {
	if len(ws) != 1 || runes(ws[0].s) < 3 || runes(ws[0].s) > 6 || !isLetters(ws[0].s) {
		return nil
	}
	var out []word
	for _, r := range ws[0].s {
		out = append(out, word{s: string(r), gap: "\n"})
	}
	return out
}

// hashtag is a Latin or Cyrillic name of several words written as one: #DurandLine, Alqaeda. Short ones mean other things.
func hashtag(ws []word) []word {
	const least = 7
	one := word{gap: ws[0].gap}
	for i, w := range ws {
		r, _ := utf8.DecodeRuneInString(w.s)
		if !unicode.In(r, unicode.Latin, unicode.Cyrillic) || i > 0 && w.gap != " " {
			return nil
		}
		one.s += w.s
	}
	if len(ws) < 2 || runes(one.s) < least {
		return nil
	}
	return []word{one}
}

// endsOpen tells whether the last letter of a word of Arabic script does not join the next, so that writers forget the blank behind it.
func endsOpen(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return strings.ContainsRune("اآدډڈذرړڑزژږوےں", r)
}

// droppedBlanks runs words together where the letters show no difference; nil when there is no such place.
func droppedBlanks(ws []word) []word {
	var out []word
	for _, w := range ws {
		if n := len(out); n > 0 && w.gap == " " && endsOpen(out[n-1].s) {
			out[n-1].s += w.s
			continue
		}
		out = append(out, w)
	}
	if len(out) == len(ws) {
		return nil
	}
	return out
}

// particles are words that writers run together with the next. All end in a letter that does not join.
func particles(lang string) []string {
	switch lang {
	case "ur":
		return []string{"اور", "نے", "کے", "کا", "سے", "پر", "و"}
	case "ps":
		return []string{"د", "او", "پر"}
	}
	return []string{"و", "در", "از", "با"}
}

func glued(ws []word, particles []string) (out [][]word) {
	if len(ws) == 1 && runes(ws[0].s) < 4 {
		return nil
	}
	for _, p := range particles {
		c := append([]word(nil), ws...)
		c[0].s = p + c[0].s
		out = append(out, c)
	}
	return out
}

// nasals writes the nasal before a consonant the other way: हिंदी and हिन्दी, all of them at once.
func nasals(ws []word) (out [][]word) {
	for _, f := range []func(string) string{explicitNasals, dottedNasals} {
		c := append([]word(nil), ws...)
		changed := false
		for i := range c {
			s := f(c[i].s)
			changed = changed || s != c[i].s
			c[i].s = s
		}
		if changed {
			out = append(out, c)
		}
	}
	return out
}

const (
	anusvara = 'ं'
	virama   = '्'
)

// nasalOf is the nasal of the row to which a consonant belongs, 0 for others.
func nasalOf(r rune) rune {
	switch {
	case r >= 'क' && r <= 'घ':
		return 'ङ'
	case r >= 'च' && r <= 'झ':
		return 'ञ'
	case r >= 'ट' && r <= 'ढ':
		return 'ण'
	case r >= 'त' && r <= 'ध':
		return 'न'
	case r >= 'प' && r <= 'भ':
		return 'म'
	}
	return 0
}

func explicitNasals(s string) string {
	rs := []rune(s)
	var b strings.Builder
	for i, r := range rs {
		if r == anusvara && i+1 < len(rs) && nasalOf(rs[i+1]) != 0 {
			b.WriteRune(nasalOf(rs[i+1]))
			b.WriteRune(virama)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func dottedNasals(s string) string {
	rs := []rune(s)
	var b strings.Builder
	for i := 0; i < len(rs); i++ {
		if i+2 < len(rs) && rs[i+1] == virama && (rs[i] == nasalOf(rs[i+2]) || rs[i] == 'न') && nasalOf(rs[i+2]) != 0 {
			b.WriteRune(anusvara)
			i++
			continue
		}
		b.WriteRune(rs[i])
	}
	return b.String()
}
