package notifier

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/news"
)

func TestWhatIsNotSentSaysWhy(t *testing.T) {
	old := func(m *news.Match) { m.Item.Published = m.Item.FirstSeen.Add(-80 * time.Hour) }
	for name, c := range map[string]struct {
		change func(*news.Match)
		wait   time.Duration
		want   string // "" = sent
	}{
		"fresh":                 {func(*news.Match) {}, 0, ""},
		"no date":               {func(m *news.Match) { m.Item.Published = time.Time{} }, 0, ""},
		"backlog":               {func(m *news.Match) { m.Item.Backfill = true }, 0, news.SuppressOldNews},
		"published long ago":    {old, 0, news.SuppressTooOld},
		"read again long after": {func(*news.Match) {}, 73 * time.Hour, news.SuppressTooOld},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModel()
			n := m.start(t, config(t, oneRoute), (&endpoint{}).channel("desk", "a@x", "b@x"))
			must(t, n.HandleMatch(t.Context(), match("i1", c.change)))
			m.pass(c.wait)
			must(t, n.HandleAlert(t.Context(), m.alerts[0]))
			planned, suppressed := m.events(news.EventPlanned), m.events(news.EventSuppressed)
			if c.want == "" {
				if len(planned) != 2 || len(suppressed) != 0 || len(m.due) != 2 {
					t.Errorf("planned %d, suppressed %d, due %d", len(planned), len(suppressed), len(m.due))
				}
				return
			}
			if len(planned) != 0 || len(suppressed) != 2 || suppressed[0].Reason != c.want || len(m.due) != 0 {
				t.Errorf("planned %d, suppressed %+v, due %d", len(planned), suppressed, len(m.due))
			}
			balanced(t, m, n)
		})
	}
}

func TestFoldsAreAccountedFor(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, oneRoute), (&endpoint{}).channel("desk"))
	throughAlerts(t, m, n, match("i1"), match("i1", edited("r2")))
	s := m.events(news.EventSuppressed)
	if len(s) != 1 || s[0].Reason != news.SuppressFold || len(m.due) != 1 {
		t.Errorf("suppressed %+v, due %d", s, len(m.due))
	}
}

// TestTwoRoutesToOneRecipientAreOneDelivery: people are not told twice because two routes match.
func TestTwoRoutesToOneRecipientAreOneDelivery(t *testing.T) {
	m := newModel()
	yaml := "route: {channels: [desk], routes: [{matchers: [lang=en], channels: [desk, hook], continue: true}, {matchers: [severity=medium], channels: [desk]}]}\n"
	n := m.start(t, config(t, yaml), (&endpoint{}).channel("desk", "a@x", "b@x"), (&endpoint{}).channel("hook"))
	throughAlerts(t, m, n, match("i1"))
	if got := news.SortedKeys(m.due); len(got) != 3 {
		t.Errorf("planned %v", got)
	}
	balanced(t, m, n)
}

func TestARedeliveredAlertPlansTheSame(t *testing.T) {
	m := newModel()
	e := &endpoint{}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	throughAlerts(t, m, n, match("i1"))
	var first news.Delivery
	for _, d := range m.due {
		first = d
	}
	m.run(t, n)
	m.seen = map[string]bool{} // a work queue forgets its ids at a restart
	m.ledger = nil
	m.pass(time.Hour)
	n = m.start(t, config(t, oneRoute), e.channel("desk"))
	must(t, n.HandleAlert(t.Context(), m.alerts[0]))
	if len(m.due) != 1 {
		t.Fatalf("due %v", m.due)
	}
	for _, d := range m.due {
		if d.ID != first.ID || !bytes.Equal(d.Body, first.Body) || !d.PlannedAt.Equal(first.PlannedAt) {
			t.Errorf("planned %+v, before %+v", d, first)
		}
	}
	m.run(t, n)
	if len(e.got) != 1 {
		t.Errorf("sent %d times", len(e.got))
	}
	m.pass(100 * time.Hour)
	m.ledger = nil
	must(t, n.HandleAlert(t.Context(), m.alerts[0])) // the ack floor fell back long after
	if len(m.ledger) != 0 {
		t.Errorf("what was sent is now said to be suppressed: %+v", m.ledger)
	}
}

func TestAnAlertIsNotLostToATemplate(t *testing.T) {
	for name, render := range map[string]func(*news.Alert, *news.Delivery) error{
		"error": func(*news.Alert, *news.Delivery) error { return errors.New("no such field") },
		"panic": func(*news.Alert, *news.Delivery) error { panic("nil map") },
		"large": func(_ *news.Alert, d *news.Delivery) error {
			d.Body = make([]byte, news.MaxDelivery+1)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, e := newModel(), &endpoint{}
			ch := e.channel("desk")
			ch.Render = render
			n := m.start(t, config(t, oneRoute), ch)
			throughAlerts(t, m, n, match("i1"))
			m.run(t, n)
			if len(e.got) != 1 || !strings.HasPrefix(string(e.got[0].Body), "short") {
				t.Errorf("received %v", e.got)
			}
			m, e = newModel(), &endpoint{}
			ch = e.channel("desk")
			ch.Render, ch.Short = render, nil
			n = m.start(t, config(t, oneRoute), ch)
			throughAlerts(t, m, n, match("i1"))
			if len(m.dead) != 1 || m.dead[0].Reason != deadRender || len(m.events(news.EventDead)) != 1 {
				t.Errorf("dead letters %+v", m.dead)
			}
			balanced(t, m, n)
			if err := n.RetryDead(t.Context(), m.dead[0]); err == nil {
				t.Error("a dead letter without bytes was sent again")
			}
		})
	}
}

func TestReasonsAreClosed(t *testing.T) {
	if !slices.IsSorted(DeadReasons()) || len(DeadReasons()) != 8 {
		t.Errorf("reasons %v", DeadReasons())
	}
	for _, v := range Verdicts() {
		if v.String() == "unknown" {
			t.Errorf("verdict %d has no name", v)
		}
	}
	if Verdict(99).String() != "unknown" {
		t.Error("a verdict that does not exist has a name")
	}
}

// TestTheDeliveriesOfOneAlertArePlannedAtOnce: none waits for the disk alone, and one that cannot be stored keeps no other from it.
func TestTheDeliveriesOfOneAlertArePlannedAtOnce(t *testing.T) {
	const all = 3
	m := newModel()
	o := m.options(t, config(t, oneRoute), (&endpoint{}).channel("desk", "a@x", "b@x", "c@x"))
	o.AtOnce = true
	var begun atomic.Int32
	together, full := make(chan struct{}), errors.New("disk full")
	store := o.PublishDelivery
	o.PublishDelivery = func(ctx context.Context, d news.Delivery) error {
		if begun.Add(1) == all {
			close(together)
		}
		select {
		case <-together:
		case <-time.After(time.Minute):
			t.Error("the deliveries are planned one after the other")
		}
		if d.Recipient == "b@x" {
			return full
		}
		return store(ctx, d)
	}
	n, err := New(o)
	must(t, err)
	must(t, n.Restore(t.Context()))
	must(t, n.HandleMatch(t.Context(), match("i1")))
	if err := n.HandleAlert(t.Context(), m.alerts[0]); !errors.Is(err, full) {
		t.Errorf("a delivery that was not stored gives %v", err)
	}
	if len(m.due) != all-1 || len(m.events(news.EventPlanned)) != all-1 {
		t.Errorf("%d stored, %d planned, want %d", len(m.due), len(m.events(news.EventPlanned)), all-1)
	}
}
