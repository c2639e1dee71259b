package notifier

import (
	"slices"
	"strconv"
	"strings"

	"tocsin/news"
)

// A fact is a piece of news as it stands in Alert.New: a word of a closed list, then what is new.
//
//	entity ID, rule ID        another watched thing
//	severity NAME             higher than before
//	number N UNIT[, M before] counted, and grown; or the first number; or corrected by an edit
//	place ID                  named in a title, and not in or around a place that was told
//	lang TAG                  the first report in a language
//	tier N                    the first report by a source of a higher tier

// maxFacts bounds what one record lists as new.
const maxFacts = 24

// old tells that an item is from the backlog of a new feed, or older than max_alert_age when it was first seen: never an instant alert.
func (r *storyRules) old(m *news.Match) bool {
	it := &m.Item
	return it.Backfill || !it.Published.IsZero() && it.FirstSeen.Sub(it.Published) > r.maxAge
}

// news lists what a match tells that people were not told: the only reasons for an update.
func (o *open) news(m *news.Match, r *storyRules) []string {
	var out []string
	add := func(kind, id string) {
		if f := kind + " " + id; id != "" && !o.told[f] {
			out = append(out, f)
		}
	}
	for _, e := range m.Entities {
		add("entity", e.ID)
	}
	for _, x := range m.Rules {
		add("rule", x.ID)
	}
	if m.Severity > o.severity {
		out = append(out, "severity "+m.Severity.String())
	}
	out = append(out, o.grown(m, r)...)
	for _, p := range o.elsewhere(m.Signature) {
		out = append(out, "place "+p)
	}
	add("lang", language(&m.Item))
	if t := m.Item.Tier; t > 0 && (o.tier == 0 || t < o.tier) {
		out = append(out, "tier "+strconv.Itoa(t))
	}
	return out[:min(len(out), maxFacts)]
}

func language(it *news.Item) string {
	if it.Lang == "und" {
		return ""
	}
	return it.Lang
}

// grown lists the numbers that grew by the configured share, the first number, and those that an edit of the same item corrects.
func (o *open) grown(m *news.Match, r *storyRules) (out []string) {
	before, edit := o.items[m.Item.ID]
	now := counted(m.Signature)
	for _, unit := range news.SortedKeys(now) {
		x, was := now[unit], o.numbers[unit]
		switch {
		case edit && before.numbers[unit] == was && was > 0 && x != was:
		case was == 0 && (toll(unit) || len(o.numbers) == 0):
		case was > 0 && x > was && x >= was*(1+r.growth):
		default:
			continue
		}
		out = append(out, numberFact(x, was, unit))
	}
	return out
}

func numberFact(x, was float64, unit string) string {
	f := "number " + strconv.FormatFloat(x, 'f', -1, 64) + " " + strings.TrimPrefix(unit, "=")
	if was > 0 {
		f += ", " + strconv.FormatFloat(was, 'f', -1, 64) + " before"
	}
	return f
}

func toll(unit string) bool { return unit == news.UnitKilled || unit == news.UnitWounded }

// counted gives the numbers of an item by what they count: those of the title, and tolls of the text where the title has none; of several the
// greatest.
func counted(s *news.Signature) map[string]float64 {
	if s == nil {
		return nil
	}
	out, part := map[string]float64{}, map[string]int{}
	for _, n := range s.Numbers {
		switch n.Unit {
		case "", news.UnitMoney, news.UnitPercent:
			continue
		}
		at := 0
		if n.Part > news.PartTail {
			at = 1
		}
		if n.Value <= 0 || at == 1 && !n.Toll() {
			continue
		}
		if best, ok := part[n.Unit]; ok && (best < at || best == at && out[n.Unit] >= n.Value) {
			continue
		}
		out[n.Unit], part[n.Unit] = n.Value, at
	}
	return out
}

// elsewhere lists the places of the title that lie neither in nor around any that was told.
func (o *open) elsewhere(s *news.Signature) (out []string) {
	if s == nil {
		return nil
	}
	for _, a := range s.Anchors {
		if a.Kind != news.AnchorPlace || a.Weak || a.Stands || a.Part > news.PartTail {
			continue
		}
		around := func(id string) bool { return o.told["place "+id] || o.told["within "+id] && id == a.ID }
		if !around(a.ID) && !slices.ContainsFunc(a.Within, around) {
			out = append(out, a.ID)
		}
	}
	return out
}

// tell notes what people are told by a record.
func (o *open) tell(m *news.Match, v *made) {
	for _, e := range m.Entities {
		o.told["entity "+e.ID] = true
	}
	for _, r := range m.Rules {
		o.told["rule "+r.ID] = true
	}
	if l := language(&m.Item); l != "" {
		o.told["lang "+l] = true
	}
	o.severity = max(o.severity, m.Severity, v.severity)
	if t := m.Item.Tier; t > 0 && (o.tier == 0 || t < o.tier) {
		o.tier = t
	}
	before, edit := o.items[m.Item.ID]
	for unit, x := range counted(m.Signature) {
		if was := o.numbers[unit]; x > was || edit && before.numbers[unit] == was {
			o.numbers[unit] = x
		}
	}
	if m.Signature == nil {
		return
	}
	for _, a := range m.Signature.Anchors {
		if a.Kind != news.AnchorPlace {
			continue
		}
		o.told["place "+a.ID] = true
		for _, w := range a.Within {
			o.told["within "+w] = true
		}
	}
}

// addFacts gives the facts of an update that takes the place of one that waits. What is said anew (a number, the severity) takes the place of what
// was said of it, but for what it was before.
func addFacts(waiting, added []string) []string {
	out := slices.Clone(waiting)
	for _, f := range added {
		i := slices.IndexFunc(out, func(g string) bool { return slot(g) == slot(f) })
		if i < 0 {
			out = append(out, f)
			continue
		}
		now, _, _ := strings.Cut(f, ", ")
		_, was, grown := strings.Cut(out[i], ", ")
		if out[i] = now; grown {
			out[i] += ", " + was
		}
	}
	return out[:min(len(out), maxFacts)]
}

// slot tells what a fact is about: two with one slot cannot both hold.
func slot(f string) string {
	kind, rest, _ := strings.Cut(f, " ")
	switch kind {
	case "severity", "tier":
		return kind
	case "number":
		rest, _, _ = strings.Cut(rest, ", ")
		_, unit, _ := strings.Cut(rest, " ")
		return kind + " " + unit
	}
	return f
}
