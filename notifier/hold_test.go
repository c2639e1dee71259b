package notifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
)

// digesting is an endpoint whose digests name the alerts that they stand for, one line each.
func (e *endpoint) digesting(id string) Channel {
	ch := e.channel(id)
	ch.RenderDigest = func(entries []news.Alert, d *news.Delivery) error {
		var keys []string
		for i := range entries {
			keys = append(keys, entries[i].Key()+" "+entries[i].Match.Item.Title)
		}
		d.Subject, d.Body = fmt.Sprintf("%d alerts", len(entries)), []byte(strings.Join(keys, "\n"))
		return nil
	}
	return ch
}

// messages are what an endpoint has, as the numbers of the alerts in each message.
func (e *endpoint) messages() (out []int) {
	for _, d := range e.got {
		out = append(out, len(strings.Split(string(d.Body), "\n")))
	}
	return out
}

// named is how often each alert was named.
func (e *endpoint) named() map[string]int {
	out, ids := map[string]int{}, map[string]bool{}
	for _, d := range e.got {
		if ids[d.ID] {
			continue
		}
		ids[d.ID] = true
		for line := range strings.SplitSeq(string(d.Body), "\n") {
			key, _, _ := strings.Cut(line, " ")
			out[key]++
		}
	}
	return out
}

func severity(s news.Severity) func(*news.Match) { return func(m *news.Match) { m.Severity = s } }

// wait lets time pass in steps, sending what becomes due.
func (m *model) wait(t testing.TB, n *Notifier, d time.Duration) {
	t.Helper()
	for end := m.now.Add(d); ; m.pass(min(10*time.Second, end.Sub(m.now))) {
		if err := n.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.deliver(t, n)
		if !m.now.Before(end) {
			return
		}
	}
}

// deliver handles what is due now, once.
func (m *model) deliver(t testing.TB, n *Notifier) {
	t.Helper()
	m.fire()
	for _, k := range news.SortedKeys(m.due) {
		err := n.HandleDelivery(t.Context(), m.due[k])
		var later *news.LaterError
		switch {
		case err == nil:
			delete(m.due, k)
		case !errors.As(err, &later):
			t.Fatal(err)
		}
	}
}

func TestDigestCollects(t *testing.T) {
	m, e := newModel(), &endpoint{} // 05:06:07 UTC
	n := m.start(t, config(t, `route: {channels: [desk], digest: {at: ["08:00"], location: Asia/Kabul}}`), e.digesting("desk"))
	throughAlerts(t, m, n, match("i1"), match("i2"), match("i3", severity(news.SeverityCritical)), match("i4", func(x *news.Match) { x.Item.Backfill = true }))
	m.wait(t, n, time.Minute)
	if diff := cmp.Diff([]int{1}, e.messages()); diff != "" {
		t.Fatalf("critical alone goes at once: %s", diff)
	}
	c := n.Ledger()["desk"]
	if c != (Counts{Accepted: 4, Delivered: 1, Pending: 3}) {
		t.Errorf("while three wait: %+v", c)
	}
	if n.Held()["root"] != 3 {
		t.Errorf("held: %v", n.Held())
	}
	balanced(t, m, n)
	m.wait(t, n, 22*time.Hour+20*time.Minute) // 03:27, the next 08:00 in Kabul is 03:30
	if len(e.got) != 1 {
		t.Fatalf("sent before its time: %v", e.messages())
	}
	m.wait(t, n, 5*time.Minute)
	if diff := cmp.Diff([]int{1, 3}, e.messages()); diff != "" {
		t.Fatalf("messages: %s", diff)
	}
	if c := n.Ledger()["desk"]; c != (Counts{Accepted: 4, Delivered: 4}) {
		t.Errorf("at rest: %+v", c)
	}
	if e.got[1].Reason != news.SendDigest || len(e.got[1].Alerts) != 3 {
		t.Errorf("digest %+v", e.got[1])
	}
	balanced(t, m, n)
}

// TestARedeliveredAlertIsHeldOnce: the router may see an alert again at any time, while it waits and after it went out.
func TestARedeliveredAlertIsHeldOnce(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, `route: {channels: [desk], digest: {every: 1h}}`), e.digesting("desk"))
	throughAlerts(t, m, n, match("i1"), match("i2"))
	for range 3 {
		must(t, n.HandleAlert(t.Context(), m.alerts[0]))
	}
	m.pass(80 * time.Hour) // a reading so late that the alert would be too old
	must(t, n.HandleAlert(t.Context(), m.alerts[0]))
	if s := m.events(news.EventSuppressed); len(s) != 0 {
		t.Errorf("a waiting alert is suppressed: %+v", s)
	}
	m.wait(t, n, 2*time.Hour)
	must(t, n.HandleAlert(t.Context(), m.alerts[0]))
	m.wait(t, n, 2*time.Hour)
	if diff := cmp.Diff([]int{2}, e.messages()); diff != "" {
		t.Error(diff)
	}
	balanced(t, m, n)
}

func TestQuietHours(t *testing.T) {
	const night = `time_intervals: [{name: night, time_intervals: [{times: [{start_time: "05:00", end_time: "06:00"}]}]}]
route: {channels: [desk], quiet: {intervals: [night], then: %s}}
`
	for then, want := range map[string]struct {
		before, after []int
		counts        Counts
	}{
		"hold": {[]int{1}, []int{1, 1, 1}, Counts{Accepted: 3, Delivered: 3}},
		"drop": {[]int{1}, []int{1}, Counts{Accepted: 3, Delivered: 1, Suppressed: 2}},
	} {
		m, e := newModel(), &endpoint{}
		n := m.start(t, config(t, fmt.Sprintf(night, then)), e.digesting("desk"))
		throughAlerts(t, m, n, match("i1"), match("i2"), match("i3", severity(news.SeverityCritical)))
		m.wait(t, n, 50*time.Minute)
		if diff := cmp.Diff(want.before, e.messages()); diff != "" {
			t.Errorf("%s, in the night: %s", then, diff)
		}
		m.wait(t, n, 10*time.Minute)
		if diff := cmp.Diff(want.after, e.messages()); diff != "" {
			t.Errorf("%s, in the morning: %s", then, diff)
		}
		if c := n.Ledger()["desk"]; c != want.counts {
			t.Errorf("%s: %+v", then, c)
		}
		balanced(t, m, n)
	}
	// more than ten make one summary
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, fmt.Sprintf(night, "hold")), e.digesting("desk"))
	for i := range 11 {
		throughAlerts(t, m, n, match(fmt.Sprint("i", i)))
	}
	m.wait(t, n, time.Hour)
	if diff := cmp.Diff([]int{11}, e.messages()); diff != "" {
		t.Errorf("eleven: %s", diff)
	}
	balanced(t, m, n)
}

func TestGroupsAreOneMessage(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, `route: {channels: [desk], group_by: [watchlist], group_wait: 30s, group_interval: 10m}`), e.digesting("desk"))
	throughAlerts(t, m, n, match("i1"))
	m.wait(t, n, 20*time.Second)
	throughAlerts(t, m, n, match("i2"), match("i3"))
	m.wait(t, n, 20*time.Second)
	if diff := cmp.Diff([]int{3}, e.messages()); diff != "" {
		t.Errorf("after group_wait: %s", diff)
	}
	throughAlerts(t, m, n, match("i4"))
	m.wait(t, n, 9*time.Minute)
	if len(e.got) != 1 {
		t.Errorf("before group_interval: %v", e.messages())
	}
	m.wait(t, n, time.Minute)
	if diff := cmp.Diff([]int{3, 1}, e.messages()); diff != "" {
		t.Errorf("after group_interval: %s", diff)
	}
	if got := e.got[1]; got.Reason != news.SendFirst || got.Story == "" {
		t.Errorf("one alert alone has its own form: %+v", got)
	}
	balanced(t, m, n)
}

// TestTenThousandAlertsInAMinute: a storm on one route is few messages that name every alert.
func TestTenThousandAlertsInAMinute(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, `route: {channels: [desk], throttle: {per: 1m, max: 5, storm: 5}}`), e.digesting("desk"))
	count := 10_000
	if testing.Short() {
		count = 2_500
	}
	for i := range count {
		m.pass(time.Minute / time.Duration(count))
		throughAlerts(t, m, n, match(fmt.Sprint("i", i)))
		if i%500 == 0 {
			must(t, n.Flush(t.Context()))
		}
	}
	if c := n.Ledger()["desk"]; c.Accepted != count || c.Missing() != 0 {
		t.Errorf("in the storm: %+v", c)
	}
	m.wait(t, n, 3*time.Minute)
	if len(e.got) > 10+1 { // five alone, five summaries of 2,000; one more when the storm outlasts the minute
		t.Errorf("%d messages: %v", len(e.got), e.messages())
	}
	named := e.named()
	if len(named) != count {
		t.Errorf("%d of %d alerts were named", len(named), count)
	}
	for key, k := range named {
		if k != 1 {
			t.Fatalf("%s is named %d times", key, k)
		}
	}
	if c := n.Ledger()["desk"]; c != (Counts{Accepted: count, Delivered: count}) {
		t.Errorf("at rest: %+v", c)
	}
	balanced(t, m, n)
}

func TestWhatIsTooLargeIsSplit(t *testing.T) {
	m, e := newModel(), &endpoint{}
	ch := e.digesting("desk")
	inner := ch.RenderDigest
	ch.RenderDigest = func(entries []news.Alert, d *news.Delivery) error {
		if len(entries) > 3 {
			return fmt.Errorf("%d: %w", len(entries), ErrTooLarge)
		}
		return inner(entries, d)
	}
	n := m.start(t, config(t, `route: {channels: [desk], digest: {every: 1h}}`), ch)
	for i := range 10 {
		throughAlerts(t, m, n, match(fmt.Sprint("i", i)))
	}
	m.wait(t, n, time.Hour)
	if got := e.messages(); len(e.named()) != 10 || slices.Max(got) > 3 {
		t.Errorf("messages %v name %d alerts", got, len(e.named()))
	}
	balanced(t, m, n)
}

// TestADigestWithoutItsOwnForm: channels that know only alerts get one that lists the others; a digest that cannot be rendered at all is a
// dead letter for all of its entries.
func TestADigestWithoutItsOwnForm(t *testing.T) {
	m, e := newModel(), &endpoint{}
	ch := e.channel("desk")
	n := m.start(t, config(t, `route: {channels: [desk], digest: {every: 1h}}`), ch)
	throughAlerts(t, m, n, match("i1"), match("i2"))
	m.wait(t, n, time.Hour)
	if len(e.got) != 1 || !strings.Contains(e.got[0].Subject, "2 alerts: Armed groups") {
		t.Errorf("got %+v", e.got)
	}
	balanced(t, m, n)

	m, e = newModel(), &endpoint{}
	ch = e.channel("desk")
	ch.Short, ch.RenderDigest = nil, func([]news.Alert, *news.Delivery) error { panic("template") }
	n = m.start(t, config(t, `route: {channels: [desk], digest: {every: 1h}}`), ch)
	throughAlerts(t, m, n, match("i1"), match("i2"))
	m.wait(t, n, time.Hour)
	if c := n.Ledger()["desk"]; c != (Counts{Accepted: 2, Dead: 2}) || len(m.dead) != 1 {
		t.Errorf("%+v, %d dead letters", c, len(m.dead))
	}
	balanced(t, m, n)
}

// TestHeldEntriesSurviveCrashes ends the process before and after every effect on the bus while alerts wait for digests, groups, summaries and
// the morning: every alert is named to the person, in one message or, after an ambiguous attempt, in the same one again.
func TestHeldEntriesSurviveCrashes(t *testing.T) {
	for name, yaml := range map[string]string{
		"digest":   `route: {channels: [desk], digest: {every: 1h, bypass: 'severity="high"'}}`,
		"group":    `route: {channels: [desk], group_by: [watchlist], group_wait: 1m}`,
		"throttle": `route: {channels: [desk], throttle: {per: 1m, max: 1}}`,
		"quiet": `time_intervals: [{name: night, time_intervals: [{times: [{start_time: "05:00", end_time: "06:00"}]}]}]
route: {channels: [desk], quiet: {intervals: [night]}}`,
		"all": `time_intervals: [{name: night, time_intervals: [{times: [{start_time: "05:00", end_time: "06:00"}]}]}]
route: {channels: [desk], quiet: {intervals: [night], bypass: 'severity=~"low|high"'}, group_wait: 10s, throttle: {per: 1m, max: 1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			steps := surviveHeld(t, yaml, nil)
			if steps < 10 {
				t.Fatalf("only %d steps", steps)
			}
			for at := 1; at <= steps; at++ {
				for _, f := range []fate{diesBefore, diesAfter} {
					surviveHeld(t, yaml, func(step int, _ string) fate {
						if step == at {
							return f
						}
						return works
					})
				}
			}
			for every := 3; every <= 11; every++ {
				surviveHeld(t, yaml, func(step int, _ string) fate {
					if step%every == 0 && step < 300 {
						return diesAfter
					}
					return works
				})
			}
		})
	}
}

func surviveHeld(t *testing.T, yaml string, crash func(int, string) fate) int {
	t.Helper()
	m, e := newModel(), &endpoint{}
	m.crash = crash
	var matches []news.Match
	for i := range 5 {
		s := []news.Severity{news.SeverityLow, news.SeverityMedium, news.SeverityHigh, news.SeverityLow, news.SeverityCritical}[i]
		matches = append(matches, match(fmt.Sprint("i", i), severity(s)))
	}
	next, taken, crashes := 0, 0, 0
	for tries := 0; ; tries++ {
		if tries > 1000 {
			t.Fatal("not at rest after 1000 processes")
		}
		if m.life(t, func() {
			n := m.start(t, config(t, yaml), e.digesting("desk"))
			for ; next < len(matches); next++ {
				must(t, n.HandleMatch(t.Context(), matches[next]))
				for ; taken < len(m.alerts); taken++ {
					must(t, n.HandleAlert(t.Context(), m.alerts[taken]))
				}
			}
			for ; taken < len(m.alerts); taken++ {
				must(t, n.HandleAlert(t.Context(), m.alerts[taken]))
			}
			m.wait(t, n, 2*time.Hour)
		}) {
			break
		}
		crashes++
	}
	f := NewFold()
	ambiguous := 0
	for _, l := range m.ledger {
		f.Add(l)
		if l.Ambiguous {
			ambiguous++
		}
	}
	if c := f.Counts()["desk"]; c.Delivered+c.Dead != 5 || c.Missing() != 0 || (crashes < 2 && c.Delivered != 5) {
		t.Errorf("after %d crashes: %+v%s", crashes, c, m.story())
	}
	ids := map[string]bool{}
	for _, d := range e.got {
		ids[d.ID] = true
	}
	if extra := len(e.got) - len(ids); extra > ambiguous {
		t.Errorf("after %d crashes: %d duplicates, %d ambiguous attempts%s", crashes, extra, ambiguous, m.story())
	}
	for key, k := range e.named() {
		if k != 1 {
			t.Errorf("after %d crashes: %s is in %d messages%s", crashes, key, k, m.story())
		}
	}
	if crashes < 2 && len(e.named()) != 5 {
		t.Errorf("after %d crashes: %d of 5 named%s", crashes, len(e.named()), m.story())
	}
	balanced(t, m, nil)
	return m.steps
}

// TestAnUncertainLedgerDoesNotSplitADigest: the answer to "bundled" is lost though it is stored, and another alert comes before the next try.
func TestAnUncertainLedgerDoesNotSplitADigest(t *testing.T) {
	m, e := newModel(), &endpoint{}
	o := m.options(t, config(t, `route: {channels: [desk], group_by: [watchlist], group_wait: 30s, group_interval: 1m}`), e.digesting("desk"))
	inner, lose := o.PublishLedger, 1
	o.PublishLedger = func(ctx context.Context, l news.LedgerEntry) error {
		err := inner(ctx, l)
		if l.Event == news.EventBundled && lose > 0 {
			lose--
			return context.DeadlineExceeded
		}
		return err
	}
	n, err := New(o)
	must(t, err)
	throughAlerts(t, m, n, match("i1"), match("i2"))
	m.pass(time.Minute)
	if n.Flush(t.Context()) == nil {
		t.Fatal("the lost answer is not told")
	}
	throughAlerts(t, m, n, match("i3"))
	m.wait(t, n, 5*time.Minute)
	if diff := cmp.Diff([]int{2, 1}, e.messages()); diff != "" {
		t.Error(diff)
	}
	balanced(t, m, n)
}

// TestAWaitingEntryOutlivesItsRoute: the operator takes route and channel away while an alert waits.
func TestAWaitingEntryOutlivesItsRoute(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, `route: {channels: [desk], routes: [{matchers: ['lang="en"'], channels: [desk, other], digest: {every: 1d}}]}`), e.digesting("desk"), (&endpoint{}).digesting("other"))
	throughAlerts(t, m, n, match("i1"))
	n = m.start(t, config(t, oneRoute), e.digesting("desk"))
	m.wait(t, n, time.Minute)
	if diff := cmp.Diff([]int{1}, e.messages()); diff != "" {
		t.Error(diff)
	}
	if len(m.dead) != 1 || m.dead[0].Reason != deadNoChannel || m.dead[0].Channel != "other" {
		t.Errorf("dead letters %+v", m.dead)
	}
	balanced(t, m, n)
}
