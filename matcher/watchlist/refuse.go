package watchlist

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// habit is a way to write that other query languages have and this one does not, with what to write here instead.
type habit struct {
	pattern *regexp.Regexp
	problem
}

// habits are tried in order against one word of a query; the first that fits is told.
var habits = []habit{
	{regexp.MustCompile(`^&&?$`), problem{"%q is not an operator", "write AND"}},
	{regexp.MustCompile(`^\|\|?$`), problem{"%q is not an operator", "write OR"}},
	{regexp.MustCompile(`^(!|-)$`), problem{"%q is not an operator", "write AND NOT"}},
	{regexp.MustCompile(`^\+$`), problem{"%q is not an operator", "write AND"}},
	{regexp.MustCompile(`&&|\|\|?`), problem{"%q holds an operator of another language", "write AND or OR between blanks"}},
	{regexp.MustCompile(`^\+`), problem{"%q: + before a word is not known", "join the words with AND"}},
	{regexp.MustCompile(`^[-!]`), problem{"%q: a sign before a word does not exclude it", "write AND NOT before the word"}},
	{regexp.MustCompile(`^(NEAR|ONEAR|ATLEAST)/?$`), problem{"%q lacks its number", "write it with a number, as in NEAR/10"}},
	{regexp.MustCompile(`(?i)^(near|onear|atleast)/-?\d*$`), problem{"%q is not written as an operator", "write capitals and a number, as in NEAR/10"}},
	{regexp.MustCompile(`(?i)^((w|within|adj|n)/|near|atleast)\d+$`), problem{"%q is the proximity of another language", "write NEAR/10, or ATLEAST/3( ) for a count"}},
	{regexp.MustCompile(`(?i)^(pre/|onear)\d+$`), problem{"%q is the proximity of another language", "write ONEAR/10 for words in that order"}},
	{regexp.MustCompile(`(?i)^and_?not$`), problem{"%q is not an operator", "write AND NOT"}},
	{regexp.MustCompile(`^(XOR|WITHIN|ADJ|SAME|SENTENCE|PARAGRAPH)$`), problem{"%q is not an operator here", "use AND OR NOT NEAR/n ONEAR/n ATLEAST/n, or quotes if the word is meant"}},
	{regexp.MustCompile(`\^`), problem{"%q: ^ does not weigh a word", "write the rule as score: with points"}},
	{regexp.MustCompile(`~`), problem{"%q: ~ does not find similar words", "list the spellings with OR"}},
	{regexp.MustCompile(`^/.+/$`), problem{"%q: regular expressions are not known", "list the forms with OR, or write a prefix*"}},
	{regexp.MustCompile(`[\[\]{}]`), problem{"%q: brackets and ranges are not known", "use ( ) to group, OR to list"}},
	{regexp.MustCompile(`\\`), problem{`%q: \ does not escape a sign`, `put the text in quotes`}},
	{regexp.MustCompile(`\?`), problem{"%q: ? does not stand for a letter", "list the spellings with OR"}},
	{regexp.MustCompile(`\pL%|%\pL`), problem{"%q: % does not stand for letters", "write a prefix*, or list the spellings with OR"}},
	{regexp.MustCompile(`\pL[+_]\pL`), problem{"%q: + and _ neither join words nor stand for a letter", "put a phrase in quotes, list spellings with OR"}},
	{regexp.MustCompile(`[（）]`), problem{"%q: a full-width parenthesis does not group", "write ( and )"}},
	{regexp.MustCompile(`[,;،؛、，；]$|^[,;،؛、，；]|\pL[,;،؛、，；]`), problem{"%q: a comma does not join words", "write OR or AND, or put it in quotes if it is meant"}},
	{regexp.MustCompile(`:$|^:|\D:|:\D`), problem{"%q holds a colon", "put it in quotes if it is meant"}},
	{regexp.MustCompile(`^'`), problem{"%q: single quotes do not make a phrase", `write "double quotes"`}},
}

// refuseWord tells why a word cannot stand in a query; before is the query up to the word.
func refuseWord(w, before string) problem {
	last, _ := utf8.DecodeLastRuneInString(before)
	if isQuote(last) && strings.HasPrefix(w, "~") {
		return problem{quote("", w, ": ~ after a phrase is not known"), `write the words with NEAR, as in a NEAR/5 b`}
	}
	if isQuote(last) && w == "*" {
		return problem{"a * after the closing quote", `write it inside, as in "suicide bomb*"`}
	}
	for _, h := range habits {
		if h.pattern.MatchString(w) {
			return problem{strings.Replace(h.fact, "%q", quote("", w, ""), 1), h.next}
		}
	}
	if !hasWord(w) && !strings.HasPrefix(w, "*") && w != "$" && w != "@" {
		return problem{quote("", w, " holds no letter or digit"), "remove it, or put it in quotes with the words it belongs to"}
	}
	return problem{}
}

// isLowerOperator tells whether a word looks like an operator that was not written in capitals.
func isLowerOperator(w string) bool {
	switch strings.ToUpper(w) {
	case "AND", "OR", "NOT":
		return strings.ContainsFunc(w, unicode.IsLower)
	}
	return false
}
