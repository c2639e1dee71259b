package notifier

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/news"
)

// entry is a ledger entry about a delivery.
func entry(d *news.Delivery, event string, at time.Time, reason string) news.LedgerEntry {
	return news.LedgerEntry{
		Schema: news.Schema, Event: event, Delivery: d.ID, Alerts: d.Alerts, Watchlist: d.Watchlist, Route: d.Route,
		Channel: d.Channel, Recipient: d.Recipient, Attempt: d.Attempt, Reason: reason, At: at,
	}
}

func (n *Notifier) ledger(ctx context.Context, l news.LedgerEntry) error {
	if err := n.o.PublishLedger(ctx, l); err != nil {
		return fmt.Errorf("write ledger %s %s: %w", l.Event, l.Delivery, err)
	}
	n.count(l)
	return nil
}

// count adds an entry to the counts. Canaries are no news and are not counted.
func (n *Notifier) count(l news.LedgerEntry) {
	if l.Channel == canaryChannel {
		return
	}
	n.foldMu.Lock()
	defer n.foldMu.Unlock()
	if l.Event == news.EventFeedback {
		n.noteFeedback(&l)
		return
	}
	n.fold.Add(l)
	if n.next != nil {
		n.next.Add(l)
	}
}

func (n *Notifier) accept(d *news.Delivery) {
	n.foldMu.Lock()
	defer n.foldMu.Unlock()
	n.fold.Accept(d.ID, d.Channel, n.o.Now())
}

// Counts are the deliveries of one channel by what became of them.
type Counts struct {
	Accepted, Delivered, Dead, Suppressed, Pending int
}

// Missing is accepted less all that is accounted for: 0 when nothing disappeared.
func (c Counts) Missing() int { return c.Accepted - c.Delivered - c.Dead - c.Suppressed - c.Pending }

// Fold folds ledger entries into the state of each delivery. It takes entries twice and late without counting them twice. It is not safe for
// use by several goroutines.
type Fold struct {
	live    map[string]*folded
	settled map[string]Counts // of deliveries that came to rest long ago, by channel
	latest  time.Time
	last    time.Time
}

type folded struct {
	channel  string
	state    string // held, bundled, planned, suppressed, delivered, dead; "" when only accepted
	in       string // id of the delivery that stands for this entry
	bundle   bool   // stands for entries and is none itself
	attempt  int
	accepted bool
	at       time.Time
	since    time.Time // when it was first planned, or planned again by an operator
}

// NewFold returns an empty Fold.
func NewFold() *Fold { return &Fold{live: map[string]*folded{}, settled: map[string]Counts{}} }

// Accept notes, from the side of alerts and routes, that a delivery exists.
func (f *Fold) Accept(id, channel string, at time.Time) { f.of(id, channel, at).accepted = true }

func (f *Fold) of(id, channel string, at time.Time) *folded {
	x := f.live[id]
	if x == nil {
		x = &folded{channel: channel, at: at}
		f.live[id] = x
	}
	if at.After(f.latest) {
		f.latest = at
	}
	return x
}

// Add takes one entry. Delivered is final; an operator's replay moves dead back to pending; a suppressed entry counts only for a delivery that
// was never planned.
func (f *Fold) Add(l news.LedgerEntry) {
	if l.Event == news.EventFeedback {
		return
	}
	x := f.of(l.Delivery, l.Channel, l.At)
	switch l.Event {
	case news.EventHeld:
		if x.state == "" {
			x.state = news.EventHeld
		}
	case news.EventBundled:
		f.bundled(&l, x)
	case news.EventPlanned:
		if x.waits() {
			x.state, x.since = news.EventPlanned, l.At
		}
	case news.EventSuppressed:
		if x.state == "" || x.state == news.EventHeld {
			x.state = news.EventSuppressed
		}
	case news.EventAttempt:
		if x.waits() {
			x.state, x.since = news.EventPlanned, l.At
		}
	case news.EventDelivered:
		x.state = news.EventDelivered
	case news.EventDead:
		if x.state != news.EventDelivered && l.Attempt >= x.attempt {
			x.state = news.EventDead
		}
	case news.EventReplayed:
		if x.state != news.EventDelivered && l.Attempt >= x.attempt {
			x.state, x.since = news.EventPlanned, l.At
		}
	}
	x.attempt = max(x.attempt, l.Attempt)
	if l.At.After(x.at) {
		x.at = l.At
	}
	f.settle()
}

// waits tells that nothing was planned yet.
func (x *folded) waits() bool {
	return x.state == "" || x.state == news.EventHeld || x.state == news.EventBundled
}

// bundled ties entries to the delivery that stands for them. An entry is tied once.
func (f *Fold) bundled(l *news.LedgerEntry, x *folded) {
	if x.waits() {
		x.state = news.EventBundled
	}
	x.bundle = len(l.Entries) > 0 && !slices.Contains(l.Entries, l.Delivery)
	for _, id := range l.Entries {
		e := f.of(id, l.Channel, l.At)
		if id == l.Delivery || e.in != "" {
			continue
		}
		e.in = l.Delivery
		if e.waits() {
			e.state = news.EventBundled
		}
	}
}

// stateOf is the state of a delivery or entry, "" when nothing is known of it.
func (f *Fold) stateOf(id string) string {
	x := f.live[id]
	if x == nil {
		return ""
	}
	return f.whole(x).state
}

// whole is what decides about x: the delivery that stands for it, else x itself.
func (f *Fold) whole(x *folded) *folded {
	if b := f.live[x.in]; b != nil {
		return b
	}
	return x
}

// settleAfter is how long a delivery at rest is kept by id, so that an entry that is repeated after a redelivery is known.
const settleAfter = 7 * 24 * time.Hour

func (f *Fold) settle() {
	if f.latest.Sub(f.last) < time.Hour {
		return
	}
	f.last = f.latest
	done := func(x *folded) bool {
		w := f.whole(x)
		return f.latest.Sub(w.at) >= settleAfter && !w.waits() && w.state != news.EventPlanned
	}
	for _, entries := range []bool{true, false} { // entries before the deliveries that stand for them
		for id, x := range f.live {
			if (x.in != "") != entries || !done(x) {
				continue
			}
			c := f.settled[x.channel]
			f.add(x, &c)
			f.settled[x.channel] = c
			delete(f.live, id)
		}
	}
}

// add counts one entry, by the state of what stands for it.
func (f *Fold) add(x *folded, c *Counts) {
	if !x.bundle {
		f.whole(x).count(c)
	}
}

func (x *folded) count(c *Counts) {
	c.Accepted++
	switch x.state {
	case news.EventPlanned, news.EventHeld, news.EventBundled:
		c.Pending++
	case news.EventSuppressed:
		c.Suppressed++
	case news.EventDelivered:
		c.Delivered++
	case news.EventDead:
		c.Dead++
	}
}

// Counts gives the counts of each channel.
func (f *Fold) Counts() map[string]Counts {
	out := map[string]Counts{}
	for ch, c := range f.settled {
		out[ch] = c
	}
	for _, x := range f.live {
		c := out[x.channel]
		f.add(x, &c)
		out[x.channel] = c
	}
	return out
}

// queue is what is planned for a channel and neither delivered nor dead: waiting, being tried, or waiting for another try.
type queue struct {
	pending int
	oldest  time.Time // when the oldest of it was planned
}

func (f *Fold) queues() map[string]queue {
	out := map[string]queue{}
	for _, x := range f.live {
		if x.state != news.EventPlanned {
			continue
		}
		q := out[x.channel]
		if q.pending++; q.oldest.IsZero() || x.since.Before(q.oldest) {
			q.oldest = x.since
		}
		out[x.channel] = q
	}
	return out
}

// Unaccounted lists deliveries that alerts and routes ask for, but of which the ledger has not said a word since before.
func (f *Fold) Unaccounted(before time.Time) []string {
	lost := map[string]bool{}
	for id, x := range f.live {
		if x.state == "" && x.at.Before(before) {
			lost[id] = true
		}
	}
	return news.SortedKeys(lost)
}

// planning counts by channel the deliveries of which the ledger has not said a word, but that began no earlier than since.
func (f *Fold) planning(since time.Time) map[string]int {
	out := map[string]int{}
	for _, x := range f.live {
		if x.state == "" && !x.at.Before(since) {
			out[x.channel]++
		}
	}
	return out
}

// mismatchGrace is how long a delivery may be without a ledger entry before it counts as missing.
const mismatchGrace = 30 * time.Second

// Ledger gives the counts of each channel, as folded from the entries that this process wrote and read. What is being planned at this moment is
// pending; after 30 s without a ledger entry it is missing.
func (n *Notifier) Ledger() map[string]Counts {
	n.foldMu.Lock()
	defer n.foldMu.Unlock()
	out := n.fold.Counts()
	for ch, young := range n.fold.planning(n.o.Now().Add(-mismatchGrace)) {
		c := out[ch]
		c.Pending += young
		out[ch] = c
	}
	return out
}

// Missing counts deliveries that alerts and routes ask for and of which the ledger has said nothing for 30 s: 0 unless something disappeared.
func (n *Notifier) Missing() int {
	n.foldMu.Lock()
	defer n.foldMu.Unlock()
	return len(n.fold.Unaccounted(n.o.Now().Add(-mismatchGrace)))
}

func (n *Notifier) queues() map[string]queue {
	n.foldMu.Lock()
	defer n.foldMu.Unlock()
	return n.fold.queues()
}
