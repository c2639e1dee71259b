package fetcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	looking = 32  // feeds whose state is read at a time
	arming  = 256 // feeds that are armed at a time when they are new: so many wake-ups go to disk together
	ensured = 16  // feeds that are armed at a time when most have a wake-up: nothing is written for these
)

// wakeUp is what reconcile decides for one feed.
type wakeUp struct {
	feed *Feed
	at   time.Time
	view *view // set where what is planned has to be replaced
}

// reconcile arms feeds without a wake-up. A new feed starts at once, many new ones spread; a known one after an interval, never now: a poll that
// is under way has no wake-up, and its own then replaces ours.
func (f *Fetcher) reconcile(ctx context.Context) error {
	list := f.list()
	views, errs := f.viewsOf(ctx, list)
	started, mean := 0, 0.0 // mean: polls a second when all is well
	spread := func() time.Duration {
		started++
		return time.Duration(started-1) * time.Second / time.Duration(f.o.StartRate)
	}
	var fresh, known []wakeUp
	for i, fd := range list {
		v, now := views[i], f.wall()
		if v == nil {
			continue
		}
		at := now.Add(max(v.interval, f.o.MinInterval))
		mean += 1 / max(cmp.Or(v.interval, fd.Interval, usual), f.o.MinInterval).Seconds()
		switch {
		case v.gone:
		case v.lastTry.After(now.Add(time.Minute)):
			// The clock was set back: what is planned lies too far away.
			known = append(known, wakeUp{fd, now.Add(spread()), v})
		case v.lastTry.IsZero():
			fresh = append(fresh, wakeUp{fd, now.Add(spread()), nil})
		case v.next.After(at):
			known = append(known, wakeUp{fd, v.next, nil})
		default:
			known = append(known, wakeUp{fd, at, nil})
		}
	}
	errs = append(errs, f.armAll(ctx, arming, fresh), f.armAll(ctx, ensured, known))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f.starts.atMost(max(float64(f.o.StartRate), 2*mean))
	return errors.Join(errs...)
}

// viewsOf gives the views of the feeds that are not paused.
func (f *Fetcher) viewsOf(ctx context.Context, list []*Feed) (views []*view, errs []error) {
	views, errs = make([]*view, len(list)), make([]error, len(list))
	inParallel(ctx, looking, len(list), func(i int) {
		if !list[i].Paused {
			views[i], errs[i] = f.viewOf(ctx, list[i])
		}
	})
	return views, errs
}

func (f *Fetcher) armAll(ctx context.Context, workers int, all []wakeUp) error {
	errs := make([]error, len(all))
	inParallel(ctx, workers, len(all), func(i int) {
		w := all[i]
		if w.view != nil {
			errs[i] = f.rearm(ctx, w.feed, w.view, w.at)
		} else if _, err := f.o.Ensure(ctx, w.feed.ID, w.at); err != nil {
			errs[i] = fmt.Errorf("arm feed %s: %w", w.feed.ID, err)
		}
	})
	return errors.Join(errs...)
}

// inParallel calls do for 0 to n-1, workers at a time, until all are done or ctx ends.
func inParallel(ctx context.Context, workers, n int, do func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
}

// rearm replaces what is planned for a feed. The view is a new one, so that it is done once.
func (f *Fetcher) rearm(ctx context.Context, fd *Feed, v *view, at time.Time) error {
	if err := f.o.Arm(ctx, fd.ID, at); err != nil {
		return fmt.Errorf("arm feed %s: %w", fd.ID, err)
	}
	again := *v
	again.next, again.lastTry = at, f.wall()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views[fd.ID] = &again
	return nil
}
