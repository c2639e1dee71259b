package matcher

import "tocsin/news"

// entitySpan is an entity of a list with the words that named it.
type entitySpan struct {
	id, name, text string // name is that of the tables, "" for an entity that they do not know
	part           int
}

// entitySpans finds the entities of all lists in an item. Themes and kinds of event are left out: they say what an item is about, and so do its
// words, but they name nothing.
func (x *Index) entitySpans(item *news.Item) []entitySpan {
	s := x.scratch()
	defer x.pool.Put(s)
	if !s.look(item) {
		return nil
	}
	s.decide()
	var out []entitySpan
	for i := range s.cands {
		c := &s.cands[i]
		e := &x.entities[c.entity]
		if c.state.counts() && !x.reserved(e.list) && e.Kind != "theme" && e.Kind != "event" {
			out = append(out, entitySpan{e.ID.Value, e.known, s.text(c.span), 2 * min(int(c.field), 1)})
		}
	}
	return out
}

// knownAliases is how many aliases of an entity are looked up in the tables of names.
const knownAliases = 60

// knownAs gives the name of the tables that an entity stands for, "" for none: one id for it in every language, whichever languages the tables know
// it in.
func (e *entity) knownAs(l *lexicon) string {
	if id := l.whole(e.Name); id != "" {
		return id
	}
	for _, a := range e.Aliases[:min(len(e.Aliases), knownAliases)] {
		if id := l.whole(a.Text); id != "" {
			return id
		}
	}
	return ""
}

// whole gives the name below a country that a text is, and nothing beside it.
func (l *lexicon) whole(text string) string {
	toks := sigTokens(text)
	if len(toks) == 0 {
		return ""
	}
	if refs, n := l.longest(toks); n == len(toks) && refs[0].name && !l.names[refs[0].id].weak {
		return refs[0].id
	}
	return ""
}

// entities adds the entities of the lists that no name of the tables stands for already. Their words are no further evidence.
func (b *sigBuilder) entities(spans []entitySpan) {
	for _, e := range spans {
		known := false
		toks := sigTokens(e.text)
		for i := range toks {
			refs, n := b.l.longest(toks[i:])
			known = known || n > 0 && refs[0].name && !b.l.names[refs[0].id].weak
		}
		if known {
			continue
		}
		for i := range toks {
			delete(b.words, stem(toks[i].text))
		}
		if e.name != "" {
			b.name(e.name, e.part)
		} else {
			b.anchor(news.Anchor{ID: "entity/" + e.id, Kind: news.AnchorEntity, Bits: b.l.bits("@entity/"+e.id, unknownName), Part: e.part})
		}
	}
}
