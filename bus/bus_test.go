package bus_test

import (
	"context"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

func item(id string) news.Item {
	return news.Item{ID: id, Revision: "r1", Feed: "feed1", Lang: "en", Title: "title " + id, Reason: news.ReasonNew, FirstSeen: time.Now().UTC()}
}

// ctxOf is a context that ends with the test's budget.
func ctxOf(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// both runs a test against an embedded and an external bus.
func both(t *testing.T, f func(t *testing.T, open func(...func(*bus.Options)) *bus.Bus)) {
	t.Run("embedded", func(t *testing.T) {
		f(t, func(change ...func(*bus.Options)) *bus.Bus { return bustest.Open(t, change...) })
	})
	t.Run("external", func(t *testing.T) {
		f(t, func(change ...func(*bus.Options)) *bus.Bus { return bustest.External(t, change...) })
	})
}

func TestSmoke(t *testing.T) {
	both(t, func(t *testing.T, open func(...func(*bus.Options)) *bus.Bus) {
		b := open()
		ctx := ctxOf(t)
		dup, err := b.PublishItem(ctx, item("a"))
		if err != nil || dup {
			t.Fatal(dup, err)
		}
		dup, err = b.PublishItem(ctx, item("a"))
		if err != nil || !dup {
			t.Fatal(dup, err)
		}
		got := make(chan news.Item, 1)
		cctx, cancel := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() {
			done <- b.ConsumeItems(cctx, 2, func(_ context.Context, it news.Item, m bus.Meta) error {
				got <- it
				return nil
			})
		}()
		if it := <-got; it.ID != "a" {
			t.Fatal(it)
		}
		time.Sleep(50 * time.Millisecond)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		st, err := b.Status(ctx)
		t.Logf("%+v %v", st, err)
	})
}
