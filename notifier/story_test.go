package notifier

import (
	"context"
	"errors"
	"fmt"
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

// about lets an item tell of an event: two of one event share names and words that no other event has.
func about(event string, change ...func(*news.Match)) func(*news.Match) {
	return func(m *news.Match) {
		s := &news.Signature{Version: news.SignatureVersion, Act: "=" + event}
		for _, k := range []string{"a", "b", "c"} {
			s.Anchors = append(s.Anchors, news.Anchor{ID: event + k, Kind: news.AnchorName, Bits: 14})
		}
		for _, k := range []string{"d", "e", "f"} {
			s.Words = append(s.Words, news.SigWord{Key: "=" + event + k, Bits: 12})
		}
		m.Signature = s
		for _, f := range change {
			f(m)
		}
	}
}

func from(outlet, lang string, tier int) func(*news.Match) {
	return func(m *news.Match) { m.Item.Outlet, m.Item.Lang, m.Item.Tier = outlet, lang, tier }
}

func counting(value float64, unit string, part int) func(*news.Match) {
	return func(m *news.Match) {
		m.Signature.Numbers = append(m.Signature.Numbers, news.Number{Value: value, Unit: unit, Part: part})
	}
}

func placedAt(id string, part int, within ...string) func(*news.Match) {
	return func(m *news.Match) {
		m.Signature.Anchors = append(m.Signature.Anchors, news.Anchor{ID: id, Kind: news.AnchorPlace, Within: within, Bits: 12, Part: part})
	}
}

func titled(t string) func(*news.Match) { return func(m *news.Match) { m.Item.Title = t } }

// row is what a test looks at of a record.
type row struct {
	kind     string
	revision int
	added    []string
	due      time.Duration // after the record
}

func rows(alerts []news.Alert) (out []row) {
	for _, a := range alerts {
		r := row{a.Kind, a.Revision, a.New, 0}
		if !a.Due.IsZero() {
			r.due = a.Due.Sub(a.At)
		}
		out = append(out, r)
	}
	return out
}

func sameRows(t *testing.T, m *model, want ...row) {
	t.Helper()
	if d := cmp.Diff(want, rows(m.alerts), cmp.AllowUnexported(row{})); d != "" {
		t.Error(d)
	}
}

const noPause = "route: {channels: [desk]}\nstories: {update_interval: 0s}\n"

func TestOneItemIsOneAlert(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, noPause), (&endpoint{}).channel("desk"))
	throughAlerts(t, m, n,
		match("i1"),
		match("i1", edited("r2")),
		match("i1", edited("r3", withEntity("ttp"))),
		match("i1", edited("r4", withSeverity(news.SeverityHigh))),
		match("i1", edited("r5", withEntity("ttp"), withSeverity(news.SeverityLow))),
		match("i2"),
		match("i1", func(m *news.Match) { m.Watchlist = "other" }),
	)
	sameRows(t, m,
		row{kind: news.KindFirst, revision: 1},
		row{kind: news.KindFold, revision: 2},
		row{kind: news.KindUpdate, revision: 3, added: []string{"entity ttp"}},
		row{kind: news.KindUpdate, revision: 4, added: []string{"severity high"}},
		row{kind: news.KindFold, revision: 5},
		row{kind: news.KindFirst, revision: 1},
		row{kind: news.KindFirst, revision: 1},
	)
	for i := range 5 {
		if m.alerts[i].ID != m.alerts[0].ID {
			t.Errorf("record %d has another alert id", i)
		}
	}
}

// TestOneEventIsOneAlert: reports of one event by several outlets make one alert for each watchlist; another event makes its own.
func TestOneEventIsOneAlert(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, oneRoute), (&endpoint{}).channel("desk"))
	throughAlerts(t, m, n,
		match("i1", about("raid"), from("Daily", "en", 2)),
		match("i2", about("raid"), from("Wire", "en", 2)),
		match("i3", about("talks"), from("Wire", "en", 2)),
		match("i4", about("raid"), from("Post", "en", 3)),
		match("i2", about("raid"), func(m *news.Match) { m.Watchlist = "other" }),
		match("i4", about("raid"), func(m *news.Match) { m.Watchlist = "other" }),
	)
	sameRows(t, m, row{kind: news.KindFirst, revision: 1}, row{kind: news.KindFold, revision: 2}, row{kind: news.KindFirst, revision: 1},
		row{kind: news.KindFold, revision: 3}, row{kind: news.KindFirst, revision: 1}, row{kind: news.KindFold, revision: 2})
	last := m.alerts[3]
	if last.Items != 3 || !slices.Equal(last.Outlets, []string{"Daily", "Wire", "Post"}) || len(last.Also) != 2 || last.Also[1].Outlet != "Post" {
		t.Errorf("the last fold says %d items, outlets %v, also %v", last.Items, last.Outlets, last.Also)
	}
	if l := m.alerts[1].Joined; l == nil || l.Story != "i1" || l.Points <= 0 || len(l.Evidence) == 0 {
		t.Errorf("why i2 belongs to i1: %+v", l)
	}
	if l := m.alerts[4].Joined; l == nil || l.Story != "i1" {
		t.Errorf("why i2 belongs to i1, for the other list: %+v", l)
	}
}

func TestStoriesNone(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, "route: {channels: [desk]}\nstories: none\n"), (&endpoint{}).channel("desk"))
	throughAlerts(t, m, n, match("i1", about("raid")), match("i2", about("raid")))
	sameRows(t, m, row{kind: news.KindFirst, revision: 1}, row{kind: news.KindFirst, revision: 1})
}

// TestAMatchMakesOneRecord: a redelivered match makes no other record, in the same process and in the next one.
func TestAMatchMakesOneRecord(t *testing.T) {
	m := newModel()
	ch := (&endpoint{}).channel("desk")
	n := m.start(t, config(t, oneRoute), ch)
	matches := []news.Match{match("i1"), match("i1", edited("r2", withEntity("ttp"))), match("i1", edited("r3"))}
	throughAlerts(t, m, n, matches...)
	for _, restart := range []bool{false, true} {
		if restart {
			n = m.start(t, config(t, oneRoute), ch)
		}
		m.pass(time.Hour)
		m.seen = map[string]bool{} // the window of the bus is over
		for i := range matches {
			must(t, n.HandleMatch(t.Context(), matches[len(matches)-1-i]))
		}
		if len(m.alerts) != len(matches) {
			t.Fatalf("after a restart: %v: %d records of %d matches", restart, len(m.alerts), len(matches))
		}
	}
}

// TestRecordsAreStoredInOrder: a record that could not be stored is stored before the next match is decided, as it was decided.
func TestRecordsAreStoredInOrder(t *testing.T) {
	m := newModel()
	ch := (&endpoint{}).channel("desk")
	o := m.options(t, config(t, oneRoute), ch)
	publish, broken := o.PublishAlert, true
	o.PublishAlert = func(ctx context.Context, a news.Alert) error {
		if broken {
			return errors.New("the bus is away")
		}
		return publish(ctx, a)
	}
	n, err := New(o)
	must(t, err)
	if n.HandleMatch(t.Context(), match("i1")) == nil || n.HandleMatch(t.Context(), match("i1", edited("r2"))) == nil {
		t.Fatal("a failed publish was swallowed")
	}
	m.pass(time.Minute)
	broken = false
	must(t, n.HandleMatch(t.Context(), match("i1", edited("r2"))))
	must(t, n.HandleMatch(t.Context(), match("i1")))
	sameRows(t, m, row{kind: news.KindFirst, revision: 1}, row{kind: news.KindFold, revision: 2})
	if m.alerts[0].At.After(m.alerts[1].At.Add(-time.Minute)) {
		t.Error("the first record was decided anew")
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
	if len(m.ledger) != 2 || len(m.due) != 2 || !n.Canary().IsZero() {
		t.Fatalf("on its way: ledger %+v, due %+v", m.ledger, m.due)
	}
	for _, d := range m.due {
		d.FirstSeen = m.now
		must(t, n.HandleDelivery(t.Context(), d))
	}
	for i, l := range m.ledger {
		if want := []string{news.EventPlanned, news.EventPlanned, news.EventDelivered, news.EventDelivered}[i]; l.Event != want || l.Reason != news.SendCanary || l.Channel != "canary" {
			t.Errorf("ledger %+v", l)
		}
	}
	if n.stories.counts() != (storyCounts{}) || len(m.sent) != 0 || n.Ledger()["canary"] != (Counts{}) {
		t.Error("a canary left something behind")
	}
	if !n.Canary().Equal(m.now) {
		t.Errorf("arrived %s, want %s", n.Canary(), m.now)
	}
	var late news.Delivery
	for _, d := range m.due {
		late = d
	}
	late.FirstSeen, m.now = m.now, m.now.Add(time.Minute)
	must(t, n.HandleDelivery(t.Context(), late))
	if n.Canary().Equal(m.now) {
		t.Error("a canary that took a minute proves that alerts come in time")
	}
}

func TestOpenAlertsAreBounded(t *testing.T) {
	s, err := newStories(&Config{})
	must(t, err)
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	x, y := match("old", about("x")), match("new", about("y"))
	s.take(&x, now)
	s.take(&y, now.Add(Retention))
	s.sweep(now.Add(Retention + time.Hour))
	if s.counts().alerts != 1 || len(s.items) != 1 || len(s.matches) != 1 || len(s.of) != 1 {
		t.Errorf("%+v, %d items, %d matches, %d stories: the old ones must be forgotten", s.counts(), len(s.items), len(s.matches), len(s.of))
	}
	for i := range maxOpen {
		m := match(fmt.Sprint("i", i))
		s.take(&m, now)
	}
	if n := s.counts().alerts; n > maxOpen || len(s.items) > maxOpen || len(s.matches) > maxOpen {
		t.Errorf("%d alerts, %d items, %d matches, the limit is %d", n, len(s.items), len(s.matches), maxOpen)
	}
}

// TestALargeRecordLosesItsText: what the bus would refuse goes without its body.
func TestALargeRecordLosesItsText(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, oneRoute), (&endpoint{}).channel("desk"))
	throughAlerts(t, m, n, match("i1", func(m *news.Match) {
		for i := range 13_000 {
			m.Mentions = append(m.Mentions, news.Mention{Entity: "bla", Alias: "BLA", Field: "body", Start: i, End: i + 3, Text: "BLA", Why: "named"})
		}
		m.Item.Body = "BLA"
	}))
	a := m.alerts[0]
	if _, err := news.Encode(a); err != nil {
		t.Error(err)
	}
	if len(a.Match.Mentions) != 1 || a.Match.Item.Body != "" || a.Match.Item.Title == "" || !slices.Contains(a.Match.Item.Flags, news.FlagTruncated) {
		t.Errorf("%d mentions, item %+v", len(a.Match.Mentions), a.Match.Item)
	}
}
