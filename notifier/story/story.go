// Package story joins items that tell of one event into one story, across outlets, rewordings, edits and languages. It owns the rules by which
// items join, the stories that are open, and what of a further item is new. It promises that the same items in the same order give the same
// stories, that every decision says why, that a story compares by what at least half of its items hold and never by all that any of them holds,
// that joined stories keep the older id, and that memory is bounded. It compares signatures only: what they are made of is the matcher's business,
// and who is told is the notifier's.
package story

import (
	"errors"
	"strings"
	"time"

	"tocsin/news"
)

// Options bound a Stage. Zero values stand for the defaults.
type Options struct {
	Window     time.Duration // how long after the last item of a story another may join; 72 h
	MaxAge     time.Duration // how long after its first; 7 days
	MaxStories int           // open at a time; the one that rested longest is closed; 20,000
}

// Item is what a Stage needs to know of an item.
type Item struct {
	ID        string    // the same for every revision
	Lang      string    // BCP 47 primary subtag
	Outlet    string    // name or feed
	URL       string    // canonical; "" for none
	At        time.Time // when it was published
	Signature *news.Signature
}

// Of takes from an item what a Stage needs to know.
func Of(it *news.Item, sig *news.Signature) Item {
	outlet := it.Outlet
	if outlet == "" {
		outlet = it.Feed
	}
	x := Item{ID: it.ID, Lang: it.Lang, Outlet: outlet, At: it.When(), Signature: sig}
	if u := news.CanonicalURL(it.URL); ofArticle(u) {
		x.URL = u
	}
	return x
}

// ofArticle tells whether a link leads further than to the front page, which many items of a careless feed share.
func ofArticle(link string) bool {
	_, rest, _ := strings.Cut(link, "://")
	_, path, _ := strings.Cut(rest, "/")
	return path != ""
}

// Decision tells to which story an item belongs, and why.
type Decision struct {
	Story   string  // id of the story: the id of the item that opened it
	Opened  bool    // by this item
	Again   bool    // the item was known already; nothing changed
	Joined  *Link   // what joined the item; nil when it opened the story or was known
	Nearest *Link   // the nearest story that it did not join, nil when none came near
	Merged  []Merge // stories that became one because of this item, in order
}

// Merge tells that one story ended in another.
type Merge struct {
	From, Into string
	Link       Link
}

// Link is the evidence for and against two being one story. Points add up; from zero on they are one.
type Link struct {
	Story    string
	Points   float64
	Evidence []Evidence // heaviest first
}

// Evidence is one reason for or against.
type Evidence struct {
	Name   string  // from the closed list of the weights
	Points float64 // for (positive) or against (negative)
	Detail string  // the words, names or numbers that it rests on
}

// ErrNoSignature is returned by Add for an item without a signature: nobody can tell what it is about.
var ErrNoSignature = errors.New("item has no signature")

// Stage holds the open stories. It is not for several goroutines at once.
type Stage struct {
	o        Options
	open     []*story // by slot; nil where one was closed
	free     []int
	ids      map[string]*story    // by story id, and by the ids of stories that ended in it
	items    map[string]*story    // by item id, of open stories
	urls     map[string]*story    // by canonical link
	index    map[string][]posting // stories by the keys that they hold
	resting  []rested             // those to be closed first when there are too many
	common   commons
	clock    time.Time // of the latest item
	opened   int       // stories ever
	evicted  int
	gathered []float64 // by slot: what the item in hand shares with a story
}

// New makes a Stage without stories.
func New(o Options) (*Stage, error) {
	if o.Window < 0 || o.MaxAge < 0 || o.MaxStories < 0 {
		return nil, errors.New("story: a bound is negative")
	}
	if o.Window == 0 {
		o.Window = 72 * time.Hour
	}
	if o.MaxAge == 0 {
		o.MaxAge = 7 * 24 * time.Hour
	}
	if o.MaxStories == 0 {
		o.MaxStories = 20_000
	}
	return &Stage{o: o, ids: map[string]*story{}, items: map[string]*story{}, urls: map[string]*story{}, index: map[string][]posting{}, common: newCommons()}, nil
}

// Open is the number of open stories.
func (s *Stage) Open() int { return len(s.open) - len(s.free) }

// Evicted is how many stories were closed before their time because there were too many.
func (s *Stage) Evicted() int { return s.evicted }

// Add takes an item in and tells its story. An item that is known keeps its story, whatever a new revision says: only what it tells of changes.
func (s *Stage) Add(it Item) (Decision, error) {
	if it.Signature == nil {
		return Decision{}, ErrNoSignature
	}
	if st := s.items[it.ID]; st != nil {
		return Decision{Story: st.id, Again: true}, nil
	}
	s.tick(it.At)
	p := newProfile(&it, &s.common)
	d := Decision{}
	st := s.same(&it, p, &d)
	if st == nil {
		st = s.nearest(p, &d)
	}
	if st == nil {
		st, d.Opened = s.begin(it.ID), true
	}
	s.take(st, &it, p)
	st = s.settle(st, &d)
	d.Story = st.id
	return d, nil
}

// Restore takes an item in whose story was decided before, as after a restart. Items come in the order in which they were decided.
func (s *Stage) Restore(it Item, story string) {
	if it.Signature == nil || s.items[it.ID] != nil {
		return
	}
	s.tick(it.At)
	p := newProfile(&it, &s.common)
	st := s.ids[story]
	if st == nil {
		st = s.begin(story)
	}
	s.take(st, &it, p)
}

// Join puts the story from into the story into, as was decided before: what a Decision told as Merged, after Restore. Stories that are not open, or
// are one already, stay as they are.
func (s *Stage) Join(from, into string) {
	a, b := s.ids[from], s.ids[into]
	if a != nil && b != nil && a != b {
		s.absorb(b, a)
	}
}

// same finds the story of the same article: one canonical link, or nearly the same text.
func (s *Stage) same(it *Item, p *profile, d *Decision) *story {
	if it.URL != "" {
		if st := s.urls[it.URL]; st != nil && !s.closed(st, it.At) {
			d.Joined = &Link{Story: st.id, Points: sure, Evidence: []Evidence{{Name: "same link", Points: sure, Detail: it.URL}}}
			return st
		}
	}
	if len(p.sketches) == 0 {
		return nil
	}
	var best *story
	most := alike
	for _, st := range s.candidates(p) {
		if a := st.alike(p); a > most && !clash(p, st.whole) {
			best, most = st, a
		}
	}
	if best != nil {
		d.Joined = &Link{Story: best.id, Points: sure, Evidence: []Evidence{{Name: "same text", Points: sure, Detail: percent(most)}}}
	}
	return best
}
