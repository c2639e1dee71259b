package notifier

import (
	"context"
	"fmt"
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
	n.fold.Add(l)
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
	state    string // planned, suppressed, delivered, dead; "" when only accepted
	attempt  int
	accepted bool
	at       time.Time
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
	x := f.of(l.Delivery, l.Channel, l.At)
	switch l.Event {
	case news.EventPlanned:
		if x.state == "" {
			x.state = news.EventPlanned
		}
	case news.EventSuppressed:
		if x.state == "" {
			x.state = news.EventSuppressed
		}
	case news.EventAttempt:
		if x.state == "" {
			x.state = news.EventPlanned
		}
	case news.EventDelivered:
		x.state = news.EventDelivered
	case news.EventDead:
		if x.state != news.EventDelivered && l.Attempt >= x.attempt {
			x.state = news.EventDead
		}
	case news.EventReplayed:
		if x.state != news.EventDelivered && l.Attempt >= x.attempt {
			x.state = news.EventPlanned
		}
	}
	x.attempt = max(x.attempt, l.Attempt)
	if l.At.After(x.at) {
		x.at = l.At
	}
	f.settle()
}

// settleAfter is how long a delivery at rest is kept by id, so that an entry that is repeated after a redelivery is known.
const settleAfter = 7 * 24 * time.Hour

func (f *Fold) settle() {
	if f.latest.Sub(f.last) < time.Hour {
		return
	}
	f.last = f.latest
	for id, x := range f.live {
		if f.latest.Sub(x.at) < settleAfter || x.state == "" || x.state == news.EventPlanned {
			continue
		}
		c := f.settled[x.channel]
		x.count(&c)
		f.settled[x.channel] = c
		delete(f.live, id)
	}
}

func (x *folded) count(c *Counts) {
	c.Accepted++
	switch x.state {
	case news.EventPlanned:
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
		x.count(&c)
		out[x.channel] = c
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

// mismatchGrace is how long a delivery may be without a ledger entry before it counts as missing.
const mismatchGrace = 30 * time.Second

// Ledger gives the counts of each channel, as folded from the entries that this process wrote and read.
func (n *Notifier) Ledger() map[string]Counts {
	n.foldMu.Lock()
	defer n.foldMu.Unlock()
	return n.fold.Counts()
}

func (n *Notifier) missing() int {
	n.foldMu.Lock()
	defer n.foldMu.Unlock()
	return len(n.fold.Unaccounted(n.o.Now().Add(-mismatchGrace)))
}
