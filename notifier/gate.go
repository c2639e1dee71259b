package notifier

import (
	"errors"
	"hash/fnv"
	"log/slog"
	"strconv"
	"sync"
	"time"
)

// errHeld means that the channel takes nothing now: its circuit is open, or the endpoint asked for a pause.
var errHeld = errors.New("the channel is held")

const (
	openAfter = 5                // failures in a row that open the circuit
	maxProbe  = 15 * time.Minute // longest time between two probes
	maxHold   = time.Hour        // longest pause that one Retry-After puts on a whole channel
	slowDelay = 30 * time.Minute // least delay while an operator must mend something
	inFlight  = 5 * time.Second  // how long to wait for the probe that is under way
)

// delay is the time until the next attempt after `made` attempts. Retry-After beats the schedule; jitter is ±20 %, made from the id, and never
// goes below the schedule's first delay (greylisting).
func delay(schedule []time.Duration, made int, id string, r *Result) time.Duration {
	if r.RetryAfter > 0 {
		return min(max(r.RetryAfter, time.Second), 24*time.Hour)
	}
	d := schedule[min(made, len(schedule)-1)]
	h := fnv.New32a()
	h.Write([]byte(id + strconv.Itoa(made)))
	d += time.Duration((float64(h.Sum32()%4001)/2000 - 1) * 0.2 * float64(d))
	if len(schedule) > 1 {
		d = max(d, schedule[1])
	}
	if r.Verdict == Misconfigured {
		d = max(d, slowDelay)
	}
	return d
}

// ChannelStatus tells how a channel is.
type ChannelStatus struct {
	ID, Type  string
	Open      bool      // the circuit is open: nothing but probes is sent
	Gone      bool      // the endpoint said that it is closed for good
	Since     time.Time // when the circuit opened
	Failures  int       // in a row
	LastError string    // without secrets; "" after a success
	NextProbe time.Time // when the next attempt is allowed, while the circuit is open or the endpoint asked for a pause
}

// pass is the right to make an attempt.
type pass int

const (
	refused pass = iota
	normal
	probe
)

// gate is the circuit of one channel.
type gate struct {
	mu       sync.Mutex
	ch       *Channel
	failures int
	open     bool
	since    time.Time
	probeAt  time.Time
	probing  bool
	probes   int
	hold     time.Time
	paused   time.Time
	gone     bool
	config   bool
	backlog  bool // what waited for the endpoint is being folded into one message
	last     string
}

func newGate(ch *Channel) *gate { return &gate{ch: ch} }

// enter gives a pass, or tells how long to wait.
func (g *gate) enter(now time.Time) (pass, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case now.Before(g.hold):
		return refused, g.hold.Sub(now)
	case g.backlog:
		return refused, inFlight
	case !g.open:
		return normal, 0
	case g.probing:
		return refused, inFlight
	case now.Before(g.probeAt):
		return refused, g.probeAt.Sub(now)
	}
	g.probing = true
	return probe, 0
}

// cancel gives a pass back without an outcome.
func (g *gate) cancel(p pass) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p == probe {
		g.probing = false
	}
}

// change is what a result did to the channel that an operator should hear of, once.
type change int

const (
	same change = iota
	opened
	closed
	needsMending
	wentAway
)

// leave notes the outcome of an attempt. An answer about this message alone (refused, permanent, Alive) shows that the endpoint works.
func (g *gate) leave(p pass, r Result, now time.Time) change {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p == probe {
		g.probing = false
	}
	if r.RetryAfter > 0 {
		g.hold = now.Add(min(r.RetryAfter, maxHold))
	}
	switch {
	case r.Verdict == Gone:
		g.gone, g.last = true, r.Status
		return wentAway
	case r.Verdict == Delivered || r.Verdict == Refused || r.Verdict == Permanent || r.Alive:
		return g.success(&r)
	}
	return g.failure(p, &r, now)
}

func (g *gate) success(r *Result) change {
	was := g.open
	g.failures, g.open, g.probes, g.config = 0, false, 0, false
	g.since, g.probeAt = time.Time{}, time.Time{}
	if r.Verdict == Delivered {
		g.last = ""
	}
	if was {
		return closed
	}
	return same
}

func (g *gate) failure(p pass, r *Result, now time.Time) change {
	g.failures++
	g.last = r.Status
	c := same
	switch {
	case g.open && p == probe:
		g.probes++
		g.probeAt = now.Add(g.probeDelay())
	case !g.open && g.failures >= openAfter:
		g.open, g.since, g.probes = true, now, 0
		g.probeAt = now.Add(g.probeDelay())
		c = opened
	}
	if r.Verdict == Misconfigured && !g.config {
		g.config = true
		return needsMending
	}
	return c
}

// probeDelay follows the channel's schedule, at most maxProbe, so that a mended endpoint is noticed soon.
func (g *gate) probeDelay() time.Duration {
	s := g.ch.schedule()
	return min(max(s[min(g.probes+1, len(s)-1)], time.Second), maxProbe)
}

// mayPause is true once for each time until which the channel is held.
func (g *gate) mayPause(until time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.probing || !until.After(g.paused.Add(time.Second)) {
		return false
	}
	g.paused = until
	return true
}

func (g *gate) isGone() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.gone
}

// revive lets a channel try again after an operator asked for a dead delivery.
func (g *gate) revive() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gone = false
}

func (g *gate) status() ChannelStatus {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := ChannelStatus{ID: g.ch.ID, Type: g.ch.Type, Open: g.open, Gone: g.gone, Since: g.since, Failures: g.failures, LastError: g.last, NextProbe: g.probeAt}
	if g.hold.After(s.NextProbe) {
		s.NextProbe = g.hold
	}
	return s
}

func (n *Notifier) tell(g *gate, c change, r *Result) {
	log := n.o.Log.With(slog.String("channel", g.ch.ID), slog.String("status", r.Status))
	switch c {
	case opened:
		log.Warn("channel fails, only probes are sent")
	case closed:
		log.Info("channel works again")
	case needsMending:
		log.Error("channel needs mending by an operator")
	case wentAway:
		log.Error("endpoint is closed for good, its deliveries die")
	}
}
