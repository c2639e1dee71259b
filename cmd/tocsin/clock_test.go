package main

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// setClock is a clock that a test can set, beside a pace that goes on evenly.
type setClock struct {
	mu    sync.Mutex
	began time.Time
	by    time.Duration
}

func (c *setClock) set(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += by
}

func (c *setClock) read() (time.Time, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	return now.Round(0).Add(c.by), now.Sub(c.began)
}

func TestClockJumpsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &setClock{began: time.Now()}
		w := newClockWatch(prometheus.NewRegistry())
		w.read = c.read
		ctx, stop := context.WithCancel(t.Context())
		var said []time.Duration
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = w.run(ctx, func(by time.Duration) { said = append(said, by) }) // it has no error
		}()
		for _, by := range []time.Duration{0, time.Second, time.Hour, 0, -time.Minute, 0} {
			time.Sleep(clockLook + time.Second)
			c.set(by)
		}
		time.Sleep(2 * clockLook)
		stop()
		<-done
		if len(said) != 2 || said[0] != time.Hour || said[1] != -time.Minute {
			t.Errorf("jumps told: %v", said)
		}
		if f, b := testutil.ToFloat64(w.jumps.WithLabelValues("forward")), testutil.ToFloat64(w.jumps.WithLabelValues("back")); f != 1 || b != 1 {
			t.Errorf("%v forward, %v back", f, b)
		}
	})
}
