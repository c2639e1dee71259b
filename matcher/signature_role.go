package matcher

import "slices"

// ofSomething tells whether the name before token i is the first half of a compound such as "Iran-backed" or "US-owned".
func ofSomething(text string, toks []sigToken, i int) bool {
	if i == 0 || i >= len(toks) || text[toks[i-1].end:toks[i].start] != "-" {
		return false
	}
	switch toks[i].text {
	case "owned", "backed", "led", "linked", "based", "aligned", "administered", "occupied", "held", "bound", "made", "flagged", "funded", "run", "born", "supported", "brokered", "mediated", "style", "affiliated":
		return true
	}
	return false
}

// light tells whether another word beside it says more of what happens: a verb such as "launch", or a thing that comes up in many events.
func light(id string) bool {
	switch id {
	case "launch", "retaliate", "resume":
		return true
	case "missile", "drone", "warship", "virus", "hospital", "oil", "gas", "fuel", "power", "pipeline":
		return true
	}
	return false
}

// doer notes who acts and to whom, in the order of the text.
func (b *sigBuilder) doer(id string) {
	own := func(a, c string) bool {
		return a == c || slices.Contains(b.l.chain(a), c) || slices.Contains(b.l.chain(c), a)
	}
	switch {
	case b.out.Agent == "":
		b.out.Agent = id
	case b.out.Object == "" && !own(id, b.out.Agent):
		b.out.Object = id
	}
}

// tellsAction tells whether a clause holds a word of action.
func (b *sigBuilder) tellsAction(marks []mark, from, to int) bool {
	return slices.ContainsFunc(marks, func(m mark) bool {
		return m.from >= from && m.to <= to && slices.ContainsFunc(m.refs, func(r lexRef) bool { return !r.name && b.l.words[r.id].class != "" })
	})
}
