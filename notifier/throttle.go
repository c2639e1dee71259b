package notifier

import (
	"time"

	"tocsin/news/strict"
)

// Throttle bounds the messages of a route to each of its recipients. What does not fit is folded into one summary that names every alert; nothing
// is dropped. `throttle: none` ends the throttle that a route above states.
type Throttle struct {
	strict.Pos
	Per   time.Duration `yaml:"per"`   // 1m when not stated
	Max   int           `yaml:"max"`   // messages in that time
	Storm int           `yaml:"storm"` // more alerts than this in that time: all of them go into summaries until it is over; 0 = no guard
	off   bool
}

// UnmarshalStrict reads the mapping, or the word none.
func (t *Throttle) UnmarshalStrict(c *strict.Cursor) {
	if t.off = readOff(c); !t.off {
		type plain Throttle
		c.Into((*plain)(t))
	}
	t.Pos = c.Pos()
}

func (t *Throttle) per() time.Duration {
	if t.Per == 0 {
		return time.Minute
	}
	return t.Per
}

func (k *routeCheck) throttle(t *Throttle) {
	if t == nil || t.off {
		return
	}
	if t.Max < 1 || t.Max > 10_000 {
		k.faults.Add(t.Pos, "write max: 10", "throttle lets %d messages through: write 1 to 10000", t.Max)
	}
	if t.per() < time.Second || t.per() > 24*time.Hour {
		k.faults.Add(t.Pos, "write per: 1m", "throttle counts per %s: write 1s to 24h", t.per())
	}
	if t.Storm < 0 {
		k.faults.Add(t.Pos, "write storm: 100", "storm: %d", t.Storm)
	}
}

// tokens is a token bucket with a count of what came: the state of a throttle for one recipient. The zero value is full.
type tokens struct {
	spent float64 // tokens missing from a full bucket
	came  float64 // alerts that came, leaking at the storm's rate
	at    time.Time
	storm bool
}

func (b *tokens) flow(t *Throttle, now time.Time) {
	share := 1.0
	if !b.at.IsZero() {
		share = max(now.Sub(b.at).Seconds(), 0) / t.per().Seconds()
	}
	b.spent = max(0, b.spent-share*float64(t.Max))
	b.came = max(0, b.came-share*float64(t.Storm))
	b.at = now
}

// take tells whether one more alert may go out alone now. When not, it waits for a summary.
func (b *tokens) take(t *Throttle, now time.Time) bool {
	b.flow(t, now)
	b.came++
	if t.Storm > 0 {
		b.storm = b.came > float64(t.Storm) || b.storm && b.came > float64(t.Storm)/2
	}
	if b.storm || b.spent+1 > float64(t.Max) {
		return false
	}
	b.spent++
	return true
}

// force takes a token for a summary, whether one is there or not.
func (b *tokens) force(t *Throttle, now time.Time) {
	b.flow(t, now)
	b.spent++
}
