package notifier

import (
	"slices"
	"sync"
	"time"

	"tocsin/news"
	"tocsin/notifier/story"
)

// Retention is how long an alert is remembered after its last revision. It equals the age of bucket sent: as long as a delivery id could be
// taken for one that was sent, no revision number is given out twice.
const Retention = sentAge

// Bounds of what is remembered; beyond them the oldest is forgotten.
const (
	maxOpen   = 100_000 // alerts
	maxRecent = 1_000   // items whose evidence is at hand for the match of another watchlist
)

// sweepEvery is how many matches pass between two sweeps.
const sweepEvery = 4096

// stories turns matches into alert records: it asks the stage (package story) to which story an item belongs, and knows of each alert what people
// were told. Its state follows from the records in their order alone, so that it is the same after a restart.
type stories struct {
	turn sync.Mutex // one match at a time, from its decision until its record is stored; taken before mu

	mu      sync.Mutex
	rules   storyRules
	stage   *story.Stage                // nil: each item is a story of its own
	open    map[string]*open            // by alert id; those that ended in another are in it too
	of      map[string]map[string]*open // by story and watchlist
	into    map[string]string           // stories that ended in another
	items   map[string]placed           // by item id
	matches map[string]bool             // ids of the matches that have their record
	links   map[string]*links           // by item id, of the last maxRecent items
	recent  []string                    // the keys of links, oldest first
	waiting *news.Alert                 // decided, but not stored yet
	taken   int
	merges  int // stories that ended in another since the start
}

// storyRules are the configured part.
type storyRules struct {
	interval time.Duration // from one message of an alert to its next update
	growth   float64       // share by which a number must grow to be news
	maxAge   time.Duration // of an item when it was first seen
}

// placed is the story of an item as it was decided; the story may have ended in another since.
type placed struct {
	story string
	at    time.Time
}

// links are the evidence of an item's place.
type links struct {
	joined, nearest *news.StoryLink
	merged          []news.StoryMerge
	ended           []map[string]string // for each of merged: the alert that ended, by watchlist
}

func newStories(c *Config) (*stories, error) {
	s := &stories{
		rules: c.storyRules(), open: map[string]*open{}, of: map[string]map[string]*open{}, into: map[string]string{}, items: map[string]placed{},
		matches: map[string]bool{}, links: map[string]*links{},
	}
	if c.Stories != nil && c.Stories.off {
		return s, nil
	}
	var err error
	s.stage, err = story.New(c.stageOptions())
	return s, err
}

// canaryAlert is the record of the program's own test item. A canary is never the same story twice: each of them must pass through.
func canaryAlert(m *news.Match, now time.Time) news.Alert {
	id := m.Item.ID + "-" + m.Item.Revision
	return news.Alert{
		Schema: news.Schema, ID: news.AlertID(id, m.Watchlist), Revision: 1, Kind: news.KindFirst, Story: id, Watchlist: m.Watchlist,
		Severity: m.Severity, Match: *m, Items: 1, OpenedAt: now, At: now,
	}
}

// take decides the record of a match, which waits then until it is stored. false: the match has its record.
func (s *stories) take(m *news.Match, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.matches[m.ID] {
		return false
	}
	if s.taken++; s.taken%sweepEvery == 0 {
		s.forgetBefore(now.Add(-Retention))
	}
	id, l := s.place(m, now)
	o := s.alert(id, m.Watchlist, now)
	o.settle(now)
	v := o.next(m, &s.rules, l, now)
	a := o.record(m, &v, l)
	o.learn(m, &v)
	s.matches[m.ID] = true
	o.matches = append(o.matches, m.ID)
	fit(&a)
	s.waiting = &a
	return true
}

// roomy is the size of texts and places in bytes from which on a record is looked at: JSON may take six bytes for one.
const roomy = 128 << 10

// fit makes a record small enough for the bus: of what is too large the text goes, never the news.
func fit(a *news.Alert) {
	it := &a.Match.Item
	size := len(it.Summary) + len(it.Body)
	for _, x := range a.Match.Mentions {
		size += len(x.Alias) + len(x.Text) + len(x.Why) + 100
	}
	for _, x := range a.Match.Rules {
		size += len(x.Why) + 50*len(x.Spans)
	}
	if size < roomy {
		return
	}
	if _, err := news.Encode(*a); err == nil {
		return
	}
	it.Body, it.Flags = "", append(slices.Clone(it.Flags), news.FlagTruncated)
	a.Match.Mentions = first(slices.DeleteFunc(slices.Clone(a.Match.Mentions), func(x news.Mention) bool { return x.Field == "body" }), 100)
	a.Match.Rules = slices.Clone(first(a.Match.Rules, 100))
	for i := range a.Match.Rules {
		a.Match.Rules[i].Spans = nil
	}
}

func first[T any](list []T, n int) []T { return list[:min(len(list), n)] }

// stored notes that the record that waited is in ALERTS.
func (s *stories) stored() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.waiting; a != nil && s.open[a.ID] != nil {
		s.open[a.ID].noteFold(a)
	}
	s.waiting = nil
}

// alert gives the alert of a story for a watchlist, opening it if need be.
func (s *stories) alert(story, watchlist string, now time.Time) *open {
	if o := s.of[story][watchlist]; o != nil {
		return o
	}
	if len(s.open) >= maxOpen {
		s.forgetOldest()
	}
	return s.begin(story, watchlist, now)
}

func (s *stories) begin(story, watchlist string, at time.Time) *open {
	o := newOpen(story, watchlist, at)
	s.open[o.id] = o
	s.file(s.resolve(story), o)
	return o
}

func (s *stories) file(story string, o *open) {
	if s.of[story] == nil {
		s.of[story] = map[string]*open{}
	}
	s.of[story][o.watchlist] = o
}

// ofNews tells that alerts of this kind are about news, not about the program itself.
func ofNews(kind string) bool {
	return kind != news.KindHealth && kind != news.KindHeartbeat && kind != news.KindTest
}

// restore takes one stored record back into the state. A record that is known changes nothing.
func (s *stories) restore(a *news.Alert) {
	if a.Match.Item.Reason == news.ReasonCanary || !ofNews(a.Kind) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.matches[a.Match.ID] {
		return
	}
	s.replace(a)
	o := s.open[a.ID]
	if o == nil {
		o = s.begin(a.Story, a.Watchlist, a.OpenedAt)
	}
	v := made{
		revision: a.Revision, kind: a.Kind, facts: a.New, severity: a.Severity, due: a.Due, at: a.At, old: a.Old,
	}
	o.settle(a.At)
	o.learn(&a.Match, &v)
	o.noteFold(a)
	s.matches[a.Match.ID] = true
	o.matches = append(o.matches, a.Match.ID)
}

// tail gives what the last stored fold of an alert adds to its revision, nil when there is none.
func (s *stories) tail(alert string, revision int) *news.Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[alert]; o != nil && o.fold != nil && o.fold.Revision > revision {
		return o.fold
	}
	return nil
}

// sweep forgets alerts whose last revision is older than Retention.
func (s *stories) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetBefore(now.Add(-Retention))
	for len(s.open) > maxOpen {
		s.forgetOldest()
	}
}

func (s *stories) forgetBefore(t time.Time) {
	for _, o := range s.open {
		if o.touched.Before(t) {
			s.forget(o)
		}
	}
	for id, p := range s.items {
		if p.at.Before(t) {
			delete(s.items, id)
		}
	}
	for from := range s.into {
		if len(s.of[s.resolve(from)]) == 0 {
			delete(s.into, from)
		}
	}
}

func (s *stories) forget(o *open) {
	delete(s.open, o.id)
	for _, id := range o.matches {
		delete(s.matches, id)
	}
	at := s.resolve(o.story)
	if s.of[at][o.watchlist] != o {
		return
	}
	if delete(s.of[at], o.watchlist); len(s.of[at]) > 0 {
		return
	}
	delete(s.of, at)
	for id := range o.items {
		delete(s.items, id)
	}
}

// forgetOldest drops a tenth of the alerts at once, so that a full table costs little per match.
func (s *stories) forgetOldest() {
	all := make([]*open, 0, len(s.open))
	for _, o := range s.open {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b *open) int { return a.touched.Compare(b.touched) })
	for _, o := range all[:max(1, len(all)/10)] {
		s.forget(o)
	}
}

// storyCounts are what the metrics tell.
type storyCounts struct{ open, alerts, merges, evicted int }

func (s *stories) counts() storyCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := storyCounts{open: len(s.of), alerts: len(s.open), merges: s.merges}
	if s.stage != nil {
		c.open, c.evicted = s.stage.Open(), s.stage.Evicted()
	}
	return c
}
