package notifier

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
)

func TestFoldCountsEachDeliveryOnce(t *testing.T) {
	at := time.Date(2025, 3, 4, 0, 0, 0, 0, time.UTC)
	l := func(id, event string, attempt int) news.LedgerEntry {
		at = at.Add(time.Second)
		return news.LedgerEntry{Delivery: id, Channel: "desk", Event: event, Attempt: attempt, At: at}
	}
	f := NewFold()
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		f.Accept(id, "desk", at)
	}
	for _, e := range []news.LedgerEntry{
		l("a", news.EventPlanned, 0), l("a", news.EventDelivered, 1), l("a", news.EventDelivered, 1), l("a", news.EventPlanned, 0),
		l("b", news.EventAttempt, 1), l("b", news.EventPlanned, 0), l("b", news.EventDead, 2),
		l("c", news.EventSuppressed, 0),
		l("d", news.EventPlanned, 0), l("d", news.EventDead, 3), l("d", news.EventReplayed, 4), l("d", news.EventDead, 3),
		l("e", news.EventDelivered, 6), l("e", news.EventReplayed, 5), l("e", news.EventSuppressed, 0),
		l("g", news.EventDead, 6), l("g", news.EventReplayed, 5),
	} {
		f.Add(e)
	}
	want := map[string]Counts{"desk": {Accepted: 7, Delivered: 2, Dead: 2, Suppressed: 1, Pending: 1}}
	if d := cmp.Diff(want, f.Counts()); d != "" {
		t.Error(d)
	}
	if m := f.Counts()["desk"].Missing(); m != 1 {
		t.Errorf("%d missing, f is", m)
	}
	if u := f.Unaccounted(at); len(u) != 1 || u[0] != "f" {
		t.Errorf("unaccounted %v", u)
	}
	f.Add(news.LedgerEntry{Delivery: "z", Channel: "desk", Event: news.EventPlanned, At: at.Add(30 * 24 * time.Hour)})
	want["desk"] = Counts{Accepted: 8, Delivered: 2, Dead: 2, Suppressed: 1, Pending: 2}
	if d := cmp.Diff(want, f.Counts()); d != "" {
		t.Errorf("after old entries were settled: %s", d)
	}
	if len(f.live) > 3 {
		t.Errorf("%d deliveries are kept by id", len(f.live))
	}
}

// TestNothingIsMissingUnderRandomFaults sends many alerts over two channels through endpoints that fail at random, with crashes, and checks the
// identity from both sides at the end.
func TestNothingIsMissingUnderRandomFaults(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		random := func() []Result {
			var out []Result
			for range 4000 {
				switch r.IntN(12) {
				case 0:
					out = append(out, Result{Verdict: Retry, Status: "503"})
				case 1:
					out = append(out, Result{Verdict: Retry, Status: "429", RetryAfter: time.Duration(r.IntN(5000)) * time.Second})
				case 2:
					out = append(out, Result{Verdict: Retry, Status: "reset", Ambiguous: true})
				case 3:
					out = append(out, Result{Verdict: Refused, Status: "422"})
				case 4:
					out = append(out, Result{Verdict: Permanent, Status: "550"})
				case 5:
					out = append(out, Result{Verdict: Misconfigured, Status: "401"})
				default:
					out = append(out, Result{Verdict: Delivered, Status: "ok"})
				}
			}
			return out
		}
		m, a, b := newModel(), &endpoint{answers: random()}, &endpoint{answers: random()}
		m.crash = func(step int, _ string) fate {
			if step < 2000 && r.IntN(40) == 0 {
				return fate(1 + r.IntN(2))
			}
			return works
		}
		yaml := "route: {channels: [a], routes: [{matchers: [severity=medium], channels: [a, b]}]}\n"
		const n = 40
		matched, routed := 0, 0
		for !m.life(t, func() {
			x := m.start(t, config(t, yaml), a.channel("a", "p@x", "q@x"), b.channel("b"))
			for matched < n {
				must(t, x.HandleMatch(t.Context(), match("i"+string(rune('A'+matched/26))+string(rune('a'+matched%26)))))
				matched++
			}
			for routed < len(m.alerts) {
				must(t, x.HandleAlert(t.Context(), m.alerts[routed]))
				routed++
			}
			m.run(t, x)
		}) {
		}
		f := NewFold()
		for _, al := range m.alerts { // accepted is counted from alerts and routes, the rest from the ledger
			for _, to := range []string{"a p@x", "a q@x", "b "} {
				f.Accept(news.DeliveryID(al.ID, al.Revision, `severity="medium"`, to[:1], to[2:]), to[:1], al.At)
			}
		}
		for _, l := range m.ledger {
			f.Add(l)
		}
		sum := Counts{}
		for _, c := range f.Counts() {
			if c.Missing() != 0 || c.Pending != 0 {
				t.Errorf("seed %d: %+v", seed, c)
			}
			sum.Accepted += c.Accepted
			sum.Delivered += c.Delivered
		}
		if len(m.alerts) != n || sum.Accepted != 3*n || sum.Delivered == 0 {
			t.Errorf("seed %d: %d alerts, %+v", seed, len(m.alerts), sum)
		}
		copies := map[string]int{}
		for _, d := range append(a.got, b.got...) {
			copies[d.ID]++
		}
		extra, ambiguous := 0, 0
		for _, c := range copies {
			extra += c - 1
		}
		for _, l := range m.events(news.EventAttempt) {
			if l.Ambiguous {
				ambiguous++
			}
		}
		if extra > ambiguous {
			t.Errorf("seed %d: %d duplicates, %d ambiguous attempts", seed, extra, ambiguous)
		}
	}
}
