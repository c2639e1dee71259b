package notifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tocsin/news"
)

// ErrTooLarge is returned by renderers for a digest that must become two.
var ErrTooLarge = errors.New("too large for one message")

// Headers of a delivery that the notifier sets for channels and for itself; they are never sent.
const (
	headerHeld     = "held"      // it waited: says nothing about how fast we are
	headerMaxItems = "max_items" // of a digest
)

// bundle is a message that stands for entries, from the moment when it is written down until it is in OUTBOX.
type bundle struct {
	mu       sync.Mutex
	l        news.LedgerEntry
	d        *news.Delivery
	ch       *Channel
	err      error // it could not be rendered
	recorded bool
	done     bool
}

// remembered is what the ledger knew at a restart.
type remembered struct{ l news.LedgerEntry }

// bundle makes messages of entries, in order, as few as their size allows.
func (n *Notifier) bundle(ctx context.Context, entries []*held) error {
	for chunk := range slices.Chunk(entries, maxEntries) {
		if err := n.bundleSome(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (n *Notifier) bundleSome(ctx context.Context, entries []*held) error {
	b := &bundle{l: n.bundleEntry(entries), ch: entries[0].ch}
	alerts := make([]news.Alert, len(entries))
	for i, h := range entries {
		alerts[i] = *h.alert
	}
	alerts = n.addTails(&b.l, alerts)
	full := defaultMaxItems
	if d := entries[0].route.digest; d != nil {
		full = d.maxItems()
	}
	b.d, b.err = n.compose(&b.l, alerts, b.ch, full)
	if errors.Is(b.err, ErrTooLarge) && len(entries) > 1 {
		return errors.Join(n.bundleSome(ctx, entries[:len(entries)/2]), n.bundleSome(ctx, entries[len(entries)/2:]))
	}
	// From here on these entries belong to this message, even when the answer of the ledger is lost.
	n.holds.took(b, entries)
	return n.publishBundle(ctx, b)
}

// bundleEntry is the ledger entry that ties entries to one message. A single alert that waited alone keeps its own id and form.
func (n *Notifier) bundleEntry(entries []*held) news.LedgerEntry {
	first := entries[0]
	l := news.LedgerEntry{
		Schema: news.Schema, Event: news.EventBundled, Route: first.route.id, Channel: first.ch.ID, Recipient: first.to,
		Watchlist: first.alert.Watchlist, Reason: news.SendSummary, At: n.o.Now(),
	}
	for _, h := range entries {
		l.Entries = append(l.Entries, h.id)
		l.Alerts = append(l.Alerts, news.AlertRef{ID: h.alert.ID, Revision: h.alert.Revision})
		if h.alert.Watchlist != l.Watchlist {
			l.Watchlist = ""
		}
	}
	if first.reason != "" {
		l.Status = "waited: " + first.reason
	}
	last, turns := lastOf(entries), len(inTurns(entries))
	switch {
	case first.reason == news.HoldDigest:
		l.Reason = news.SendDigest
	case turns == 1:
		l.Delivery, l.Reason = last.id, sendReason(last.alert.Kind)
		return l
	}
	ids := slices.Sorted(slices.Values(l.Entries))
	l.Delivery = news.DeliveryID(strings.Join(ids, " "), 0, l.Route, l.Channel, l.Recipient)
	return l
}

// lastOf is the entry of the highest revision.
func lastOf(entries []*held) *held {
	last := entries[0]
	for _, h := range entries {
		if h.alert.Revision > last.alert.Revision {
			last = h
		}
	}
	return last
}

// addTails adds to what a message stands for the folds that came since: they are no entries, but the message tells who reported as well.
func (n *Notifier) addTails(l *news.LedgerEntry, alerts []news.Alert) []news.Alert {
	revision := map[string]int{}
	for i := range alerts {
		revision[alerts[i].ID] = max(revision[alerts[i].ID], alerts[i].Revision)
	}
	for _, id := range news.SortedKeys(revision) {
		if a := n.stories.tail(id, revision[id]); a != nil {
			alerts = append(alerts, *a)
			l.Alerts = append(l.Alerts, news.AlertRef{ID: a.ID, Revision: a.Revision})
		}
	}
	return alerts
}

// compose renders the message of a bundle. It follows from the ledger entry and the alerts alone, so that it is the same after a restart.
func (n *Notifier) compose(l *news.LedgerEntry, alerts []news.Alert, ch *Channel, full int) (*news.Delivery, error) {
	alerts = collapse(alerts)
	first := &alerts[0]
	d := &news.Delivery{
		Schema: news.Schema, ID: l.Delivery, Alerts: l.Alerts[:min(len(l.Entries), len(l.Alerts))], Watchlist: l.Watchlist, Route: l.Route, Channel: l.Channel,
		Recipient: l.Recipient, Reason: l.Reason, PlannedAt: l.At, Expires: l.At.Add(longest(ch.schedule())),
	}
	for i := range alerts {
		d.Severity = max(d.Severity, alerts[i].Severity)
	}
	var err error
	_, beats := beatsOf(alerts)
	var lists []string
	for i := range beats {
		lists = append(lists, beats[i].Watchlist)
	}
	alone := len(alerts) == 1 && len(beats) == 1 // a heartbeat instead of an empty digest keeps its own form
	if !alone && (l.Reason == news.SendDigest || l.Reason == news.SendSummary) {
		d.Headers = map[string]string{headerMaxItems: strconv.Itoa(full)}
		err = renderDigest(ch, alerts, d)
	} else {
		d.Story, d.FirstSeen = first.Story, first.Match.Item.FirstSeen
		if l.Status == "" {
			d.PlannedAt = first.At
		}
		n.linkFeedback(d)
		err = render(ch, first, d)
	}
	if d.Headers == nil && (l.Status != "" || len(lists) > 0) {
		d.Headers = map[string]string{}
	}
	if l.Status != "" {
		d.Headers[headerHeld] = "1"
	}
	if len(lists) > 0 {
		d.Headers[headerBeats] = strings.Join(lists, " ")
	}
	return d, err
}

// took notes the message and takes its entries out of what waits.
func (s *holds) took(b *bundle, entries []*held) {
	s.mu.Lock()
	s.bundles[b.l.Delivery] = b
	s.mu.Unlock()
	s.remove(entries...)
}

func (s *holds) remove(entries ...*held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range entries {
		x := s.lots[h.lot()]
		if x == nil {
			continue
		}
		delete(x.entries, h.id)
		if len(x.entries) == 0 {
			delete(s.lots, h.lot())
		}
	}
}

// open gives the messages that are not in OUTBOX yet.
func (s *holds) open() []*bundle {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*bundle
	for _, id := range news.SortedKeys(s.bundles) {
		out = append(out, s.bundles[id])
	}
	return out
}

// publishBundle writes down what the message stands for, publishes it, and says so. Each step may be repeated.
func (n *Notifier) publishBundle(ctx context.Context, b *bundle) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return nil
	}
	if !b.recorded {
		if err := n.ledger(ctx, b.l); err != nil {
			return err
		}
		b.recorded = true
	}
	if err := n.outBundle(ctx, b); err != nil {
		return err
	}
	b.done = true
	n.holds.mu.Lock()
	defer n.holds.mu.Unlock()
	delete(n.holds.bundles, b.l.Delivery)
	return nil
}

func (n *Notifier) outBundle(ctx context.Context, b *bundle) error {
	if b.err != nil {
		return n.unrenderable(ctx, b.d, b.ch, b.err)
	}
	if err := n.o.PublishDelivery(ctx, *b.d); err != nil {
		return fmt.Errorf("publish delivery %s: %w", b.d.ID, err)
	}
	return n.ledger(ctx, entry(b.d, news.EventPlanned, n.o.Now(), b.d.Reason))
}

// learn notes what the ledger says of entries that wait, at a restart.
func (s *holds) learn(l *news.LedgerEntry) {
	switch l.Event {
	case news.EventHeld:
		s.past[l.Delivery] = &remembered{*l}
	case news.EventBundled:
		for _, id := range l.Entries {
			delete(s.past, id)
		}
		s.past[l.Delivery] = &remembered{*l}
	default:
		delete(s.past, l.Delivery)
	}
}

// offer keeps an alert that a waiting entry needs, at a restart; learn came before.
func (s *holds) offer(a *news.Alert) {
	if len(s.past) == 0 {
		return
	}
	if len(s.alerts) == 0 {
		for _, r := range s.past {
			for _, ref := range r.l.Alerts {
				s.alerts[refKey(ref)] = nil
			}
		}
	}
	if x, wanted := s.alerts[a.Key()]; wanted && x == nil {
		kept := *a
		s.alerts[a.Key()] = &kept
	}
}

func refKey(r news.AlertRef) string { return (&news.Alert{ID: r.ID, Revision: r.Revision}).Key() }

// rebuildHolds puts back what waited when the program ended.
func (n *Notifier) rebuildHolds(ctx context.Context) error {
	s := n.holds
	for _, id := range news.SortedKeys(s.past) {
		if err := n.rebuild(ctx, s.past[id].l); err != nil {
			return err
		}
	}
	s.past, s.alerts = map[string]*remembered{}, map[string]*news.Alert{}
	return nil
}

func (n *Notifier) rebuild(ctx context.Context, l news.LedgerEntry) error {
	var alerts []news.Alert
	for _, ref := range l.Alerts {
		if a := n.holds.alerts[refKey(ref)]; a != nil {
			alerts = append(alerts, *a)
		}
	}
	g := n.gates[l.Channel]
	if g == nil || len(alerts) != len(l.Alerts) || len(alerts) == 0 {
		return n.orphan(ctx, &l, g != nil)
	}
	t := n.root.byID(l.Route)
	if t == nil {
		t = &tree{id: l.Route} // the route is gone: what waited goes out at once
		l.Next = time.Time{}
	}
	if l.Event == news.EventBundled {
		b := &bundle{l: l, ch: g.ch, recorded: true}
		b.d, b.err = n.compose(&l, alerts, g.ch, n.fullOf(l.Route))
		n.holds.bundles[l.Delivery] = b
		return nil
	}
	h := &held{id: l.Delivery, alert: &alerts[0], labels: LabelsOf(&alerts[0]), route: t, ch: g.ch, to: l.Recipient, reason: l.Reason, at: l.At, due: l.Next}
	if t.group != nil && l.Reason == news.HoldGroup {
		h.group = t.group.key(h.labels)
	}
	n.holds.add(h)
	return nil
}

// orphan makes a dead letter of an entry whose channel or alert is no longer there.
func (n *Notifier) orphan(ctx context.Context, l *news.LedgerEntry, hasChannel bool) error {
	reason := deadNoChannel
	if hasChannel {
		reason = deadExpired
	}
	d := &news.Delivery{
		Schema: news.Schema, ID: l.Delivery, Alerts: l.Alerts, Watchlist: l.Watchlist, Route: l.Route, Channel: l.Channel, Recipient: l.Recipient,
		Reason: l.Reason, PlannedAt: l.At, Expires: l.At,
	}
	if err := n.ledger(ctx, entry(d, news.EventPlanned, n.o.Now(), l.Reason)); err != nil {
		return err
	}
	return n.bury(ctx, d, reason, "it waited when the program ended, and cannot be made again", nil)
}

// byID finds a route below t, nil when there is none.
func (t *tree) byID(id string) *tree {
	if t.id == id {
		return t
	}
	for _, c := range t.children {
		if x := c.byID(id); x != nil {
			return x
		}
	}
	return nil
}
