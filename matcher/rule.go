package matcher

import (
	"sort"

	"tocsin/matcher/watchlist"
	"tocsin/news"
)

// rule is a compiled watchlist.Rule.
type rule struct {
	*watchlist.Rule
	list     int32
	severity news.Severity
	query    *node
	score    []weight
}

type weight struct {
	want   want
	points int
}

// op says what a node of a query does.
type op uint8

const (
	opAnd op = iota
	opOr
	opNot
	opNear
	opAtLeast
	opLeaf
	opIn
	opLang
	opFeed
	opNever // a node that this program does not know; it holds for nothing
)

// node is a compiled watchlist.Expr.
type node struct {
	op      op
	kids    []*node
	n       int32 // distance of opNear, count of opAtLeast
	ordered bool
	fields  uint8 // of opIn, one bit a field
	want    want
	text    string // the code of opLang, the id of opFeed
}

// Fields as bits.
const (
	inTitle uint8 = 1 << iota
	inSummary
	inBody
	inAll = inTitle | inSummary | inBody
)

func (c *compiler) rulesOf(list int32) {
	l := &c.x.lists[list]
	for _, r := range l.Rules {
		x := rule{Rule: r, list: list, severity: orSeverity(r.Severity, l.Severity)}
		if r.Score != nil {
			for _, w := range r.Score.Words {
				x.score = append(x.score, weight{c.want(l.List, []watchlist.Term{w.Term}, ""), w.Points})
			}
		} else {
			x.query = c.node(l.List, r.Query)
		}
		l.rules = append(l.rules, int32(len(c.x.rules)))
		c.x.rules = append(c.x.rules, x)
	}
}

func (c *compiler) node(l *watchlist.List, e watchlist.Expr) *node {
	switch e := e.(type) {
	case *watchlist.And:
		return &node{op: opAnd, kids: c.nodes(l, e.X)}
	case *watchlist.Or:
		return &node{op: opOr, kids: c.nodes(l, e.X)}
	case *watchlist.Not:
		return &node{op: opNot, kids: c.nodes(l, []watchlist.Expr{e.X})}
	case *watchlist.Near:
		return &node{op: opNear, kids: c.nodes(l, e.X), n: int32(e.N), ordered: e.Ordered}
	case *watchlist.AtLeast:
		return &node{op: opAtLeast, kids: c.nodes(l, []watchlist.Expr{e.X}), n: int32(e.N)}
	case *watchlist.In:
		return &node{op: opIn, kids: c.nodes(l, []watchlist.Expr{e.X}), fields: fieldBit(e.Field)}
	case *watchlist.Lang:
		return &node{op: opLang, text: e.Code}
	case *watchlist.Feed:
		return &node{op: opFeed, text: e.ID}
	case *watchlist.Leaf:
		n := &node{op: opLeaf}
		n.want.label = e.String()
		c.collect(&n.want, l, []watchlist.Term{e.Term}, "", e.Exact, map[string]bool{})
		n.want.sort()
		return n
	}
	return &node{op: opNever}
}

func (c *compiler) nodes(l *watchlist.List, xs []watchlist.Expr) []*node {
	out := make([]*node, len(xs))
	for i, x := range xs {
		out[i] = c.node(l, x)
	}
	return out
}

func fieldBit(name string) uint8 {
	for i, f := range (&news.Item{}).Fields() {
		if f.Name == name {
			return 1 << i
		}
	}
	return 0
}

// anchor is a set of which an item must hold something, or the rule cannot hold. Lower cost means rarer in news.
type anchor struct {
	terms, entities []int32
	cost            int
	ok              bool
}

// anchors makes each rule known to the words and entities that announce it.
func (c *compiler) anchors() {
	for i := range c.x.rules {
		r := &c.x.rules[i]
		a := c.anchorOf(r)
		if !a.ok {
			c.x.always = append(c.x.always, int32(i))
			continue
		}
		for _, e := range a.entities {
			c.x.entities[e].rules = append(c.x.entities[e].rules, int32(i))
		}
		for _, t := range a.terms {
			for _, f := range c.termForms[t] {
				f.addTo(&c.primary, refAnchor|ref(i))
			}
		}
	}
}

func (c *compiler) anchorOf(r *rule) anchor {
	if r.query != nil {
		return c.anchorNode(r.query)
	}
	if r.Rule.Score != nil {
		return c.anchorScore(r.score, r.Rule.Score.AtLeast)
	}
	return anchor{ok: true} // a rule without query never holds
}

func (c *compiler) anchorNode(n *node) anchor {
	switch n.op {
	case opLeaf:
		return c.anchorWant(n.want)
	case opAnd, opNear:
		best := anchor{}
		for _, k := range n.kids {
			if a := c.anchorNode(k); a.ok && (!best.ok || a.cost < best.cost) {
				best = a
			}
		}
		return best
	case opOr:
		all := anchor{ok: true}
		for _, k := range n.kids {
			a := c.anchorNode(k)
			if !a.ok {
				return anchor{}
			}
			all = all.join(a)
		}
		return all
	case opIn, opAtLeast:
		return c.anchorNode(n.kids[0])
	case opNever:
		return anchor{ok: true}
	}
	return anchor{}
}

func (a anchor) join(b anchor) anchor {
	return anchor{
		terms: append(a.terms[:len(a.terms):len(a.terms)], b.terms...), entities: append(a.entities[:len(a.entities):len(a.entities)], b.entities...),
		cost: a.cost + b.cost, ok: true,
	}
}

// anchorWant guesses how often news holds something of w: entities are rare, phrases rarer than words, short words and prefixes common.
func (c *compiler) anchorWant(w want) anchor {
	a := anchor{terms: w.terms, entities: w.entities, ok: true, cost: len(w.entities)}
	for _, t := range w.terms {
		a.cost += c.x.terms[t].cost
	}
	return a
}

// anchorScore leaves out the lightest words that cannot reach the threshold together: without any of the others the rule cannot hold.
func (c *compiler) anchorScore(ws []weight, atLeast int) anchor {
	var order []weight
	for _, w := range ws {
		if w.points > 0 {
			order = append(order, w)
		}
	}
	sortWeights(order)
	sum, from := 0, 0
	for from < len(order) && sum+order[from].points < atLeast {
		sum += order[from].points
		from++
	}
	all := anchor{ok: true}
	for _, w := range order[from:] {
		all = all.join(c.anchorWant(w.want))
	}
	return all
}

func sortWeights(ws []weight) {
	sort.SliceStable(ws, func(i, j int) bool { return ws[i].points < ws[j].points })
}

// commonness is a rough guess at how often a term stands in news.
func commonness(t watchlist.Term) int {
	ws := words(t.Text)
	n := 0
	for _, w := range ws {
		n = max(n, runes(w.s))
	}
	switch {
	case len(ws) > 1:
		return 4
	case t.Kind == watchlist.Prefix:
		return 40
	case n > 8:
		return 10
	}
	return 20
}
