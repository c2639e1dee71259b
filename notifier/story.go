package notifier

import (
	"slices"
	"sync"
	"time"

	"tocsin/news"
)

// retention is how long an alert is remembered after its last revision. It equals the age of bucket sent: as long as a delivery id could be
// taken for one that was sent, no revision number is given out twice.
const retention = sentAge

// maxOpen bounds the alerts in memory; beyond it the oldest are forgotten.
const maxOpen = 100_000

// storyOf tells which story a match belongs to. Today each item is a story of its own; joining items by similarity only needs this function to
// give another item's story. A canary is never the same story twice: each of them must pass through.
func storyOf(m *news.Match) string {
	if m.Item.Reason == news.ReasonCanary {
		return m.Item.ID + "-" + m.Item.Revision
	}
	return m.Item.ID
}

// stories holds the open alerts: what was told so far, and which match made which revision.
type stories struct {
	mu    sync.Mutex
	open  map[string]*open // by alert id
	taken int
}

// sweepEvery is how many matches pass between two sweeps.
const sweepEvery = 4096

// open is one alert with at least one revision.
type open struct {
	last      int             // highest revision given out
	severity  news.Severity   // highest that people were told
	told      map[string]bool // ids of entities and rules that people were told
	announced bool            // a first record exists
	items     map[string]bool
	outlets   []string
	openedAt  time.Time
	touched   time.Time
	made      map[string]made // by match id
}

// made is what a revision adds to its match; with the match itself it gives the same record again.
type made struct {
	revision int
	kind     string
	added    []string
	items    int
	outlets  []string
	at       time.Time
}

func newStories() *stories { return &stories{open: map[string]*open{}} }

// take gives the record for a match, and whether it was given before.
func (s *stories) take(m *news.Match, now time.Time) (a news.Alert, again bool) {
	story := storyOf(m)
	id := news.AlertID(story, m.Watchlist)
	if m.Item.Reason == news.ReasonCanary {
		return record(id, story, m, &open{openedAt: now}, made{revision: 1, kind: news.KindFirst, items: 1, at: now}), false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken++; s.taken%sweepEvery == 0 {
		s.forgetBefore(now.Add(-retention))
	}
	o := s.open[id]
	if o == nil {
		if len(s.open) >= maxOpen {
			s.forgetOldest()
		}
		o = &open{told: map[string]bool{}, items: map[string]bool{}, made: map[string]made{}, openedAt: now}
		s.open[id] = o
	}
	if v, ok := o.made[m.ID]; ok {
		return record(id, story, m, o, v), true
	}
	v := o.next(m, now)
	o.learn(m, v)
	return record(id, story, m, o, v), false
}

// next decides what a match is for its alert.
func (o *open) next(m *news.Match, now time.Time) made {
	v := made{revision: o.last + 1, kind: news.KindFold, at: now}
	switch added := o.added(m); {
	case !o.announced:
		v.kind = news.KindFirst
	case len(added) > 0:
		v.kind, v.added = news.KindUpdate, added
	}
	v.items = len(o.items)
	if !o.items[m.Item.ID] {
		v.items++
	}
	v.outlets = o.outlets
	if out := m.Item.Outlet; out != "" && !slices.Contains(o.outlets, out) {
		v.outlets = append(slices.Clone(o.outlets), out)
	}
	return v
}

// added lists what a match tells that people were not told: the only reasons for an update.
func (o *open) added(m *news.Match) []string {
	var out []string
	for _, e := range m.Entities {
		if !o.told["entity "+e.ID] {
			out = append(out, "entity "+e.ID)
		}
	}
	for _, r := range m.Rules {
		if !o.told["rule "+r.ID] {
			out = append(out, "rule "+r.ID)
		}
	}
	if m.Severity > o.severity {
		out = append(out, "severity "+m.Severity.String())
	}
	return out
}

// learn notes a revision. Only what was announced counts as told: a fold whose announcement was never stored must not hide it after a restart.
func (o *open) learn(m *news.Match, v made) {
	o.last = max(o.last, v.revision)
	o.touched = v.at
	o.items[m.Item.ID] = true
	o.outlets = v.outlets
	o.made[m.ID] = v
	if v.kind == news.KindFold {
		return
	}
	o.announced = true
	o.severity = max(o.severity, m.Severity)
	for _, e := range m.Entities {
		o.told["entity "+e.ID] = true
	}
	for _, r := range m.Rules {
		o.told["rule "+r.ID] = true
	}
}

func record(id, story string, m *news.Match, o *open, v made) news.Alert {
	return news.Alert{
		Schema: news.Schema, ID: id, Revision: v.revision, Kind: v.kind, Story: story, Watchlist: m.Watchlist, Severity: m.Severity,
		New: v.added, Match: *m, Items: v.items, Outlets: v.outlets, OpenedAt: o.openedAt, At: v.at,
	}
}

// ofNews tells that alerts of this kind are about news, not about the program itself.
func ofNews(kind string) bool {
	return kind != news.KindHealth && kind != news.KindHeartbeat && kind != news.KindTest
}

// restore takes one stored record back into the state.
func (s *stories) restore(a *news.Alert) {
	if a.Match.Item.Reason == news.ReasonCanary || !ofNews(a.Kind) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[a.ID]
	if o == nil {
		o = &open{told: map[string]bool{}, items: map[string]bool{}, made: map[string]made{}, openedAt: a.OpenedAt}
		s.open[a.ID] = o
	}
	o.learn(&a.Match, made{revision: a.Revision, kind: a.Kind, added: a.New, items: a.Items, outlets: a.Outlets, at: a.At})
}

// sweep forgets alerts whose last revision is older than retention.
func (s *stories) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetBefore(now.Add(-retention))
	for len(s.open) > maxOpen {
		s.forgetOldest()
	}
}

func (s *stories) forgetBefore(t time.Time) {
	for id, o := range s.open {
		if o.touched.Before(t) {
			delete(s.open, id)
		}
	}
}

// forgetOldest drops a tenth of the alerts at once, so that a full table costs little per match.
func (s *stories) forgetOldest() {
	type age struct {
		id string
		at time.Time
	}
	all := make([]age, 0, len(s.open))
	for id, o := range s.open {
		all = append(all, age{id, o.touched})
	}
	slices.SortFunc(all, func(a, b age) int { return a.at.Compare(b.at) })
	for _, x := range all[:max(1, len(all)/10)] {
		delete(s.open, x.id)
	}
}

// size is the number of open alerts.
func (s *stories) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
