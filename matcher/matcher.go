// Package matcher decides what an item mentions: it compiles watchlists into an index, finds every alias and rule in an item of any script, and
// says of each why it counts or what stopped it. It promises that matching is pure and repeatable, that places are bytes of the original text,
// that an item without a hit costs no memory, and that a list goes live whole or not at all. The language of the lists belongs to
// matcher/watchlist, the comparable form of text to matcher/fold; where items come from and where matches go belongs to whoever hands in the functions.
package matcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/news"
)

// ErrNoIndex is returned by Handle before the first Swap: there is nothing to match with yet.
var ErrNoIndex = errors.New("no watchlists are live")

// Options are what a Matcher needs.
type Options struct {
	Publish    func(context.Context, news.Match) error // hands a match on; returns when it is stored
	Log        *slog.Logger                            // nil for silence
	Registerer prometheus.Registerer                   // nil for metrics that nobody reads
	Now        func() time.Time                        // nil for the real clock
}

// Matcher matches items with the index that is live and publishes what they match.
type Matcher struct {
	publish func(context.Context, news.Match) error
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	live    atomic.Pointer[Index]
}

// New makes a Matcher without an index; Swap gives it one.
func New(o Options) (*Matcher, error) {
	if o.Publish == nil {
		return nil, errors.New("matcher: Options.Publish is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("register metrics of the matcher: %w", err)
	}
	return &Matcher{publish: o.Publish, log: o.Log, now: o.Now, metrics: m}, nil
}

// Swap makes x the index that is live. Items in work finish with the one before.
func (m *Matcher) Swap(x *Index) {
	m.live.Store(x)
	m.metrics.lists(x)
	m.log.Info("watchlists live", "count", len(x.watched()), "dur", x.built)
}

// Revision is the revision of the set that is live, "" before the first Swap.
func (m *Matcher) Revision() string {
	if x := m.live.Load(); x != nil {
		return x.Revision()
	}
	return ""
}

// Handle matches one item and publishes each match, with MatchedAt set. Handling the same item again publishes the same matches under the same
// ids. Its error is ErrNoIndex or what Publish returned; then the item should come again.
func (m *Matcher) Handle(ctx context.Context, item news.Item) error {
	x := m.live.Load()
	if x == nil {
		return ErrNoIndex
	}
	found := m.match(x, &item)
	now := m.now()
	sig := m.signature(x, &item, len(found))
	for i := range found {
		found[i].MatchedAt, found[i].Signature = now, sig
		if err := m.publish(ctx, found[i]); err != nil {
			m.metrics.item(outcomeFailed)
			return fmt.Errorf("publish match %s: %w", found[i].ID, err)
		}
		if item.Reason != news.ReasonCanary {
			m.metrics.match(&found[i], now)
		}
		m.log.Debug("item matched", "item", item.ID, "match", found[i].ID, "watchlist", found[i].Watchlist)
	}
	switch {
	case item.Reason == news.ReasonCanary:
		m.metrics.item(outcomeCanary)
	case len(found) == 0:
		m.metrics.item(outcomeNothing)
	default:
		m.metrics.item(outcomeMatched)
	}
	return nil
}

// signature is made of items that match alone: most match nothing. Test items of the program join no story.
func (m *Matcher) signature(x *Index, item *news.Item, matches int) *news.Signature {
	if matches == 0 || item.Reason == news.ReasonCanary {
		return nil
	}
	s := x.Signature(item)
	return &s
}

// match is Index.Match with the cost of each rule taken down.
func (m *Matcher) match(x *Index, item *news.Item) []news.Match {
	s := x.scratch()
	defer x.pool.Put(s)
	if !s.look(item) {
		return nil
	}
	s.traced = true
	found := s.matches()
	for _, c := range s.costs {
		r := &x.rules[c.rule]
		m.metrics.rule(x.lists[r.list].ID.Value, r.ID.Value, c)
	}
	return found
}
