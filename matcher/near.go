package matcher

// Bounds, so that no query can keep a matcher busy.
const (
	patience = 1 << 14 // comparisons in one window, where operands compete for the same words; queries that people write need a few
	stamina  = 1 << 18 // comparisons in one item
	enough   = 200     // windows that are found in one item
)

// nearby looks for one place of each operand, all within n words of one another, in one field, none of them twice.
func (q *query) nearby(n *node, fields uint8) (bool, []occurrence) {
	if len(n.kids) > int(n.n)+1 { // more than stand side by side in so many words
		return false, nil
	}
	sets := make([][]occurrence, len(n.kids))
	for i, k := range n.kids {
		ok, at := q.eval(k, fields)
		if !ok {
			return false, nil
		}
		if k.op != opLeaf { // a leaf's places are distinct
			at = distinct(at)
		}
		if sets[i] = at; len(at) == 0 {
			return false, nil
		}
	}
	w := window{q: q, n: n.n, sets: sets, at: make([]int, len(sets)), pick: make([]int, len(sets)), chosen: make([]span, 0, len(sets)), taken: map[int64]bool{}, stamina: stamina}
	if n.ordered {
		w.inOrder()
	} else {
		w.slide()
	}
	return len(w.found) > 0, distinct(w.found)
}

// window passes over the places of all operands at once, from the front of the text to its end.
type window struct {
	q        *query
	n        int32
	sets     [][]occurrence
	at       []int // in each set, the first place that still matters
	pick     []int // the choice of each set
	chosen   []span
	found    []occurrence
	taken    map[int64]bool // places in found, by set and number
	patience int            // left for this window
	stamina  int            // left for this item
}

func (w *window) take() {
	for k, i := range w.pick {
		if key := int64(k)<<32 | int64(i); !w.taken[key] {
			w.taken[key] = true
			w.found = append(w.found, w.sets[k][i])
		}
	}
}

// inOrder begins with each place of the first operand and takes the next place of each further one: any other would end later.
func (w *window) inOrder() {
	for i, first := range w.sets[0] {
		w.pick[0] = i
		if w.follow(first) {
			w.take()
		}
	}
}

func (w *window) follow(first occurrence) bool {
	last := first
	for k := 1; k < len(w.sets); k++ {
		set := w.sets[k]
		for w.at[k] < len(set) && !last.before(set[w.at[k]].span) {
			w.at[k]++
		}
		if w.at[k] == len(set) {
			return false
		}
		next := set[w.at[k]]
		if next.field != first.field {
			return false
		}
		if d := next.from - first.to; d > w.n {
			w.q.refuse(d)
			return false
		}
		w.pick[k], last = w.at[k], next
	}
	return true
}

// before tells whether a ends before b begins.
func (a span) before(b span) bool { return a.field < b.field || a.field == b.field && a.to < b.from }

// slide moves a window that begins where the foremost place ends and reaches n words. Whatever lies in it is near all else in it.
func (w *window) slide() {
	for found := 0; found < enough; {
		edge := w.edge()
		if w.covers(edge) && w.choose(edge) {
			w.take()
			found++
		}
		for k := range w.sets {
			if o := w.sets[k][w.at[k]]; o.to == edge.to && o.field == edge.field {
				if w.at[k]++; w.at[k] == len(w.sets[k]) {
					return // no further window can hold this operand
				}
			}
		}
	}
}

// edge is the place that ends foremost.
func (w *window) edge() span {
	best := w.sets[0][w.at[0]].span
	for k := 1; k < len(w.sets); k++ {
		if o := w.sets[k][w.at[k]].span; o.to < best.to { // tokens are numbered through all fields
			best = o
		}
	}
	return best
}

// covers tells whether the window that begins with edge holds something of each set.
func (w *window) covers(edge span) bool {
	for k := range w.sets {
		o := &w.sets[k][w.at[k]]
		if o.field != edge.field {
			return false
		}
		if d := o.from - edge.to; d > w.n {
			w.q.refuse(d)
			return false
		}
	}
	return true
}

// choose picks a place of each set so that none overlaps another.
func (w *window) choose(edge span) bool {
	w.patience = min(patience, w.stamina)
	w.stamina -= w.patience
	defer func() { w.stamina += max(w.patience, 0) }()
	return w.extend(edge, w.chosen[:0])
}

func (w *window) extend(edge span, chosen []span) bool {
	k := len(chosen)
	if k == len(w.sets) {
		return true
	}
	for i := w.at[k]; i < len(w.sets[k]); i++ {
		o := w.sets[k][i].span
		if o.field != edge.field || o.from > edge.to+w.n {
			return false
		}
		if w.patience -= 1 + len(chosen); w.patience < 0 {
			return false
		}
		if taken(chosen, o) {
			continue
		}
		w.pick[k] = i
		if w.extend(edge, append(chosen, o)) {
			return true
		}
	}
	return false
}

func taken(chosen []span, o span) bool {
	for _, c := range chosen {
		if c.overlaps(o) {
			return true
		}
	}
	return false
}
