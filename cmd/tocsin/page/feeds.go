package page

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"tocsin/fetcher"
	"tocsin/notifier"
)

const feedsPerPage = 50

// feedsView is the page of feeds.
type feedsView struct {
	Known  bool
	Fault  string
	At     time.Time
	All    int
	Counts []tally // by state, in the order in which they need a look
	State  string
	Query  string
	Rows   []feedRow
	Older  string
	From   int
	Match  int
}

func (v *feedsView) frame(f *frame) { f.Reload = v.From == 0 && v.Query == "" }

// feedRow is one feed for people.
type feedRow struct {
	*fetcher.FeedStatus
	Level string
}

func levelOf(state string) string {
	switch state {
	case fetcher.StateLive:
		return "good"
	case fetcher.StateLate:
		return "warn"
	case fetcher.StateFailing, fetcher.StateDead:
		return "bad"
	}
	return "dim"
}

func (p *Page) serveFeeds(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	v := &feedsView{Known: p.feeds != nil, State: q.Get("state"), Query: notifier.Shorten(notifier.Clean(q.Get("q")), 100), From: readFrom(r)}
	if p.feeds == nil {
		p.show(w, r, "feeds", "Feeds", http.StatusOK, v)
		return
	}
	all, at, err := p.feeds.get(r.Context())
	if err != nil {
		v.Fault = err.Error()
	}
	v.At, v.All = at, len(all)
	n := map[string]int{}
	var rows []feedRow
	for i := range all {
		f := &all[i]
		n[f.State]++
		if v.takes(f) {
			rows = append(rows, feedRow{f, levelOf(f.State)})
		}
	}
	for _, s := range states() {
		if n[s] > 0 {
			v.Counts = append(v.Counts, tally{s, s, n[s]})
		}
	}
	slices.SortStableFunc(rows, func(a, b feedRow) int { return slices.Index(states(), a.State) - slices.Index(states(), b.State) })
	v.Match = len(rows)
	from := min(v.From, len(rows))
	end := min(from+feedsPerPage, len(rows))
	v.Rows = rows[from:end]
	if end < len(rows) {
		v.Older = further(r, end)
	}
	p.show(w, r, "feeds", "Feeds", http.StatusOK, v)
}

func (v *feedsView) takes(f *fetcher.FeedStatus) bool {
	switch v.State {
	case "", f.State:
	case "trouble":
		if f.State != fetcher.StateFailing && f.State != fetcher.StateDead {
			return false
		}
	default:
		return false
	}
	q := strings.ToLower(strings.TrimSpace(v.Query))
	return q == "" || strings.Contains(strings.ToLower(f.Feed.Outlet+" "+f.Feed.URL+" "+f.Feed.Lang+" "+f.Feed.ID+" "+language(f.Feed.Lang)), q)
}

// Host is the feed's host.
func (f feedRow) Host() string { _, h := notifier.SafeLink(f.Feed.URL); return h }

// spark is the last polls as a small picture: one bar each, as paths, because a strict policy allows no styles in place.
type spark struct {
	Good, Bad, Still string
	Label            string
}

const (
	sparkStep = 5
	sparkHigh = 16
)

// Spark draws the last 20 polls: a bar for new items, a dot for nothing new, a full bar in another colour for a failure.
func (f feedRow) Spark() spark {
	var s spark
	failed, brought := 0, 0
	for i, n := range f.Polls {
		x := i*sparkStep + 2
		switch {
		case failedPoll(n):
			failed++
			s.Bad += bar(x, sparkHigh-2)
		case n.New > 0:
			brought += n.New
			s.Good += bar(x, min(3+n.New*2, sparkHigh-2))
		default:
			s.Still += bar(x, 2)
		}
	}
	s.Label = fmt.Sprintf("last %d polls: %d failed, %d new items", len(f.Polls), failed, brought)
	return s
}

func bar(x, high int) string { return fmt.Sprintf("M%d %dv-%d", x, sparkHigh-1, high) }

// failedPoll tells whether a poll brought no good answer.
func failedPoll(n fetcher.PollNote) bool { return n.Reason != "" && n.Entries == 0 && n.Status != 304 }

// feedView is the page of one feed.
type feedView struct {
	feedRow
	Verdict  string
	Pace     string
	Polls    []fetcher.PollNote // newest first
	Recent   []found
	CanPoll  bool
	Visitor  visitor
	Watching bool
}

func (v *feedView) frame(f *frame) { f.Reload = true }

// Failed tells whether a poll brought no good answer.
func (v *feedView) Failed(n fetcher.PollNote) bool { return failedPoll(n) }

// Took is the time of a poll for people.
func (v *feedView) Took(n fetcher.PollNote) string {
	if n.Took < 10*time.Second {
		return fmt.Sprintf("%d ms", n.Took.Milliseconds())
	}
	return Span(n.Took)
}

// GapText words a gap.
func (v *feedView) GapText(g fetcher.Gap) string {
	words := map[string]string{
		fetcher.GapScrolled: "no known entry was left in the document: items may have scrolled away", fetcher.GapRefused: "documents came that could not be read",
		fetcher.GapCut: "documents ended too early", fetcher.GapAsleep: "nobody polled: the program or its host stood still",
		fetcher.GapWish: "the publisher asks to wait longer than its document lasts",
	}
	text := words[g.Kind]
	if g.Lost > 0 {
		text += fmt.Sprintf("; about %s may be lost", plural(g.Lost, "item"))
	}
	if g.Found > 0 {
		text += fmt.Sprintf("; %d were found on older pages", g.Found)
	}
	return text
}

func (p *Page) serveFeed(w http.ResponseWriter, r *http.Request) {
	f := p.feed(r.Context(), r.PathValue("id"))
	if f == nil {
		p.show(w, r, "refused", "No such feed", http.StatusNotFound, "No feed of the list has this id.")
		return
	}
	v := &feedView{
		feedRow: feedRow{f, levelOf(f.State)}, Verdict: f.Verdict(p.o.Now()), Pace: f.Rhythm(), Polls: slices.Clone(f.Polls),
		Recent: p.items.of(f.Feed.ID, 15), CanPoll: p.o.Do.Poll != nil && f.State != fetcher.StatePaused, Visitor: p.doors.visitor(r),
	}
	slices.Reverse(v.Polls)
	p.show(w, r, "feed", f.Feed.Outlet, http.StatusOK, v)
}

func (p *Page) feed(ctx context.Context, id string) *fetcher.FeedStatus {
	if p.feeds == nil {
		return nil
	}
	all, _, _ := p.feeds.get(ctx) // the health line tells of an error
	for i := range all {
		if all[i].Feed.ID == id {
			return &all[i]
		}
	}
	return nil
}

// of gives the newest items of one feed.
func (s *shelf) of(feed string, n int) (out []found) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := len(s.items) - 1; i >= 0 && len(out) < n; i-- {
		if f := &s.items[(s.next+i)%len(s.items)]; f.Feed == feed {
			out = append(out, *f)
		}
	}
	return out
}

// deliveryView is the page of channels and dead letters.
type deliveryView struct {
	Known    bool
	Channels []channelRow
	Held     map[string]int
	Dead     []DeadLetter // newest first
	MoreDead int
	Fault    string
	CanRetry bool
	Visitor  visitor
}

// channelRow is one channel with its queue.
type channelRow struct {
	notifier.ChannelStatus
	Counts  notifier.Counts
	Waiting uint64
	InWork  int
	Level   string
	State   string
}

const deadShown = 100

func (p *Page) serveDelivery(w http.ResponseWriter, r *http.Request) {
	v := &deliveryView{Known: p.o.Channels != nil, CanRetry: p.o.Do.RetryDead != nil, Visitor: p.doors.visitor(r)}
	if v.Known {
		p.channels(r.Context(), v)
	}
	if p.o.Held != nil {
		v.Held = p.o.Held()
	}
	if p.dead != nil {
		dead, _, err := p.dead.get(r.Context())
		if err != nil {
			v.Fault = "dead letters cannot be read: " + err.Error()
		}
		v.Dead = slices.Clone(dead)
		slices.Reverse(v.Dead)
		if v.MoreDead = len(v.Dead) - deadShown; v.MoreDead > 0 {
			v.Dead = v.Dead[:deadShown]
		}
	}
	p.show(w, r, "delivery", "Delivery", http.StatusOK, v)
}

func (p *Page) channels(ctx context.Context, v *deliveryView) {
	var counts map[string]notifier.Counts
	if p.o.Counts != nil {
		counts = p.o.Counts()
	}
	st, _, _ := p.bus.get(ctx) // the health line tells of an error
	for _, c := range p.o.Channels() {
		row := channelRow{ChannelStatus: c, Counts: counts[c.ID], Level: "good", State: "sending"}
		for _, x := range st.Consumers {
			if x.Name == "channel-"+c.ID {
				row.Waiting, row.InWork = x.Pending, x.AckPending
			}
		}
		switch {
		case c.Gone:
			row.Level, row.State = "bad", "closed for good"
		case c.Open:
			row.Level, row.State = "bad", "circuit open: only probes are sent"
		case c.Failures > 0:
			row.Level, row.State = "warn", plural(c.Failures, "failure")+" in a row"
		}
		v.Channels = append(v.Channels, row)
	}
}

// Line is what a dead letter was about.
func (d DeadLetter) Line() string {
	if d.Summary != "" {
		return d.Summary
	}
	return d.Stage + " " + d.ID
}
