package matcher

import (
	"strings"
	"unicode/utf8"
)

// inflect gives the forms that a phrase takes in running text of a language, without the phrase itself. Forms that no speaker uses do no harm as
// long as they mean nothing else, so the tables are short and generous. Words are folded already.
func inflect(lang string, ws []word) [][]word {
	if len(ws) == 0 || isAcronym(ws) {
		return nil
	}
	switch lang {
	case "en":
		return lastWord(ws, englishPlural)
	case "ru", "uk", "be":
		return russian(ws)
	case "ar":
		return firstWord(ws, arabicClitics)
	case "hi":
		return lastWord(ws, hindiEndings)
	case "ur":
		return lastWord(ws, urduEndings)
	case "ps":
		return pashto(ws)
	case "fa", "prs":
		return lastWord(ws, persianEndings)
	case "uz":
		return lastWord(ws, uzbekEndings)
	}
	return nil
}

func lastWord(ws []word, forms func(string) []string) [][]word {
	return replaced(ws, len(ws)-1, forms(ws[len(ws)-1].s))
}

func firstWord(ws []word, forms func(string) []string) [][]word {
	return replaced(ws, 0, forms(ws[0].s))
}

func replaced(ws []word, i int, forms []string) [][]word {
	out := make([][]word, 0, len(forms))
	for _, f := range forms {
		c := append([]word(nil), ws...)
		c[i].s = f
		out = append(out, c)
	}
	return out
}

func runes(s string) int { return utf8.RuneCountInString(s) }

// suffixed appends each ending to stem.
func suffixed(stem string, endings ...string) []string {
	out := make([]string, len(endings))
	for i, e := range endings {
		out[i] = stem + e
	}
	return out
}

// cut takes an ending off s when enough of s is left.
func cut(s, ending string, left int) (string, bool) {
	stem, ok := strings.CutSuffix(s, ending)
	return stem, ok && runes(stem) >= left
}

func englishPlural(s string) []string {
	switch {
	case len(s) < 4 || strings.ContainsFunc(s, func(r rune) bool { return r < 'a' || r > 'z' }) || strings.HasSuffix(s, "s"):
		return nil
	case strings.HasSuffix(s, "ch"), strings.HasSuffix(s, "sh"), strings.HasSuffix(s, "x"):
		return []string{s + "es"}
	case strings.HasSuffix(s, "y") && !strings.ContainsAny(s[len(s)-2:len(s)-1], "aeiou"):
		return []string{s[:len(s)-1] + "ies"}
	}
	return []string{s + "s"}
}

// arabicClitics puts the one-letter words and, by, for, like before a word, also before its article. كـ stands here as ک, which is how it folds.
func arabicClitics(s string) []string {
	if runes(s) < 3 {
		return nil
	}
	bases := []string{s, "ب" + s, "ل" + s, "ک" + s}
	if rest, ok := strings.CutPrefix(s, "ال"); ok && runes(rest) > 1 {
		bases[2] = "لل" + rest
	}
	out := append([]string(nil), bases[1:]...)
	for _, b := range bases {
		out = append(out, "و"+b, "ف"+b)
	}
	return out
}

func hindiEndings(s string) []string {
	switch {
	case runes(s) < 3:
		return nil
	case strings.HasSuffix(s, "ा"):
		stem := strings.TrimSuffix(s, "ा")
		return append(suffixed(stem, "े", "ों", "ें"), s+"ओं", s+"एं", s+"ओ")
	case strings.HasSuffix(s, "ी"):
		return suffixed(strings.TrimSuffix(s, "ी"), "ियों", "ियां", "ियो")
	case strings.HasSuffix(s, "ि"):
		return suffixed(s, "यों", "यां")
	case strings.HasSuffix(s, "ू"):
		return suffixed(strings.TrimSuffix(s, "ू"), "ुओं", "ुएं")
	case strings.HasSuffix(s, "े"), strings.HasSuffix(s, "ों"), strings.HasSuffix(s, "ं"):
		return nil
	case strings.HasSuffix(s, "ु"), strings.HasSuffix(s, "ो"), strings.HasSuffix(s, "ौ"):
		return suffixed(s, "ओं", "एं")
	}
	return suffixed(s, "ों", "ें", "ो")
}

func urduEndings(s string) []string {
	switch {
	case runes(s) < 3 || strings.HasSuffix(s, "ں") || strings.HasSuffix(s, "ے"):
		return nil
	case strings.HasSuffix(s, "ا"), strings.HasSuffix(s, "ه"):
		stem := s[:len(s)-len("ا")]
		return append(suffixed(stem, "ے", "وں"), s+"وں", s+"یں", s+"وں")
	case strings.HasSuffix(s, "ی"):
		return suffixed(s, "وں", "اں")
	}
	return suffixed(s, "وں", "یں", "ز")
}

// pashto inflects the last word, and all words together where adjectives follow their noun into the oblique plural.
func pashto(ws []word) [][]word {
	out := lastWord(ws, pashtoEndings)
	if len(ws) > 1 {
		all := append([]word(nil), ws...)
		for i := range all {
			if f := pashtoOblique(all[i].s); f != "" && !all[i].hyphen {
				all[i].s = f
			}
		}
		out = append(out, all)
	}
	return out
}

func pashtoOblique(s string) string {
	switch {
	case runes(s) < 4:
		return ""
	case strings.HasSuffix(s, "ی"):
		return s + "و"
	case strings.HasSuffix(s, "ه"):
		return strings.TrimSuffix(s, "ه") + "و"
	}
	return s + "و"
}

// pashtoEndings leaves out ی behind a consonant: with it a place is its people (کندهاری), and a name a surname (طالبانی).
func pashtoEndings(s string) []string {
	switch {
	case runes(s) < 3:
		return nil
	case strings.HasSuffix(s, "ه"):
		return suffixed(strings.TrimSuffix(s, "ه"), "ی", "و")
	case strings.HasSuffix(s, "ی"):
		return suffixed(s, "و", "ان", "انو")
	case strings.HasSuffix(s, "و"), strings.HasSuffix(s, "ا"):
		return suffixed(s, "وو", "وی")
	}
	return suffixed(s, "و", "انو", "ونه", "ونو", "ان", "ه")
}

// persianEndings: the plural written in one word; written apart it needs no form. The linking ی is written after a vowel only, and other words
// with a final ی are other words (طالبانی is a surname).
func persianEndings(s string) []string {
	if runes(s) < 3 {
		return nil
	}
	out := suffixed(s, "ها", "های", "هایی")
	if strings.HasSuffix(s, "ا") || strings.HasSuffix(s, "و") || strings.HasSuffix(s, "ه") {
		out = append(out, s+"ی")
	}
	return out
}

func uzbekEndings(s string) []string {
	if runes(s) < 4 {
		return nil
	}
	if r, _ := utf8.DecodeRuneInString(s); r >= utf8.RuneSelf {
		return suffixed(s, "нинг", "га", "да", "дан", "ни", "лар", "ларнинг", "и", "ининг")
	}
	return suffixed(s, "ning", "ga", "da", "dan", "ni", "lar", "larning", "i", "ining")
}
