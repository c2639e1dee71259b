package watchlist

import (
	"fmt"
	"regexp"
	"strings"
)

// negative tells whether x only excludes.
func negative(x Expr) bool {
	switch x := x.(type) {
	case *Not:
		return true
	case *And:
		for _, c := range x.X {
			if !negative(c) {
				return false
			}
		}
		return true
	}
	return false
}

// anchored tells whether x can only hold for items with some word of the query in them, so that an index can find its candidates.
func anchored(x Expr) bool {
	switch x := x.(type) {
	case *And:
		for _, c := range x.X {
			if anchored(c) {
				return true
			}
		}
		return false
	case *Or:
		for _, c := range x.X {
			if !anchored(c) {
				return false
			}
		}
		return true
	case *In:
		return anchored(x.X)
	case *AtLeast:
		return anchored(x.X)
	case *Near, *Leaf:
		return true
	}
	return false
}

// placeless names the part of x that has no place in the text, and what to write instead. Words, references, OR of them and NEAR have places.
func placeless(x Expr) (what, next string) {
	switch x := x.(type) {
	case *Or:
		for _, c := range x.X {
			if what, next := placeless(c); what != "" {
				return what, next
			}
		}
	case *Near:
		return "", ""
	case *And:
		return "AND", "write a NEAR/5 b NEAR/5 c, or join with AND outside"
	case *Not:
		return "NOT", "write a NEAR/5 b AND NOT c"
	case *AtLeast:
		return "ATLEAST", "join them with AND"
	case *In:
		return x.Field + ":", "put the field around all of it: " + x.Field + ":(a NEAR/5 b)"
	case *Lang:
		return "lang:", "join it with AND outside"
	case *Feed:
		return "feed:", "join it with AND outside"
	}
	return "", ""
}

// insideField names the part of x that cannot be restricted to a field.
func insideField(x Expr) string {
	var parts []Expr
	switch x := x.(type) {
	case *In:
		return x.Field + ":"
	case *Lang:
		return "lang:" + x.Code
	case *Feed:
		return x.String()
	case *And:
		parts = x.X
	case *Or:
		parts = x.X
	case *Not:
		parts = []Expr{x.X}
	}
	for _, c := range parts {
		if what := insideField(c); what != "" {
			return what
		}
	}
	return ""
}

// String writes the node in the canonical form, which parses back to the same tree.
func (x *And) String() string { return join(x.X, " AND ", wrapsInAnd) }

// String writes the node in the canonical form.
func (x *Or) String() string { return join(x.X, " OR ", wrapsInOr) }

// String writes the node in the canonical form.
func (x *Not) String() string { return "NOT " + wrap(x.X, wrapsInNot) }

// String writes the node in the canonical form.
func (x *Near) String() string {
	op := "NEAR"
	if x.Ordered {
		op = "ONEAR"
	}
	return join(x.X, fmt.Sprintf(" %s/%d ", op, x.N), wrapsInNear)
}

// String writes the node in the canonical form.
func (x *AtLeast) String() string { return fmt.Sprintf("ATLEAST/%d(%s)", x.N, x.X) }

// String writes the node in the canonical form.
func (x *In) String() string {
	if l, ok := x.X.(*Leaf); ok {
		return x.Field + ":" + l.String()
	}
	return fmt.Sprintf("%s:(%s)", x.Field, x.X)
}

// String writes the node in the canonical form.
func (x *Lang) String() string { return "lang:" + x.Code }

// String writes the node in the canonical form.
func (x *Feed) String() string {
	if bare.MatchString(x.ID) {
		return "feed:" + x.ID
	}
	return `feed:"` + x.ID + `"`
}

// String writes the node in the canonical form.
func (x *Leaf) String() string {
	if x.Exact {
		return `case:"` + x.Term.Text + `"`
	}
	return x.Term.String()
}

// String writes the term as in a query: word, "a phrase", prefix*, $context or @entity.
func (t Term) String() string {
	switch t.Kind {
	case ContextRef:
		return "$" + t.Text
	case EntityRef:
		return "@" + t.Text
	}
	s := t.Text
	if t.Kind == Prefix {
		s += "*"
	}
	if bare.MatchString(t.Text) && !operators.MatchString(t.Text) {
		return s
	}
	return `"` + s + `"`
}

var (
	bare      = regexp.MustCompile(`^[\pL\pM\pN]+(['’.-][\pL\pM\pN]+)*$`)
	operators = regexp.MustCompile(`(?i)^(and|or|not|and_?not|xor|within|adj|same|sentence|paragraph|(near|onear|atleast)\d*)$`)
)

func join(xs []Expr, op string, wraps func(Expr) bool) string {
	parts := make([]string, len(xs))
	for i, x := range xs {
		parts[i] = wrap(x, wraps)
	}
	return strings.Join(parts, op)
}

func wrap(x Expr, wraps func(Expr) bool) string {
	if wraps(x) {
		return "(" + x.String() + ")"
	}
	return x.String()
}

func wrapsInAnd(x Expr) bool {
	_, or := x.(*Or)
	return or
}

func wrapsInOr(x Expr) bool {
	switch x.(type) {
	case *And, *Near:
		return true
	}
	return false
}

func wrapsInNot(x Expr) bool { return wrapsInOr(x) || wrapsInAnd(x) }

func wrapsInNear(x Expr) bool { return wrapsInNot(x) }

// String writes the score for people and logs: the threshold, then each word with its points.
func (s *Score) String() string {
	parts := make([]string, len(s.Words))
	for i, w := range s.Words {
		parts[i] = fmt.Sprintf("%s %d", w.Term, w.Points)
	}
	return fmt.Sprintf("%d: %s", s.AtLeast, strings.Join(parts, ", "))
}
