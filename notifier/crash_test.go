package notifier

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/news"
)

// script is a way for a delivery to go, by the answers of its endpoint.
type script struct {
	name    string
	answers []Result
	reaches bool // a person gets it
	dies    bool
}

func scripts() []script {
	ok := Result{Verdict: Delivered, Status: "ok"}
	busy := Result{Verdict: Retry, Status: "busy"}
	lost := Result{Verdict: Retry, Status: "lost", Ambiguous: true}
	return []script{
		{"delivered at once", []Result{ok}, true, false},
		{"delivered at the third attempt", []Result{busy, busy, ok}, true, false},
		{"lost, then delivered", []Result{lost, ok}, true, false},
		{"needs an operator, then delivered", []Result{{Verdict: Misconfigured, Status: "401"}, ok}, true, false},
		{"refused, then the short form", []Result{{Verdict: Refused, Status: "413"}, ok}, true, false},
		{"refused twice", []Result{{Verdict: Refused, Status: "413"}}, false, true},
		{"nobody there", []Result{{Verdict: Permanent, Status: "550"}}, false, true},
		{"gone", []Result{{Verdict: Gone, Status: "410"}}, false, true},
		{"never works", []Result{busy}, false, true},
	}
}

// TestACrashAtAnyStepLosesNothing ends the process before and after every effect on the bus, also between the endpoint's answer and its record,
// then starts a new process over the same bus. Whatever the step: the delivery is never lost, a duplicate carries the same id and is counted
// as ambiguous, and the ledger accounts for it.
func TestACrashAtAnyStepLosesNothing(t *testing.T) {
	for _, s := range scripts() {
		t.Run(s.name, func(t *testing.T) {
			steps := survive(t, s, nil)
			if steps < 5 {
				t.Fatalf("only %d steps", steps)
			}
			for at := 1; at <= steps; at++ {
				for _, f := range []fate{diesBefore, diesAfter} {
					survive(t, s, func(step int, _ string) fate {
						if step == at {
							return f
						}
						return works
					})
				}
			}
		})
	}
}

// TestManyCrashesLoseNothing ends the process at every n-th step, again and again. Attempts that end in a crash count, so that what should have
// reached a person may die of the end of its schedule instead: visibly.
func TestManyCrashesLoseNothing(t *testing.T) {
	for _, s := range scripts() {
		for every := 2; every <= 9; every++ {
			for _, f := range []fate{diesBefore, diesAfter} {
				t.Run(fmt.Sprint(s.name, every, f), func(t *testing.T) {
					survive(t, s, func(step int, _ string) fate {
						if step%every == 0 && step < 400 {
							return f
						}
						return works
					})
				})
			}
		}
	}
}

// survive takes one match all the way, through crashes, and checks the promise. It returns the number of steps.
func survive(t *testing.T, s script, crash func(int, string) fate) int {
	t.Helper()
	m, e := newModel(), &endpoint{answers: s.answers}
	m.crash = crash
	crashes := 0
	matches := []news.Match{match("i1")}
	var queue []news.Alert
	taken := 0
	for tries := 0; ; tries++ {
		if tries > 1000 {
			t.Fatal("not at rest after 1000 processes")
		}
		if m.life(t, func() {
			n := m.start(t, config(t, oneRoute), e.channel("desk"))
			for len(matches) > 0 {
				must(t, n.HandleMatch(t.Context(), matches[0]))
				matches = nil
			}
			queue = m.alerts
			for taken < len(queue) {
				must(t, n.HandleAlert(t.Context(), queue[taken]))
				taken++
			}
			m.run(t, n)
		}) {
			break
		}
		crashes++
	}
	m.promise(t, s, e, crashes)
	return m.steps
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// life runs f as one process; false when it crashed. What was held by the process is gone, time has passed.
func (m *model) life(t *testing.T, f func()) (ended bool) {
	t.Helper()
	defer func() {
		if x := recover(); x != nil {
			if _, ok := x.(crashed); !ok {
				panic(x)
			}
			m.pass(time.Minute)
		}
	}()
	f()
	return true
}

// promise checks what must hold at rest.
func (m *model) promise(t *testing.T, s script, e *endpoint, crashes int) {
	t.Helper()
	ids := map[string]bool{}
	for _, d := range e.got {
		ids[d.ID] = true
	}
	if len(ids) > 1 {
		t.Errorf("the endpoint has %d ids of one delivery", len(ids))
	}
	delivered, dead := len(m.events(news.EventDelivered)), len(m.events(news.EventDead))
	if delivered+dead != 1 {
		t.Errorf("after %d crashes: %d delivered and %d dead entries: %s", crashes, delivered, dead, m.story())
	}
	if s.reaches && crashes < 2 && (len(e.got) == 0 || delivered != 1) {
		t.Errorf("after %d crashes: received %d times, %d delivered entries: %s", crashes, len(e.got), delivered, m.story())
	}
	if s.dies && (dead != 1 || len(m.dead) != 1) {
		t.Errorf("after %d crashes: %d dead entries, %d dead letters: %s", crashes, dead, len(m.dead), m.story())
	}
	ambiguous := 0
	for _, l := range m.events(news.EventAttempt) {
		if l.Ambiguous {
			ambiguous++
		}
	}
	if extra := len(e.got) - 1; extra > ambiguous {
		t.Errorf("after %d crashes: %d duplicates, only %d ambiguous attempts in the ledger: %s", crashes, extra, ambiguous, m.story())
	}
	if got := len(m.events(news.EventPlanned)); got != 1 {
		t.Errorf("%d planned entries", got)
	}
	if noted := len(m.events(news.EventAttempt)) + delivered; crashes == 0 && noted != e.calls {
		t.Errorf("%d attempts, %d in the ledger: %s", e.calls, noted, m.story())
	}
	balanced(t, m, nil)
	for k, c := range m.sent {
		if state := stateOf(c.data); state != news.SentDone && state != news.SentDead {
			t.Errorf("at rest, record %s is %s", k, state)
		}
	}
}

func (m *model) story() string {
	var b strings.Builder
	for _, l := range m.ledger {
		fmt.Fprintf(&b, "\n  %s %d %s %q ambiguous=%v", l.Event, l.Attempt, l.Reason, l.Status, l.Ambiguous)
	}
	return b.String()
}
