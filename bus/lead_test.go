package bus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
)

// contender runs Lead on a connection of its own until its context ends.
type contender struct {
	bus   *bus.Bus
	leads atomic.Bool
	term  atomic.Pointer[bus.Term]
}

func contend(t *testing.T, url string, both *atomic.Int32) *contender {
	t.Helper()
	b, err := bustest.TryOpen(t, at(url), func(o *bus.Options) { o.Setup = true })
	if err != nil {
		t.Fatal(err)
	}
	c := &contender{bus: b}
	start(t, func(ctx context.Context) error {
		return b.Lead(ctx, func(ctx context.Context, term *bus.Term) error {
			if both.Add(1) > 1 {
				t.Error("two lead at once")
			}
			defer both.Add(-1)
			c.term.Store(term)
			c.leads.Store(true)
			defer c.leads.Store(false)
			<-ctx.Done()
			return nil
		})
	})
	return c
}

// One of two processes leads. When its connection is cut off it stops by its own clock, before the other begins.
func TestOneLeadsAndAnotherTakesOver(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	var both atomic.Int32
	a, b := contend(t, srv.ClientURL(), &both), contend(t, srv.ClientURL(), &both)
	within(t, 60*time.Second, "one to lead", func() bool { return a.leads.Load() || b.leads.Load() })
	if b.leads.Load() {
		a, b = b, a
	}
	term := a.term.Load()
	ctx, done, err := term.Within(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	began := time.Now()
	closeBus(t, a.bus)
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, bus.ErrDeposed) || term.Lasts() {
		t.Errorf("work of the lead ended with %v", err)
	}
	if _, _, err := term.Within(t.Context()); !errors.Is(err, bus.ErrDeposed) {
		t.Errorf("after the term: %v", err)
	}
	within(t, 60*time.Second, "the other to take over", b.leads.Load)
	t.Logf("taken over after %s", time.Since(began).Round(time.Millisecond))
}

// What a lead was asked to do and could not ends the lead with its error.
func TestErrorEndsTheLead(t *testing.T) {
	t.Parallel()
	b := bustest.External(t)
	broken := errors.New("broken")
	if err := b.Lead(ctxOf(t), func(context.Context, *bus.Term) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
