package matcher

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/matcher/fold"
)

// word is one folded word of a phrase.
type word struct {
	s      string
	gap    string // before it, as fold.String writes it
	hyphen bool   // the gap is a hyphen without blanks: the word goes on
	upper  bool   // written in capitals only
}

const zwnj = "\u200c"

// words cuts text into folded words. A word with zero width non-joiners becomes its parts.
func words(text string) []word {
	var out []word
	end := 0
	for _, t := range fold.Append(nil, text) {
		if t.Parts() > 0 {
			continue
		}
		w := word{s: string(t.AppendTo(nil, text)), upper: isUpper(text[t.Start():t.End()])}
		if len(out) > 0 {
			w.gap = gapText(t.Gap())
			w.hyphen = isHyphen(text[end:t.Start()])
		}
		out = append(out, w)
		end = t.End()
	}
	return out
}

func gapText(g fold.Gap) string {
	switch {
	case g >= fold.Hard:
		return "\n"
	case g == fold.Soft:
		return " "
	}
	return ""
}

func isHyphen(s string) bool {
	r, n := utf8.DecodeRuneInString(s)
	return n == len(s) && unicode.Is(unicode.Pd, r)
}

// isUpper tells whether s holds two letters or more and all of them are capitals.
func isUpper(s string) bool {
	n := 0
	for _, r := range s {
		switch {
		case unicode.IsUpper(r):
			n++
		case unicode.IsLetter(r):
			return false
		}
	}
	return n > 1
}

func phraseText(ws []word) string {
	var b strings.Builder
	for i, w := range ws {
		if i > 0 {
			b.WriteString(w.gap)
		}
		b.WriteString(w.s)
	}
	return b.String()
}

// plain tells whether text has no form but its own: it has neither zero width non-joiners nor numbers.
func plain(text string) bool {
	for _, r := range text {
		if r < utf8.RuneSelf && '0' <= r && r <= '9' || r == 0x200C || r > utf8.RuneSelf && unicode.IsNumber(r) {
			return false
		}
	}
	return true
}

// forms gives the folded phrases under which text is found, the text itself first: without its zero width non-joiners, with a letter and a number
// joined or apart, and, when inflected is set, as lang inflects and spells it.
func forms(text, lang string, inflected bool) []string {
	ws := words(text)
	if len(ws) == 0 {
		return nil
	}
	out := []string{phraseText(ws)}
	add := func(ws []word) {
		s := phraseText(ws)
		for _, have := range out {
			if have == s {
				return
			}
		}
		out = append(out, s)
	}
	bases := [][]word{ws}
	if strings.Contains(text, zwnj) {
		bases = append(bases, words(strings.ReplaceAll(text, zwnj, "")))
	}
	if joined := joinNumbers(ws); joined != nil {
		bases = append(bases, joined)
	}
	for _, base := range bases {
		add(base)
		if !inflected {
			continue
		}
		for _, f := range inflect(lang, base) {
			add(f)
		}
		for _, f := range spellings(lang, base) {
			add(f)
		}
	}
	return out
}

// joinNumbers writes "casa 1000" as "casa1000" and the other way round; nil when there is nothing to change.
func joinNumbers(ws []word) []word {
	var out []word
	changed := false
	for _, w := range ws {
		if n := len(out); n > 0 && w.gap == " " && isNumber(w.s) && isLetters(out[n-1].s) {
			out[n-1].s += w.s
			changed = true
			continue
		}
		if k := strings.IndexAny(w.s, "0123456789"); k > 0 && isLetters(w.s[:k]) && isNumber(w.s[k:]) && !changed {
			out = append(out, word{s: w.s[:k], gap: w.gap}, word{s: w.s[k:], gap: " "})
			changed = true
			continue
		}
		out = append(out, w)
	}
	if !changed {
		return nil
	}
	return out
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func isLetters(s string) bool {
	return utf8.RuneCountInString(s) > 1 && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
}

// guessLang names a language whose endings fit the script of text; "" when there is none to choose.
func guessLang(text string) string {
	for _, r := range text {
		switch {
		case r < 0x250 && unicode.IsLetter(r):
			return "en"
		case unicode.Is(unicode.Cyrillic, r):
			return "ru"
		case unicode.Is(unicode.Devanagari, r):
			return "hi"
		case unicode.Is(unicode.Arabic, r):
			return guessArabic(text)
		}
	}
	return ""
}

func guessArabic(text string) string {
	switch {
	case strings.ContainsAny(text, "ټډړږښڼځڅېۍګ"):
		return "ps"
	case strings.ContainsAny(text, "ٹڈڑںےہھ"):
		return "ur"
	case strings.ContainsAny(text, "پچژگکی"):
		return "fa"
	}
	return "ar"
}

// isAcronym tells whether a phrase is an acronym, written in capitals or spelled letter by letter (ٹی ٹی پی). Acronyms do not inflect.
func isAcronym(ws []word) bool {
	upper, short := true, len(ws) > 1
	for _, w := range ws {
		upper = upper && w.upper
		if n := utf8.RuneCountInString(w.s); n > 3 || isNumber(w.s) {
			short = false
		}
	}
	return upper || short
}
