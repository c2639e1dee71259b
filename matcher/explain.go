package matcher

import (
	"fmt"
	"io"
	"strings"

	"tocsin/news"
)

// Checks that stop a candidate: the closed list of Stopped.Check.
const (
	CheckCase    = "case"    // written differently from an alias with case: exact
	CheckLonger  = "longer"  // part of a longer name of another entity
	CheckDecoy   = "decoy"   // part of a decoy of its entity
	CheckNeeds   = "needs"   // nothing near that it needs
	CheckUnless  = "unless"  // something near that speaks against it
	CheckMeaning = "meaning" // the item introduces the acronym with another meaning
	CheckSource  = "source"  // its list does not watch the item's language or feed
)

// Explanation tells what an item matches, what nearly matched, and what stopped it.
type Explanation struct {
	Item    *news.Item   `json:"item"`
	Matches []news.Match `json:"matches"`
	Stopped []Stopped    `json:"stopped"` // in the order of the text
	Failed  []FailedRule `json:"failed"`  // rules announced by a word of the item that do not hold, by list and id
}

// Stopped is an alias that stands in the item and does not count.
type Stopped struct {
	Watchlist string `json:"watchlist"`
	Entity    string `json:"entity"`
	Alias     string `json:"alias"`
	Field     string `json:"field"`
	Start     int    `json:"start"`
	End       int    `json:"end"`
	Text      string `json:"text"`
	Check     string `json:"check"` // CheckCase, CheckLonger, ...
	Why       string `json:"why"`
}

// FailedRule is a rule that the item announces and does not satisfy.
type FailedRule struct {
	Watchlist string `json:"watchlist"`
	Rule      string `json:"rule"`
	Why       string `json:"why"`
}

// Explain is Match with what nearly matched.
func (x *Index) Explain(item *news.Item) Explanation {
	s := x.scratch()
	defer x.pool.Put(s)
	return s.explain(item)
}

func (s *scratch) explain(item *news.Item) Explanation {
	e := Explanation{Item: item}
	if !s.look(item) {
		return e
	}
	e.Matches = s.matches()
	for i := range s.cands {
		if st, ok := s.stopped(&s.cands[i]); ok {
			e.Stopped = append(e.Stopped, st)
		}
	}
	for _, id := range s.asked {
		r := &s.x.rules[id]
		list := s.x.lists[r.list].ID.Value
		v := s.evaluate(r)
		switch {
		case !v.ok:
			e.Failed = append(e.Failed, FailedRule{list, r.ID.Value, s.whyFails(r, v)})
		case !s.watches(r.list):
			e.Failed = append(e.Failed, FailedRule{list, r.ID.Value, "it holds, but its list does not watch this language or feed"})
		}
	}
	return e
}

func (s *scratch) stopped(c *candidate) (Stopped, bool) {
	e := &s.x.entities[c.entity]
	if s.x.reserved(e.list) {
		return Stopped{}, false
	}
	check, why := s.whyStopped(c)
	if check == "" && !s.watches(e.list) {
		check, why = CheckSource, "it counts, but its list does not watch this language or feed"
	}
	return Stopped{
		Watchlist: s.x.lists[e.list].ID.Value, Entity: e.ID.Value, Alias: s.x.aliases[c.alias].Text, Field: fieldNames()[c.field],
		Start: int(c.start), End: int(c.end), Text: s.text(c.span), Check: check, Why: why,
	}, check != ""
}

func (s *scratch) whyStopped(c *candidate) (check, why string) {
	needs, _ := s.conditions(c)
	switch c.state {
	case stateExact:
		return CheckCase, fmt.Sprintf("written otherwise than %q", s.x.aliases[c.alias].Text)
	case stateHidden:
		by := &s.cands[c.by]
		return CheckLonger, fmt.Sprintf("part of %q, which is %s", s.text(by.span), s.x.entities[by.entity].ID.Value)
	case stateDecoy:
		return CheckDecoy, fmt.Sprintf("part of the decoy %q", s.text(s.decoys[c.by]))
	case stateNeeds:
		return CheckNeeds, s.whyNeeds(needs, c)
	case stateUnless:
		return CheckUnless, fmt.Sprintf("%q stands %s", s.text(c.reason.span), s.away(c))
	case stateOther:
		return CheckMeaning, fmt.Sprintf("introduced as %q", s.text(s.intros[c.intro].long))
	}
	return "", ""
}

func (s *scratch) away(c *candidate) string {
	if c.near < 0 || c.reason.field != c.field {
		return "in the " + fieldNames()[c.reason.field]
	}
	return plural(int(c.near), "word") + " away"
}

func (s *scratch) whyNeeds(needs *condition, c *candidate) string {
	why := "needs " + needs.label
	if needs.within > 0 {
		why += fmt.Sprintf(" within %s", plural(needs.within, "word"))
	}
	if c.reason.term == -1 && c.reason.end == 0 {
		return why + "; none is there"
	}
	return why + fmt.Sprintf("; the nearest, %q, stands %s", s.text(c.reason.span), s.away(c))
}

func (s *scratch) whyFails(r *rule, v verdict) string {
	switch {
	case r.Rule.Score != nil:
		return fmt.Sprintf("%d points of %d", v.points, r.Rule.Score.AtLeast)
	case v.near >= 0:
		return fmt.Sprintf("nearest words stand %s apart: %s", plural(int(v.near), "word"), cutText(r.Source))
	}
	return "does not hold: " + cutText(r.Source)
}

// cutText shortens a long query for a line of explanation.
func cutText(s string) string {
	const most = 160
	if rs := []rune(s); len(rs) > most {
		return string(rs[:most]) + "…"
	}
	return s
}

// Write prints the explanation for a person. With color set, mentions stand out by terminal sequences.
func (e Explanation) Write(w io.Writer, color bool) error {
	var b strings.Builder
	for _, f := range e.Item.Fields() {
		if f.Text != "" && len(e.Matches) > 0 {
			fmt.Fprintf(&b, "%-8s %s\n", f.Name, e.marked(f, color))
		}
	}
	for i := range e.Matches {
		e.match(&b, &e.Matches[i])
	}
	if len(e.Matches) == 0 {
		b.WriteString("nothing is flagged\n")
	}
	for _, s := range e.Stopped {
		fmt.Fprintf(&b, "not      %s (%s): %q in the %s: %s: %s\n", s.Entity, s.Watchlist, s.Text, s.Field, s.Check, s.Why)
	}
	for _, r := range e.Failed {
		fmt.Fprintf(&b, "not      rule %s (%s): %s\n", r.Rule, r.Watchlist, r.Why)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write explanation: %w", err)
	}
	return nil
}

func (e Explanation) match(b *strings.Builder, m *news.Match) {
	fmt.Fprintf(b, "flagged  %s: %s (%s)\n", m.Watchlist, strings.Join(m.IDs(), ", "), m.Severity)
	for _, x := range m.Mentions {
		fmt.Fprintf(b, "         %s: %q in the %s: %s\n", x.Entity, x.Text, x.Field, x.Why)
	}
	for _, r := range m.Rules {
		fmt.Fprintf(b, "         rule %s: %s\n", r.ID, r.Why)
	}
}

// marked is the text of a field with every mention of every list marked.
func (e Explanation) marked(f news.Field, color bool) string {
	on, off := "[", "]"
	if color {
		on, off = "\x1b[1;33m", "\x1b[0m"
	}
	all := news.Match{}
	for _, m := range e.Matches {
		all.Mentions = append(all.Mentions, m.Mentions...)
		all.Rules = append(all.Rules, m.Rules...)
	}
	var b strings.Builder
	end := 0
	for _, s := range all.Spans(f.Name) {
		b.WriteString(f.Text[end:s.Start] + on + f.Text[s.Start:s.End] + off)
		end = s.End
	}
	b.WriteString(f.Text[end:])
	return b.String()
}
