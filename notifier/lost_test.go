package notifier

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tocsin/news"
)

// looks is so many rounds of Rescue, a minute apart.
func looks(t *testing.T, m *model, n *Notifier, rounds int) {
	t.Helper()
	var seen map[string]bool
	for range rounds {
		var err error
		seen, err = n.rescueOnce(t.Context(), seen)
		must(t, err)
		m.pass(lostEvery)
	}
}

func (m *model) guard(t *testing.T, d *news.Delivery, st sentState) {
	t.Helper()
	b, err := json.Marshal(&st)
	must(t, err)
	m.sent[sentKey(d)] = cell{b, m.sent[sentKey(d)].rev + 1}
}

// lose takes every message out of OUTBOX, as no work of ours does.
func (m *model) lose() {
	clear(m.due)
	clear(m.retry)
}

// TestLostDeliveriesArePlannedAgain takes the message of a delivery away at each point of its way: it still reaches the person, once, under its id
// and with its bytes, and everything is accounted for, in the process that planned it and in one that was started since.
func TestLostDeliveriesArePlannedAgain(t *testing.T) {
	busy := Result{Verdict: Retry, Status: "busy"}
	for _, c := range []struct {
		name string
		upTo func(t *testing.T, m *model, n *Notifier, d *news.Delivery)
	}{
		{"before any attempt", func(*testing.T, *model, *Notifier, *news.Delivery) {}},
		{"while it waits for its retry", func(t *testing.T, _ *model, n *Notifier, d *news.Delivery) {
			must(t, n.HandleDelivery(t.Context(), *d))
		}},
		{"when its retry is due", func(t *testing.T, m *model, n *Notifier, d *news.Delivery) {
			must(t, n.HandleDelivery(t.Context(), *d))
			m.pass(time.Minute)
			m.fire()
		}},
		{"during an attempt that never ended", func(t *testing.T, m *model, _ *Notifier, d *news.Delivery) {
			m.guard(t, d, sentState{SentRecord: news.SentRecord{State: news.SentSending, Attempt: 1, At: m.now}})
		}},
	} {
		for _, again := range []bool{false, true} {
			t.Run(c.name+map[bool]string{true: ", after a restart"}[again], func(t *testing.T) {
				m, e := newModel(), &endpoint{answers: []Result{busy, busy, {Verdict: Delivered}}}
				n := m.start(t, config(t, oneRoute), e.channel("desk"))
				d := planned(t, m, n, "i1")[0]
				c.upTo(t, m, n, &d)
				m.lose()
				if again {
					n = m.start(t, config(t, oneRoute), e.channel("desk"))
				}
				m.pass(lostSending + lostAge)
				looks(t, m, n, 1)
				if len(m.retry) != 0 {
					t.Fatal("planned again at the first look")
				}
				looks(t, m, n, 2)
				if len(m.retry) != 1 || testutil.ToFloat64(n.m.rescued.WithLabelValues("desk")) != 1 {
					t.Fatalf("armed %d, counted %v", len(m.retry), testutil.ToFloat64(n.m.rescued.WithLabelValues("desk")))
				}
				m.run(t, n)
				if len(e.got) != 1 || e.got[0].ID != d.ID || !slices.Equal(e.got[0].Body, d.Body) {
					t.Errorf("received %+v", e.got)
				}
				if len(m.events(news.EventDelivered)) != 1 || len(m.dead) != 0 {
					t.Errorf("ledger %s", m.story())
				}
				balanced(t, m, n)
				looks(t, m, n, 3)
				if len(m.retry) != 0 {
					t.Error("a delivered message is planned again")
				}
			})
		}
	}
}

func TestALostDigestIsMadeAgain(t *testing.T) {
	m, e := newModel(), &endpoint{}
	c := config(t, "route: {channels: [desk], digest: {every: 1h}}\n")
	n := m.start(t, c, e.digesting("desk"))
	throughAlerts(t, m, n, match("i1"), match("i2"))
	m.pass(2 * time.Hour)
	must(t, n.Flush(t.Context()))
	if len(m.due) != 1 {
		t.Fatalf("due %d", len(m.due))
	}
	d := m.due[news.SortedKeys(m.due)[0]]
	m.lose()
	m.pass(2 * lostAge)
	looks(t, m, n, 2)
	m.run(t, n)
	if len(e.got) != 1 || e.got[0].ID != d.ID || !slices.Equal(e.got[0].Body, d.Body) {
		t.Errorf("received %+v, want %+v", e.got, d)
	}
	balanced(t, m, n)
}

// TestRescueLeavesAloneWhatIsNotLost: what has a message, what a sender may still hold, and what is done, whoever did it.
func TestRescueLeavesAloneWhatIsNotLost(t *testing.T) {
	for _, c := range []struct {
		name string
		lost bool
		age  time.Duration
		st   *sentState // of the guard
	}{
		{name: "its message is due", age: time.Hour},
		{name: "its message is due, and its attempt never ended", age: time.Hour, st: &sentState{SentRecord: news.SentRecord{State: news.SentSending, Attempt: 1}}},
		{name: "it was planned a moment ago", lost: true, age: time.Minute},
		{name: "another sender holds it", lost: true, age: 10 * time.Minute, st: &sentState{SentRecord: news.SentRecord{State: news.SentSending, Attempt: 1}}},
		{name: "its next attempt is not due", lost: true, age: time.Hour, st: &sentState{SentRecord: news.SentRecord{State: news.SentWaiting, Attempt: 1}, Next: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{name: "another process sent it", lost: true, age: time.Hour, st: &sentState{SentRecord: news.SentRecord{State: news.SentDone, Attempt: 1}}},
		{name: "another process buried it", lost: true, age: time.Hour, st: &sentState{SentRecord: news.SentRecord{State: news.SentDead, Attempt: 1}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, e := newModel(), &endpoint{}
			n := m.start(t, config(t, oneRoute), e.channel("desk"))
			d := planned(t, m, n, "i1")[0]
			if c.st != nil {
				c.st.At = m.now
				m.guard(t, &d, *c.st)
			}
			if c.lost {
				m.lose()
			}
			m.pass(c.age)
			must(t, func() error {
				seen, err := n.rescueOnce(t.Context(), nil)
				if err == nil {
					_, err = n.rescueOnce(t.Context(), seen)
				}
				return err
			}())
			if len(m.retry) != 0 || len(m.dead) != 0 || len(m.ledger) != 1 {
				t.Errorf("armed %d, dead %d, ledger %s", len(m.retry), len(m.dead), m.story())
			}
			got := n.Ledger()["desk"]
			done := c.st != nil && (c.st.State == news.SentDone || c.st.State == news.SentDead)
			if done == (got.Pending == 1) || got.Missing() != 0 {
				t.Errorf("counts %+v", got)
			}
		})
	}
}

// TestRescueKnowsWhatAnotherProcessFolded: its message was acknowledged because another one stands for it.
func TestRescueKnowsWhatAnotherProcessFolded(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	d := planned(t, m, n, "i1")[0]
	m.guard(t, &d, sentState{SentRecord: news.SentRecord{State: news.SentFolded, At: m.now}})
	m.ledger = append(m.ledger,
		news.LedgerEntry{Event: news.EventBundled, Delivery: "b1", Channel: "desk", Reason: news.SendSummary, Entries: []string{d.ID, "other"}, Alerts: d.Alerts, At: m.now},
		news.LedgerEntry{Event: news.EventDelivered, Delivery: "b1", Channel: "desk", Attempt: 1, At: m.now})
	m.lose()
	m.pass(time.Hour)
	looks(t, m, n, 3)
	if len(m.retry) != 0 || len(m.dead) != 0 {
		t.Errorf("armed %d, dead %d", len(m.retry), len(m.dead))
	}
}

// TestWhatCannotBeMadeAgainDiesVisibly: an alert of a test stands in no stream.
func TestWhatCannotBeMadeAgainDiesVisibly(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	a := news.Alert{ID: "a1", Revision: 1, Story: "s1", Watchlist: "armed-groups", Severity: news.SeverityMedium, At: m.now, Match: match("i1")}
	ids, err := n.Test(t.Context(), "desk", a)
	must(t, err)
	m.lose()
	m.pass(2 * lostAge)
	looks(t, m, n, 2)
	if len(m.dead) != 1 || m.dead[0].Reason != deadLost || m.dead[0].ID != ids[0] || len(m.events(news.EventDead)) != 1 {
		t.Errorf("dead %+v, ledger %s", m.dead, m.story())
	}
	if s := stateOf(m.sent["desk."+ids[0]].data); s != news.SentDead {
		t.Errorf("its record is %q", s)
	}
	balanced(t, m, n)
	looks(t, m, n, 3)
	if len(m.dead) != 1 || len(m.retry) != 0 {
		t.Error("it is dealt with again")
	}
}
