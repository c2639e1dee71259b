package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/news"
)

// When an endpoint comes back after an outage, what waited for it would arrive one by one. More than backlogMost are folded into one message for
// each recipient instead. Each entry is claimed in bucket sent first, so that no sender can make an attempt with it, then tied to the message in the
// ledger; a claim without a tie (a crash in between) ends by itself.

const (
	backlogMost = 20
	claimAge    = 2 * time.Minute // after which a claim that the ledger does not confirm ends
	claimLook   = time.Second     // how often a sender asks whether it does: the message holds a place of its channel meanwhile
)

// cameBack lets the channel wait for foldBacklog when much is pending for it.
func (n *Notifier) cameBack(g *gate) {
	if n.o.ReplayLedger == nil || n.o.Replay == nil || n.o.Plans != nil && !n.o.Plans() {
		return
	}
	n.foldMu.Lock()
	waits := len(n.fold.untried(g.ch.ID))
	n.foldMu.Unlock()
	g.setBacklog(waits > backlogMost)
}

func (g *gate) setBacklog(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.backlog = on
}

func (g *gate) hasBacklog() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.backlog
}

// untried are the deliveries of a channel that are planned, stand for themselves alone, and were not attempted yet.
func (f *Fold) untried(channel string) map[string]bool {
	out := map[string]bool{}
	for id, x := range f.live {
		if x.channel == channel && x.state == news.EventPlanned && x.attempt == 0 && x.in == "" && !x.bundle {
			out[id] = true
		}
	}
	return out
}

// tied tells that another delivery stands for this one.
func (f *Fold) tied(id string) bool {
	x := f.live[id]
	return x != nil && x.in != ""
}

// isFolded deals with a delivery that was claimed for a message.
func (n *Notifier) isFolded(j *job, now time.Time) (done bool, err error) {
	n.foldMu.Lock()
	tied := n.fold.tied(j.d.ID)
	n.foldMu.Unlock()
	if tied {
		return true, nil
	}
	if age := now.Sub(j.st.At); age < claimAge && !n.abandoned(j) {
		return true, news.Later(claimLook, errHeld)
	}
	return false, nil
}

// foldBacklog makes one message for each recipient of what waited for the channel. What it cannot fold goes out one by one.
func (n *Notifier) foldBacklog(ctx context.Context, g *gate) error {
	defer g.setBacklog(false)
	entries, err := n.backlogOf(ctx, g)
	if err != nil {
		return err
	}
	lots := map[string][]*held{}
	for _, h := range entries {
		lots[h.lot()] = append(lots[h.lot()], h)
	}
	for _, name := range news.SortedKeys(lots) {
		if len(inTurns(lots[name])) <= backlogMost {
			continue
		}
		mine, err := n.claim(ctx, lots[name])
		if err != nil {
			return err
		}
		if len(inTurns(mine)) < 2 {
			continue // the claims end by themselves
		}
		if err := n.bundle(ctx, mine); err != nil {
			return err
		}
		n.o.Log.Info("what waited for the channel is one message", "channel", g.ch.ID, "count", len(mine))
	}
	return nil
}

// claim takes the entries that no sender has, so that none will.
func (n *Notifier) claim(ctx context.Context, entries []*held) (mine []*held, err error) {
	b, err := json.Marshal(&sentState{SentRecord: news.SentRecord{State: news.SentFolded, At: n.o.Now()}})
	if err != nil {
		return nil, err
	}
	for _, h := range entries {
		switch _, err := n.o.SaveSent(ctx, h.ch.ID+"."+h.id, b, 0); {
		case err == nil:
			mine = append(mine, h)
		case !errors.Is(err, news.ErrConflict):
			return nil, fmt.Errorf("claim delivery %s: %w", h.id, err)
		}
	}
	return mine, nil
}

// backlogOf reads what is pending for a channel back from ledger and alerts.
func (n *Notifier) backlogOf(ctx context.Context, g *gate) (out []*held, err error) {
	n.foldMu.Lock()
	waits := n.fold.untried(g.ch.ID)
	n.foldMu.Unlock()
	now := n.o.Now()
	refs, first := map[string][]news.LedgerEntry{}, now
	err = n.o.ReplayLedger(ctx, now.Add(-longest(g.ch.schedule())), func(l news.LedgerEntry) error {
		if l.Event == news.EventPlanned && waits[l.Delivery] && len(l.Alerts) == 1 && (l.Reason == news.SendFirst || l.Reason == news.SendUpdate) {
			delete(waits, l.Delivery)
			key := refKey(l.Alerts[0])
			refs[key] = append(refs[key], l)
			if l.At.Before(first) {
				first = l.At
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger for the backlog of %s: %w", g.ch.ID, err)
	}
	err = n.o.Replay(ctx, first.Add(-24*time.Hour), func(a news.Alert) error {
		for _, l := range refs[a.Key()] {
			out = append(out, n.backlogEntry(&l, a, g.ch))
		}
		delete(refs, a.Key())
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read alerts for the backlog of %s: %w", g.ch.ID, err)
	}
	slices.SortStableFunc(out, func(a, b *held) int { return a.alert.At.Compare(b.alert.At) })
	return out, nil
}

func (n *Notifier) backlogEntry(l *news.LedgerEntry, a news.Alert, ch *Channel) *held {
	t := n.root.byID(l.Route)
	if t == nil {
		t = &tree{id: l.Route}
	}
	return &held{id: l.Delivery, alert: &a, labels: LabelsOf(&a), route: t, ch: ch, to: l.Recipient, reason: news.HoldOutage, at: l.At}
}
