package notifier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tocsin/news"
)

// Channel names in the ledger for entries that belong to no configured channel.
const (
	noChannel     = "none" // no route names a channel
	canaryChannel = news.CanaryChannel
)

// HandleAlert routes an alert and plans its deliveries: one for each recipient of each channel, once, whatever number of routes lead there.
// Every one of them gets a ledger entry, planned or suppressed with the reason. A redelivered alert plans the same deliveries.
func (n *Notifier) HandleAlert(ctx context.Context, a news.Alert) error {
	now := n.o.Now()
	if a.Match.Item.Reason == news.ReasonCanary {
		return n.canary(ctx, &a, now)
	}
	labels := LabelsOf(&a)
	n.inhibits.see(&a)
	reason, why := n.suppress(&a), ""
	if reason == "" {
		reason, why = n.muted(&a, labels, now)
	}
	planned := map[string]bool{}
	var ways []func() error
	for _, t := range n.root.find(labels) {
		for _, id := range t.channels {
			g := n.gates[id]
			for _, to := range g.ch.Recipients {
				if planned[id+" "+to] {
					continue
				}
				planned[id+" "+to] = true
				ways = append(ways, func() error {
					d := n.draft(&a, t.id, g.ch, to, now)
					reason, why, err := n.away(ctx, g.ch, d, reason, why)
					if err != nil {
						return err
					}
					return n.place(ctx, &held{id: d.ID, alert: &a, labels: labels, route: t, ch: g.ch, to: to}, d, reason, why)
				})
			}
		}
	}
	if err := n.each(ways); err != nil {
		return err
	}
	if len(planned) == 0 {
		d := n.draft(&a, n.root.id, &Channel{ID: noChannel}, "", now)
		return n.suppressed(ctx, d, news.SuppressNoRoute, "")
	}
	return nil
}

// sideways is how many deliveries of one alert are planned at the same time.
const sideways = 16

// each goes all ways: one after the other up to the first that fails, or with AtOnce many at a time, to their ends.
func (n *Notifier) each(ways []func() error) error {
	if !n.o.AtOnce || len(ways) < 2 {
		for _, f := range ways {
			if err := f(); err != nil {
				return err
			}
		}
		return nil
	}
	errs := make([]error, len(ways))
	room := make(chan struct{}, sideways)
	var wg sync.WaitGroup
	for i, f := range ways {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			errs[i] = f()
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// suppress tells why an alert is not sent, "" when it is.
func (n *Notifier) suppress(a *news.Alert) string {
	it := &a.Match.Item
	switch {
	case a.Kind == news.KindTest:
		return ""
	case a.Kind == news.KindFold:
		return news.SuppressFold
	case it.Backfill:
		return news.SuppressOldNews
	case a.Old, n.stories.rules.old(&a.Match), n.stale(a):
		return news.SuppressTooOld
	}
	return ""
}

// stale tells that a record waited too long for its route.
func (n *Notifier) stale(a *news.Alert) bool { return n.o.Now().Sub(a.At) > n.maxAge }

// draft is a delivery before it is rendered. All but Expires follows from the alert alone, so that the bytes do not depend on when it is planned.
func (n *Notifier) draft(a *news.Alert, route string, ch *Channel, to string, now time.Time) *news.Delivery {
	d := &news.Delivery{
		Schema: news.Schema, ID: news.DeliveryID(a.ID, a.Revision, route, ch.ID, to),
		Alerts: []news.AlertRef{{ID: a.ID, Revision: a.Revision}}, Story: a.Story, Watchlist: a.Watchlist, Severity: a.Severity,
		Route: route, Channel: ch.ID, Recipient: to, Reason: sendReason(a.Kind),
		FirstSeen: a.Match.Item.FirstSeen, PlannedAt: a.At, Expires: now.Add(longest(ch.schedule())),
	}
	n.linkFeedback(d)
	return d
}

func sendReason(kind string) string {
	switch kind {
	case news.KindUpdate:
		return news.SendUpdate
	case news.KindHealth:
		return news.SendHealth
	case news.KindHeartbeat:
		return news.SendHeartbeat
	case news.KindTest:
		return news.SendTest
	}
	return news.SendFirst
}

func (n *Notifier) plan(ctx context.Context, a *news.Alert, d *news.Delivery, ch *Channel, reason string) error {
	if reason != "" {
		if reason == news.SuppressTooOld && n.wasPlanned(ctx, d) {
			return nil // a late second reading of an alert that went its way: its ledger entries stand
		}
		return n.suppressed(ctx, d, reason, "")
	}
	n.accept(d)
	if err := render(ch, a, d); err != nil {
		return n.unrenderable(ctx, d, ch, err)
	}
	if err := n.o.PublishDelivery(ctx, *d); err != nil {
		return fmt.Errorf("publish delivery %s: %w", d.ID, err)
	}
	return n.ledger(ctx, entry(d, news.EventPlanned, n.o.Now(), d.Reason))
}

func (n *Notifier) suppressed(ctx context.Context, d *news.Delivery, reason, why string) error {
	n.accept(d)
	l := entry(d, news.EventSuppressed, n.o.Now(), reason)
	l.Status = why
	if err := n.ledger(ctx, l); err != nil {
		return err
	}
	n.m.outcome(d.Channel, news.EventSuppressed)
	return nil
}

// canary sends the program's own test item on its way to the null endpoint, by OUTBOX as every delivery.
func (n *Notifier) canary(ctx context.Context, a *news.Alert, now time.Time) error {
	d := n.draft(a, n.root.id, &Channel{ID: canaryChannel}, "", now)
	d.Subject = a.Match.Item.Title
	if err := n.o.PublishDelivery(ctx, *d); err != nil {
		return fmt.Errorf("publish delivery %s: %w", d.ID, err)
	}
	return n.ledger(ctx, entry(d, news.EventPlanned, now, news.SendCanary))
}

// canaryLate is the age from which a test item proves nothing: alerts that come so late are not what people count on.
const canaryLate = 45 * time.Second

// canaryArrived closes the ledger entry of a test item. That it came is known in this process by Canary, and by others from there.
func (n *Notifier) canaryArrived(ctx context.Context, d *news.Delivery) error {
	now := n.o.Now()
	if err := n.ledger(ctx, entry(d, news.EventDelivered, now, news.SendCanary)); err != nil {
		return err
	}
	took := now.Sub(d.FirstSeen)
	n.m.canaryTook.Observe(max(took.Seconds(), 0))
	if took < canaryLate {
		n.canaryAt.Store(now.UnixMilli())
	}
	return nil
}

// Canary tells when a test item of the program itself last closed its ledger entry in time, the zero time before the first.
func (n *Notifier) Canary() time.Time {
	if ms := n.canaryAt.Load(); ms > 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

// wasPlanned tells whether a sender knows the delivery. When that cannot be read it says no: a suppressed entry too many does no harm.
func (n *Notifier) wasPlanned(ctx context.Context, d *news.Delivery) bool {
	_, _, err := n.o.LoadSent(ctx, sentKey(d))
	return err == nil
}

// render fills the delivery. A template that fails or panics gives the short form: no alert is lost to a template.
func render(ch *Channel, a *news.Alert, d *news.Delivery) error {
	err := guarded(func() error { return ch.Render(a, d) })
	if err == nil && len(d.Body) > news.MaxDelivery {
		err = fmt.Errorf("%d bytes, the limit is %d", len(d.Body), news.MaxDelivery)
	}
	if err == nil || ch.Short == nil {
		return err
	}
	if d.Subject == "" {
		d.Subject = subject(a)
	}
	if e := guarded(func() error { return ch.Short(d) }); e != nil {
		return errors.Join(err, e)
	}
	if len(d.Body) > news.MaxDelivery {
		return err
	}
	return nil
}

func guarded(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return f()
}

// unrenderable makes a dead letter of a delivery that has no bytes.
func (n *Notifier) unrenderable(ctx context.Context, d *news.Delivery, ch *Channel, cause error) error {
	n.o.Log.Error("alert cannot be rendered", "channel", ch.ID, "alert", d.Alerts[0].ID, "delivery", d.ID, "err", cause)
	n.m.template.WithLabelValues(ch.ID).Inc()
	d.Body = nil
	if err := n.ledger(ctx, entry(d, news.EventPlanned, n.o.Now(), d.Reason)); err != nil {
		return err
	}
	return n.bury(ctx, d, deadRender, oneLine(cause.Error()), nil)
}
