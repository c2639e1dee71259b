package notifier

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tocsin/news"
)

// book gives options a bucket of silences in memory.
func (m *model) book(o *Options) {
	var c cell
	o.LoadSilences = func(context.Context) ([]byte, uint64, error) {
		if c.rev == 0 {
			return nil, 0, news.ErrNotFound
		}
		return c.data, c.rev, nil
	}
	o.SaveSilences = func(_ context.Context, data []byte, rev uint64) (uint64, error) {
		if rev != c.rev {
			return 0, news.ErrConflict
		}
		c = cell{data, rev + 1}
		return c.rev, nil
	}
}

func TestSilencesMuteAndEnd(t *testing.T) {
	m, e := newModel(), &endpoint{}
	o := m.options(t, config(t, oneRoute), e.channel("desk"))
	m.book(&o)
	n, err := New(o)
	must(t, err)
	must(t, n.Restore(t.Context()))
	s, err := n.AddSilence(t.Context(), Silence{Matchers: []string{`entity="bla"`}, End: m.now.Add(time.Hour), Author: "ana", Comment: "exercise"})
	must(t, err)
	throughAlerts(t, m, n, match("i1"))
	sup := m.events(news.EventSuppressed)
	if len(sup) != 1 || sup[0].Reason != news.SuppressSilence || !strings.Contains(sup[0].Status, "ana") || !strings.Contains(sup[0].Status, s.ID) {
		t.Fatalf("suppressed %+v", sup)
	}
	if n.silences.active(m.now) != 1 {
		t.Error("the silence does not count as active")
	}
	// another process over the same bucket mutes too
	o2 := m.options(t, config(t, oneRoute), e.channel("desk"))
	o2.LoadSilences, o2.SaveSilences = o.LoadSilences, o.SaveSilences
	n, err = New(o2)
	must(t, err)
	must(t, n.Restore(t.Context()))
	throughAlerts(t, m, n, match("i2"))
	must(t, n.ExpireSilence(t.Context(), s.ID))
	if err := n.ExpireSilence(t.Context(), s.ID); !errors.Is(err, ErrNoSilence) {
		t.Errorf("expired twice: %v", err)
	}
	throughAlerts(t, m, n, match("i3"))
	if len(m.events(news.EventSuppressed)) != 2 || len(m.due) != 1 {
		t.Errorf("suppressed %d, due %d", len(m.events(news.EventSuppressed)), len(m.due))
	}
	balanced(t, m, n)
}

func TestSilencePreview(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, oneRoute), (&endpoint{}).channel("desk"))
	throughAlerts(t, m, n, match("i1"), match("i2", func(x *news.Match) { x.Item.Title = "BLA denies" }), match("i1", edited("r2")))
	muted, looked, err := n.PreviewSilence(t.Context(), Silence{Words: []string{"Quetta"}, End: m.now.Add(time.Hour), Author: "a", Comment: "b"})
	if err != nil || looked != 2 || len(muted) != 1 || muted[0].Match.Item.ID != "i1" {
		t.Errorf("%d of %d, %v", len(muted), looked, err)
	}
}

func TestSilenceRefused(t *testing.T) {
	m := newModel()
	o := m.options(t, config(t, oneRoute), (&endpoint{}).channel("desk"))
	m.book(&o)
	n, err := New(o)
	must(t, err)
	for want, s := range map[string]Silence{
		"author is missing":  {Words: []string{"x"}, End: m.now.Add(time.Hour), Comment: "b"},
		"comment is missing": {Words: []string{"x"}, End: m.now.Add(time.Hour), Author: "a"},
		"must end":           {Words: []string{"x"}, Author: "a", Comment: "b"},
		"90 days":            {Words: []string{"x"}, End: m.now.Add(MaxSilence + time.Hour), Author: "a", Comment: "b"},
		"no condition":       {End: m.now.Add(time.Hour), Author: "a", Comment: "b"},
		"matcher":            {Matchers: []string{"severity"}, End: m.now.Add(time.Hour), Author: "a", Comment: "b"},
		"is over already":    {Words: []string{"x"}, Start: m.now.Add(-2 * time.Hour), End: m.now.Add(-time.Hour), Author: "a", Comment: "b"},
	} {
		if _, err := n.AddSilence(t.Context(), s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestASilenceMutesWhatWaits: an alert is held for a digest, then its story is muted.
func TestASilenceMutesWhatWaits(t *testing.T) {
	m, e := newModel(), &endpoint{}
	o := m.options(t, config(t, `route: {channels: [desk], digest: {every: 1h}}`), e.digesting("desk"))
	m.book(&o)
	n, err := New(o)
	must(t, err)
	throughAlerts(t, m, n, match("i1"), match("i2"))
	_, err = n.AddSilence(t.Context(), Silence{Stories: []string{m.alerts[0].Story}, End: m.now.Add(24 * time.Hour), Author: "a", Comment: "b"})
	must(t, err)
	m.wait(t, n, time.Hour)
	if c := n.Ledger()["desk"]; c != (Counts{Accepted: 2, Delivered: 1, Suppressed: 1}) {
		t.Errorf("%+v", c)
	}
	balanced(t, m, n)
}

func TestInhibitedAlertsSayWhy(t *testing.T) {
	m, e := newModel(), &endpoint{}
	yaml := `inhibit: [{source: ['severity="critical"'], target: ['severity="medium"'], equal: [entity]}]
` + oneRoute
	n := m.start(t, config(t, yaml), e.channel("desk"))
	throughAlerts(t, m, n, match("i1", severity(news.SeverityCritical)), match("i2"))
	n = m.start(t, config(t, yaml), e.channel("desk")) // the source is known after a restart
	throughAlerts(t, m, n, match("i3"))
	sup := m.events(news.EventSuppressed)
	if len(sup) != 2 || sup[1].Reason != news.SuppressInhibit || !strings.Contains(sup[1].Status, `severity="critical"`) {
		t.Errorf("suppressed %+v", sup)
	}
	balanced(t, m, n)
}

// TestWhoLeavesGetsNoDigest: the recipient leaves while an alert waits for the digest.
func TestWhoLeavesGetsNoDigest(t *testing.T) {
	m, e, left := newModel(), &endpoint{}, ""
	ch := e.digesting("desk")
	ch.Away = func(context.Context, string, string) (string, error) { return left, nil }
	n := m.start(t, config(t, `route: {channels: [desk], digest: {every: 1h}}`), ch)
	throughAlerts(t, m, n, match("i1"))
	left = "left the list"
	m.wait(t, n, time.Hour)
	if c := n.Ledger()["desk"]; c != (Counts{Accepted: 1, Suppressed: 1}) || len(e.got) != 0 {
		t.Errorf("%+v, %d messages", c, len(e.got))
	}
	if s := m.events(news.EventSuppressed); s[0].Reason != news.SuppressGone || s[0].Status != left {
		t.Errorf("%+v", s)
	}
	balanced(t, m, n)
}
