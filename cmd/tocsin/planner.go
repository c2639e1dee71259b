package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"tocsin/bus"
	"tocsin/news"
	"tocsin/notifier"
)

// errElsewhere is what a process answers that is asked to plan while another one does.
var errElsewhere = fmt.Errorf("this process does not plan at present, ask the notifier that does: %w", bus.ErrDeposed)

// planners are the stages that turn matches into alerts, route them, and send what waits when its time has come. On a bus of several processes one
// of them runs these stages, and another takes over when it goes.
func (in *instance) planners() []stage {
	s := []stage{
		{"notifier", func(ctx context.Context) error {
			return in.bus.ConsumeMatches(ctx, 1, noMeta(traced(in.trace, "raise alert", aboutMatch, in.notify.HandleMatch)))
		}},
		{"router", func(ctx context.Context) error {
			return in.bus.ConsumeAlerts(ctx, routerWorkers, noMeta(traced(in.trace, "route alert", aboutAlert, in.notify.HandleAlert)))
		}},
		{"holds", in.notify.Run},
		{"lost deliveries", in.notify.Rescue},
	}
	if !in.cfg.Health.Heartbeat.Off() {
		s = append(s, stage{"heartbeats", in.sendHeartbeats})
	}
	if !in.shared() {
		return s
	}
	return []stage{
		{"ledger follower", in.followLedger},
		{"planner", func(ctx context.Context) error {
			return in.bus.Lead(ctx, func(ctx context.Context, t *bus.Term) error { return in.planFor(ctx, t, s) })
		}},
	}
}

// planFor plans while the term lasts.
func (in *instance) planFor(ctx context.Context, t *bus.Term, stages []stage) error {
	for err := in.notify.TakeOver(ctx); err != nil; err = in.notify.TakeOver(ctx) {
		if ctx.Err() != nil {
			return nil
		}
		in.log.Warn("what waits could not be read, trying again", "component", "planner", "err", err)
		if !pause(ctx, beatEvery) {
			return nil
		}
	}
	in.term.Store(t)
	defer in.term.Store(nil)
	in.log.Info("this process plans", "component", "planner")
	return in.together(ctx, stages)
}

// together runs stages until ctx ends or one of them fails.
func (in *instance) together(ctx context.Context, stages []stage) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	errs := make([]error, len(stages))
	var wg sync.WaitGroup
	for i, s := range stages {
		wg.Go(func() {
			if err := in.guarded(ctx, s); err != nil {
				errs[i] = fmt.Errorf("%s: %w", s.name, err)
				stop()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// shared tells that other processes may be on the bus.
func (in *instance) shared() bool { return in.clustered() || in.cfg.Bus.Listen.Value != "" }

// plans tells whether this process is the one that plans.
func (in *instance) plans() bool {
	t := in.term.Load()
	return !in.shared() || t != nil && t.Lasts()
}

// planning runs f, which only the process that plans may do, and cuts it off when that ends.
func (in *instance) planning(ctx context.Context, f func(context.Context) error) error {
	if !in.shared() {
		return f(ctx)
	}
	t := in.term.Load()
	if t == nil {
		return errElsewhere
	}
	ctx, done, err := t.Within(ctx)
	if err != nil {
		return errElsewhere
	}
	defer done()
	return f(ctx)
}

func (in *instance) storeAlert(ctx context.Context, a news.Alert) error {
	return in.planning(ctx, func(ctx context.Context) error { return in.bus.StoreAlert(ctx, a) })
}

// writeLedger stores an entry. What waits and what goes out together is for the process that plans to say.
func (in *instance) writeLedger(ctx context.Context, l news.LedgerEntry) error {
	write := func(ctx context.Context) error { return discardDup(in.bus.PublishLedger)(ctx, l) }
	if l.Event == news.EventHeld || l.Event == news.EventBundled {
		return in.planning(ctx, write)
	}
	return write(ctx)
}

// followLedger keeps the state of every delivery, whichever process writes of it.
func (in *instance) followLedger(ctx context.Context) error {
	return in.bus.ReadLedger(ctx, in.began.Add(-notifier.Retention), true, func(l news.LedgerEntry, _ bus.Meta) error {
		in.notify.FollowLedger(l)
		return nil
	})
}
