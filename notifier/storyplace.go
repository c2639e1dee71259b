package notifier

import (
	"time"

	"tocsin/news"
	"tocsin/notifier/story"
)

// place tells the story of a match's item. Whatever a later revision says, the item stays where it is: only what it tells of changes.
func (s *stories) place(m *news.Match, now time.Time) (string, *links) {
	it := &m.Item
	if p, ok := s.items[it.ID]; ok {
		return s.resolve(p.story), s.links[it.ID]
	}
	if s.stage == nil || m.Signature == nil {
		s.items[it.ID] = placed{it.ID, now}
		return it.ID, nil
	}
	d, err := s.stage.Add(story.Of(it, m.Signature))
	if err != nil {
		d.Story = it.ID
	}
	l := &links{joined: linkOf(d.Joined), nearest: linkOf(d.Nearest)}
	for _, x := range d.Merged {
		s.merges++
		l.merged = append(l.merged, news.StoryMerge{From: x.From, Into: x.Into, Link: *linkOf(&x.Link)})
		l.ended = append(l.ended, s.merge(x.From, x.Into))
	}
	s.remember(it.ID, l)
	s.items[it.ID] = placed{d.Story, now}
	return d.Story, l
}

// replace puts the item of a stored record where it was put then, by the same steps.
func (s *stories) replace(a *news.Alert) {
	it := &a.Match.Item
	if _, known := s.items[it.ID]; known {
		return
	}
	if s.stage == nil || a.Match.Signature == nil {
		s.items[it.ID] = placed{a.Story, a.At}
		return
	}
	l := &links{joined: a.Joined, nearest: a.Nearest, merged: a.Merged}
	at := it.ID
	if a.Joined != nil {
		at = a.Joined.Story
	}
	s.stage.Restore(story.Of(it, a.Match.Signature), at)
	for _, x := range a.Merged {
		s.stage.Join(x.From, x.Into)
		l.ended = append(l.ended, s.merge(x.From, x.Into))
	}
	s.remember(it.ID, l)
	s.items[it.ID] = placed{at, a.At}
}

// remember keeps the evidence of an item's place for the matches of further watchlists, which follow soon.
func (s *stories) remember(item string, l *links) {
	s.links[item] = l
	if s.recent = append(s.recent, item); len(s.recent) > maxRecent {
		delete(s.links, s.recent[0])
		s.recent = s.recent[1:]
	}
}

// resolve gives the story in which one ended, else itself.
func (s *stories) resolve(id string) string {
	for {
		next, ended := s.into[id]
		if !ended {
			return id
		}
		id = next
	}
}

// merge lets a story end in another. Where both have an alert for a watchlist the older one goes on; it tells which ended, by watchlist.
func (s *stories) merge(from, into string) map[string]string {
	if from == into || s.resolve(from) == s.resolve(into) {
		return nil
	}
	ended := map[string]string{}
	for list, gone := range s.of[from] {
		keep := s.of[into][list]
		if keep == nil {
			s.file(into, gone)
			continue
		}
		if gone.before(keep) {
			keep, gone = gone, keep
		}
		keep.absorb(gone)
		s.of[into][list] = keep
		ended[list] = gone.id
	}
	delete(s.of, from)
	s.into[from] = into
	return ended
}

func linkOf(l *story.Link) *news.StoryLink {
	if l == nil {
		return nil
	}
	out := &news.StoryLink{Story: l.Story, Points: l.Points}
	for _, e := range l.Evidence {
		out.Evidence = append(out.Evidence, news.Evidence{Name: e.Name, Points: e.Points, Detail: Shorten(e.Detail, maxDetail)})
	}
	return out
}

// maxDetail is how much of the detail of one piece of evidence is kept, in bytes.
const maxDetail = 200
