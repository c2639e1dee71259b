package notifier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/news"
)

// Of several processes one plans: it turns matches into alerts, routes them, and sends what waits when its time has come. All of them send. Which
// stories are open and what waits follows from ALERTS and LEDGER, so the next one to plan reads it there and nothing is handed over.

// TakeOver rebuilds what the process that plans must know, when this one begins to be it. Whoever planned before writes no more.
func (n *Notifier) TakeOver(ctx context.Context) error {
	fold := NewFold()
	n.foldMu.Lock()
	n.next = fold
	n.foldMu.Unlock()
	err := n.relearn(ctx, func(l news.LedgerEntry) {
		n.foldMu.Lock()
		defer n.foldMu.Unlock()
		fold.Add(l)
	})
	n.foldMu.Lock()
	defer n.foldMu.Unlock()
	if n.next = nil; err == nil {
		n.fold = fold
	}
	return err
}

func (n *Notifier) relearn(ctx context.Context, count func(news.LedgerEntry)) error {
	n.stories.turn.Lock()
	defer n.stories.turn.Unlock()
	n.behind = true
	n.holds.flush.Lock()
	defer n.holds.flush.Unlock()
	n.holds.forget()
	if err := n.stories.reset(&n.o.Config); err != nil {
		return err
	}
	if err := n.restore(ctx, count); err != nil {
		return err
	}
	n.behind = false
	return nil
}

// FollowLedger takes in an entry that another process wrote, so that each knows what became of every delivery. One that is known changes nothing.
func (n *Notifier) FollowLedger(l news.LedgerEntry) { n.count(l) }

// catchUp reads the stories again after another process stored a record that this one did not know. The caller holds the turn.
func (n *Notifier) catchUp(ctx context.Context) error {
	if !n.behind {
		return nil
	}
	if err := n.stories.reset(&n.o.Config); err != nil {
		return err
	}
	err := n.o.Replay(ctx, n.o.Now().Add(-Retention), func(a news.Alert) error {
		n.stories.restore(&a)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the stories again: %w", err)
	}
	n.behind = false
	return nil
}

// overtaken tells whether a record could not be stored because another process stored one in its place; the match is then decided again.
func (n *Notifier) overtaken(err error) error {
	if n.o.Replay == nil || !errors.Is(err, news.ErrConflict) {
		return err
	}
	n.behind = true
	n.o.Log.Warn("another process raised alerts too, the stories are read again", "err", err)
	return news.Later(time.Second, err)
}

// forget drops what waits; the caller rebuilds it.
func (s *holds) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.lots)
	clear(s.bundles)
	clear(s.tokens)
	clear(s.last)
	clear(s.past)
	clear(s.alerts)
}

// reset forgets every story.
func (s *stories) reset(c *Config) error {
	fresh, err := newStories(c)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stage, s.open, s.of, s.into, s.items, s.matches, s.links = fresh.stage, fresh.open, fresh.of, fresh.into, fresh.items, fresh.matches, fresh.links
	s.recent, s.waiting = nil, nil
	return nil
}
