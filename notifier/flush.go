package notifier

import (
	"context"
	"errors"
	"slices"
	"time"

	"tocsin/news"
)

const (
	flushEvery = 500 * time.Millisecond
	flushRest  = 30 * time.Second // longest pause after errors
	aloneMost  = 10               // entries that go out one by one when quiet hours end; more make one summary
)

// Run sends what waited when its time has come, until ctx ends. It keeps running when the bus cannot be written: what it could not send it tries
// again.
func (n *Notifier) Run(ctx context.Context) error {
	for pause := flushEvery; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		err := n.Flush(ctx)
		if err == nil || ctx.Err() != nil {
			pause = flushEvery
			continue
		}
		pause = min(2*pause, flushRest)
		n.o.Log.Warn("held alerts cannot be sent yet", "err", err)
	}
}

// Flush sends everything whose time has come. After an error the rest waits for the next call.
func (n *Notifier) Flush(ctx context.Context) error {
	n.holds.flush.Lock()
	defer n.holds.flush.Unlock()
	var errs []error
	if err := n.refreshSilences(ctx, silenceAge); err != nil {
		errs = append(errs, err)
	}
	for i := range n.o.Channels {
		if g := n.gates[n.o.Channels[i].ID]; g.hasBacklog() {
			errs = append(errs, n.foldBacklog(ctx, g))
		}
	}
	for _, b := range n.holds.open() {
		errs = append(errs, n.publishBundle(ctx, b))
	}
	now := n.o.Now()
	for _, entries := range n.holds.dueLots(now) {
		errs = append(errs, n.flushLot(ctx, entries, now))
	}
	return errors.Join(errs...)
}

// flushLot looks at each entry once more, then sends what is left.
func (n *Notifier) flushLot(ctx context.Context, entries []*held, now time.Time) error {
	first := entries[0]
	if d := first.route.digest; first.reason == news.HoldDigest && d != nil {
		if later, enough := d.due(len(entries), first.at, now); !enough && !slices.ContainsFunc(entries, isBeat) {
			n.holds.postpone(first, later)
			return nil
		}
	}
	var ready []*held
	for _, h := range entries {
		ok, err := n.stillDue(ctx, h, now)
		if err != nil {
			return err
		}
		if ok {
			ready = append(ready, h)
		}
	}
	if len(ready) == 0 {
		return nil
	}
	return n.release(ctx, ready, now)
}

// isBeat tells that an entry is a heartbeat: it goes with its digest, however little else there is.
func isBeat(h *held) bool { return h.alert.Kind == news.KindHeartbeat }

func (s *holds) postpone(h *held, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.lots[h.lot()]; x != nil {
		x.due = due
	}
}

// move puts an entry into the lot of what it waits for now.
func (s *holds) move(h *held, change func()) {
	s.mu.Lock()
	x := s.lots[h.lot()]
	if x != nil {
		delete(x.entries, h.id)
		if len(x.entries) == 0 {
			delete(s.lots, h.lot())
		}
	}
	change()
	s.mu.Unlock()
	s.add(h)
}

// stillDue looks at an entry whose time has come: it may be silenced by now, or fall into quiet hours.
func (n *Notifier) stillDue(ctx context.Context, h *held, now time.Time) (ready bool, err error) {
	if s := n.silences.holds(h.alert, h.labels, now); s != nil {
		return false, n.dropHeld(ctx, h, news.SuppressSilence, s.About())
	}
	reason, why, err := n.away(ctx, h.ch, n.draft(h.alert, h.route.id, h.ch, h.to, now), "", "")
	if err != nil || reason != "" {
		return false, errors.Join(err, n.dropAway(ctx, h, reason, why))
	}
	if h.reason == news.HoldDigest {
		return true, nil
	}
	next := *h
	wait, drop := n.quietNow(&next, now)
	if drop {
		return false, n.dropHeld(ctx, h, news.SuppressQuiet, "")
	}
	if wait {
		n.holds.move(h, func() { h.reason, h.group, h.due = next.reason, next.group, next.due })
	}
	return !wait, nil
}

// dropAway suppresses an entry whose recipient left while it waited; no reason means that this could not be asked.
func (n *Notifier) dropAway(ctx context.Context, h *held, reason, why string) error {
	if reason == "" {
		return nil
	}
	return n.dropHeld(ctx, h, reason, why)
}

func (n *Notifier) dropHeld(ctx context.Context, h *held, reason, why string) error {
	if err := n.suppressed(ctx, n.draft(h.alert, h.route.id, h.ch, h.to, n.o.Now()), reason, why); err != nil {
		return err
	}
	n.holds.remove(h)
	return nil
}

// release sends entries of one lot: alone, or as one message that stands for them.
func (n *Notifier) release(ctx context.Context, entries []*held, now time.Time) error {
	first := entries[0]
	alone := inTurns(entries)
	if first.reason == news.HoldQuiet && len(alone) <= aloneMost || first.reason == news.HoldUpdate {
		for _, turn := range alone {
			if n.folded(now, turn...) {
				continue
			}
			if err := n.bundle(ctx, turn); err != nil {
				return err
			}
		}
		return nil
	}
	if first.reason == news.HoldGroup {
		if n.folded(now, entries...) {
			return nil
		}
		n.holds.sent(first, now)
	} else {
		n.holds.force(first, now)
	}
	return n.bundle(ctx, entries)
}

// inTurns gives the entries as they go out one by one: the updates of one alert together, for the last of them tells the news of all.
func inTurns(entries []*held) (out [][]*held) {
	at := map[string]int{}
	for _, h := range entries {
		i, more := at[h.alert.ID]
		if h.alert.Kind != news.KindUpdate || !more {
			if h.alert.Kind == news.KindUpdate {
				at[h.alert.ID] = len(out)
			}
			out = append(out, []*held{h})
			continue
		}
		out[i] = append(out[i], h)
	}
	return out
}

// folded takes one token for a message of these entries. When there is none they wait for the next summary instead.
func (n *Notifier) folded(now time.Time, entries ...*held) bool {
	n.holds.mu.Lock()
	probe := *entries[0]
	was := probe.reason
	probe.reason = ""
	n.holds.throttle(&probe, now)
	n.holds.mu.Unlock()
	if probe.reason == "" {
		return false
	}
	for _, h := range entries {
		n.holds.move(h, func() { h.reason, h.group, h.due = probe.reason, "", probe.due })
	}
	if was != news.HoldThrottle {
		n.m.folded.WithLabelValues(probe.ch.ID).Add(float64(len(entries)))
	}
	return true
}

func (s *holds) force(h *held, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h.route.throttle != nil {
		s.bucket(h).force(h.route.throttle, now)
	}
}

// sent notes the time of a group's message, and forgets groups that have been silent for longer than their interval.
func (s *holds) sent(h *held, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[h.lot()] = now
	if len(s.last)%1000 != 0 {
		return
	}
	for name, at := range s.last {
		if now.Sub(at) > 24*time.Hour {
			delete(s.last, name)
		}
	}
}
