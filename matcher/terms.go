package matcher

import (
	"fmt"
	"slices"
	"strings"

	"tocsin/matcher/fold"
	"tocsin/matcher/watchlist"
)

func (c *compiler) condition(l *watchlist.List, in *watchlist.Condition, lang string) *condition {
	if in == nil {
		return nil
	}
	out := &condition{within: in.Within}
	var labels []string
	if len(in.Any) > 0 {
		w := c.want(l, in.Any, lang)
		out.any = &w
		labels = append(labels, w.label)
	}
	for _, t := range in.All {
		w := c.want(l, []watchlist.Term{t}, lang)
		out.all = append(out.all, w)
		labels = append(labels, w.label)
	}
	out.label = strings.Join(labels, " and ")
	return out
}

// want gathers terms, with the contexts among them opened. lang is the language of terms that state none.
func (c *compiler) want(l *watchlist.List, terms []watchlist.Term, lang string) want {
	var w want
	var labels []string
	for _, t := range terms {
		labels = append(labels, t.String())
	}
	w.label = shortened(labels)
	c.collect(&w, l, terms, lang, false, map[string]bool{})
	w.sort()
	return w
}

func shortened(labels []string) string {
	const most = 6
	if len(labels) > most {
		labels = append(labels[:most:most], fmt.Sprintf("%d more", len(labels)-most))
	}
	return strings.Join(labels, ", ")
}

func (c *compiler) collect(w *want, l *watchlist.List, terms []watchlist.Term, lang string, exact bool, seen map[string]bool) {
	for _, t := range terms {
		switch t.Kind {
		case watchlist.ContextRef:
			ctx := l.Contexts[t.Text]
			switch {
			case ctx == nil:
				c.faults.Add(t.Pos, "define it under contexts:", "unknown context $%s", t.Text)
			case !seen[t.Text]:
				seen[t.Text] = true
				w.join(c.context(l, ctx, exact, seen))
			}
		case watchlist.EntityRef:
			if id, ok := c.ids[t.Text]; ok {
				w.entities = append(w.entities, id)
			} else {
				c.faults.Add(t.Pos, "write the id of an entity of any list", "unknown entity @%s", t.Text)
			}
		default:
			if id, ok := c.term(t, orText(t.Lang, lang), exact); ok {
				w.terms = append(w.terms, id)
			}
		}
	}
}

// context opens a context once for all who use it.
func (c *compiler) context(l *watchlist.List, ctx *watchlist.Context, exact bool, seen map[string]bool) want {
	key := contextKey{ctx, exact}
	if w, ok := c.contexts[key]; ok {
		return w
	}
	var w want
	c.collect(&w, l, ctx.Terms, "", exact, seen)
	c.contexts[key] = w
	return w
}

type contextKey struct {
	*watchlist.Context
	exact bool
}

// sort orders the terms and drops repeats.
func (w *want) sort() {
	slices.Sort(w.terms)
	w.terms = slices.Clip(slices.Compact(w.terms))
}

func (w *want) join(o want) {
	w.terms, w.entities = append(w.terms, o.terms...), append(w.entities, o.entities...)
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (c *compiler) term(t watchlist.Term, lang string, exact bool) (int32, bool) {
	key := termKey{t.Kind, exact, lang, t.Text}
	if id, ok := c.termIDs[key]; ok {
		return id, true
	}
	id := int32(len(c.x.terms))
	found := c.forms(t, lang, exact)
	if !c.phrase(found, t, refTerm|ref(id)) {
		return 0, false
	}
	c.termIDs[key] = id
	x := term{label: t.String(), cost: commonness(t)}
	if exact {
		x.exact = bareText(t.Text)
	}
	c.x.terms = append(c.x.terms, x)
	c.termForms = append(c.termForms, found)
	return id, true
}

// form is a folded phrase; open when its last word may go on.
type form struct {
	folded string
	open   bool
}

func (f form) addTo(b *tableBuilder, r ref) bool {
	if f.open {
		return b.addOpen(f.folded, r)
	}
	return b.add(f.folded, r)
}

func (c *compiler) forms(t watchlist.Term, lang string, exact bool) []form {
	if lang == "" || lang == watchlist.AnyLang {
		lang = guessLang(t.Text)
	}
	inflected := t.Kind == watchlist.Words && !exact
	found := forms(t.Text, lang, inflected)
	if lang == "ar" && inflected && !strings.HasPrefix(t.Text, "ال") && len(words(t.Text)) == 1 {
		found = append(found, forms("ال"+t.Text, lang, true)...) // a name takes no article, a common word does
	}
	var out []form
	for _, f := range found {
		out = append(out, form{f, t.Kind == watchlist.Prefix && !endsInChar(f)})
	}
	return out
}

// phrase adds the forms of a term to the secondary table; false, with a fault, when they cannot be found in a text.
func (c *compiler) phrase(found []form, t watchlist.Term, r ref) bool {
	if len(found) == 0 {
		c.faults.Add(t.Pos, "write a word with letters or digits", "%q folds to nothing", t.Text)
		return false
	}
	for _, f := range found {
		if !f.addTo(&c.secondary, r) {
			c.tooLong(t.Pos, t.Text)
			return false
		}
	}
	return true
}

// endsInChar tells whether a phrase ends in a character of a script without spaces; there the end of a word is open anyhow.
func endsInChar(folded string) bool {
	toks := fold.Append(nil, folded)
	return toks[len(toks)-1].Class() == fold.Char
}
