package fetcher

import (
	"context"
	"slices"
	"sync"
	"time"
)

// view is the little that is kept in memory of each feed, for metrics and for arming. The truth is in the stored state.
type view struct {
	st       state // without what was seen
	interval time.Duration
	next     time.Time
	lastTry  time.Time
	gone     bool
}

// see keeps a view of the state.
func (f *Fetcher) see(fd *Feed, st *state) *view {
	v := &view{interval: st.Interval, next: st.Next, lastTry: st.LastTry, gone: st.Gone}
	v.st = state{
		FirstTry: st.FirstTry, LastTry: st.LastTry, LastSuccess: st.LastSuccess, LastItem: st.LastItem, Interval: st.Interval, Failures: st.Failures,
		FailingSince: st.FailingSince, NotFoundInRow: st.NotFoundInRow, KindChanged: st.KindChanged, Gone: st.Gone,
		Next: st.Next, Reason: st.Reason, Error: st.Error, Status: st.Status, Items: st.Items, Lost: st.Lost, GapNotes: slices.Clone(st.GapNotes),
	}
	v.st.learnt = st.expected(&Feed{})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.feeds[fd.ID] != nil {
		f.views[fd.ID] = v
	}
	return v
}

// viewOf gives the view of a feed, read from the store when it is not known or another replica should have polled since.
func (f *Fetcher) viewOf(ctx context.Context, fd *Feed) (*view, error) {
	f.mu.Lock()
	v := f.views[fd.ID]
	f.mu.Unlock()
	if v != nil && !v.lastTry.IsZero() && f.o.Now().Before(v.next.Add(reconcileEvery)) {
		return v, nil
	}
	st, _, err := f.load(ctx, fd)
	if err != nil {
		return nil, err
	}
	return f.see(fd, st), nil
}

// sample is one feed as metrics show it.
type sample struct {
	feed     *Feed
	state    string
	st       *state
	expected time.Duration
}

// snapshot gives every feed with the state it has at this moment.
func (f *Fetcher) snapshot() []sample {
	now := f.o.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	out, unknown := make([]sample, 0, len(f.order)), &state{} // a state is large, and a list may be long
	for _, id := range f.order {
		fd, v := f.feeds[id], f.views[id]
		s := sample{feed: fd, state: StateNew, st: unknown, expected: fd.Expect}
		if v != nil {
			s.st, s.expected = &v.st, v.st.expected(fd)
		}
		s.state, _ = s.st.stateAt(fd, now)
		out = append(out, s)
	}
	return out
}

// Known gives the states of all feeds at this moment, as this process knows them: without a look into the store, and without logs of polls. Feeds
// that this process has not looked at yet count as new.
func (f *Fetcher) Known() []FeedStatus {
	now := f.o.Now()
	samples := f.snapshot()
	out := make([]FeedStatus, len(samples))
	for i, s := range samples {
		out[i] = statusOf(s.feed, s.st, now)
	}
	return out
}

// pacer spaces the starts of polls, so that a restart is no burst: Options.StartRate of them a second, or twice what all feeds together need.
type pacer struct {
	gap  time.Duration
	mu   sync.Mutex
	next time.Time
}

func newPacer(perSecond int) *pacer { return &pacer{gap: time.Second / time.Duration(perSecond)} }

// atMost sets how many polls start in a second.
func (p *pacer) atMost(perSecond float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gap = time.Duration(float64(time.Second) / perSecond)
}

func (p *pacer) wait(ctx context.Context) error {
	p.mu.Lock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	d := p.next.Sub(now)
	p.next = p.next.Add(p.gap)
	p.mu.Unlock()
	if d <= 0 {
		return nil
	}
	return sleep(ctx, d, nil)
}

// network tells whether it is our own network that is down: over half of the polls to ten or more hosts failed by DNS or connect within a minute.
type network struct {
	now  func() time.Time
	mu   sync.Mutex
	last map[string]attempt
	said bool // it was down when last looked at, and nobody was reached since
}

type attempt struct {
	at     time.Time
	failed bool
}

func newNetwork(now func() time.Time) *network {
	return &network{now: now, last: map[string]attempt{}}
}

func (n *network) note(address string, failed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last[hostOf(address)] = attempt{n.now(), failed}
	n.said = n.said && failed
}

func (n *network) down() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	since := n.now().Add(-time.Minute)
	failed := 0
	for h, a := range n.last {
		if a.at.Before(since) {
			delete(n.last, h)
		} else if a.failed {
			failed++
		}
	}
	// With few polls in the last minute the word of before holds until a host is reached.
	n.said = n.said || len(n.last) >= 10 && failed*2 > len(n.last)
	return n.said
}

// NetworkDown tells whether it looks as if our own network is down: most hosts of the last minute could not be reached. Failures are then not
// held against feeds.
func (f *Fetcher) NetworkDown() bool { return f.network.down() }
