package notifier

import (
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
)

// Inhibit holds back alerts that match target while one that matches source, with equal values of the labels in equal, is not older than For.
type Inhibit struct {
	strict.Pos
	Source []strict.Text `yaml:"source"`
	Target []strict.Text `yaml:"target"`
	Equal  []strict.Text `yaml:"equal"`
	For    time.Duration `yaml:"for"` // 24 h when not stated
}

const defaultInhibit = 24 * time.Hour

func (k *routeCheck) inhibit(x *Inhibit) {
	if len(x.Source) == 0 || len(x.Target) == 0 || len(x.Equal) == 0 {
		k.faults.Add(x.Pos, `write source: ['severity="critical"'], target: ['severity="low"'], equal: [story]`, "inhibition needs source, target and equal")
	}
	k.matchers(x.Source)
	k.matchers(x.Target)
	for _, t := range x.Equal {
		if !slices.Contains(LabelNames(), t.Value) && !slices.Contains(k.labels, t.Value) {
			k.unknownLabel(t.Pos, t.Value)
		}
	}
	if x.For > 30*24*time.Hour {
		k.faults.Add(x.Pos, "write at most 30d", "inhibition for %s", x.For)
	}
}

// inhibition is the state of one rule: until when a source with these equal labels holds targets back.
type inhibition struct {
	source, target []*Matcher
	equal          []string
	span           time.Duration
	until          map[string]time.Time
}

// inhibitions are all rules. Its methods may be called from several goroutines.
type inhibitions struct {
	mu    sync.Mutex
	rules []*inhibition
}

func newInhibitions(rules []Inhibit) (*inhibitions, error) {
	out := &inhibitions{}
	for i := range rules {
		r := &rules[i]
		source, err := parseAll(r.Source)
		if err != nil {
			return nil, err
		}
		target, err := parseAll(r.Target)
		if err != nil {
			return nil, err
		}
		x := &inhibition{source: source, target: target, span: r.For, until: map[string]time.Time{}}
		if x.span == 0 {
			x.span = defaultInhibit
		}
		for _, t := range r.Equal {
			x.equal = append(x.equal, t.Value)
		}
		out.rules = append(out.rules, x)
	}
	return out, nil
}

func (x *inhibition) key(l Labels) string { return (&Grouping{By: x.equal}).key(l) }

// see notes an alert that may hold back others.
func (in *inhibitions) see(a *news.Alert) {
	if len(in.rules) == 0 || !ofNews(a.Kind) {
		return
	}
	l := LabelsOf(a)
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, x := range in.rules {
		if until := a.At.Add(x.span); all(x.source, l) && until.After(x.until[x.key(l)]) {
			x.until[x.key(l)] = until
		}
		if len(x.until) > 10_000 {
			x.forget(a.At)
		}
	}
}

func (x *inhibition) forget(now time.Time) {
	for k, t := range x.until {
		if !now.Before(t) {
			delete(x.until, k)
		}
	}
}

// holds tells why an alert is held back, "" when it is not. An alert that matches the source too is never held back.
func (in *inhibitions) holds(l Labels, now time.Time) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, x := range in.rules {
		if all(x.target, l) && !all(x.source, l) && now.Before(x.until[x.key(l)]) {
			return "held back by an alert with " + matcherTexts(x.source) + " and the same " + strings.Join(x.equal, ", ")
		}
	}
	return ""
}

func matcherTexts(ms []*Matcher) string {
	out := make([]string, len(ms))
	for i, m := range ms {
		out[i] = m.String()
	}
	return strings.Join(out, ",")
}

func parseAll(ts []strict.Text) ([]*Matcher, error) {
	var out []*Matcher
	for _, t := range ts {
		ms, err := ParseMatchers(t.Value)
		if err != nil {
			return nil, err
		}
		out = append(out, ms...)
	}
	return out, nil
}
