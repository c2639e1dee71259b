package watchlist

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"tocsin/news/strict"
)

// ParseQuery reads a query that stands by itself, as on a command line. Places count lines and columns within the query, and name as the file.
// The Expr is nil when Faults.Err is not. References are not followed.
func ParseQuery(name, query string) (Expr, strict.Faults) {
	p := newPlacer([]byte(query))
	if !utf8.ValidString(query) {
		return nil, strict.Faults{{Pos: strict.Pos{File: name, Line: 1, Col: 1}, Fact: "the query is no UTF-8 text", Next: "save it as UTF-8"}}
	}
	return parseQuery(query, func(off int) strict.Pos {
		line := strings.Count(query[:off], "\n")
		return strict.Pos{File: name, Line: line + 1, Col: 1 + len([]rune(query[p.lines[line]:off]))}
	})
}

// parseQuery reads a query; at gives the place of a byte of it.
//
//	or    = and { OR and }
//	and   = not { AND not }
//	not   = [ NOT ] near
//	near  = one { NEAR/n one | ONEAR/n one }
//	one   = word | "phrase" | prefix* | $context | @entity | case:"…" | lang:xx | feed:id
//	      | ( or ) | field: one | ATLEAST/n ( or )
func parseQuery(query string, at func(off int) strict.Pos) (Expr, strict.Faults) {
	l := lexer{src: query, at: at}
	switch {
	case strings.TrimSpace(query) == "":
		l.fault(0, "write words and operators, as in ttp AND drone*", "the query is empty")
		return nil, l.faults
	case len(query) > MaxQuery:
		l.fault(0, "make two rules, or move word lists into contexts", "the query has %d bytes, the limit is %d", len(query), MaxQuery)
		return nil, l.faults
	}
	l.run()
	if len(l.faults) > 0 {
		return nil, l.faults.Sort()
	}
	p := parser{lexer: &l}
	x := p.whole()
	if p.faults.Err() != nil {
		return nil, p.faults.Sort()
	}
	return x, p.faults.Sort()
}

// parser reads the tokens. After the first fault it stops: what follows would be guesses.
type parser struct {
	*lexer
	i     int
	depth int
	bad   bool
}

// node is a part of the tree with the place where it begins.
type node struct {
	x     Expr
	off   int
	group bool // stood in parentheses
}

func (p *parser) peek() token { return p.toks[p.i] }

func (p *parser) next() token {
	t := p.toks[p.i]
	if t.kind != tokEnd {
		p.i++
	}
	return t
}

func (p *parser) fail(off int, next, format string, args ...any) node {
	if !p.bad {
		p.fault(off, next, format, args...)
	}
	p.bad = true
	return node{off: off}
}

func (p *parser) whole() Expr {
	n := p.or()
	if p.bad {
		return nil
	}
	if t := p.peek(); t.kind != tokEnd {
		p.fail(t.off, "remove it, or open one before it", "a parenthesis is closed that was never opened")
		return nil
	}
	switch {
	case negative(n.x):
		p.fail(n.off, "say also what must be there: militant* AND NOT film", "the query only excludes, so it would flag nearly every item")
	case !anchored(n.x):
		p.fail(n.off, "join each alternative with a word, $context or @entity by AND", "the query holds without any word, so it would flag every item of a language or feed")
	}
	return n.x
}

func (p *parser) or() node {
	first := p.and()
	parts := []node{first}
	mixed := token{}
	for !p.bad && p.peek().kind == tokOr {
		op := p.next()
		parts = append(parts, p.and())
		if mixed.kind == tokEnd {
			mixed = op
		}
	}
	if p.bad || len(parts) == 1 {
		return first
	}
	x := &Or{}
	for _, n := range parts {
		if negative(n.x) {
			return p.fail(n.off, "write NOT (a AND b), or join it with a word by AND", "an alternative of OR only excludes, so it would hold for nearly every item")
		}
		if o, ok := n.x.(*Or); ok {
			x.X = append(x.X, o.X...)
		} else {
			x.X = append(x.X, n.x)
		}
		p.warnMixed(n, mixed)
	}
	return node{x: x, off: first.off}
}

// warnMixed says how "a AND b OR c" is read, because people read it both ways.
func (p *parser) warnMixed(n node, op token) {
	if n.group {
		return
	}
	switch n.x.(type) {
	case *And:
		p.faults.AddWarning(p.at(op.off), "put ( ) where they are meant", "AND and OR are mixed: AND binds first")
	case *Near:
		p.faults.AddWarning(p.at(op.off), "put ( ) where they are meant", "NEAR and OR are mixed: NEAR binds first")
	}
}

func (p *parser) and() node {
	first := p.not()
	parts := []node{first}
	for !p.bad && p.peek().kind == tokAnd {
		p.next()
		parts = append(parts, p.not())
	}
	if p.bad {
		return first
	}
	if n := p.adjacent(); n.off >= 0 {
		return n
	}
	if len(parts) == 1 {
		return first
	}
	x := &And{}
	for _, n := range parts {
		if a, ok := n.x.(*And); ok {
			x.X = append(x.X, a.X...)
		} else {
			x.X = append(x.X, n.x)
		}
	}
	return node{x: x, off: first.off}
}

// adjacent refuses a term that follows another without an operator.
func (p *parser) adjacent() node {
	t := p.peek()
	switch t.kind {
	case tokEnd, tokClose, tokOr:
		return node{off: -1}
	case tokNot:
		return p.fail(t.off, "write AND NOT", "NOT follows a term without AND")
	}
	prev := p.toks[p.i-1]
	for _, w := range []token{prev, t} {
		if w.kind == tokLeaf && isLowerOperator(w.text) {
			return p.fail(w.off, "write "+strings.ToUpper(w.text)+", or put the whole phrase in quotes", "operators are written in capitals, and %q is not", w.text)
		}
	}
	next := "write AND between them"
	if prev.kind == tokLeaf && t.kind == tokLeaf {
		a, b := strings.Trim(prev.leaf.String(), `"`), strings.Trim(t.leaf.String(), `"`)
		next = fmt.Sprintf(`write AND between them, or quotes for the phrase: "%s %s"`, a, b)
	}
	return p.fail(t.off, next, "two terms stand side by side without an operator")
}

func (p *parser) not() node {
	t := p.peek()
	if t.kind != tokNot {
		return p.near()
	}
	p.next()
	if p.peek().kind == tokNot {
		return p.fail(p.peek().off, "remove both", "NOT NOT means nothing")
	}
	n := p.near()
	if p.bad {
		return n
	}
	if negative(n.x) {
		return p.fail(n.off, "remove both", "NOT before what is excluded already")
	}
	return node{x: &Not{X: n.x}, off: t.off}
}

func (p *parser) near() node {
	first := p.one()
	if p.bad || p.peek().kind != tokNear {
		return first
	}
	op := p.peek()
	x := &Near{N: op.n, Ordered: op.ordered, X: []Expr{first.x}}
	if !p.positional(first, op.text) {
		return first
	}
	for !p.bad && p.peek().kind == tokNear {
		t := p.next()
		if t.n != op.n || t.ordered != op.ordered {
			return p.fail(t.off, "put ( ) around the words that belong together", "%s and %s stand in one row", op.text, t.text)
		}
		if not := p.peek(); not.kind == tokNot {
			return p.fail(not.off, "write a NEAR/5 b AND NOT c", "NOT cannot stand beside %s", t.text)
		}
		n := p.one()
		if p.bad || !p.positional(n, t.text) {
			return n
		}
		x.X = append(x.X, n.x)
	}
	return node{x: x, off: first.off}
}

// one reads a single term or group.
func (p *parser) one() node {
	t := p.next()
	switch t.kind {
	case tokLeaf:
		if isLowerOperator(t.text) {
			p.faults.AddWarning(p.at(t.off), "write "+strings.ToUpper(t.text)+", or quotes if the word is meant", "operators are written in capitals, so %q is a word here", t.text)
		}
		return node{x: t.leaf, off: t.off}
	case tokLang:
		return node{x: &Lang{Code: t.text}, off: t.off}
	case tokFeed:
		return node{x: &Feed{ID: t.text}, off: t.off}
	case tokOpen:
		return p.group(t)
	case tokField:
		return p.inField(t)
	case tokAtLeast:
		return p.atLeast(t)
	case tokEnd:
		return p.fail(t.off, "write a term there, or remove what comes before", "the query ends where a term is expected")
	case tokNot:
		return p.fail(t.off, "write a AND NOT b", "NOT stands where a term is expected")
	case tokClose:
		return p.fail(t.off, "write a term before it", "a parenthesis is closed where a term is expected")
	}
	return p.fail(t.off, "write a term before it, or quotes if the word is meant", "the operator %s stands where a term is expected", t.text)
}

// deeper counts one level more and tells whether it is allowed.
func (p *parser) deeper(off int) bool {
	if p.depth++; p.depth > MaxDepth {
		p.fail(off, "write it flatter, or make two rules", "parentheses are nested deeper than %d", MaxDepth)
		return false
	}
	return true
}

func (p *parser) group(open token) node {
	if !p.deeper(open.off) {
		return node{off: open.off}
	}
	defer func() { p.depth-- }()
	if t := p.peek(); t.kind == tokClose {
		return p.fail(open.off, "write terms in it or remove it", "the parentheses are empty")
	}
	n := p.or()
	if p.bad {
		return n
	}
	if t := p.next(); t.kind != tokClose {
		return p.fail(open.off, "close it with )", "a parenthesis is never closed")
	}
	return node{x: n.x, off: open.off, group: true}
}

func (p *parser) inField(t token) node {
	if !p.deeper(t.off) {
		return node{off: t.off}
	}
	defer func() { p.depth-- }()
	n := p.one()
	if p.bad {
		return n
	}
	if what := insideField(n.x); what != "" {
		return p.fail(n.off, fmt.Sprintf("join them with AND outside: %s AND %s:(…)", what, t.text), "%s cannot stand inside %s:", what, t.text)
	}
	if negative(n.x) {
		return p.fail(n.off, fmt.Sprintf("write NOT %s:(…)", t.text), "%s: only excludes", t.text)
	}
	return node{x: &In{Field: t.text, X: n.x}, off: t.off}
}

func (p *parser) atLeast(t token) node {
	if p.peek().kind != tokOpen {
		return p.fail(t.off, "write "+t.text+"(words)", "%s lacks its parentheses", t.text)
	}
	n := p.one()
	if p.bad || !p.positional(n, t.text) {
		return n
	}
	return node{x: &AtLeast{N: t.n, X: n.x}, off: t.off}
}

// positional refuses what has no place in the text, because only places can be near one another or be counted.
func (p *parser) positional(n node, op string) bool {
	what, next := placeless(n.x)
	if what != "" {
		p.fail(n.off, next, "%s cannot stand inside %s", what, op)
	}
	return what == ""
}
