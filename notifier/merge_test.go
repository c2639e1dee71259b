package notifier

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
)

// both lets an item tell of two events at once: enough of such items make them one.
func both(x, y string) func(*news.Match) {
	return func(m *news.Match) {
		other := *m
		about(x)(m)
		about(y)(&other)
		m.Signature.Anchors = append(m.Signature.Anchors, other.Signature.Anchors...)
		m.Signature.Words = append(m.Signature.Words, other.Signature.Words...)
	}
}

func inList(id string) func(*news.Match) { return func(m *news.Match) { m.Watchlist = id } }

// TestALateMergeKeepsTheOlderAlert: for each watchlist the older alert goes on, and says which one ended in it; nobody is told twice what they know.
func TestALateMergeKeepsTheOlderAlert(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, noPause), (&endpoint{}).channel("desk"))
	throughAlerts(t, m, n,
		match("i1", about("raid")), match("i2", about("talks"), withEntity("ttp"), titled("Talks begin")), match("i2", about("talks"), inList("second"), withEntity("isk")),
		match("i3", both("raid", "talks")), match("i4", both("raid", "talks")), match("i5", both("raid", "talks")),
	)
	raid, talks, second := m.alerts[0].ID, m.alerts[1].ID, m.alerts[2].ID
	var merge *news.Alert
	for i, a := range m.alerts[3:] {
		if a.ID != raid || a.Kind != news.KindFold {
			t.Errorf("record %d: %s of %s, want a fold of %s", i+3, a.Kind, a.ID, raid)
		}
		if len(a.Merged) > 0 {
			merge = &a
			break
		}
	}
	if merge == nil || merge.Merged[0].Alert != talks || merge.Merged[0].From != "i2" || merge.Merged[0].Into != "i1" || merge.Merged[0].Link.Points <= 0 {
		t.Fatalf("no record says that %s ended in %s: %+v", talks, raid, merge)
	}
	if !slices.ContainsFunc(merge.Also, func(x news.Source) bool { return x.Item == "i2" && x.Title == "Talks begin" }) && merge.Merged != nil {
		throughAlerts(t, m, n, match("i6", both("raid", "talks"), withEntity("new")))
		if last := m.alerts[len(m.alerts)-1]; !slices.ContainsFunc(last.Also, func(x news.Source) bool { return x.Item == "i2" && x.Title == "Talks begin" }) {
			t.Errorf("the next update does not name the alert that ended: %+v", last.Also)
		}
	}
	throughAlerts(t, m, n,
		match("i7", about("talks"), withEntity("ttp")),
		match("i7", about("talks"), withEntity("isk"), inList("second")),
		match("i8", about("raid"), inList("second"), withEntity("isk")))
	for i, want := range []string{raid, second, second} {
		if a := m.alerts[len(m.alerts)-3+i]; a.ID != want || a.Kind != news.KindFold {
			t.Errorf("after the merge: %s of %s with %q, want a fold of %s", a.Kind, a.ID, a.New, want)
		}
	}
	if c := n.stories.counts(); c.merges != 1 {
		t.Errorf("%+v", c)
	}
}

// life is one made-up stream: matches in order, with the time between them.
type life struct {
	matches []news.Match
	gaps    []time.Duration
}

func newLife(seed uint64, n int) life {
	r := rand.New(rand.NewPCG(seed, 7))
	events := []string{"raid", "talks", "flood", "strike", "vote", "fire"}
	langs := []string{"en", "ur", "fa", "zh"}
	var l life
	for i := range n {
		x, y := events[r.IntN(len(events))], events[r.IntN(len(events))]
		id := fmt.Sprintf("i%d", i)
		tell := about(x)
		if r.IntN(6) == 0 {
			tell = both(x, y)
		}
		change := []func(*news.Match){tell, from(fmt.Sprint("outlet", r.IntN(5)), langs[r.IntN(3)*r.IntN(2)], 1+r.IntN(3)), titled(fmt.Sprint("About ", x, " ", i))}
		if r.IntN(3) == 0 {
			change = append(change, counting(float64(1+r.IntN(40)), news.UnitKilled, r.IntN(3)))
		}
		if r.IntN(8) == 0 {
			change = append(change, withSeverity(news.Severity(1+r.IntN(4))))
		}
		if r.IntN(6) == 0 {
			change = append(change, withEntity(fmt.Sprint("e", r.IntN(3))))
		}
		if r.IntN(10) == 0 {
			change = append(change, func(m *news.Match) { m.Item.Backfill = true })
		}
		if i > 4 && r.IntN(6) == 0 {
			id = l.matches[len(l.matches)-1-r.IntN(4)].Item.ID
			change = append(change, edited(fmt.Sprint("r", i)))
		}
		for _, w := range []string{"armed-groups", "second"}[r.IntN(2):] {
			l.matches = append(l.matches, match(id, append(slices.Clone(change), inList(w))...))
			l.gaps = append(l.gaps, time.Duration(r.IntN(12))*time.Minute)
		}
	}
	return l
}

// through lives the stream, ending the process where crash says, and going on with a new one over the same bus.
func (l *life) through(t *testing.T, yaml string, crash func(int, string) fate) (*model, *endpoint, *Notifier) {
	t.Helper()
	m, e := newModel(), &endpoint{}
	m.crash = crash
	var n *Notifier
	start := func() { n = m.start(t, config(t, yaml), e.telling("desk"), (&endpoint{}).telling("other")) }
	do := func(f func()) {
		for tries := 0; ; tries++ {
			if tries > 100 {
				t.Fatal("a step does not end")
			}
			now := m.now
			if m.life(t, func() {
				if n == nil {
					start()
				}
				f()
			}) {
				return
			}
			n, m.now = nil, now
		}
	}
	routed := 0
	for i := range l.matches {
		do(func() { must(t, n.HandleMatch(t.Context(), l.matches[i])) })
		for ; routed < len(m.alerts); routed++ {
			do(func() { must(t, n.HandleAlert(t.Context(), m.alerts[routed])) })
		}
		for end := m.now.Add(l.gaps[i]); ; m.pass(min(2*time.Minute, end.Sub(m.now))) {
			do(func() { must(t, n.Flush(t.Context())); m.deliver(t, n) })
			if !m.now.Before(end) {
				break
			}
		}
	}
	for range 240 {
		do(func() { must(t, n.Flush(t.Context())); m.deliver(t, n) })
		m.pass(time.Minute)
	}
	return m, e, n
}

// TestACrashChangesNoStory: wherever processes end, the records are the same as without an end: one for each match, the same story, kind and news.
func TestACrashChangesNoStory(t *testing.T) {
	for seed := range uint64(12) {
		yaml, interval := oneRoute, 30*time.Minute
		if seed%3 == 1 {
			yaml, interval = "route: {channels: [desk, other]}\nstories: {update_interval: 10m}\n", 10*time.Minute
		}
		l := newLife(seed, 40)
		want, calm, n := l.through(t, yaml, nil)
		checkStream(t, want, n, &l)
		calm.checkPauses(t, interval)
		r := rand.New(rand.NewPCG(seed, 8))
		for try := range 3 {
			ends := 0
			got, _, n := l.through(t, yaml, func(int, string) fate {
				if r.IntN(30) > 0 {
					return works
				}
				ends++
				return []fate{diesBefore, diesAfter}[r.IntN(2)]
			})
			if ends < 2 {
				t.Errorf("seed %d: only %d ends", seed, ends)
			}
			if d := cmp.Diff(want.alerts, got.alerts); d != "" {
				t.Fatalf("seed %d, try %d, %d ends: the records differ:\n%s", seed, try, ends, d)
			}
			checkStream(t, got, n, &l)
		}
	}
}

// checkStream holds the promises of one stream: a record for each match, one first that is fresh, updates that bring news, and all accounted for.
func checkStream(t *testing.T, m *model, n *Notifier, l *life) {
	t.Helper()
	matches, kinds := map[string]int{}, map[string]int{}
	fresh := map[string]int{}
	for _, a := range m.alerts {
		matches[a.Match.ID]++
		kinds[a.Kind]++
		if a.Kind == news.KindFirst && !a.Old {
			fresh[a.ID]++
		}
		if (a.Kind == news.KindUpdate) != (len(a.New) > 0) || a.Kind == news.KindUpdate && a.Old {
			t.Errorf("%s %s with news %q", a.Kind, a.Key(), a.New)
		}
	}
	for _, x := range l.matches {
		if matches[x.ID] != 1 {
			t.Errorf("match of %s %s has %d records", x.Item.ID, x.Item.Revision, matches[x.ID])
		}
	}
	for id, n := range fresh {
		if n > 1 {
			t.Errorf("alert %s was opened %d times", id, n)
		}
	}
	if len(kinds) != 3 {
		t.Errorf("kinds %v: the stream shows nothing", kinds)
	}
	balanced(t, m, n)
	for ch, c := range n.Ledger() {
		if c.Pending != 0 || c.Missing() != 0 {
			t.Errorf("channel %s at rest: %+v", ch, c)
		}
	}
}

// checkPauses looks at the times of the messages about one alert: before an update nothing was sent for an interval, unless it rises to critical.
func (e *endpoint) checkPauses(t *testing.T, interval time.Duration) {
	t.Helper()
	last := map[string]time.Time{}
	updates := 0
	for _, d := range e.got {
		id := d.Alerts[len(d.Alerts)-1].ID
		if was, again := last[id]; again && d.Reason == news.SendUpdate && d.Severity < news.SeverityCritical {
			updates++
			if pause := d.PlannedAt.Sub(was); pause < interval-2*time.Minute { // the stream looks every 2 minutes
				t.Errorf("alert %s: %s between two messages: %s", id, pause, d.Body)
			}
		}
		last[id] = d.PlannedAt
	}
	if updates == 0 {
		t.Error("no updates: the stream shows nothing")
	}
}
