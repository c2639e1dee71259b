package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tocsin/news"
)

// A delivery that is pending has a message in OUTBOX: due, in a sender's hands, or armed for its next attempt. One that has none was lost below us,
// and nobody would ever send it. Rescue finds such deliveries and plans them again under the same id; its bytes follow from ledger and alerts.

const (
	lostEvery = time.Minute
	// lostAge is how long nothing was heard of a delivery, and how long its next attempt is overdue, before it may count as lost.
	lostAge = 2 * time.Minute
	// lostSending is the same for one that a sender holds by its guard: longer than an attempt may last, so that none is doubled.
	lostSending = 15 * time.Minute
)

// suspect is a pending delivery that has no message.
type suspect struct {
	id    string
	ch    *Channel
	since time.Time // when it was planned
	st    sentState
	rev   uint64            // of the guard
	l     *news.LedgerEntry // what planned it; nil until the ledger was read
}

// Rescue looks for lost deliveries at once and every minute, until ctx ends. One is planned again when two looks agree. It belongs to the process that
// plans; if another one did so at the same time, its plan would replace this one.
func (n *Notifier) Rescue(ctx context.Context) error {
	seen := map[string]bool{}
	for {
		next, err := n.rescueOnce(ctx, seen)
		if err != nil && ctx.Err() == nil {
			n.o.Log.Warn("lost deliveries cannot be looked for", "err", err)
		}
		seen = next
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lostEvery):
		}
	}
}

// rescueOnce gives the suspects of this look. Those that the look before had as well are planned again.
func (n *Notifier) rescueOnce(ctx context.Context, before map[string]bool) (seen map[string]bool, err error) {
	seen = map[string]bool{}
	if n.o.Queued == nil || n.o.Replay == nil || n.o.ReplayLedger == nil {
		return seen, nil
	}
	now := n.o.Now()
	n.foldMu.Lock()
	silent := n.fold.silent(now.Add(-lostAge))
	n.foldMu.Unlock()
	lost := map[string]*suspect{}
	for _, name := range news.SortedKeys(silent) {
		if n.gates[name] == nil {
			continue
		}
		queued, err := n.o.Queued(ctx, name)
		if err != nil {
			return seen, fmt.Errorf("look at OUTBOX for channel %s: %w", name, err)
		}
		for id, since := range silent[name] {
			if queued(id) {
				continue
			}
			x := &suspect{id: id, ch: n.gates[name].ch, since: since}
			open, err := n.isOpen(ctx, x, now)
			if err != nil {
				return seen, err
			}
			if open {
				seen[id] = true
			}
			if open && before[id] {
				lost[id] = x
			}
		}
	}
	if len(lost) == 0 {
		return seen, nil
	}
	return seen, n.planLost(ctx, lost)
}

// silent are the deliveries by channel that are planned, stand for themselves, and of which nothing was heard since before; with the time of their plan.
func (f *Fold) silent(before time.Time) map[string]map[string]time.Time {
	out := map[string]map[string]time.Time{}
	for id, x := range f.live {
		if x.state != news.EventPlanned || x.in != "" || !x.at.Before(before) {
			continue
		}
		if out[x.channel] == nil {
			out[x.channel] = map[string]time.Time{}
		}
		out[x.channel][id] = x.since
	}
	return out
}

// isOpen reads the guard. It was read after OUTBOX, and a sender writes it before it lets go of the message: so one that says sent or dead is the
// end of a delivery that this process had not heard of, and any other means that the delivery is lost.
func (n *Notifier) isOpen(ctx context.Context, x *suspect, now time.Time) (bool, error) {
	b, rev, err := n.o.LoadSent(ctx, x.ch.ID+"."+x.id)
	if errors.Is(err, news.ErrNotFound) {
		return true, nil
	}
	if err == nil {
		x.rev, err = rev, json.Unmarshal(b, &x.st)
	}
	if err != nil {
		return false, fmt.Errorf("read sent record of %s: %w", x.id, err)
	}
	event := ""
	switch x.st.State {
	case news.SentDone:
		event = news.EventDelivered
	case news.SentDead:
		event = news.EventDead
	case news.SentSending:
		return now.Sub(x.st.At) >= lostSending, nil
	default:
		last := x.st.At
		if x.st.Next.After(last) {
			last = x.st.Next
		}
		return now.Sub(last) >= lostAge, nil
	}
	n.count(news.LedgerEntry{Event: event, Delivery: x.id, Channel: x.ch.ID, Attempt: x.st.Attempt, At: x.st.At})
	return false, nil
}

// planLost reads back what planned the deliveries and arms each.
func (n *Notifier) planLost(ctx context.Context, lost map[string]*suspect) error {
	since := n.o.Now().Add(-Retention)
	alerts := map[string]*news.Alert{}
	err := n.o.ReplayLedger(ctx, since, func(l news.LedgerEntry) error {
		n.forgetTied(&l, lost)
		x := lost[l.Delivery]
		if x == nil || l.Event != news.EventBundled && (l.Event != news.EventPlanned || x.l != nil) {
			return nil
		}
		x.l = &l
		for _, ref := range l.Alerts {
			alerts[refKey(ref)] = nil
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the ledger for lost deliveries: %w", err)
	}
	err = n.o.Replay(ctx, since, func(a news.Alert) error {
		if kept, wanted := alerts[a.Key()]; wanted && kept == nil {
			alerts[a.Key()] = &a
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read alerts for lost deliveries: %w", err)
	}
	var errs []error
	for _, id := range news.SortedKeys(lost) {
		errs = append(errs, n.armLost(ctx, lost[id], alerts))
	}
	return errors.Join(errs...)
}

// forgetTied leaves out what another message stands for, as another process may have arranged.
func (n *Notifier) forgetTied(l *news.LedgerEntry, lost map[string]*suspect) {
	if l.Event != news.EventBundled {
		return
	}
	for _, id := range l.Entries {
		if id != l.Delivery && lost[id] != nil {
			n.count(*l)
			delete(lost, id)
		}
	}
}

// armLost makes the delivery anew and has it due at once. What cannot be made again becomes a dead letter.
func (n *Notifier) armLost(ctx context.Context, x *suspect, alerts map[string]*news.Alert) error {
	d, err := n.remake(x, alerts)
	if err != nil {
		return n.bury(ctx, x.empty(), deadLost, "its message is gone, and it cannot be made again: "+oneLine(err.Error()), x.job())
	}
	if err := n.o.ArmRetry(ctx, *d, n.o.Now()); err != nil {
		return fmt.Errorf("plan lost delivery %s: %w", x.id, err)
	}
	n.m.rescued.WithLabelValues(x.ch.ID).Inc()
	n.o.Log.Warn("delivery that had no message any more is planned again", "channel", x.ch.ID, "delivery", x.id, "attempt", x.st.Attempt)
	return nil
}

func (x *suspect) job() *job { return &job{d: x.empty(), st: x.st, rev: x.rev} }

// empty is the delivery without its bytes.
func (x *suspect) empty() *news.Delivery {
	d := &news.Delivery{Schema: news.Schema, ID: x.id, Channel: x.ch.ID, PlannedAt: x.since, Expires: x.since.Add(longest(x.ch.schedule()))}
	if l := x.l; l != nil {
		d.Alerts, d.Watchlist, d.Route, d.Recipient, d.Reason = l.Alerts[:min(max(len(l.Entries), 1), len(l.Alerts))], l.Watchlist, l.Route, l.Recipient, l.Reason
	}
	return d
}

func (n *Notifier) remake(x *suspect, alerts map[string]*news.Alert) (d *news.Delivery, err error) {
	if x.l == nil {
		return nil, errors.New("the ledger does not know its plan")
	}
	var all []news.Alert
	for _, ref := range x.l.Alerts {
		if a := alerts[refKey(ref)]; a != nil {
			all = append(all, *a)
		}
	}
	switch {
	case len(all) != len(x.l.Alerts) || len(all) == 0:
		return nil, errors.New("its alerts are not there")
	case x.l.Event == news.EventBundled:
		d, err = n.compose(x.l, all, x.ch, n.fullOf(x.l.Route))
	default:
		d = n.draft(&all[0], x.l.Route, x.ch, x.l.Recipient, x.since)
		err = render(x.ch, &all[0], d)
	}
	if err == nil && d.ID != x.id {
		err = fmt.Errorf("it would be another one: %s", d.ID)
	}
	if err != nil {
		return nil, err
	}
	d.Expires = x.since.Add(longest(x.ch.schedule()))
	d.Attempt, d.Replay = x.st.Attempt, x.st.Replay
	if d.Replay > 0 {
		d.Reason = news.SendReplay
	}
	return d, nil
}

// fullOf is how many items a digest of the route shows in full.
func (n *Notifier) fullOf(route string) int {
	if t := n.root.byID(route); t != nil && t.digest != nil {
		return t.digest.maxItems()
	}
	return defaultMaxItems
}
