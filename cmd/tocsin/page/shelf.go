package page

import (
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/matcher/fold"
	"tocsin/news"
	"tocsin/notifier"
)

// shelf keeps the newest items for the search, in a small form.
type shelf struct {
	mu    sync.RWMutex
	items []found // a ring; the oldest stands at next when it is full
	next  int
	limit int
	hour  [60]int // items by minute of arrival
	when  [60]int64
}

// found is one item as the search shows it.
type found struct {
	ID, Title, Text, Outlet, Lang, Link, Host, Feed string
	At, Published                                   time.Time
	folded                                          string
}

// maxFoundText bounds what is kept of a summary, in bytes.
const maxFoundText = 320

func newShelf(limit int) *shelf { return &shelf{limit: limit} }

func foundOf(it *news.Item) found {
	f := found{
		ID: it.ID, Title: notifier.Shorten(notifier.Clean(it.Title), 300), Text: notifier.Shorten(notifier.Clean(it.Summary), maxFoundText),
		Outlet: notifier.Clean(it.Outlet), Lang: it.Lang, Feed: it.Feed, At: it.FirstSeen, Published: it.Published,
	}
	f.Link, f.Host = notifier.SafeLink(it.URL)
	f.folded = fold.String(f.Title + "\n" + f.Text + "\n" + f.Outlet)
	return f
}

func (s *shelf) add(it *news.Item) {
	f := foundOf(it)
	s.mu.Lock()
	defer s.mu.Unlock()
	minute := it.FirstSeen.Unix() / 60
	if k := minute % 60; minute >= 0 && s.when[k] <= minute {
		if s.when[k] != minute {
			s.when[k], s.hour[k] = minute, 0
		}
		s.hour[k]++
	}
	if len(s.items) < s.limit {
		s.items = append(s.items, f)
		return
	}
	s.items[s.next] = f
	s.next = (s.next + 1) % s.limit
}

// state tells how many items are kept, how many came in the last hour, and when the newest and the oldest came.
func (s *shelf) state(now time.Time) (n, hour int, newest, oldest time.Time) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for k, m := range s.when {
		if now.Unix()/60-m < 60 {
			hour += s.hour[k]
		}
	}
	if n = len(s.items); n > 0 {
		newest, oldest = s.items[(s.next+n-1)%n].At, s.items[s.next%n].At
	}
	return n, hour, newest, oldest
}

// query is what is looked for: every word, as it stands or as the beginning of one.
type query struct {
	words []string // folded
	lang  string
}

func newQuery(text, lang string) query {
	q := query{lang: lang}
	for _, w := range strings.Fields(fold.String(notifier.Shorten(text, 200))) {
		if !slices.Contains(q.words, w) {
			q.words = append(q.words, w)
		}
	}
	return q
}

func (q query) takes(f *found) bool {
	if q.lang != "" && q.lang != f.Lang {
		return false
	}
	for _, w := range q.words {
		if !begins(f.folded, w) {
			return false
		}
	}
	return len(q.words) > 0
}

// begins tells whether w stands in text at the beginning of a word; in scripts without blanks between words anywhere.
func begins(text, w string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], w)
		if i < 0 {
			return false
		}
		if at := from + i; at == 0 || text[at-1] == ' ' || text[at-1] == '\n' || text[at-1] >= 0x80 && w[0] >= 0xE3 && unspaced(w) {
			return true
		}
		from += i + 1
	}
}

// unspaced tells whether a folded word is of a script that is written without blanks.
func unspaced(w string) bool {
	toks := fold.Append(nil, w)
	return len(toks) > 0 && toks[0].Class() == fold.Char
}

// look gives the newest hits, at most n, beginning with number from, and whether there are more.
func (s *shelf) look(q query, from, n int) (out []found, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	seen := map[string]bool{} // a later revision stands for the item
	for i := len(s.items) - 1; i >= 0; i-- {
		f := &s.items[(s.next+i)%len(s.items)]
		if seen[f.ID] || !q.takes(f) {
			continue
		}
		seen[f.ID] = true
		if from--; from >= 0 {
			continue
		}
		if len(out) == n {
			return out, true
		}
		out = append(out, *f)
	}
	return out, false
}

// marked cuts a text at what was looked for.
func (q query) marked(text string) []notifier.Part {
	toks := fold.Append(nil, text)
	var out []notifier.Part
	at := 0
	for i := 0; i < len(toks); i++ {
		end := q.end(text, toks[i:])
		if end <= at || toks[i].Start() < at {
			continue
		}
		if toks[i].Start() > at {
			out = append(out, notifier.Part{Text: text[at:toks[i].Start()]})
		}
		out = append(out, notifier.Part{Text: text[toks[i].Start():end], Mark: true})
		at = end
	}
	if at < len(text) {
		out = append(out, notifier.Part{Text: text[at:]})
	}
	return out
}

// end is the place behind a wanted word that begins with the first of toks, 0 when none does.
func (q query) end(text string, toks []fold.Token) int {
	var buf []byte
	for n := range min(len(toks), 12) {
		if n > 0 && toks[n].Gap() != fold.Joined {
			return 0
		}
		buf = toks[n].AppendTo(buf, text)
		for _, w := range q.words {
			if string(buf) == w || toks[n].Class() == fold.Word && strings.HasPrefix(string(buf), w) {
				return toks[n].End()
			}
		}
	}
	return 0
}
