package story

import (
	"cmp"
	"slices"
	"time"
)

// story is one open story.
type story struct {
	id    string
	slot  int
	born  int                 // rank among all stories ever opened
	langs map[string]*profile // by language
	whole *profile            // of all items, whatever their language
	names []string            // its id, and the ids of stories that ended in it
	items []string
	urls  []string
}

// begin opens a story under an id.
func (s *Stage) begin(id string) *story {
	if s.Open() >= s.o.MaxStories {
		s.evict()
	}
	st := &story{id: id, born: s.opened, langs: map[string]*profile{}, whole: &profile{}}
	st.names = []string{id}
	s.ids[id] = st
	s.opened++
	if n := len(s.free); n > 0 {
		st.slot, s.free = s.free[n-1], s.free[:n-1]
		s.open[st.slot] = st
	} else {
		st.slot = len(s.open)
		s.open = append(s.open, st)
		s.gathered = append(s.gathered, 0)
	}
	return st
}

// take puts an item into a story.
func (s *Stage) take(st *story, it *Item, p *profile) {
	st.items = append(st.items, it.ID)
	s.items[it.ID] = st
	if it.URL != "" {
		st.urls = append(st.urls, it.URL)
		s.urls[it.URL] = st
	}
	s.list(st, p)
	st.add(it.Lang, p)
}

func (st *story) add(lang string, p *profile) {
	if st.langs[lang] == nil {
		st.langs[lang] = &profile{}
	}
	st.langs[lang].add(p)
	st.whole.add(p)
}

// list enters a story in the index under the keys of p that it does not hold yet.
func (s *Stage) list(st *story, p *profile) {
	for i := range p.entries {
		if k := p.entries[i].key; st.whole.find(k) == nil {
			s.index[k] = append(s.index[k], posting{st, p.entries[i].all / float64(p.n)})
		}
	}
}

// absorb puts one story into another.
func (s *Stage) absorb(into, from *story) {
	s.unlist(from)
	s.list(into, from.whole)
	for lang, p := range from.langs {
		if into.langs[lang] == nil {
			into.langs[lang] = &profile{}
		}
		into.langs[lang].add(p)
	}
	into.whole.add(from.whole)
	for _, id := range from.items {
		s.items[id] = into
	}
	for _, u := range from.urls {
		s.urls[u] = into
	}
	for _, id := range from.names {
		s.ids[id] = into
	}
	into.names = append(into.names, from.names...)
	into.items = append(into.items, from.items...)
	into.urls = append(into.urls, from.urls...)
}

// unlist takes a story out of the slots and the index.
func (s *Stage) unlist(st *story) {
	s.open[st.slot] = nil
	s.free = append(s.free, st.slot)
	for i := range st.whole.entries {
		k := st.whole.entries[i].key
		list := s.index[k]
		if i := slices.IndexFunc(list, func(p posting) bool { return p.st == st }); i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
		if len(list) == 0 {
			delete(s.index, k)
		} else {
			s.index[k] = list
		}
	}
}

// shut closes a story for good: its items are forgotten.
func (s *Stage) shut(st *story) {
	s.unlist(st)
	for _, id := range st.items {
		delete(s.items, id)
	}
	for _, id := range st.names {
		delete(s.ids, id)
	}
	for _, u := range st.urls {
		if s.urls[u] == st {
			delete(s.urls, u)
		}
	}
}

// late is how long a story stays open beyond its window, for items that come late.
const late = 24 * time.Hour

// tick moves the clock on and closes what is over.
func (s *Stage) tick(at time.Time) {
	if !at.After(s.clock) {
		return
	}
	before := s.clock
	s.clock = at
	if at.Truncate(time.Hour).Equal(before.Truncate(time.Hour)) {
		return
	}
	for _, st := range s.open {
		if st != nil && st.whole.last.Add(s.o.Window+late).Before(at) {
			s.shut(st)
		}
	}
	s.common.age(at)
}

// closed tells whether a story takes no item of a time any more.
func (s *Stage) closed(st *story, at time.Time) bool {
	return at.Sub(st.whole.last) > s.o.Window || at.Sub(st.whole.first) > s.o.MaxAge
}

// evict closes the story that rested longest.
func (s *Stage) evict() {
	for {
		for len(s.resting) > 0 {
			r := s.resting[0]
			s.resting = s.resting[1:]
			if s.open[r.st.slot] == r.st && r.st.whole.last.Equal(r.last) {
				s.shut(r.st)
				s.evicted++
				return
			}
		}
		s.rest()
	}
}

// rest finds the hundredth part of the stories that rested longest, so that not every eviction looks at all.
func (s *Stage) rest() {
	for _, st := range s.open {
		if st != nil {
			s.resting = append(s.resting, rested{st, st.whole.last})
		}
	}
	slices.SortFunc(s.resting, func(a, b rested) int { return cmp.Or(a.last.Compare(b.last), a.st.born-b.st.born) })
	s.resting = slices.Clone(s.resting[:(len(s.resting)+99)/100])
}

// rested is a story with the time of its last item when it was looked at.
type rested struct {
	st   *story
	last time.Time
}

// posting says that a story holds a key, and how much the key weighed in it when it was entered.
type posting struct {
	st     *story
	weight float64
}

const (
	sharedAt      = 6.0 // bits that two must share to be compared
	maxCandidates = 48
)

// candidates are the open stories that share most with p, at most maxCandidates, in a fixed order.
func (s *Stage) candidates(p *profile) []*story {
	var touched, out []*story
	for i := range p.entries {
		e := &p.entries[i]
		mine := e.all / float64(p.n)
		for _, p := range s.index[e.key] {
			if s.gathered[p.st.slot] == 0 {
				touched = append(touched, p.st)
			}
			s.gathered[p.st.slot] += min(mine, p.weight) + 1e-9
		}
	}
	for _, st := range touched {
		if s.gathered[st.slot] >= sharedAt && gap(p, st.whole) <= s.o.Window && span(p, st.whole) <= s.o.MaxAge {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b *story) int {
		return cmp.Or(cmp.Compare(s.gathered[b.slot], s.gathered[a.slot]), a.born-b.born)
	})
	for _, st := range touched {
		s.gathered[st.slot] = 0
	}
	return out[:min(len(out), maxCandidates)]
}
