package notifier

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
)

// edited makes a later revision of an item.
func edited(rev string, change ...func(*news.Match)) func(*news.Match) {
	return func(m *news.Match) {
		m.Item.Revision, m.Item.Reason = rev, news.ReasonEdited
		for _, f := range change {
			f(m)
		}
	}
}

func withEntity(id string) func(*news.Match) {
	return func(m *news.Match) {
		m.Entities = append(slices.Clone(m.Entities), news.EntityHit{ID: id, Name: id})
	}
}

func withSeverity(s news.Severity) func(*news.Match) { return func(m *news.Match) { m.Severity = s } }

func TestOneItemIsOneAlert(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, oneRoute), (&endpoint{}).channel("desk"))
	throughAlerts(t, m, n,
		match("i1"),
		match("i1", edited("r2")),
		match("i1", edited("r3", withEntity("ttp"))),
		match("i1", edited("r4", withSeverity(news.SeverityHigh))),
		match("i1", edited("r5", withEntity("ttp"), withSeverity(news.SeverityLow))),
		match("i2"),
		match("i1", func(m *news.Match) { m.Watchlist = "other" }),
	)
	type row struct {
		kind     string
		revision int
		added    []string
	}
	var got []row
	for _, a := range m.alerts {
		got = append(got, row{a.Kind, a.Revision, a.New})
	}
	want := []row{
		{news.KindFirst, 1, nil},
		{news.KindFold, 2, nil},
		{news.KindUpdate, 3, []string{"entity ttp"}},
		{news.KindUpdate, 4, []string{"severity high"}},
		{news.KindFold, 5, nil},
		{news.KindFirst, 1, nil},
		{news.KindFirst, 1, nil},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(row{})); d != "" {
		t.Error(d)
	}
	for i := range 5 {
		if m.alerts[i].ID != m.alerts[0].ID {
			t.Errorf("record %d has another alert id", i)
		}
	}
}

// TestARedeliveredMatchMakesTheSameRecord: in the same process, and in the next one, whatever came in between.
func TestARedeliveredMatchMakesTheSameRecord(t *testing.T) {
	m := newModel()
	ch := (&endpoint{}).channel("desk")
	n := m.start(t, config(t, oneRoute), ch)
	matches := []news.Match{match("i1"), match("i1", edited("r2", withEntity("ttp"))), match("i1", edited("r3"))}
	throughAlerts(t, m, n, matches...)
	want := slices.Clone(m.alerts)
	for _, restart := range []bool{false, true} {
		if restart {
			n = m.start(t, config(t, oneRoute), ch)
		}
		m.pass(time.Hour)
		m.seen = map[string]bool{} // the window of the bus is over
		m.alerts = nil
		for i := range matches {
			must(t, n.HandleMatch(t.Context(), matches[len(matches)-1-i]))
		}
		slices.Reverse(m.alerts)
		if d := cmp.Diff(want, m.alerts); d != "" {
			t.Errorf("after a restart: %v\n%s", restart, d)
		}
		m.alerts = slices.Clone(want)
	}
}

// TestALostFirstIsNotHiddenByItsFold: the first record was never stored, a later fold was; after a restart the match must open the alert.
func TestALostFirstIsNotHiddenByItsFold(t *testing.T) {
	m := newModel()
	ch := (&endpoint{}).channel("desk")
	o := m.options(t, config(t, oneRoute), ch)
	publish := o.PublishAlert
	broken := true
	o.PublishAlert = func(ctx context.Context, a news.Alert) error {
		if broken {
			return errors.New("the bus is away")
		}
		return publish(ctx, a)
	}
	n, err := New(o)
	must(t, err)
	if n.HandleMatch(t.Context(), match("i1")) == nil {
		t.Fatal("a failed publish was swallowed")
	}
	broken = false
	must(t, n.HandleMatch(t.Context(), match("i1", edited("r2"))))
	n = m.start(t, config(t, oneRoute), ch)
	must(t, n.HandleMatch(t.Context(), match("i1")))
	if last := m.alerts[len(m.alerts)-1]; len(m.alerts) != 2 || last.Kind != news.KindFirst || last.Revision != 3 {
		t.Errorf("records %+v", m.alerts)
	}
}

func TestCanariesAlwaysPass(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, oneRoute), (&endpoint{}).channel("desk"))
	canary := func(m *news.Match) { m.Item.Reason = news.ReasonCanary }
	throughAlerts(t, m, n, match("c", canary), match("c", canary, func(m *news.Match) { m.Item.Revision = "r2" }))
	if len(m.alerts) != 2 || m.alerts[1].Kind != news.KindFirst {
		t.Errorf("alerts %+v", m.alerts)
	}
	for _, l := range m.ledger {
		if l.Event != news.EventSuppressed || l.Reason != news.SuppressCanary || l.Channel != "canary" {
			t.Errorf("ledger %+v", l)
		}
	}
	if n.stories.size() != 0 || len(m.due) != 0 {
		t.Error("a canary left something behind")
	}
}

func TestOpenAlertsAreBounded(t *testing.T) {
	s := newStories()
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	x := match("old")
	s.take(&x, now)
	y := match("new")
	s.take(&y, now.Add(retention))
	s.sweep(now.Add(retention + time.Hour))
	if s.size() != 1 {
		t.Errorf("%d alerts, the old one must be forgotten", s.size())
	}
	for i := range maxOpen {
		m := match("i" + string(rune('a'+i%26)) + time.Duration(i).String())
		s.take(&m, now)
	}
	if s.size() > maxOpen {
		t.Errorf("%d alerts, the limit is %d", s.size(), maxOpen)
	}
}
