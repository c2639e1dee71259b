package watchlist

// claim is an alias that counts for its entity without needs.
type claim struct {
	a *Alias
	e *Entity
}

// claims tells which aliases belong to two entities. Each map keeps, for a written form, the first claim and the first of another entity: one of
// the two belongs to somebody else than whoever asks, so that a look-up costs the same however often a form is repeated.
type claims struct {
	all   map[string][2]claim // rough form
	loose map[string][2]claim // rough form, of aliases that forgive case
	exact map[string][2]claim // text, of aliases with case: exact
}

func newClaims() claims {
	return claims{map[string][2]claim{}, map[string][2]claim{}, map[string][2]claim{}}
}

// add takes c down and returns a claim of another entity to the same form. Two exact aliases that differ in case are different forms; an
// alias with needs is left out, because it says itself when it is meant.
func (cs claims) add(c claim) (claim, bool) {
	if c.a.Needs != nil || c.e.Needs != nil {
		return claim{}, false
	}
	key := normal(c.a.Text)
	var other claim
	var ok bool
	if c.a.Exact {
		if other, ok = rival(cs.loose[key], c.e); !ok {
			other, ok = rival(cs.exact[c.a.Text], c.e)
		}
	} else {
		other, ok = rival(cs.all[key], c.e)
	}
	if ok {
		return other, true
	}
	keep(cs.all, key, c)
	if c.a.Exact {
		keep(cs.exact, c.a.Text, c)
	} else {
		keep(cs.loose, key, c)
	}
	return claim{}, false
}

func rival(two [2]claim, e *Entity) (claim, bool) {
	for _, c := range two {
		if c.e != nil && c.e != e {
			return c, true
		}
	}
	return claim{}, false
}

func keep(m map[string][2]claim, key string, c claim) {
	two := m[key]
	switch {
	case two[0].e == nil:
		two[0] = c
	case two[0].e != c.e && two[1].e == nil:
		two[1] = c
	default:
		return
	}
	m[key] = two
}
