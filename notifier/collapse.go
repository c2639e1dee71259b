package notifier

import (
	"slices"

	"tocsin/news"
)

// collapse makes one of the revisions of each alert, in the order of their first: the last that people are told, with the news of all, and the
// reports that later folds add.
func collapse(alerts []news.Alert) []news.Alert {
	var out []news.Alert
	at := map[string]int{}
	for i := range alerts {
		a := &alerts[i]
		k, again := at[a.ID]
		if !again {
			at[a.ID] = len(out)
			out = append(out, *a)
			continue
		}
		out[k] = join(&out[k], a)
	}
	return out
}

// join makes one of two revisions of an alert.
func join(a, b *news.Alert) news.Alert {
	if a.Revision > b.Revision {
		a, b = b, a
	}
	if b.Kind == news.KindFold {
		x := *a
		x.Items, x.Outlets = b.Items, b.Outlets
		x.Also, x.AlsoMore = joinSources(a, b, &a.Match.Item)
		return x
	}
	x := *b
	x.New, x.Severity = addFacts(a.New, b.New), max(a.Severity, b.Severity)
	x.Also, x.AlsoMore = joinSources(a, b, &b.Match.Item)
	x.Match = withHits(&b.Match, &a.Match)
	if a.Kind == news.KindFirst {
		x.Kind = news.KindFirst
	}
	if a.Before != "" && a.Match.Item.ID == b.Match.Item.ID {
		x.Before = a.Before
	}
	return x
}

// withHits gives b with the entities and rules of a that it does not have.
func withHits(b, a *news.Match) news.Match {
	m := *b
	m.Entities, m.Rules = slices.Clone(b.Entities), slices.Clone(b.Rules)
	for _, e := range a.Entities {
		if !slices.ContainsFunc(m.Entities, func(x news.EntityHit) bool { return x.ID == e.ID }) {
			m.Entities = append(m.Entities, e)
		}
	}
	for _, r := range a.Rules {
		if !slices.ContainsFunc(m.Rules, func(x news.RuleHit) bool { return x.ID == r.ID }) {
			r.Spans = nil // places in the other item
			m.Rules = append(m.Rules, r)
		}
	}
	return m
}

// joinSources lists the reports of both revisions and the item of the one that is not shown.
func joinSources(a, b *news.Alert, shown *news.Item) (list []news.Source, more int) {
	all := slices.Clone(a.Also)
	if it := &a.Match.Item; it.ID != shown.ID {
		all = append(all, sourceOf(it))
	}
	all = append(all, b.Also...)
	seen := map[string]bool{shown.ID: true}
	for _, x := range all {
		if !seen[x.Item] {
			seen[x.Item] = true
			list = append(list, x)
		}
	}
	n := min(len(list), news.MaxSources)
	return list[:n:n], max(a.AlsoMore, b.AlsoMore) + len(list) - n
}
