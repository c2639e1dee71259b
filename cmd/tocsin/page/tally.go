package page

import (
	"cmp"
	"slices"
	"time"

	"tocsin/news"
)

// tally is how many records there are of one thing.
type tally struct {
	ID, Name string
	N        int
}

// tallies are the numbers beside the list of alerts.
type tallies struct {
	Total, Day, Hour int
	Lists            []tally
	Langs            []tally
	Entities         []tally // of the last 24 hours
	Severities       []tally
	Oldest           time.Time
}

// count looks at every row once.
func (b *book) count(now time.Time) tallies {
	b.mu.RLock()
	defer b.mu.RUnlock()
	t := tallies{}
	lists, langs, ids, severities := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	titles := map[string]string{}
	for _, r := range b.rows {
		if r.kind == news.KindFold {
			continue
		}
		if t.Total == 0 {
			t.Oldest = r.at
		}
		t.Total++
		lists[r.list]++
		langs[r.lang]++
		severities[r.severity.String()]++
		titles[r.list] = r.title
		if now.Sub(r.at) < 24*time.Hour {
			t.Day++
			for _, id := range r.ids {
				ids[id]++
			}
		}
		if now.Sub(r.at) < time.Hour {
			t.Hour++
		}
	}
	t.Lists, t.Langs, t.Entities, t.Severities = ranked(lists, 50), ranked(langs, 30), ranked(ids, 12), ranked(severities, 10)
	for i := range t.Entities {
		t.Entities[i].Name = cmp.Or(b.calls[t.Entities[i].ID], t.Entities[i].ID)
	}
	for i := range t.Lists {
		t.Lists[i].Name = cmp.Or(titles[t.Lists[i].ID], t.Lists[i].ID)
	}
	return t
}

// called is what an entity or rule is called.
func (b *book) called(id string) string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return cmp.Or(b.calls[id], id)
}

// ranked sorts by number, the largest first.
func ranked(m map[string]int, n int) []tally {
	out := make([]tally, 0, len(m))
	for id, k := range m {
		out = append(out, tally{ID: id, Name: id, N: k})
	}
	slices.SortFunc(out, func(a, b tally) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.ID, b.ID)) })
	return out[:min(n, len(out))]
}

// thread is one story as it was told.
type thread struct {
	Story    string
	First    entry
	Members  []member // the newest items, in the order of time
	Items    int
	Lists    []string
	Outlets  []string
	Langs    []string
	Severity news.Severity
	Opened   time.Time
	Latest   time.Time
}

// member is one item of a story, with a record for each watchlist that it matches.
type member struct{ Records []entry }

// First is the record that stands for the item.
func (m member) First() entry { return m.Records[0] }

// told is a story while it is gathered.
type told struct {
	items  [][]*row // by item, in the order in which they came
	latest *row
	picked bool // the filter takes one of its records
}

func (s *told) add(r *row) {
	s.latest = r
	for i := range s.items {
		if s.items[i][0].item == r.item {
			s.items[i] = append(s.items[i], r)
			return
		}
	}
	s.items = append(s.items, []*row{r})
}

// stories gives one page of stories, the one with the newest record first, with up to members items each. several leaves out those of one item.
func (b *book) stories(f filter, several bool, from, n, members int) (out []thread, more bool, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	byID := map[string]*told{}
	for _, r := range b.rows {
		if ownKind(r.kind) {
			continue
		}
		id := b.storyOf(r)
		if byID[id] == nil {
			byID[id] = &told{}
		}
		byID[id].add(r)
		byID[id].picked = byID[id].picked || f.takes(r)
	}
	var all []*told
	for _, s := range byID {
		if s.picked && (!several || len(s.items) > 1) {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *told) int { return cmp.Compare(b.latest.seq, a.latest.seq) })
	from = min(from, len(all))
	for _, s := range all[from:min(from+n, len(all))] {
		t, err := b.thread(s, members)
		if err != nil {
			return nil, false, err
		}
		out = append(out, t)
	}
	return out, from+n < len(all), nil
}

// storyOf is the story that the story of a record ended in.
func (b *book) storyOf(r *row) string {
	id := r.story
	for range 20 { // a chain of more is a circle
		into, ok := b.ended[id]
		if !ok {
			break
		}
		id = into
	}
	return id
}

// ownKind tells whether a record is about the program itself.
func ownKind(kind string) bool {
	return kind == news.KindHealth || kind == news.KindTest || kind == news.KindHeartbeat
}

func (b *book) thread(s *told, members int) (t thread, err error) {
	begin := s.items[0][0]
	t = thread{Story: begin.story, Items: len(s.items), Opened: begin.at, Latest: s.latest.at}
	if t.First, err = b.read(begin); err != nil {
		return t, err
	}
	add := func(to *[]string, s string) {
		if s != "" && !slices.Contains(*to, s) {
			*to = append(*to, s)
		}
	}
	for i, rows := range s.items {
		var m member
		for _, r := range rows {
			t.Severity = max(t.Severity, r.severity)
			add(&t.Lists, r.title)
			add(&t.Langs, r.lang)
			if i < len(s.items)-members {
				continue
			}
			e, err := b.read(r)
			if err != nil {
				return t, err
			}
			m.Records = append(m.Records, e)
			for _, o := range append([]string{e.View.Outlet}, e.View.Outlets...) {
				add(&t.Outlets, o)
			}
		}
		if len(m.Records) > 0 {
			t.Members = append(t.Members, m)
		}
	}
	return t, nil
}
