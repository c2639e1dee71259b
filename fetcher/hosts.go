package fetcher

import (
	"context"
	"sync"
	"time"

	"tocsin/news"
)

// patience is how long a poll waits for its host in place. Longer waits go back to the bus, so that no host fills the queue.
const patience = 2 * time.Second

// hosts spaces requests: at most conns at a time and one start every gap for each host and port (RFC 9112 9.4), and holds hosts that said 429.
type hosts struct {
	conns int
	gap   time.Duration
	now   func() time.Time

	mu sync.Mutex
	m  map[string]*host
}

type host struct {
	used   int
	next   time.Time // earliest start of the next request
	queue  time.Time // end of the line of those that were sent away
	hold   time.Time // 429: nothing before
	signal chan struct{}
}

func newHosts(conns int, gap time.Duration, now func() time.Time) *hosts {
	return &hosts{conns: conns, gap: gap, now: now, m: map[string]*host{}}
}

// acquire takes a slot and waits for the host's gap. With maySendAway it answers news.LaterError instead of waiting long.
func (h *hosts) acquire(ctx context.Context, key string, maySendAway bool) (done func(), err error) {
	start := h.now()
	for {
		wait, signal := h.try(key)
		if wait == 0 && signal == nil {
			return func() { h.free(key) }, nil
		}
		if maySendAway && (wait > patience || h.now().Sub(start) > patience) {
			return nil, news.Later(h.line(key), nil)
		}
		if err := sleep(ctx, wait, signal); err != nil {
			return nil, err
		}
	}
}

// try takes a slot at once, or tells how long to wait for the gap and which signal says that a slot is free.
func (h *hosts) try(key string) (time.Duration, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.host(key)
	if x.used >= h.conns {
		return patience / 4, x.signal
	}
	now := h.now()
	if wait := x.next.Sub(now); wait > 0 && wait <= h.gap { // more means that the clock was set back
		return wait, nil
	}
	x.used++
	x.next = now.Add(h.gap)
	return 0, nil
}

func (h *hosts) host(key string) *host {
	x := h.m[key]
	if x == nil {
		h.sweep()
		x = &host{signal: make(chan struct{}, 1)}
		h.m[key] = x
	}
	return x
}

// sweep forgets hosts that are at rest, whenever many are known.
func (h *hosts) sweep() {
	if len(h.m) < 4096 || len(h.m)%512 != 0 {
		return
	}
	now := h.now()
	for k, x := range h.m {
		if x.used == 0 && now.After(x.next) && now.After(x.queue) && now.After(x.hold) {
			delete(h.m, k)
		}
	}
}

// line gives each poll that is sent away its own place, one gap behind the one before.
func (h *hosts) line(key string) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	x, now := h.host(key), h.now()
	if x.queue.Before(now.Add(patience)) || x.queue.After(now.Add(day)) {
		x.queue = now.Add(patience)
	}
	x.queue = x.queue.Add(max(h.gap, time.Millisecond))
	return x.queue.Sub(now)
}

func (h *hosts) free(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.host(key)
	x.used--
	select {
	case x.signal <- struct{}{}:
	default:
	}
}

// idle tells whether nobody asks the host now and nothing holds it.
func (h *hosts) idle(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	x := h.m[key]
	now := h.now()
	return x == nil || x.used == 0 && !x.next.After(now) && !x.queue.After(now) && !x.hold.After(now)
}

// hold keeps every feed of the host away until t (row 18).
func (h *hosts) hold(key string, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if x := h.host(key); t.After(x.hold) {
		x.hold = t
	}
}

// held tells until when the host is held; zero when it is not.
func (h *hosts) held(key string) time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if x, now := h.m[key], h.now(); x != nil && x.hold.After(now) && !x.hold.After(now.Add(maxRetry)) {
		return x.hold
	}
	return time.Time{}
}

// sleep waits for d, a signal or the end of ctx.
func sleep(ctx context.Context, d time.Duration, signal <-chan struct{}) error {
	t := time.NewTimer(max(d, time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
	case <-signal:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// budget is a number of bytes that all feeds share.
type budget struct {
	mu     sync.Mutex
	size   int64
	free   int64
	signal chan struct{}
}

func newBudget(n int64) *budget { return &budget{size: n, free: n, signal: make(chan struct{})} }

// take waits until n bytes are free; more than the whole counts as the whole.
func (b *budget) take(ctx context.Context, n int64) (release func(), err error) {
	n = min(n, b.size)
	for {
		b.mu.Lock()
		if b.free >= n {
			b.free -= n
			b.mu.Unlock()
			return sync.OnceFunc(func() { b.give(n) }), nil
		}
		signal := b.signal
		b.mu.Unlock()
		if err := sleep(ctx, time.Hour, signal); err != nil {
			return nil, err
		}
	}
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	close(b.signal)
	b.signal = make(chan struct{})
}
