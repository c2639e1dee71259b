package watchlist

import (
	"slices"
	"strings"

	"tocsin/news"
	"tocsin/news/strict"
)

// checker holds what is known of all lists together: every id, and who claims which alias.
type checker struct {
	faults   strict.Faults
	entities map[string]strict.Pos
	rules    map[string]strict.Pos
	lists    map[string]strict.Pos
	claims   claims
	aliases  int
	guesses  int
}

func checkSet(set *Set) strict.Faults {
	c := checker{
		entities: map[string]strict.Pos{}, rules: map[string]strict.Pos{}, lists: map[string]strict.Pos{}, claims: newClaims(),
	}
	for _, l := range set.Lists {
		c.names(l)
	}
	for _, l := range set.Lists {
		r := refs{checker: &c, list: l, used: map[string]bool{}}
		r.check()
	}
	if c.aliases > MaxAllAliases {
		c.faults.Add(set.Lists[0].Pos, "remove lists", "%d aliases in all lists together, the limit is %d", c.aliases, MaxAllAliases)
	}
	return c.faults
}

// names takes down the ids and aliases of a list. Entities and rules share one space of names, because a match lists both together.
func (c *checker) names(l *List) {
	c.unique(c.lists, l.ID, "list")
	for _, e := range l.Entities {
		c.unique(c.entities, e.ID, "entity")
		for _, a := range e.Aliases {
			if other, ok := c.claims.add(claim{a, e}); ok {
				c.faults.Add(a.Pos, "give one of the two needs:, or write a longer form",
					"alias %q of entity %q also belongs to entity %q (%s)", a.Text, e.ID.Value, other.e.ID.Value, other.a.Pos)
			}
		}
		c.aliases += len(e.Aliases)
	}
	for _, r := range l.Rules {
		c.unique(c.rules, r.ID, "rule")
		if first, ok := c.entities[r.ID.Value]; ok {
			c.faults.Add(r.ID.Pos, "rename one of them", "the id %q belongs to an entity already (%s)", r.ID.Value, first)
		}
	}
}

func (c *checker) unique(seen map[string]strict.Pos, id strict.Text, what string) {
	if id.Value == "" {
		return
	}
	if first, ok := seen[id.Value]; ok {
		c.faults.Add(id.Pos, "rename one of them: ids are unique over all lists", "the %s id %q is taken already (%s)", what, id.Value, first)
		return
	}
	seen[id.Value] = id.Pos
}

// refs follows the $context and @entity references of one list.
type refs struct {
	*checker
	list *List
	used map[string]bool
}

func (r *refs) check() {
	for _, name := range news.SortedKeys(r.list.Contexts) {
		r.terms(r.list.Contexts[name].Terms)
	}
	r.cycles()
	for _, e := range r.list.Entities {
		r.condition(e.Needs, e, "needs")
		r.condition(e.Unless, e, "unless")
		for _, a := range e.Aliases {
			if a.Needs != e.Needs { // an alias may ask for another form of its own entity: an acronym for the full name
				r.condition(a.Needs, nil, "needs")
			}
			r.condition(a.Unless, e, "unless")
		}
	}
	unread := false // a query with faults may use any context
	for _, rule := range r.list.Rules {
		unread = unread || rule.Source != "" && rule.Query == nil
		r.expr(rule.Query)
		if rule.Score != nil {
			for _, w := range rule.Score.Words {
				r.term(w.Term)
			}
		}
	}
	for _, name := range news.SortedKeys(r.list.Contexts) {
		if !r.used[name] && !unread {
			r.faults.AddWarning(r.list.Contexts[name].Pos, "use it as $"+name+" or remove it", "context %q is used nowhere", name)
		}
	}
}

func (r *refs) condition(c *Condition, e *Entity, key string) {
	if c == nil {
		return
	}
	for _, t := range slices.Concat(c.Any, c.All) {
		r.term(t)
		if e != nil && t.Kind == EntityRef && t.Text == e.ID.Value {
			r.faults.Add(t.Pos, "name the words that tell the meanings apart", "entity %q stands in its own %s", e.ID.Value, key)
		}
	}
}

func (r *refs) terms(ts []Term) {
	for _, t := range ts {
		r.term(t)
	}
}

func (r *refs) term(t Term) {
	switch t.Kind {
	case ContextRef:
		if r.used[t.Text] = true; r.list.Contexts[t.Text] == nil {
			unknown(r, t, "context", r.list.Contexts, "define it under contexts:")
		}
	case EntityRef:
		if _, ok := r.entities[t.Text]; ok {
			return
		}
		if _, ok := r.rules[t.Text]; ok {
			r.faults.Add(t.Pos, "refer to entities only: repeat the rule's query here", "@%s is a rule", t.Text)
			return
		}
		unknown(r, t, "entity", r.entities, "write the id of an entity of any list")
	}
}

// maxGuesses bounds the work for a file full of unknown references: a guess looks at every known name.
const maxGuesses = 50

// unknown reports a reference that leads to none of the names in known.
func unknown[V any](r *refs, t Term, what string, known map[string]V, otherwise string) {
	next := otherwise
	if r.guesses++; r.guesses <= maxGuesses {
		if g := guess(t.Text, news.SortedKeys(known)); g != "" {
			next = "did you mean " + Term{Kind: t.Kind, Text: g}.String() + "?"
		}
	}
	r.faults.Add(t.Pos, next, "unknown %s %s", what, t)
}

func (r *refs) expr(x Expr) {
	switch x := x.(type) {
	case *And:
		r.exprs(x.X)
	case *Or:
		r.exprs(x.X)
	case *Near:
		r.exprs(x.X)
	case *Not:
		r.expr(x.X)
	case *AtLeast:
		r.expr(x.X)
	case *In:
		r.expr(x.X)
	case *Leaf:
		r.term(x.Term)
	}
}

func (r *refs) exprs(xs []Expr) {
	for _, x := range xs {
		r.expr(x)
	}
}

// cycles refuses contexts that reach themselves. Each context is visited once.
func (r *refs) cycles() {
	const open, done = 1, 2
	state := map[string]int{}
	var path []string
	var visit func(name string)
	visit = func(name string) {
		state[name] = open
		path = append(path, name)
		for _, t := range r.list.Contexts[name].Terms {
			if t.Kind != ContextRef || r.list.Contexts[t.Text] == nil {
				continue
			}
			switch state[t.Text] {
			case open:
				loop := path[slices.Index(path, t.Text):]
				r.faults.Add(t.Pos, "take $"+t.Text+" out of it", "contexts go in a circle: $%s → $%s", strings.Join(loop, " → $"), t.Text)
			case 0:
				visit(t.Text)
			}
		}
		path = path[:len(path)-1]
		state[name] = done
	}
	for _, name := range news.SortedKeys(r.list.Contexts) {
		if state[name] == 0 {
			visit(name)
		}
	}
}
