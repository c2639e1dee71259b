package notifier

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/news"
)

// Entries that wait survive a restart because each of them stands in the ledger as `held` before its alert is acknowledged, and what a message
// stands for is written down as `bundled` before it is published. So an entry is in exactly one message, whatever moment a crash takes. Scheduled
// records in OUTBOX would lose that: a digest is made of entries that came at different times, and two schedules cannot be joined by one write.

// held is one entry that waits: one revision of an alert for one recipient.
type held struct {
	id     string // the delivery id that it would have alone
	alert  *news.Alert
	labels Labels
	route  *tree
	ch     *Channel
	to     string
	reason string // Hold...
	group  string // key of its group, for HoldGroup
	at     time.Time
	due    time.Time
}

// lot names the entries that go out together.
func (h *held) lot() string { return h.endpoint() + "\x00" + h.reason + "\x00" + h.group }

func (h *held) endpoint() string { return h.route.id + "\x00" + h.ch.ID + "\x00" + h.to }

// lot are entries that go out together at one time.
type lot struct {
	due     time.Time
	entries map[string]*held
}

// holds is what waits. Its methods may be called from several goroutines.
type holds struct {
	mu      sync.Mutex
	lots    map[string]*lot
	bundles map[string]*bundle     // written down but not yet published
	tokens  map[string]*tokens     // of throttles, by endpoint
	last    map[string]time.Time   // last message of each group, by lot
	flush   sync.Mutex             // one flush at a time
	past    map[string]*remembered // at a restart: held and bundled entries of the ledger
	alerts  map[string]*news.Alert // at a restart: the alerts that they need, by key
}

func newHolds() *holds {
	return &holds{
		lots: map[string]*lot{}, bundles: map[string]*bundle{}, tokens: map[string]*tokens{}, last: map[string]time.Time{},
		past: map[string]*remembered{}, alerts: map[string]*news.Alert{},
	}
}

// timed tells that alerts may wait on this route.
func (t *tree) timed() bool {
	return t.group != nil || t.quiet != nil || t.digest != nil || t.throttle != nil
}

// each calls f for t and every route below it.
func (t *tree) each(f func(*tree)) {
	f(t)
	for _, c := range t.children {
		c.each(f)
	}
}

// Waits tells that an alert may wait somewhere. What waits is known to one process: of several notifiers on one bus each would send it.
func (c *Config) Waits() bool {
	waits := false
	if root, err := compileRoute(c.Route, nil); err == nil {
		root.each(func(t *tree) { waits = waits || t.timed() })
	}
	return waits
}

// muted tells whether a silence or another alert keeps this one from people, and which.
func (n *Notifier) muted(a *news.Alert, l Labels, now time.Time) (reason, why string) {
	if s := n.silences.holds(a, l, now); s != nil {
		return news.SuppressSilence, s.About()
	}
	if !ofNews(a.Kind) {
		return "", ""
	}
	if why := n.inhibits.holds(l, now); why != "" {
		return news.SuppressInhibit, why
	}
	return "", ""
}

// place sends an entry on its way: suppressed, planned at once, or held. What the ledger knows already stays as it is.
func (n *Notifier) place(ctx context.Context, h *held, d *news.Delivery, reason, why string) error {
	old := h.route.digest != nil && (reason == news.SuppressOldNews || reason == news.SuppressTooOld && h.alert.Old && !n.stale(h.alert))
	waits := h.route.timed() || n.inTurn(h)
	if waits && n.known(d.ID) {
		return nil
	}
	switch {
	case reason == news.SuppressSilence || reason == news.SuppressInhibit || reason == news.SuppressGone:
		return n.suppressed(ctx, d, reason, why)
	case reason != "" && !old, !waits, h.alert.Kind == news.KindTest:
		return n.plan(ctx, h.alert, d, h.ch, reason)
	}
	n.accept(d)
	h.at = n.o.Now()
	switch drop := n.decide(h, old); {
	case drop:
		return n.suppressed(ctx, d, news.SuppressQuiet, "")
	case h.reason == "":
		return n.bundle(ctx, []*held{h})
	}
	l := entry(d, news.EventHeld, h.at, h.reason)
	l.Next = h.due
	if err := n.ledger(ctx, l); err != nil {
		return err
	}
	n.holds.add(h)
	if h.reason == news.HoldThrottle {
		n.m.folded.WithLabelValues(h.ch.ID).Inc()
	}
	return nil
}

// inTurn tells that an update waits for its time, or comes while another of its alert does.
func (n *Notifier) inTurn(h *held) bool {
	return h.alert.Kind == news.KindUpdate && (!h.alert.Due.IsZero() || n.holds.waiting(h.asUpdate()))
}

// asUpdate is the entry as it waits for the time of its story's next update.
func (h *held) asUpdate() *held {
	x := *h
	x.reason, x.group = news.HoldUpdate, h.alert.ID
	return &x
}

// waiting tells whether others wait in the lot of h.
func (s *holds) waiting(h *held) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lots[h.lot()] != nil
}

func (n *Notifier) known(id string) bool {
	n.foldMu.Lock()
	defer n.foldMu.Unlock()
	return n.fold.stateOf(id) != ""
}

// decide sets what an entry waits for and until when; no reason means that it goes at once. drop means that quiet hours suppress it.
func (n *Notifier) decide(h *held, old bool) (drop bool) {
	t := h.route
	h.reason, h.group, h.due = "", "", h.at
	if old {
		h.reason, h.due = news.HoldDigest, t.digest.Next(h.at)
		return false
	}
	beat := h.labels["kind"] != nil && h.labels["kind"][0] == news.KindHeartbeat
	if wait, drop := n.quietNow(h, h.at); wait || drop && !beat {
		return drop
	}
	if t.digest != nil && !t.digest.Bypass.Holds(h.labels) {
		h.reason, h.due = news.HoldDigest, t.digest.Next(h.at)
		return false
	}
	if beat {
		return false
	}
	if n.inTurn(h) {
		*h = *h.asUpdate()
		if h.due = h.at; h.alert.Due.After(h.at) {
			h.due = h.alert.Due
		}
		return false
	}
	n.holds.mu.Lock()
	defer n.holds.mu.Unlock()
	if t.group != nil {
		h.reason, h.group = news.HoldGroup, t.group.key(h.labels)
		if h.due = t.group.due(h.labels, n.holds.last[h.lot()], h.at); h.due.After(h.at) {
			return false
		}
		h.reason, h.group = "", ""
	}
	n.holds.throttle(h, h.at)
	return false
}

// quietNow holds or drops an entry that meets quiet hours.
func (n *Notifier) quietNow(h *held, now time.Time) (wait, drop bool) {
	q := h.route.quiet
	if q == nil || q.Bypass.Holds(h.labels) {
		return false, false
	}
	end := q.ends(n.quiet, now)
	switch {
	case !end.After(now):
		return false, false
	case q.Then.Value == quietDrop:
		return false, true
	case q.Then.Value == quietDigest && h.route.digest != nil:
		h.reason, h.group, h.due = news.HoldDigest, "", h.route.digest.Next(now)
	default:
		h.reason, h.group, h.due = news.HoldQuiet, "", end
	}
	return true, false
}

// throttle takes a token, or puts the entry into the next summary. The caller holds the lock.
func (s *holds) throttle(h *held, now time.Time) {
	t := h.route.throttle
	if t == nil {
		return
	}
	if !s.bucket(h).take(t, now) {
		h.reason, h.group, h.due = news.HoldThrottle, "", now.Add(t.per())
	}
}

func (s *holds) bucket(h *held) *tokens {
	b := s.tokens[h.endpoint()]
	if b == nil {
		b = &tokens{}
		s.tokens[h.endpoint()] = b
	}
	return b
}

// add puts an entry into its lot. A lot goes out when its first entry is due; a digest and the end of quiet hours are the same for all.
func (s *holds) add(h *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.lots[h.lot()]
	if x == nil {
		x = &lot{due: h.due, entries: map[string]*held{}}
		s.lots[h.lot()] = x
	}
	if h.due.Before(x.due) {
		x.due = h.due
	}
	x.entries[h.id] = h
}

// dueLots gives the lots that go out now, each in the order of arrival.
func (s *holds) dueLots(now time.Time) [][]*held {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, x := range s.lots {
		if !now.Before(x.due) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := make([][]*held, 0, len(names))
	for _, name := range names {
		var list []*held
		for _, h := range s.lots[name].entries {
			list = append(list, h)
		}
		slices.SortFunc(list, func(a, b *held) int {
			if c := a.alert.At.Compare(b.alert.At); c != 0 {
				return c
			}
			return strings.Compare(a.id, b.id)
		})
		out = append(out, list)
	}
	return out
}

// Held counts the entries that wait, by route.
func (n *Notifier) Held() map[string]int {
	n.holds.mu.Lock()
	defer n.holds.mu.Unlock()
	out := map[string]int{}
	n.root.each(func(t *tree) {
		if t.timed() {
			out[t.id] = 0
		}
	})
	for _, x := range n.holds.lots {
		for _, h := range x.entries {
			out[h.route.id]++
		}
	}
	return out
}
