package watchlist

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// problem is a fault without its place.
type problem struct{ fact, next string }

func quote(before, text, after string) string { return fmt.Sprintf("%s%q%s", before, text, after) }

var operatorWord = regexp.MustCompile(`(^| )(AND|OR|NOT|O?NEAR/\d+)( |$)`)

// parseTerm reads a word or phrase, prefix*, $context or @entity. A prefix may be a phrase whose last word is open: "suicide bomb*".
func parseTerm(written string) (Term, problem) {
	s := clean(written)
	if s == "" {
		return Term{}, problem{"an empty term", "write a word or remove the entry"}
	}
	if t, p, ok := parseRef(s); ok {
		return t, p
	}
	if p := checkText(written, s, "term"); p.fact != "" && s[0] != '*' {
		return Term{}, p
	}
	if m := operatorWord.FindStringSubmatch(s); m != nil {
		return Term{}, problem{quote("the term ", s, " holds the operator "+m[2]), "list the words one by one, or write a rule with a query"}
	}
	return parsePrefix(s)
}

func parseRef(s string) (Term, problem, bool) {
	kind := ContextRef
	switch s[0] {
	case '$':
	case '@':
		kind = EntityRef
	default:
		return Term{}, problem{}, false
	}
	name := s[1:]
	t := Term{Kind: kind, Text: name}
	if kebab.MatchString(name) {
		return t, problem{}, true
	}
	next := "write " + s[:1] + "name, in lower-case letters and digits joined by hyphens"
	if list, id, ok := strings.Cut(name, "/"); ok && kind == EntityRef && kebab.MatchString(list) && kebab.MatchString(id) {
		next = "write @" + id + ": ids are unique over all lists"
	}
	return t, problem{quote("", s, " is not a reference"), next}, true
}

// parsePrefix reads a word or phrase that may end in *.
func parsePrefix(s string) (Term, problem) {
	stem, open := strings.CutSuffix(s, "*")
	switch {
	case strings.HasPrefix(s, "*"):
		return Term{}, problem{quote("", s, " begins with *"), "only the end of a word may be open, as in militan*: list the forms"}
	case strings.Contains(stem, "*"):
		return Term{}, problem{quote("", s, " has a * inside"), "only the end of a word may be open, as in militan*: list the forms"}
	case !open:
		return Term{Kind: Words, Text: s}, problem{}
	}
	last := stem[strings.LastIndexByte(stem, ' ')+1:]
	if letters(last) < 2 && !isDense(last) {
		return Term{}, problem{quote("the prefix ", s, " is too wide"), "write at least two letters before the *"}
	}
	return Term{Kind: Prefix, Text: stem}, problem{}
}

// checkText judges what aliases and terms share: something to find, no invisible controls, limits.
func checkText(written, text, what string) problem {
	for _, r := range written {
		if unicode.Is(unicode.Bidi_Control, r) {
			return problem{fmt.Sprintf("the %s holds the invisible direction mark U+%04X", what, r), "retype it: the right order comes from the letters themselves"}
		}
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return problem{fmt.Sprintf("the %s holds the control character U+%04X", what, r), "retype it"}
		}
	}
	switch {
	case !hasWord(text):
		return problem{quote(what+" ", text, " holds no letter or digit"), "write a word: signs alone cannot be found"}
	case len(text) > MaxAlias:
		return problem{fmt.Sprintf("the %s has %d bytes, the limit is %d", what, len(text), MaxAlias), "write the part that identifies it"}
	case countWords(text) > MaxAliasWords:
		return problem{fmt.Sprintf("the %s has %d words, the limit is %d", what, countWords(text), MaxAliasWords), "write the part that identifies it"}
	}
	return problem{}
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// hasWord tells whether s holds anything that can be found.
func hasWord(s string) bool { return strings.ContainsFunc(s, isWordRune) }

// countWords counts runs of letters, digits and marks.
func countWords(s string) int {
	return len(strings.FieldsFunc(s, func(r rune) bool { return !isWordRune(r) && !unicode.IsMark(r) }))
}

func letters(s string) int {
	n := 0
	for _, r := range s {
		if isWordRune(r) {
			n++
		}
	}
	return n
}

// isDense tells whether s is written in a script where one character says as much as a short word.
func isDense(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana)
}

// isShort tells whether an alias is so short that it stands for other things: three letters and digits, two characters of Han or Hangul.
func isShort(s string) bool {
	if isDense(s) {
		return letters(s) <= 2
	}
	return letters(s) <= 3
}

// isAcronym tells whether s is one word of capitals without digits.
func isAcronym(s string) bool {
	n := 0
	for _, r := range s {
		switch {
		case unicode.IsUpper(r):
			n++
		case unicode.IsLetter(r) || unicode.IsNumber(r) || r == ' ':
			return false
		}
	}
	return n > 0 && n <= 8
}

// normal is a rough comparable form: lower case, dashes and signs as one space. Package matcher folds exactly.
func normal(s string) string {
	s = strings.Map(func(r rune) rune {
		if isWordRune(r) || unicode.IsMark(r) {
			return unicode.ToLower(r)
		}
		return ' '
	}, s)
	return clean(s)
}
