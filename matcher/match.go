package matcher

import (
	"fmt"
	"slices"
	"strings"

	"tocsin/news"
)

// Match tells for each watchlist what of it the item holds: one match a list, sorted by list id, MatchedAt left zero. The same item gives the same
// matches every time. Spans are bytes of the item's own fields.
func (x *Index) Match(item *news.Item) []news.Match {
	s := x.scratch()
	defer x.pool.Put(s)
	if !s.look(item) {
		return nil
	}
	return s.matches()
}

func (x *Index) scratch() *scratch {
	s := x.pool.Get().(*scratch) //nolint:errcheck // the pool makes nothing else
	s.sentence, s.sentLang, s.traced = false, "", false
	return s
}

// matches decides the item that look has read.
func (s *scratch) matches() []news.Match {
	s.decide()
	asked := s.ask()
	if len(s.cands) == 0 && len(asked) == 0 {
		return nil
	}
	found := map[int32]*news.Match{} // by list
	s.addMentions(found)
	s.addRules(found, asked)
	return s.finish(found)
}

// of is the match of a list, nil when the list does not watch the item's source.
func (s *scratch) of(found map[int32]*news.Match, l int32) *news.Match {
	if m := found[l]; m != nil {
		return m
	}
	in := &s.x.lists[l]
	if !s.watches(l) {
		return nil
	}
	found[l] = &news.Match{
		Schema: news.Schema, ID: news.MatchID(s.item.ID, s.item.Revision, in.ID.Value, in.Revision),
		Item: *s.item, Watchlist: in.ID.Value, Title: in.Title, Revision: in.Revision, Labels: copyLabels(nil, in.Labels),
	}
	return found[l]
}

// watches tells whether a list watches the item's language and feed. Test items of the program are for the reserved list, and no others are.
func (s *scratch) watches(list int32) bool {
	l := &s.x.lists[list]
	if canary := s.item.Reason == news.ReasonCanary; canary || s.x.reserved(list) {
		return canary && s.x.reserved(list)
	}
	return s.sentence || (len(l.Langs) == 0 || slices.ContainsFunc(l.Langs, s.lang)) &&
		(len(l.Feeds) == 0 || slices.ContainsFunc(l.Feeds, func(id string) bool { return isFeed(id, s.item.Feed, s.item.Outlet) }))
}

func copyLabels(dst, src map[string]string) map[string]string {
	if len(src) > 0 && dst == nil {
		dst = make(map[string]string, len(src))
	}
	for k, v := range src {
		dst[k] = v
	}
	return dst
}

func (s *scratch) addMentions(found map[int32]*news.Match) {
	for i := range s.cands {
		c := &s.cands[i]
		if !c.state.counts() || s.counted(i) {
			continue
		}
		e := &s.x.entities[c.entity]
		m := s.of(found, e.list)
		if m == nil {
			continue
		}
		m.Mentions = append(m.Mentions, news.Mention{
			Entity: e.ID.Value, Alias: s.x.aliases[c.alias].Text, Field: fieldNames()[c.field],
			Start: int(c.start), End: int(c.end), Text: s.text(c.span), Why: s.whyCounts(c),
		})
		if !slices.ContainsFunc(m.Entities, func(h news.EntityHit) bool { return h.ID == e.ID.Value }) {
			m.Entities = append(m.Entities, news.EntityHit{ID: e.ID.Value, Name: e.Name, Kind: e.Kind, About: e.About, Severity: e.severity})
			m.Severity = max(m.Severity, e.severity)
			m.Labels = copyLabels(m.Labels, e.Labels)
		}
	}
}

// counted tells whether the place of candidate i was told for its entity already, by another alias.
func (s *scratch) counted(i int) bool {
	c := &s.cands[i]
	for j := i - 1; j >= 0 && s.cands[j].same(c.span); j-- {
		if s.cands[j].entity == c.entity && s.cands[j].state.counts() {
			return true
		}
	}
	return false
}

func fieldNames() [3]string { return [3]string{"title", "summary", "body"} }

func (s *scratch) addRules(found map[int32]*news.Match, asked []int32) {
	for _, id := range asked {
		r := &s.x.rules[id]
		if !s.watches(r.list) {
			continue
		}
		v := s.judge(id)
		if !v.ok {
			continue
		}
		m := s.of(found, r.list)
		hit := news.RuleHit{ID: r.ID.Value, Title: r.Title, Severity: r.severity, Why: s.why(r, v)}
		for _, o := range distinct(v.at) {
			hit.Spans = append(hit.Spans, news.Span{Field: fieldNames()[o.field], Start: int(o.start), End: int(o.end)})
		}
		m.Rules = append(m.Rules, hit)
		m.Severity = max(m.Severity, r.severity)
		m.Labels = copyLabels(m.Labels, r.Labels)
	}
}

func (s *scratch) finish(found map[int32]*news.Match) []news.Match {
	if len(found) == 0 {
		return nil
	}
	out := make([]news.Match, 0, len(found))
	for _, m := range found {
		slices.SortFunc(m.Entities, func(a, b news.EntityHit) int { return strings.Compare(a.ID, b.ID) })
		slices.SortFunc(m.Rules, func(a, b news.RuleHit) int { return strings.Compare(a.ID, b.ID) })
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b news.Match) int { return strings.Compare(a.Watchlist, b.Watchlist) })
	return out
}

// whyCounts words what made a candidate count.
func (s *scratch) whyCounts(c *candidate) string {
	if c.state == stateIntroduced {
		return fmt.Sprintf("introduced as %q", s.text(s.intros[c.intro].long))
	}
	switch needs, _ := s.conditions(c); {
	case needs == nil:
		return "named"
	case c.near < 0 || c.reason.field != c.field:
		return fmt.Sprintf("with %q in the %s", s.text(c.reason.span), fieldNames()[c.reason.field])
	case c.near == 0:
		return fmt.Sprintf("with %q in the name", s.text(c.reason.span))
	default:
		return fmt.Sprintf("with %q %s away", s.text(c.reason.span), plural(int(c.near), "word"))
	}
}

func plural(n int, word string) string { return pluralOf(n, word, word+"s") }

func pluralOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
