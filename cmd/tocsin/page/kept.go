package page

import (
	"context"
	"sync"
	"time"
)

// kept is a picture of something that costs time to look at: a fresh one is given as it is, an old one is given while a new one is made, and only
// one that is much too old is waited for.
type kept[T any] struct {
	load func(context.Context) (T, error)
	age  time.Duration
	now  func() time.Time
	mu   sync.Mutex
	v    T
	err  error
	at   time.Time
	busy chan struct{} // closed when the load that is under way ends
}

func newKept[T any](load func(context.Context) (T, error), age time.Duration, now func() time.Time) *kept[T] {
	return &kept[T]{load: load, age: age, now: now}
}

// worn is how many times the age a picture may have before it is waited for.
const worn = 20

// loadWithin bounds one look.
const loadWithin = 10 * time.Second

// get gives the picture and when it was made. An error stands beside the last good picture.
func (k *kept[T]) get(ctx context.Context) (v T, at time.Time, err error) {
	k.mu.Lock()
	old := k.now().Sub(k.at)
	if (old >= k.age || k.err != nil) && k.busy == nil {
		k.start(ctx)
	}
	wait := k.busy
	if !k.at.IsZero() && old < worn*k.age {
		wait = nil
	}
	v, at, err = k.v, k.at, k.err
	k.mu.Unlock()
	if wait == nil {
		return v, at, err
	}
	return k.awaited(ctx, wait, v, at)
}

// fresh looks anew and waits for it.
func (k *kept[T]) fresh(ctx context.Context) (v T, at time.Time, err error) {
	k.mu.Lock()
	if k.busy == nil {
		k.start(ctx)
	}
	wait := k.busy
	k.mu.Unlock()
	return k.awaited(ctx, wait, v, at)
}

// awaited is what the look that wait ends has found; v and at when ctx ends first.
func (k *kept[T]) awaited(ctx context.Context, wait <-chan struct{}, v T, at time.Time) (T, time.Time, error) {
	select {
	case <-wait:
	case <-ctx.Done():
		return v, at, ctx.Err()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.v, k.at, k.err
}

// start looks anew in the background, also when the one who asked goes away. The caller holds mu.
func (k *kept[T]) start(ctx context.Context) {
	done := make(chan struct{})
	k.busy = done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadWithin)
	go func() {
		defer cancel()
		v, err := k.load(ctx)
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.err = err; err == nil {
			k.v, k.at = v, k.now()
		}
		k.busy = nil
		close(done)
	}()
}

// older tells whether the picture has this age.
func (k *kept[T]) older(age time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now().Sub(k.at) >= age
}

// last gives the picture as it is.
func (k *kept[T]) last() (v T, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.v, k.at
}
