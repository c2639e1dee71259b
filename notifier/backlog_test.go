package notifier

import (
	"fmt"
	"testing"
	"time"
)

// outage plans deliveries for an endpoint that is away, lets it come back, and checks that each alert is named once, in few messages.
func outage(t *testing.T, alerts int, crash func(int, string) fate) (steps int) {
	t.Helper()
	m, e := newModel(), &endpoint{}
	away := Result{Verdict: Retry, Status: "refused"}
	for range 7 {
		e.answers = append(e.answers, away)
	}
	e.answers = append(e.answers, Result{Verdict: Delivered, Status: "ok"})
	var n *Notifier
	start := func() { n = m.start(t, config(t, oneRoute), e.digesting("desk")) }
	start()
	for i := range alerts {
		throughAlerts(t, m, n, match(fmt.Sprint("i", i)))
	}
	m.crash = crash
	crashes := 0
	for range 3000 {
		if m.life(t, func() {
			if n == nil {
				start()
			}
			must(t, n.Flush(t.Context()))
			m.deliver(t, n)
		}) {
			m.pass(30 * time.Second)
			if len(m.due)+len(m.retry) == 0 && len(n.holds.open()) == 0 {
				break
			}
			continue
		}
		n = nil
		crashes++
	}
	for id, times := range e.named() {
		if times != 1 {
			t.Errorf("%s is named %d times after %d crashes", id, times, crashes)
		}
	}
	if got := len(e.named()); got != alerts {
		t.Errorf("%d of %d alerts arrived after %d crashes", got, alerts, crashes)
	}
	balanced(t, m, n)
	for ch, c := range n.Ledger() {
		if c.Delivered != alerts || c.Pending != 0 {
			t.Errorf("channel %s at rest: %+v", ch, c)
		}
	}
	if crash == nil {
		folded := len(e.got) < alerts/2
		if want := alerts > backlogMost+10; folded != want {
			t.Errorf("%d alerts came in %d messages %v", alerts, len(e.got), e.messages())
		}
	}
	return m.steps
}

// TestAfterAnOutageOneMessageStandsForMany: more than 20 pending deliveries are folded into one message, each of them accounted for; fewer come one
// by one.
func TestAfterAnOutageOneMessageStandsForMany(t *testing.T) {
	outage(t, 10, nil)
	steps := outage(t, 60, nil)
	for at := 1; at <= steps; at += 3 {
		for _, f := range []fate{diesBefore, diesAfter} {
			begun := -1
			outage(t, 60, func(step int, _ string) fate {
				if begun < 0 {
					begun = step
				}
				if step-begun == at {
					return f
				}
				return works
			})
		}
	}
}
