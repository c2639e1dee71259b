package bus_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

func readIDs(t *testing.T, b *bus.Bus, since time.Time) (ids []string) {
	t.Helper()
	err := b.ReadItems(ctxOf(t), since, false, func(it news.Item, m bus.Meta) error {
		if m.Stream != "ITEMS" || m.Sequence == 0 || m.Stored.IsZero() {
			t.Errorf("%+v", m)
		}
		ids = append(ids, it.ID)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestRead(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		began := time.Now()
		if got := readIDs(t, b, time.Time{}); len(got) != 0 || time.Since(began) > time.Second {
			t.Errorf("%v after %s from an empty stream", got, time.Since(began))
		}
		var middle time.Time
		for i := range 300 {
			if i == 200 {
				time.Sleep(20 * time.Millisecond)
				middle = time.Now()
				time.Sleep(20 * time.Millisecond)
			}
			if _, err := b.PublishItem(ctx, item(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
			if i == 100 {
				if _, err := b.JS().Publish(ctx, "items.en.x", []byte("not an item")); err != nil {
					t.Fatal(err)
				}
			}
		}
		all := readIDs(t, b, time.Time{})
		if len(all) != 300 || all[0] != "0" || all[299] != "299" {
			t.Errorf("%d items", len(all))
		}
		if late := readIDs(t, b, middle); len(late) != 100 || late[0] != "200" {
			t.Errorf("%d items since the middle", len(late))
		}
		began = time.Now()
		if got := readIDs(t, b, time.Now()); len(got) != 0 || time.Since(began) > time.Second {
			t.Errorf("%v after %s since now", got, time.Since(began))
		}
		n := 0
		if err := b.ReadItems(ctx, time.Time{}, true, func(news.Item, bus.Meta) error {
			if n++; n == 10 {
				return errNo
			}
			return nil
		}); !errors.Is(err, errNo) || n != 10 {
			t.Errorf("after %d: %v", n, err)
		}
		short, cancel := context.WithCancel(ctx)
		if err := b.ReadItems(short, time.Time{}, false, func(news.Item, bus.Meta) error { cancel(); return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("a read that was cut short gives %v", err)
		}
	})
}

func TestFollow(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		got := make(chan string, 10)
		if _, err := b.PublishAlert(ctx, news.Alert{ID: "a0", Revision: 1, Watchlist: "w"}); err != nil {
			t.Fatal(err)
		}
		stop := start(t, func(ctx context.Context) error {
			return b.ReadAlerts(ctx, time.Time{}, true, func(a news.Alert, _ bus.Meta) error { got <- a.ID; return nil })
		})
		for i := range 3 {
			select {
			case id := <-got:
				if id != fmt.Sprint("a", i) {
					t.Errorf("got %s", id)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("nothing comes")
			}
			if _, err := b.PublishAlert(ctx, news.Alert{ID: fmt.Sprint("a", i+1), Revision: 1, Watchlist: "w"}); err != nil {
				t.Fatal(err)
			}
		}
		stop()
	})
}

func TestFollowOutlivesAServerRestart(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	ctx := ctxOf(t)
	got := make(chan string, 100)
	start(t, func(ctx context.Context) error {
		return b.ReadItems(ctx, time.Time{}, true, func(it news.Item, _ bus.Meta) error { got <- it.ID; return nil })
	})
	for i := range 4 {
		if _, err := b.PublishItem(ctx, item(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		select {
		case id := <-got:
			if id != fmt.Sprint(i) {
				t.Fatalf("got %s, want %d", id, i)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("nothing comes after the restart")
		}
		t.Logf("%d seen after %s", i, time.Since(began))
		b.RestartServer(ctx)
	}
}

func TestDeleteDead(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		for i := range 3 {
			if _, err := b.PublishDead(ctx, news.DeadLetter{Stage: "router", ID: fmt.Sprint(i), Reason: "x", Payload: []byte{0, 255}}); err != nil {
				t.Fatal(err)
			}
		}
		var seqs []uint64
		if err := b.ReadDead(ctx, time.Time{}, false, func(d news.DeadLetter, m bus.Meta) error {
			seqs = append(seqs, m.Sequence)
			return nil
		}); err != nil || len(seqs) != 3 {
			t.Fatal(seqs, err)
		}
		// The last one goes: a read must still find its end.
		for _, seq := range seqs[1:] {
			if err := b.DeleteDead(ctx, seq); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.DeleteDead(ctx, seqs[1]); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("second delete: %v", err)
		}
		if err := b.DeleteDead(ctx, 99); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("delete of what never was: %v", err)
		}
		began := time.Now()
		if got := deadLetters(t, b); len(got) != 1 || got[0].ID != "0" || string(got[0].Payload) != "\x00\xff" {
			t.Errorf("%+v", got)
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %s", d)
		}
	})
}

func TestLedgerAndMatchesAreRead(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	ctx := ctxOf(t)
	if _, err := b.PublishLedger(ctx, news.LedgerEntry{Event: news.EventSuppressed, Delivery: "d"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishMatch(ctx, news.Match{ID: "m", Watchlist: strings.Repeat("w", 100)}); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := b.ReadLedger(ctx, time.Time{}, false, func(l news.LedgerEntry, _ bus.Meta) error { got = append(got, l.Event); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := b.ReadMatches(ctx, time.Time{}, false, func(m news.Match, _ bus.Meta) error { got = append(got, m.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "[suppressed m]" {
		t.Error(got)
	}
}
