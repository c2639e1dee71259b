package notifier

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tocsin/news"
)

// fenced gives a process on the same bus, of which each knows when a revision was stored for another match.
func fenced(t *testing.T, m *model, c Config, ch Channel) *Notifier {
	t.Helper()
	o := m.options(t, c, ch)
	o.PublishAlert = func(_ context.Context, a news.Alert) (err error) {
		m.step("alert", func() {
			if m.once("ALERTS", a.Key()) {
				m.alerts = append(m.alerts, a)
				return
			}
			for _, b := range m.alerts {
				if b.Key() == a.Key() && b.Match.ID != a.Match.ID {
					err = fmt.Errorf("publish: %w", news.ErrConflict)
				}
			}
		})
		return err
	}
	n, err := New(o)
	must(t, err)
	must(t, n.TakeOver(t.Context()))
	return n
}

// TestAnotherTakesOverWhatWaits: what one process holds another sends, with what came in between, once.
func TestAnotherTakesOverWhatWaits(t *testing.T) {
	m := newModel()
	e := &endpoint{}
	c := config(t, "route: {channels: [desk], digest: {at: [\"08:00\"]}}\n")
	one, two := fenced(t, m, c, e.channel("desk")), fenced(t, m, c, e.channel("desk"))
	must(t, one.HandleMatch(t.Context(), match("i1", about("raid"))))
	must(t, one.HandleAlert(t.Context(), m.alerts[0]))
	must(t, two.TakeOver(t.Context()))
	must(t, two.HandleMatch(t.Context(), match("i2", about("talks"))))
	must(t, two.HandleAlert(t.Context(), m.alerts[1]))
	must(t, two.HandleAlert(t.Context(), m.alerts[0])) // it was not acknowledged
	m.pass(24 * time.Hour)
	must(t, two.Flush(t.Context()))
	if len(m.due) != 1 {
		t.Fatalf("%d messages", len(m.due))
	}
	for _, d := range m.due {
		if len(d.Alerts) != 2 {
			t.Errorf("the digest tells of %d alerts, want 2", len(d.Alerts))
		}
	}
	// The first one comes back: it sends nothing twice.
	must(t, one.TakeOver(t.Context()))
	must(t, one.Flush(t.Context()))
	if held := one.Held(); len(m.due) != 1 || held["route"] != 0 {
		t.Errorf("%d messages, %v waits", len(m.due), held)
	}
}

// TestTwoThatPlanAtOnceLoseNoMatch: one that was stopped for a while decides with what it knew then. The other's record stands; the match is decided
// again, on what is stored.
func TestTwoThatPlanAtOnceLoseNoMatch(t *testing.T) {
	m := newModel()
	ch := (&endpoint{}).channel("desk")
	one, two := fenced(t, m, config(t, oneRoute), ch), fenced(t, m, config(t, oneRoute), ch)
	must(t, one.HandleMatch(t.Context(), match("i1", about("raid"))))
	must(t, two.TakeOver(t.Context()))
	must(t, two.HandleMatch(t.Context(), match("i2", about("raid"))))
	err := one.HandleMatch(t.Context(), match("i3", about("raid"))) // one knows nothing of i2
	if later := (*news.LaterError)(nil); !errors.As(err, &later) || !errors.Is(err, news.ErrConflict) {
		t.Fatalf("the record of another match stood in its place, and it says %v", err)
	}
	must(t, one.HandleMatch(t.Context(), match("i3", about("raid"))))
	sameRows(t, m, row{kind: news.KindFirst, revision: 1}, row{kind: news.KindFold, revision: 2}, row{kind: news.KindFold, revision: 3})
	if m.alerts[2].Match.Item.ID != "i3" || m.alerts[2].Items != 3 {
		t.Errorf("the third record: %s with %d items", m.alerts[2].Match.Item.ID, m.alerts[2].Items)
	}
}

// TestEveryProcessKnowsEveryDelivery: the counts of a process that only sends are those of the one that plans.
func TestEveryProcessKnowsEveryDelivery(t *testing.T) {
	m := newModel()
	ch := (&endpoint{}).channel("desk")
	one, two := fenced(t, m, config(t, oneRoute), ch), fenced(t, m, config(t, oneRoute), ch)
	must(t, one.HandleMatch(t.Context(), match("i1")))
	must(t, one.HandleAlert(t.Context(), m.alerts[0]))
	for _, d := range m.due {
		must(t, two.HandleDelivery(t.Context(), d))
	}
	for range 2 {
		for _, l := range m.ledger {
			one.FollowLedger(l)
			two.FollowLedger(l)
		}
	}
	must(t, two.TakeOver(t.Context()))
	want := Counts{Accepted: 1, Delivered: 1}
	if a, b := one.Ledger()["desk"], two.Ledger()["desk"]; a != want || b != want {
		t.Errorf("one counts %+v, two %+v", a, b)
	}
}
