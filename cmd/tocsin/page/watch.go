package page

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/bus"
)

// watch judges from outside whether each stage of the pipeline is at work: whoever reads from a consumer keeps asking it for messages.
type watch struct {
	mu      sync.Mutex
	seen    map[string]*sighting
	lastRun time.Time // newest canary that came through
}

// sighting is what was seen of one consumer.
type sighting struct {
	first   time.Time // when it was first looked at
	alive   time.Time // last time that somebody asked for work or worked
	pending time.Time // since when messages wait without any being done
	last    bus.ConsumerStatus
}

const (
	goneAfter  = 25 * time.Second // a pull is asked for again within 10 s
	stuckAfter = 60 * time.Second // nothing done although messages wait
)

func newWatch() *watch { return &watch{seen: map[string]*sighting{}} }

func (w *watch) canary(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if at.After(w.lastRun) {
		w.lastRun = at
	}
}

// look takes the state of the consumers at a moment.
func (w *watch) look(all []bus.ConsumerStatus, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range all {
		s := w.seen[c.Name]
		if s == nil {
			s = &sighting{first: now, last: c}
			w.seen[c.Name] = s
		}
		worked := c.LastDelivered.After(s.last.LastDelivered) || c.LastAcked.After(s.last.LastAcked)
		if c.Waiting > 0 || worked {
			s.alive = now
		}
		switch {
		case c.Pending == 0 && c.AckPending == 0, worked, c.PausedFor > 0:
			s.pending = time.Time{}
		case s.pending.IsZero():
			s.pending = now
		}
		s.last = c
	}
}

// States of a stage: the closed list of stageState.State.
const (
	stageWorks   = "works"
	stageUnknown = "looking" // not looked at for long enough
	stageGone    = "nobody"
	stageStuck   = "stuck"
	stagePaused  = "paused"
)

// stageState is one stage for people.
type stageState struct {
	Name, Role, Does string
	State            string
	Since            time.Time // of what is wrong
	Waiting          uint64    // messages that nobody took yet
	InWork           int
	Redelivered      int
	LastDone         time.Time
}

// Bad tells that somebody must look at it.
func (s stageState) Bad() bool { return s.State == stageGone || s.State == stageStuck }

// Text says what is wrong.
func (s stageState) Text() string {
	switch s.State {
	case stageGone:
		return fmt.Sprintf("nobody does the work of %s: is the process with role %s running?", s.Name, s.Role)
	case stageStuck:
		return fmt.Sprintf("%s does nothing although %d messages wait", s.Name, s.Waiting+uint64(s.InWork))
	}
	return ""
}

// stages judges every consumer, in the order of the pipeline.
func (w *watch) stages(now time.Time) []stageState {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []stageState
	for name, s := range w.seen {
		out = append(out, s.state(name, now))
	}
	order := []string{"fetcher", "matcher", "notifier", "router"}
	rank := func(s stageState) int {
		if i := slices.Index(order, s.Name); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortFunc(out, func(a, b stageState) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func (s *sighting) state(name string, now time.Time) stageState {
	c := s.last
	st := stageState{
		Name: name, Role: name, State: stageWorks, Waiting: c.Pending, InWork: c.AckPending, Redelivered: c.Redelivered, LastDone: c.LastAcked,
	}
	switch name {
	case "fetcher":
		st.Does = "polls feeds when they are due"
	case "matcher":
		st.Does = "reads items and finds what is watched"
	case "notifier":
		st.Does = "makes alerts of matches"
	case "router":
		st.Does, st.Role = "chooses routes and writes messages", "notifier"
	case "channel-canary":
		st.Name, st.Does, st.Role = "test items", "takes the program's own test items at the end of their way", "notifier"
	default:
		st.Name, st.Does, st.Role = strings.Replace(name, "channel-", "channel ", 1), "sends", "notifier"
	}
	switch {
	case c.PausedFor > 0:
		st.State = stagePaused
	case s.alive.IsZero() && now.Sub(s.first) < goneAfter:
		st.State = stageUnknown
	case !s.pending.IsZero() && now.Sub(s.pending) > stuckAfter && now.Sub(s.alive) < goneAfter:
		st.State, st.Since = stageStuck, s.pending
	case now.Sub(s.alive) >= goneAfter && !(c.AckPending > 0 && now.Sub(s.alive) < stuckAfter):
		st.State, st.Since = stageGone, s.alive
		if s.alive.IsZero() {
			st.Since = s.first
		}
	}
	return st
}

// lastCanary is when the newest test item came through.
func (w *watch) lastCanary() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lastRun
}
