package matcher

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/news"
)

// Outcomes of an item: the closed list of the label outcome.
const (
	outcomeMatched = "matched"    // at least one match was published
	outcomeNothing = "no_match"   // no list holds anything of it
	outcomeFailed  = "not_stored" // a match could not be published; the item comes again
	outcomeCanary  = "canary"     // a test item of the program itself
)

// maxNames bounds the entities and rules that have series of their own; those beyond, in order of lists, count as "other".
const (
	maxNames  = 2000
	otherName = "other"
)

// MaxSeries is the most time series that the metrics of a Matcher can have with so many watchlists, entities and rules.
func MaxSeries(lists, entities, rules int) int {
	const perEntity, perRule, perList = 2, 4, 2 + 4 // of a list: its own, and those of its "other"
	n := min(entities, maxNames) * perEntity
	return n + min(rules, maxNames)*perRule + lists*perList + 4 // outcomes of items
}

// ListSize is how much a watchlist watches for.
type ListSize struct {
	ID              string
	Entities, Rules int
}

// Sizes gives the size of each watchlist of people.
func (x *Index) Sizes() []ListSize {
	var out []ListSize
	for _, l := range x.watched() {
		out = append(out, ListSize{l.ID.Value, len(l.Entities), len(l.Rules)})
	}
	return out
}

// metrics are the matcher's. Labels come from the live lists: the series of a list, entity or rule that goes, go with it.
type metrics struct {
	items     *prometheus.CounterVec
	matches   *prometheus.CounterVec
	lastMatch *prometheus.GaugeVec
	ruleHits  *prometheus.CounterVec
	ruleCost  *prometheus.CounterVec
	info      *prometheus.GaugeVec
	entities  *prometheus.GaugeVec

	mu    sync.RWMutex
	named map[name]bool // entities and rules with series of their own
}

type name struct{ list, id string }

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		items: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_items_total", Help: "Items by stage and outcome.", ConstLabels: prometheus.Labels{"stage": "matcher"},
		}, []string{"outcome"}),
		matches:   counter("tocsin_matches_total", "Matches published, once for each entity and rule in them.", "watchlist", "entity"),
		lastMatch: gauge("tocsin_entity_last_match_timestamp_seconds", "When an entity or rule was last matched.", "watchlist", "entity"),
		ruleHits:  counter("tocsin_rule_hits_total", "Items for which a rule held.", "watchlist", "rule"),
		ruleCost:  counter("tocsin_rule_cost_seconds_total", "Time spent evaluating a rule.", "watchlist", "rule"),
		info:      gauge("tocsin_watchlist_info", "The revision of each live watchlist; always 1.", "watchlist", "version"),
		entities:  gauge("tocsin_watchlist_entities", "Entities of each live watchlist.", "watchlist"),
		named:     map[name]bool{},
	}
	for _, o := range []string{outcomeMatched, outcomeNothing, outcomeFailed, outcomeCanary} {
		m.items.WithLabelValues(o)
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.items, m.matches, m.lastMatch, m.ruleHits, m.ruleCost, m.info, m.entities} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// lists makes the series of the live lists and drops those of names that are gone.
func (m *metrics) lists(x *Index) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := map[name]bool{}
	m.info.Reset()
	m.entities.Reset()
	for _, l := range x.watched() {
		m.info.WithLabelValues(l.ID.Value, l.Revision).Set(1)
		m.entities.WithLabelValues(l.ID.Value).Set(float64(len(l.entities)))
		for _, e := range l.Entities {
			m.keep(now, name{l.ID.Value, e.ID.Value}, false)
		}
		for _, r := range l.Rules {
			m.keep(now, name{l.ID.Value, r.ID.Value}, true)
		}
	}
	for n := range m.named {
		if !now[n] {
			m.matches.DeleteLabelValues(n.list, n.id)
			m.lastMatch.DeleteLabelValues(n.list, n.id)
			m.ruleHits.DeleteLabelValues(n.list, n.id)
			m.ruleCost.DeleteLabelValues(n.list, n.id)
		}
	}
	m.named = now
}

// keep gives a name its series, at zero, while there is room. Beyond, the list's "other" stands for it.
func (m *metrics) keep(now map[name]bool, n name, rule bool) {
	if len(now) >= maxNames {
		n.id = otherName
	}
	now[n] = true
	m.matches.WithLabelValues(n.list, n.id)
	if rule {
		m.ruleHits.WithLabelValues(n.list, n.id)
		m.ruleCost.WithLabelValues(n.list, n.id)
	}
}

// label is the value under which a name is counted; false when its list is live no more, so that it is not counted at all.
func (m *metrics) label(list, id string) (string, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.named[name{list, id}] {
		return id, true
	}
	return otherName, m.named[name{list, otherName}]
}

func (m *metrics) item(outcome string) { m.items.WithLabelValues(outcome).Inc() }

func (m *metrics) match(found *news.Match, now time.Time) {
	for _, id := range found.IDs() {
		if label, ok := m.label(found.Watchlist, id); ok {
			m.matches.WithLabelValues(found.Watchlist, label).Inc()
			m.lastMatch.WithLabelValues(found.Watchlist, label).Set(float64(now.UnixMilli()) / 1000)
		}
	}
}

func (m *metrics) rule(list, id string, c ruleCost) {
	label, ok := m.label(list, id)
	if !ok {
		return
	}
	m.ruleCost.WithLabelValues(list, label).Add(c.took.Seconds())
	if c.ok {
		m.ruleHits.WithLabelValues(list, label).Inc()
	}
}
