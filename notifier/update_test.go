package notifier

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/news"
)

// telling is an endpoint whose messages say what is new and who else reports.
func (e *endpoint) telling(id string) Channel {
	ch := e.channel(id)
	say := func(a *news.Alert) string {
		var also []string
		for _, x := range a.Also {
			also = append(also, x.Item)
		}
		return a.Kind + " " + a.Match.Item.ID + " new[" + strings.Join(a.New, "; ") + "] also[" + strings.Join(also, " ") + "]"
	}
	ch.Render = func(a *news.Alert, d *news.Delivery) error {
		d.Subject, d.Body = subject(a), []byte(say(a))
		return nil
	}
	ch.RenderDigest = func(entries []news.Alert, d *news.Delivery) error {
		var lines []string
		for i := range entries {
			lines = append(lines, say(&entries[i]))
		}
		d.Subject, d.Body = "digest", []byte(strings.Join(lines, "\n"))
		return nil
	}
	return ch
}

func (e *endpoint) bodies() (out []string) {
	for _, d := range e.got {
		out = append(out, string(d.Body))
	}
	return out
}

func sameBodies(t *testing.T, e *endpoint, want ...string) {
	t.Helper()
	if got := e.bodies(); !slices.Equal(got, want) {
		t.Errorf("messages\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestUpdatesKeepTheirInterval: what comes within the interval folds into one message at its end; a rise to critical goes at once and takes what
// waits with it.
func TestUpdatesKeepTheirInterval(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, oneRoute), e.telling("desk"))
	throughAlerts(t, m, n, match("i1", about("raid")))
	m.wait(t, n, 10*time.Minute)
	throughAlerts(t, m, n, match("i2", about("raid", counting(9, news.UnitKilled, 0))), match("i3", about("raid")))
	m.wait(t, n, 10*time.Minute)
	throughAlerts(t, m, n, match("i4", about("raid", counting(12, news.UnitKilled, 0)), withEntity("ttp")), match("i5", about("raid")))
	sameBodies(t, e, "first i1 new[] also[]")
	if c := n.Ledger()["desk"]; c != (Counts{Accepted: 5, Delivered: 1, Suppressed: 2, Pending: 2}) {
		t.Errorf("while two wait: %+v", c)
	}
	m.wait(t, n, 10*time.Minute+time.Second)
	sameBodies(t, e, "first i1 new[] also[]", "update i4 new[number 12 killed; entity ttp] also[i2 i3 i5]")
	m.wait(t, n, time.Minute)
	throughAlerts(t, m, n, match("i6", about("raid"), from("Mashal", "ur", 0)))
	m.wait(t, n, time.Minute)
	throughAlerts(t, m, n, match("i7", about("raid"), withSeverity(news.SeverityCritical)))
	m.wait(t, n, time.Second)
	if got := e.bodies(); len(got) != 3 || got[2] != "update i7 new[lang ur; severity critical] also[i5 i6]" {
		t.Errorf("a rise to critical: %q", got[2:])
	}
	m.wait(t, n, 2*time.Hour)
	if len(e.got) != 3 {
		t.Errorf("a message too many: %q", e.bodies()[3:])
	}
	if c := n.Ledger()["desk"]; c != (Counts{Accepted: 7, Delivered: 5, Suppressed: 2}) {
		t.Errorf("at rest: %+v", c)
	}
	balanced(t, m, n)
}

// TestALateUpdateGoesAtOnce: when the interval is over an update does not wait.
func TestALateUpdateGoesAtOnce(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, oneRoute), e.telling("desk"))
	throughAlerts(t, m, n, match("i1", about("raid")), match("i2", about("raid")))
	m.wait(t, n, 31*time.Minute)
	throughAlerts(t, m, n, match("i3", about("raid"), withEntity("ttp")))
	m.wait(t, n, time.Second)
	sameBodies(t, e, "first i1 new[] also[]", "update i3 new[entity ttp] also[i2]")
}

// TestADigestListsEachAlertOnce: with the news of all its revisions, and the reports that were folded until then.
func TestADigestListsEachAlertOnce(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, `route: {channels: [desk], digest: {at: ["08:00"]}}`), e.telling("desk"))
	throughAlerts(t, m, n, match("i1", about("raid")), match("i2", about("talks")), match("i3", about("raid"), withEntity("ttp")))
	m.wait(t, n, time.Hour)
	throughAlerts(t, m, n, match("i4", about("raid"), withEntity("isk")), match("i5", about("raid")), match("i6", about("talks")))
	m.wait(t, n, 2*time.Hour)
	sameBodies(t, e, "first i4 new[entity ttp; entity isk] also[i1 i3 i5]\nfirst i2 new[] also[i6]")
	if d := e.got[0]; len(d.Alerts) != 4 || d.Reason != news.SendDigest {
		t.Errorf("the digest stands for %v", d.Alerts)
	}
	if c := n.Ledger()["desk"]; c != (Counts{Accepted: 6, Delivered: 4, Suppressed: 2}) {
		t.Errorf("at rest: %+v", c)
	}
	balanced(t, m, n)
}

// TestOldNewsIsNeverInstant: it goes into the next digest, or is suppressed with its reason, and does not count as told.
func TestOldNewsIsNeverInstant(t *testing.T) {
	backlog := func(m *news.Match) { m.Item.Backfill = true }
	aged := func(m *news.Match) { m.Item.Published = m.Item.FirstSeen.Add(-73 * time.Hour) }
	for _, c := range []struct {
		name, yaml, reason string
		change             func(*news.Match)
	}{
		{"backlog", oneRoute, news.SuppressOldNews, backlog},
		{"aged", oneRoute, news.SuppressTooOld, aged},
		{"backlog with a digest", `route: {channels: [desk], digest: {at: ["08:00"], bypass: 'severity=~".+"'}}`, "", backlog},
		{"aged with a digest", `route: {channels: [desk], digest: {at: ["08:00"], bypass: 'severity=~".+"'}}`, "", aged},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, e := newModel(), &endpoint{}
			n := m.start(t, config(t, c.yaml), e.telling("desk"))
			old := func(m *news.Match) { c.change(m) }
			throughAlerts(t, m, n, match("i1", about("raid"), old), match("i2", about("raid"), old, withEntity("ttp")))
			m.wait(t, n, time.Minute)
			if len(e.got) != 0 || !m.alerts[0].Old || m.alerts[1].Kind != news.KindFold {
				t.Fatalf("old news was sent, or is not marked: %q", e.bodies())
			}
			if s := m.events(news.EventSuppressed); c.reason != "" && (len(s) != 2 || s[0].Reason != c.reason) {
				t.Errorf("suppressed %+v", s)
			}
			throughAlerts(t, m, n, match("i3", about("raid"), withEntity("ttp")))
			if a := m.alerts[2]; c.name != "aged" && c.name != "aged with a digest" && (a.Kind != news.KindFirst || a.ID != m.alerts[0].ID) {
				t.Errorf("the first fresh report is %s", a.Kind)
			}
			m.wait(t, n, time.Minute)
			if len(e.got) != 1 || !strings.HasPrefix(e.bodies()[0], "first i3 ") {
				t.Errorf("the first fresh report: %q", e.bodies())
			}
			m.wait(t, n, 4*time.Hour)
			if digest := c.reason == ""; digest != (len(e.got) == 2) {
				t.Errorf("messages %q", e.bodies())
			}
			balanced(t, m, n)
		})
	}
}

// TestWhatMayBeAnotherEventDoesNotWait: an item that joined by little evidence is told at once, one that surely tells of the event keeps the interval.
func TestWhatMayBeAnotherEventDoesNotWait(t *testing.T) {
	hint := func(m *news.Match) {
		s := m.Signature
		s.Act, s.Anchors, s.Words = "=other", s.Anchors[:2], append(s.Words[:0], news.SigWord{Key: "=x", Bits: 12}, news.SigWord{Key: "=y", Bits: 12}, news.SigWord{Key: "=z", Bits: 12})
	}
	for _, c := range []struct {
		name  string
		event func(*news.Match)
		sent  int
	}{{"sure", about("raid"), 1}, {"doubtful", about("raid", hint), 2}} {
		t.Run(c.name, func(t *testing.T) {
			m, e := newModel(), &endpoint{}
			n := m.start(t, config(t, oneRoute), e.telling("desk"))
			throughAlerts(t, m, n, match("i1", about("raid")))
			m.wait(t, n, time.Minute)
			throughAlerts(t, m, n, match("i2", c.event, withEntity("ttp")))
			m.wait(t, n, time.Minute)
			a := m.alerts[1]
			if a.Kind != news.KindUpdate || a.Joined == nil || a.Joined.Points < doubt != (c.sent == 2) {
				t.Fatalf("%s joined by %+v", a.Kind, a.Joined)
			}
			if len(e.got) != c.sent {
				t.Errorf("%d messages, want %d: %q", len(e.got), c.sent, e.bodies())
			}
			throughAlerts(t, m, n, match("i2", c.event, withEntity("isk"), withEntity("bla")))
			m.wait(t, n, time.Minute)
			if len(e.got) != c.sent {
				t.Errorf("an edit does not wait: %q", e.bodies())
			}
			balanced(t, m, n)
		})
	}
}
