package fetcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/news"
)

// States of a feed: the closed list of FeedStatus.State (observability.md section 3).
const (
	StateNew     = "new"     // never tried
	StatePaused  = "paused"  // by hand
	StateLive    = "live"    // reached, and items come as often as they usually do
	StateLate    = "late"    // reached, but no item for twice the expected interval
	StateFailing = "failing" // no success for three poll intervals
	StateDead    = "dead"    // late or failing for 24 h more, or 404 or 410, or another kind of document
)

// States lists the states in the order of their numbers in tocsin_feed_state: paused is 0, live 1, late 2, failing 3, dead 4; new counts as paused.
func States() []string {
	return []string{StatePaused, StateLive, StateLate, StateFailing, StateDead, StateNew}
}

// FeedStatus is what people see of one feed.
type FeedStatus struct {
	Feed        Feed
	State       string
	Reason      Reason    // why it does not live, "" when it does or is late
	Since       time.Time // when that began
	LastTry     time.Time
	LastSuccess time.Time
	LastItem    time.Time // when its newest item is from
	Next        time.Time // next poll
	Failures    int       // in a row
	Interval    time.Duration
	Expected    time.Duration // longest usual silence
	Items       uint64        // published so far, revisions too
	Lost        uint64        // items that may have been missed
	LastError   string        // redacted
	LastStatus  int           // HTTP
	Kind        string        // rss2.0, atom1.0, ...
	Adopted     string        // address taken over after a permanent redirect; redacted
	Notes       []string      // what was mended in the last document, and what else people should know
	Polls       []PollNote    // the last 20, oldest first
	Gaps        []Gap         // the last 8 times in which items may have been missed
	Wishes      Wishes        // what the document asks of pollers
	Fresh       time.Duration // what the answer's headers ask for
	RetryUntil  time.Time     // the server asked to be left alone until then
	Hub         string        // WebSub hub, redacted
	PushUntil   time.Time     // end of the hub's lease; zero without one
	PushDenied  string        // why the hub refused
	Pushed      uint64        // deliveries of the hub
	PushRefused uint64        // deliveries without a good signature
	Pages       int           // articles still wanted
	BadEntry    string        // first entry of the last document that was beyond repair; redacted
	Gone        []Gone        // the last 8 items that the outlet took back
	GoneSum     uint64        // how many it took back so far
	Head        string        // beginning of the last body that was no feed
}

// Status gives every feed of the list with its stored state, in the order of the list.
func (f *Fetcher) Status(ctx context.Context) ([]FeedStatus, error) {
	feeds := f.list()
	out := make([]FeedStatus, 0, len(feeds))
	now := f.o.Now()
	for _, fd := range feeds {
		st, _, err := f.load(ctx, fd)
		if err != nil {
			return nil, err
		}
		out = append(out, statusOf(fd, st, now))
	}
	return out, nil
}

func statusOf(fd *Feed, st *state, now time.Time) FeedStatus {
	s := FeedStatus{
		Feed: *fd, Reason: st.Reason, LastTry: st.LastTry, LastSuccess: st.LastSuccess, LastItem: st.LastItem, Next: st.Next,
		Failures: st.Failures, Interval: st.Interval, Expected: st.expected(fd), Items: st.Items, Lost: st.Lost,
		LastError: st.Error, LastStatus: st.Status, Kind: st.Kind, Notes: st.Notes,
	}
	s.Feed.Headers = nil
	s.Polls, s.Gaps, s.Head, s.Pages = st.Polls, st.GapNotes, string(st.Bad), len(st.Pages)
	s.Wishes, s.Fresh, s.RetryUntil = Wishes{TTL: st.TTL, Period: st.Period, SkipHours: st.SkipHours, SkipDays: st.SkipDays}, st.Fresh, st.RetryUntil
	s.PushUntil, s.PushDenied, s.Pushed, s.PushRefused = st.Push.Until, st.Push.Denied, st.Push.Got, st.Push.Bad
	s.BadEntry, s.Gone, s.GoneSum = string(st.BadEntry), st.Gones, st.GoneSum
	if st.Hub != "" {
		s.Hub = redact(st.Hub)
	}
	s.Notes = st.notes(fd)
	if st.Adopted != "" {
		s.Adopted = redact(st.Adopted)
	}
	s.State, s.Since = st.stateAt(fd, now)
	return s
}

// stateAt judges the feed at a moment and tells since when it is so.
func (s *state) stateAt(f *Feed, now time.Time) (string, time.Time) {
	interval := max(s.Interval, time.Second)
	switch {
	case f.Paused:
		return StatePaused, time.Time{}
	case s.Gone:
		return StateDead, s.FailingSince
	case s.LastTry.IsZero():
		return StateNew, time.Time{}
	case s.NotFoundInRow >= 3 || s.KindChanged:
		return StateDead, first2(s.FailingSince, s.LastTry)
	}
	if s.Failures > 0 && (s.LastSuccess.IsZero() || now.Sub(s.LastSuccess) > 3*interval) {
		if now.Sub(first2(s.FailingSince, s.LastSuccess)) > day+3*interval {
			return StateDead, s.FailingSince
		}
		return StateFailing, s.FailingSince
	}
	if s.LastSuccess.IsZero() || now.Sub(s.LastSuccess) > 3*interval+day {
		return StateFailing, first2(s.LastSuccess, s.LastTry)
	}
	if newest := first2(s.LastItem, s.FirstTry); !newest.IsZero() {
		// After a time without polls nobody can say that no item came: it is late when a poll said so, or polls are on time.
		if late := newest.Add(2 * s.expected(f)); now.After(late) && (s.LastSuccess.After(late) || now.Sub(s.LastSuccess) <= interval+interval/2) {
			if now.After(late.Add(day)) {
				return StateDead, late
			}
			return StateLate, late
		}
	}
	return StateLive, s.LastSuccess
}

func first2(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// load reads a feed's state; a feed without one gets an empty one with revision 0.
func (f *Fetcher) load(ctx context.Context, fd *Feed) (*state, uint64, error) {
	data, rev, err := f.o.LoadState(ctx, fd.ID)
	if errors.Is(err, news.ErrNotFound) {
		return &state{Listed: listedMark(fd)}, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("load state of feed %s: %w", fd.ID, err)
	}
	st, err := decodeState(data)
	if err != nil {
		return nil, 0, fmt.Errorf("feed %s: %w", fd.ID, err)
	}
	return st, rev, nil
}
