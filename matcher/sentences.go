package matcher

import (
	"fmt"
	"strings"

	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/news/strict"
)

// CheckSentences matches every flag: and ignore: sentence of every entity and rule, and returns a fault at the place of each that fails, with what
// happened and why. A sentence is tried as the body of an item; the sources of its list, feed: and the fields of a query do not restrict it, and
// lang: does only when the sentence states a language.
func (x *Index) CheckSentences() strict.Faults {
	var faults strict.Faults
	for _, l := range x.watched() {
		for _, e := range l.Entities {
			x.sentences(&faults, l.ID.Value, e.ID.Value, e.Flag, e.Ignore)
		}
		for _, r := range l.Rules {
			x.sentences(&faults, l.ID.Value, r.ID.Value, r.Flag, r.Ignore)
		}
	}
	return faults.Sort()
}

func (x *Index) sentences(faults *strict.Faults, list, id string, flag, ignore []watchlist.Sentence) {
	for _, s := range flag {
		if e := x.explainSentence(s); !e.flags(list, id) {
			faults.Add(s.Pos, "mend the sentence, or add an alias or words to its needs:", "this sentence must flag %q and does not (%s)", id, e.whyNot(id))
		}
	}
	for _, s := range ignore {
		if e := x.explainSentence(s); e.flags(list, id) {
			faults.Add(s.Pos, "add decoys: or unless:, or narrow the alias", "this sentence must not flag %q and does (%s)", id, e.whyFlags(list, id))
		}
	}
}

func (x *Index) explainSentence(in watchlist.Sentence) Explanation {
	s := x.scratch()
	defer x.pool.Put(s)
	s.sentence, s.sentLang = true, in.Lang
	return s.explain(&news.Item{Lang: in.Lang, Body: in.Text})
}

func (e *Explanation) flags(list, id string) bool {
	for i := range e.Matches {
		if m := &e.Matches[i]; m.Watchlist == list && contains(m.IDs(), id) {
			return true
		}
	}
	return false
}

func (e *Explanation) whyNot(id string) string {
	var parts []string
	for _, s := range e.Stopped {
		if s.Entity == id {
			parts = append(parts, fmt.Sprintf("%q: %s", s.Text, s.Why))
		}
	}
	for _, r := range e.Failed {
		if r.Rule == id {
			parts = append(parts, r.Why)
		}
	}
	if len(parts) == 0 {
		return "nothing in it was found"
	}
	return strings.Join(parts, "; ")
}

func (e *Explanation) whyFlags(list, id string) string {
	var parts []string
	for i := range e.Matches {
		m := &e.Matches[i]
		if m.Watchlist != list {
			continue
		}
		for _, x := range m.Mentions {
			if x.Entity == id {
				parts = append(parts, fmt.Sprintf("%q: %s", x.Text, x.Why))
			}
		}
		for _, r := range m.Rules {
			if r.ID == id {
				parts = append(parts, r.Why)
			}
		}
	}
	return strings.Join(parts, "; ")
}
