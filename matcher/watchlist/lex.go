package watchlist

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/news/strict"
)

type tokenKind int

const (
	tokEnd tokenKind = iota
	tokLeaf
	tokOpen
	tokClose
	tokAnd
	tokOr
	tokNot
	tokNear
	tokAtLeast
	tokField // title: summary: body:
	tokLang
	tokFeed
)

// token is one piece of a query.
type token struct {
	kind    tokenKind
	off     int    // byte in the query
	text    string // as written; for fields, languages and feeds their value
	n       int    // of NEAR/n, ONEAR/n, ATLEAST/n
	ordered bool   // ONEAR
	leaf    *Leaf
}

// lexer cuts a query into tokens and reports what does not belong into one.
type lexer struct {
	src    string
	i      int
	toks   []token
	at     func(off int) strict.Pos
	faults strict.Faults
}

const curly = "“”„‟«»＂"

func (l *lexer) fault(off int, next, format string, args ...any) {
	l.faults.Add(l.at(off), next, format, args...)
}

func (l *lexer) run() {
	for l.i < len(l.src) {
		r, size := utf8.DecodeRuneInString(l.src[l.i:])
		switch {
		case unicode.IsSpace(r):
			l.i += size
		case r == '(' || r == ')':
			kind := tokOpen
			if r == ')' {
				kind = tokClose
			}
			l.push(token{kind: kind, off: l.i, text: string(r)})
			l.i++
		case isQuote(r):
			off := l.i
			if text, ok := l.quoted(); ok {
				l.phrase(off, text, false)
			}
		default:
			l.word()
		}
	}
	l.push(token{kind: tokEnd, off: len(l.src)})
}

func isQuote(r rune) bool { return r == '"' || strings.ContainsRune(curly, r) }

func (l *lexer) push(t token) { l.toks = append(l.toks, t) }

// quoted reads "…" or “…”, for people paste from word processors.
func (l *lexer) quoted() (string, bool) {
	off := l.i
	_, size := utf8.DecodeRuneInString(l.src[l.i:])
	start := l.i + size
	end := strings.IndexFunc(l.src[start:], isQuote)
	if end < 0 {
		l.fault(off, `close it with "`, "the quote is never closed")
		l.i = len(l.src)
		return "", false
	}
	_, size = utf8.DecodeRuneInString(l.src[start+end:])
	l.i = start + end + size
	return l.src[start : start+end], true
}

// phrase adds a quoted text. Quotes take $ and @ as plain signs; a * at the end opens the last word.
func (l *lexer) phrase(off int, text string, exact bool) {
	s := clean(text)
	if s == "" {
		l.fault(off, "write words between the quotes", "an empty phrase")
		return
	}
	if p := checkText(text, s, "phrase"); p.fact != "" {
		l.fault(off, p.next, "%s", p.fact)
		return
	}
	if strings.Contains(s, `\`) {
		l.fault(off, `write the phrase without \`, `a phrase holds no \`)
		return
	}
	t, p := parsePrefix(s)
	l.leaf(off, t, p, exact)
}

func (l *lexer) leaf(off int, t Term, p problem, exact bool) {
	if p.fact == "" && exact && t.Kind != Words {
		p = problem{"case: takes a word or phrase, no prefix or reference", `write case:"TTP"`}
	}
	if p.fact != "" {
		l.fault(off, p.next, "%s", p.fact)
		return
	}
	t.Pos = l.at(off)
	l.push(token{kind: tokLeaf, off: off, text: l.src[off:l.i], leaf: &Leaf{Term: t, Exact: exact}})
}

var (
	fieldName  = regexp.MustCompile(`^([\pL_]+):`)
	fieldNames = []string{"title", "summary", "body", "lang", "feed", "case"}
	// foreignFields are the names that other query languages give to ours.
	foreignFields = map[string]string{
		"headline": "title", "subject": "title", "titel": "title", "intitle": "title", "text": "body", "content": "body", "article": "body", "intext": "body",
		"description": "summary", "lead": "summary", "abstract": "summary", "language": "lang", "source": "feed", "site": "feed", "outlet": "feed", "domain": "feed",
	}
	distance = regexp.MustCompile(`^(NEAR|ONEAR|ATLEAST)/(\d+)$`)
)

// rest is the text up to the next blank, parenthesis or quote.
func (l *lexer) rest() string {
	s := l.src[l.i:]
	if end := strings.IndexFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == ')' || isQuote(r) }); end >= 0 {
		return s[:end]
	}
	return s
}

func (l *lexer) word() {
	off, w := l.i, l.rest()
	if m := fieldName.FindStringSubmatch(w); m != nil {
		l.i += len(m[0])
		l.field(off, m[1])
		return
	}
	l.i += len(w)
	if kind, ok := map[string]tokenKind{"AND": tokAnd, "OR": tokOr, "NOT": tokNot}[w]; ok {
		l.push(token{kind: kind, off: off, text: w})
		return
	}
	if m := distance.FindStringSubmatch(w); m != nil {
		l.operator(off, w, m[1], m[2])
		return
	}
	if p := refuseWord(w, l.src[:off]); p.fact != "" {
		l.fault(off, p.next, "%s", p.fact)
		return
	}
	t, p := parseTerm(w)
	l.leaf(off, t, p, false)
}

func (l *lexer) operator(off int, w, name, digits string) {
	n, err := strconv.Atoi(digits)
	if err != nil || n < 1 || n > MaxDistance {
		l.fault(off, fmt.Sprintf("write a number from 1 to %d", MaxDistance), "%s is out of range", w)
		return
	}
	kind := tokNear
	if name == "ATLEAST" {
		kind = tokAtLeast
	}
	l.push(token{kind: kind, off: off, text: w, n: n, ordered: name == "ONEAR"})
}

// field reads what follows title:, lang:, feed: or case:.
func (l *lexer) field(off int, name string) {
	switch name {
	case "title", "summary", "body":
		l.push(token{kind: tokField, off: off, text: name})
		return
	case "lang", "feed", "case":
	default:
		next := "known: title: summary: body: lang: feed: case:, or put the text in quotes"
		if g := cmp.Or(foreignFields[strings.ToLower(name)], guess(name, fieldNames)); g != "" {
			next = "did you mean " + g + ":?"
		}
		l.fault(off, next, "unknown field %q", name+":")
		return
	}
	value, ok := l.value(off, name)
	if !ok {
		return
	}
	switch name {
	case "case":
		l.phrase(off, value, true)
	case "feed":
		l.push(token{kind: tokFeed, off: off, text: value})
	case "lang":
		if !KnownLang(value) {
			l.fault(off, langHint(value), "unknown language code %q", value)
			return
		}
		l.push(token{kind: tokLang, off: off, text: value})
	}
}

func (l *lexer) value(off int, name string) (string, bool) {
	example := map[string]string{"lang": "lang:ru", "feed": `feed:"BBC Urdu"`, "case": `case:"TTP"`}[name]
	value := l.rest()
	if r, _ := utf8.DecodeRuneInString(l.src[l.i:]); l.i < len(l.src) && isQuote(r) {
		text, ok := l.quoted()
		if !ok {
			return "", false
		}
		value = clean(text)
	} else {
		l.i += len(value)
	}
	if value == "" {
		next := "write it without a blank, as in " + example
		if strings.HasPrefix(l.src[l.i:], "(") {
			next = fmt.Sprintf("repeat it for each value, as in (%s OR %s…)", example, name+":")
		}
		l.fault(off, next, "%s: is followed by nothing", name)
		return "", false
	}
	return value, true
}
