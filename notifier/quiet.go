package notifier

import (
	"slices"
	"time"

	"tocsin/news/strict"
)

// Ways to deal with an alert in quiet hours.
const (
	quietHold   = "hold"   // kept until the interval ends
	quietDigest = "digest" // into the route's next digest
	quietDrop   = "drop"   // suppressed, with the reason in the ledger
)

// Quiet are the quiet hours of a route. `quiet: none` ends those that a route above states.
type Quiet struct {
	strict.Pos
	Intervals []strict.Text `yaml:"intervals"` // names of time intervals
	Then      strict.Text   `yaml:"then"`      // hold (default), digest or drop
	Bypass    Bypass        `yaml:"bypass"`
	off       bool
}

// UnmarshalStrict reads the mapping, or the word none.
func (q *Quiet) UnmarshalStrict(c *strict.Cursor) {
	if q.off = readOff(c); !q.off {
		type plain Quiet
		c.Into((*plain)(q))
	}
	q.Pos = c.Pos()
}

// readOff tells whether the node is the word none.
func readOff(c *strict.Cursor) bool { return c.IsScalar() && c.Scalar() == "none" }

// Bypass are matchers of alerts that do not wait: a text of matchers, or none. Critical alerts when nothing is stated.
type Bypass struct {
	strict.Pos
	matchers []*Matcher
	stated   bool
}

// UnmarshalStrict reads the matchers.
func (b *Bypass) UnmarshalStrict(c *strict.Cursor) {
	b.Pos, b.stated = c.Pos(), true
	if readOff(c) {
		return
	}
	ms, err := ParseMatchers(c.Scalar())
	if err != nil || !c.IsScalar() {
		c.Fault(`write severity=~"high|critical", or none`, "bypass %q is not understood", cut(c.Scalar()))
		return
	}
	b.matchers = ms
}

// Holds tells whether an alert with these labels does not wait.
func (b *Bypass) Holds(l Labels) bool {
	if !b.stated {
		return len(l["severity"]) == 1 && l["severity"][0] == "critical"
	}
	return len(b.matchers) > 0 && all(b.matchers, l)
}

func all(ms []*Matcher, l Labels) bool {
	for _, m := range ms {
		if !m.Holds(l) {
			return false
		}
	}
	return true
}

func (k *routeCheck) quiet(q *Quiet, hasDigest bool) {
	if q == nil || q.off {
		return
	}
	if len(q.Intervals) == 0 {
		k.faults.Add(q.Pos, "write intervals: [night], and night under time_intervals", "quiet names no interval")
	}
	for _, n := range q.Intervals {
		if !slices.Contains(k.names, n.Value) {
			k.faults.Add(n.Pos, didYouMean(n.Value, k.names, "time intervals"), "unknown time interval %q", n.Value)
		}
	}
	switch q.Then.Value {
	case "", quietHold:
	case quietDigest:
		if !hasDigest {
			k.faults.Add(q.Then.Pos, "add digest: {at: [\"08:00\"]}, or write then: hold", "then: digest on a route that has no digest")
		}
	case quietDrop:
		if !q.Bypass.stated {
			k.faults.AddWarning(q.Then.Pos, "state bypass, or bypass: none", "then: drop without bypass: all but critical alerts are suppressed in quiet hours")
		}
	default:
		k.faults.Add(q.Then.Pos, didYouMean(q.Then.Value, []string{quietHold, quietDigest, quietDrop}, "ways"), "then: %q is not known", q.Then.Value)
	}
	k.bypass(&q.Bypass)
}

func (k *routeCheck) bypass(b *Bypass) {
	for _, m := range b.matchers {
		k.matcher(b.Pos, m)
	}
}

// ends tells until when these quiet hours last at t; t itself when it lies in none.
func (q *Quiet) ends(in intervals, t time.Time) time.Time {
	names := make([]string, len(q.Intervals))
	for i, n := range q.Intervals {
		names[i] = n.Value
	}
	return in.until(names, t)
}
