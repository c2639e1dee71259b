package page

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/bus"
	"tocsin/fetcher"
	"tocsin/news"
	"tocsin/notifier"
)

func itoa(n int) string { return strconv.Itoa(n) }

// readFrom reads the number from which a page goes on.
func readFrom(r *http.Request) int {
	n, err := strconv.Atoi(r.URL.Query().Get("from"))
	if err != nil || n < 0 || n > maxItems {
		return 0
	}
	return n
}

// further is the address of the next page.
func further(r *http.Request, from int) string {
	q := r.URL.Query()
	q.Set("from", itoa(from))
	return (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String()
}

const (
	storiesPerPage = 10
	membersShown   = 5
)

// storiesView is the page of stories.
type storiesView struct {
	Stories []thread
	Several bool
	Older   string
	From    int
}

func (v *storiesView) frame(f *frame) { f.Reload = v.From == 0 }

// Before is how many items of a story are not shown.
func (t thread) Before() int { return t.Items - len(t.Members) }

// Whys are the reasons of all the watchlists that an item matches.
func (m member) Whys() []notifier.Why {
	var out []notifier.Why
	for _, e := range m.Records {
		for _, w := range e.View.Why {
			if !slices.ContainsFunc(out, func(x notifier.Why) bool { return x.Name == w.Name && x.Text == w.Text }) {
				out = append(out, w)
			}
		}
	}
	return out
}

// Joined is why the item belongs to the story, nil when it opened it.
func (m member) Joined() *news.StoryLink { return m.First().View.Alert.Joined }

// Told is what the item was for the alert.
func (m member) Told() string {
	switch m.First().View.Kind {
	case "":
		return "first"
	case news.KindUpdate:
		return "update"
	}
	return "nothing new"
}

func (p *Page) serveStories(w http.ResponseWriter, r *http.Request) {
	f, err := readFilter(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := &storiesView{Several: r.URL.Query().Get("several") == "1", From: readFrom(r)}
	var more bool
	if v.Stories, more, err = p.book.stories(f, v.Several, v.From, storiesPerPage, membersShown); err != nil {
		p.broken(w, err)
		return
	}
	if more {
		v.Older = further(r, v.From+storiesPerPage)
	}
	p.show(w, r, "stories", "Stories", http.StatusOK, v)
}

const hitsPerPage = 25

// searchView is the page of the search.
type searchView struct {
	Query, Lang string
	Hits        []hit
	Older       string
	Kept        int
	Oldest      time.Time
	Deep        bool // the whole store was searched
	Cut         bool // not to its end
	Busy        bool // another search of the store is under way
	CanDeep     bool
	From        int
	Langs       []string
}

// hit is one item that was found.
type hit struct {
	found
	Head, Body []notifier.Part
	Alert      string // id of an alert that it raised
}

func (p *Page) serveSearch(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	v := &searchView{Query: notifier.Shorten(notifier.Clean(q.Get("q")), 200), Lang: q.Get("lang"), CanDeep: p.o.Items != nil, From: readFrom(r), Langs: languages()}
	v.Kept, _, _, v.Oldest = p.items.state(p.o.Now())
	query := newQuery(v.Query, v.Lang)
	var hits []found
	var more bool
	switch {
	case len(query.words) == 0:
	case q.Get("deep") == "1" && p.o.Items != nil:
		v.Deep = true
		hits, more = p.deep(r.Context(), query, v)
	default:
		hits, more = p.items.look(query, v.From, hitsPerPage)
	}
	raised := p.book.alertsOf(hits)
	for _, f := range hits {
		v.Hits = append(v.Hits, hit{f, query.marked(f.Title), query.marked(f.Text), raised[f.ID]})
	}
	if more {
		v.Older = further(r, v.From+hitsPerPage)
	}
	p.show(w, r, "search", "Search", http.StatusOK, v)
}

// deepWithin bounds a search of the whole store.
const deepWithin = 8 * time.Second

// deep searches every stored item, one search at a time. It gives the newest hits.
func (p *Page) deep(ctx context.Context, query query, v *searchView) (hits []found, more bool) {
	select {
	case p.searches <- struct{}{}:
		defer func() { <-p.searches }()
	default:
		v.Busy = true
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, deepWithin)
	defer cancel()
	var all []found
	err := p.o.Items(ctx, time.Time{}, func(it *news.Item) error {
		if f := foundOf(it); it.Reason != news.ReasonCanary && query.takes(&f) {
			all = append(all, f)
			if len(all) > 10*hitsPerPage {
				all = slices.Clone(all[hitsPerPage:])
			}
		}
		return nil
	})
	v.Cut = err != nil
	slices.Reverse(all)
	from := min(v.From, len(all))
	end := min(from+hitsPerPage, len(all))
	return all[from:end], end < len(all)
}

// alertsOf gives the alerts that items raised, by item.
func (b *book) alertsOf(hits []found) map[string]string {
	out := map[string]string{}
	if len(hits) == 0 {
		return out
	}
	want := map[string]bool{}
	for _, h := range hits {
		want[h.ID] = true
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, r := range b.rows {
		if want[r.item] {
			out[r.item] = r.ref.ID
		}
	}
	return out
}

func languages() []string { return []string{"en", "ar", "fa", "ps", "ur", "hi", "zh", "ru"} }

// tryView is the page that tries a text.
type tryView struct {
	Text, Lang string
	Asked      bool
	Can        bool
	Title      []notifier.Part
	Body       []notifier.Part
	Matches    []*notifier.View
	Stopped    []Stopped
	Failed     []Stopped
	Langs      []string
	Revision   string
}

// maxTry bounds a text to try, in bytes.
const maxTry = 32 << 10

func (p *Page) serveTry(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the text is too long", http.StatusRequestEntityTooLarge)
		return
	}
	v := &tryView{Text: notifier.Shorten(r.Form.Get("text"), maxTry), Lang: cmp.Or(r.Form.Get("lang"), "und"), Can: p.o.Explain != nil, Langs: languages()}
	for _, l := range p.o.Lists() {
		if l.What == "watchlists" {
			v.Revision = l.Revision
		}
	}
	if text := strings.TrimSpace(strings.ReplaceAll(v.Text, "\r\n", "\n")); v.Can && text != "" {
		v.try(p, text)
	}
	p.show(w, r, "try", "Try a text", http.StatusOK, v)
}

func (v *tryView) try(p *Page, text string) {
	v.Asked = true
	head, body, _ := strings.Cut(text, "\n")
	it := news.Item{Lang: v.Lang, Title: head, Summary: strings.TrimSpace(body)}
	e := p.o.Explain(&it)
	all := news.Match{}
	for _, m := range e.Matches {
		all.Mentions, all.Rules = append(all.Mentions, m.Mentions...), append(all.Rules, m.Rules...)
		v.Matches = append(v.Matches, notifier.NewView(&news.Alert{Kind: news.KindFirst, Watchlist: m.Watchlist, Severity: m.Severity, Match: m}, nil))
	}
	v.Title, v.Body = marked(it.Title, all.Spans("title")), marked(it.Summary, all.Spans("summary"))
	v.Stopped, v.Failed = e.Stopped, e.Failed
}

// marked cuts a text at spans that lie in order and do not overlap.
func marked(text string, spans []news.Span) (out []notifier.Part) {
	at := 0
	add := func(to int, mark bool) {
		if to > at {
			out = append(out, notifier.Part{Text: text[at:to], Mark: mark})
			at = to
		}
	}
	for _, s := range spans {
		if s.Start < at || s.End > len(text) || s.Start >= s.End {
			continue
		}
		add(s.Start, false)
		add(s.End, true)
	}
	add(len(text), false)
	return out
}

// silencesView is the page of silences.
type silencesView struct {
	Known   bool
	Active  []silenceRow
	Over    []silenceRow
	CanAdd  bool
	Visitor visitor
}

// silenceRow is one silence for people.
type silenceRow struct {
	notifier.Silence
	State string
	Terms []term
}

// term is one condition of a silence.
type term struct {
	Name   string
	Values []string
}

func (p *Page) serveSilences(w http.ResponseWriter, r *http.Request) {
	v := &silencesView{Known: p.o.Silences != nil, CanAdd: p.o.Do.Silence != nil, Visitor: p.doors.visitor(r)}
	now := p.o.Now()
	if v.Known {
		for _, s := range p.o.Silences() {
			row := silenceRow{Silence: s, State: "active"}
			for _, t := range []term{{"rule", s.Matchers}, {"word", s.Words}, {"entity", s.Entities}, {"story", s.Stories}, {"source", s.Sources}} {
				if len(t.Values) > 0 {
					row.Terms = append(row.Terms, t)
				}
			}
			switch {
			case s.Active(now):
				v.Active = append(v.Active, row)
			case now.Before(s.Start):
				row.State = "to come"
				v.Active = append(v.Active, row)
			default:
				row.State = "over"
				v.Over = append(v.Over, row)
			}
		}
	}
	p.show(w, r, "silences", "Silences", http.StatusOK, v)
}

// systemView is the page of the pipeline.
type systemView struct {
	Stages  []stageState
	Bus     bus.Status
	At      time.Time
	Fault   string
	Lists   []List
	Roles   string
	Began   time.Time
	Canary  time.Time
	Clients int
	CanLoad bool
	Visitor visitor
	Kept    tallies
	Items   int
}

func (v *systemView) frame(f *frame) { f.Reload = true }

func (p *Page) serveSystem(w http.ResponseWriter, r *http.Request) {
	now := p.o.Now()
	v := &systemView{
		Stages: p.watch.stages(now), Lists: p.o.Lists(), Roles: p.o.Roles, Began: p.o.Began, Canary: p.canary(), Clients: p.hub.size(),
		CanLoad: p.o.Do.Reload != nil, Visitor: p.doors.visitor(r), Kept: p.book.count(now),
	}
	v.Items, _, _, _ = p.items.state(now)
	var err error
	if v.Bus, v.At, err = p.bus.get(r.Context()); err != nil {
		v.Fault = err.Error()
	}
	p.show(w, r, "system", "System", http.StatusOK, v)
}

// Streams are those that people know: not the buckets.
func (v *systemView) Streams() (out []bus.StreamStatus) {
	for _, s := range v.Bus.Streams {
		if !strings.HasPrefix(s.Name, "KV_") {
			out = append(out, s)
		}
	}
	return out
}

// states of feeds in the order in which they need a look.
func states() []string {
	return []string{fetcher.StateDead, fetcher.StateFailing, fetcher.StateLate, fetcher.StateNew, fetcher.StateLive, fetcher.StatePaused}
}
