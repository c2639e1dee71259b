package matcher

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/matcher/fold"
)

// sigToken is a word of a text, or a character of a script without spaces, as signatures read it.
type sigToken struct {
	text       string // folded
	start, end int    // bytes of the original
	gap        fold.Gap
	char       bool // of a script without spaces
	upper      int  // capitals in the original
	capital    bool // begins with a capital
	digits     bool // begins with a digit
}

// sigTokens cuts a text. "U.S." is one word, "45,000" one number; the s of a possessive is left out.
func sigTokens(text string) []sigToken {
	toks := fold.Append(nil, text)
	out := make([]sigToken, 0, len(toks))
	for _, t := range toks {
		if t.Parts() > 0 {
			continue
		}
		start, end := t.Start(), t.End()
		x := sigToken{text: string(t.AppendTo(nil, text)), start: start, end: end, gap: t.Gap(), char: t.Class() == fold.Char}
		x.look(text[start:end])
		if n := len(out); n > 0 && out[n-1].absorb(&x, text) {
			continue
		}
		out = append(out, x)
	}
	return out
}

func (x *sigToken) look(original string) {
	for i, r := range original {
		if unicode.IsUpper(r) {
			x.upper++
			x.capital = x.capital || i == 0
		}
	}
	x.digits = x.text != "" && x.text[0] >= '0' && x.text[0] <= '9'
}

// absorb takes the next token in when both are one word.
func (x *sigToken) absorb(next *sigToken, text string) bool {
	between := text[x.end:next.start]
	switch {
	case next.text == "s" && (between == "'" || between == "’"):
	case x.upper > 0 && x.upper == utf8.RuneCountInString(x.text) && next.upper == 1 && utf8.RuneCountInString(next.text) == 1 && between == "." && initials(text[x.start:x.end]):
		x.text += next.text
		x.upper++
	case x.digits && next.digits && (between == "," && len(next.text) >= 3 || between == "."):
		if between == "," {
			between = ""
		}
		x.text += between + next.text
	default:
		return false
	}
	x.end = next.end
	return true
}

// initials tells whether s is one capital, or capitals with dots between.
func initials(s string) bool {
	for i, r := range s {
		if r == '.' != (i%2 == 1) {
			return false
		}
	}
	return true
}

// titled tells whether a title writes most of its words with capitals, so that a capital says nothing of a name.
func titled(toks []sigToken) bool {
	words, capitals := 0, 0
	for i := range toks {
		if utf8.RuneCountInString(toks[i].text) > 3 && !toks[i].digits {
			words++
			if toks[i].capital {
				capitals++
			}
		}
	}
	return words > 0 && capitals*4 >= words*3
}

// stem is the key of an English word, the same for its common endings. Words in other scripts stay as they are.
func stem(w string) string {
	if len(w) < 4 || w[0] >= utf8.RuneSelf {
		return w
	}
	bases := lemmas(w)
	if n := len(bases[len(bases)-1]); strings.HasSuffix(w, "s") && n < len(w) && n > 5 {
		bases = lemmas(bases[len(bases)-1]) // "sightings"
	}
	b := bases[len(bases)-1]
	for _, end := range []string{"ational", "ations", "ation", "ators", "ator", "ative", "ions", "ion", "ements", "ement", "ments", "ment", "ers", "er", "ors", "or", "ally", "ly", "al", "ive", "ate"} {
		if base, ok := strings.CutSuffix(b, end); ok && len(base) >= 5 {
			b = base
			break
		}
	}
	if strings.HasSuffix(b, "e") && len(b) > 4 {
		b = b[:len(b)-1]
	}
	if strings.HasSuffix(b, "y") && len(b) > 4 {
		b = b[:len(b)-1] + "i"
	}
	return b
}

// lemmas are the words that w may be a form of, itself first: "closing" of clos and close, "planes" of plane.
func lemmas(w string) []string {
	out := []string{w}
	n := len(w)
	if n < 4 || w[0] >= utf8.RuneSelf {
		return out
	}
	switch {
	case strings.HasSuffix(w, "ies") && n > 4:
		return append(out, w[:n-3]+"y")
	case strings.HasSuffix(w, "ied") && n > 4:
		return append(out, w[:n-3]+"y")
	case strings.HasSuffix(w, "sses"), strings.HasSuffix(w, "shes"), strings.HasSuffix(w, "ches"), strings.HasSuffix(w, "xes"):
		return append(out, w[:n-2])
	case strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") && !strings.HasSuffix(w, "us") && !strings.HasSuffix(w, "is"):
		out = append(out, w[:n-1])
		if strings.HasSuffix(w, "ings") && n >= 7 && vowelIn(w[:n-4]) {
			out = append(out, w[:n-4], w[:n-4]+"e")
			out[1], out[3] = out[3], out[1] // the plain plural last: it is the stem
		}
		return out
	case strings.HasSuffix(w, "ing") && n >= 6 && vowelIn(w[:n-3]):
		return append(out, w[:n-3], w[:n-3]+"e", single(w[:n-3]), undouble(w[:n-3]))
	case strings.HasSuffix(w, "ed") && n >= 5 && vowelIn(w[:n-2]):
		return append(out, w[:n-2], w[:n-1], single(w[:n-2]), undouble(w[:n-2]))
	}
	return out
}

func vowelIn(s string) bool { return strings.ContainsAny(s, "aeiouy") }

// single takes one of two equal letters off the end: "cancell".
func single(s string) string {
	if n := len(s); n > 2 && s[n-1] == s[n-2] {
		return s[:n-1]
	}
	return s
}

// undouble is single for the letters that English doubles in inflection alone, so that "kill" stays what it is.
func undouble(s string) string {
	n := len(s)
	if n > 2 && s[n-1] == s[n-2] && !strings.ContainsRune("lsz", rune(s[n-1])) {
		return s[:n-1]
	}
	return s
}
