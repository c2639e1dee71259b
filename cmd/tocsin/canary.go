package main

import (
	"context"
	"time"

	"tocsin/matcher"
	"tocsin/news"
	"tocsin/notifier"
)

// canaryItem is the test item of one slot of time. Several fetchers make the same one, so that the bus keeps one of them.
func canaryItem(slot, now time.Time) news.Item {
	name := slot.UTC().Format(time.RFC3339)
	return news.Item{
		Schema: news.Schema, ID: news.ItemID(matcher.CanaryList, name), Revision: news.ContentHash(matcher.CanaryTitle, "", name), Reason: news.ReasonCanary,
		Feed: matcher.CanaryList, Outlet: healthTitle, Lang: "en", Title: matcher.CanaryTitle, FirstSeen: now,
	}
}

// injectCanaries has a test item enter behind the fetcher at every slot of time. It goes the way of every item: ITEMS, matcher, MATCHES, notifier,
// ALERTS, router, OUTBOX, and a null endpoint that closes its ledger entry.
func (in *instance) injectCanaries(ctx context.Context) error {
	every := in.cfg.Health.Canary
	for {
		now := time.Now()
		// A failure needs no word of its own: a canary that does not arrive raises the alarm.
		if _, err := in.bus.PublishItem(ctx, canaryItem(now.Truncate(every), now)); err != nil && ctx.Err() == nil {
			in.log.Warn("canary not stored", "component", "fetcher", "err", err)
		}
		if !pause(ctx, time.Until(time.Now().Truncate(every).Add(every))) {
			return nil
		}
	}
}

// canarySeen is when a canary last arrived, as far as any process of this bus tells.
func (in *instance) canarySeen() time.Time {
	seen := in.others.canary()
	if own := in.notify.Canary(); own.After(seen) {
		seen = own
	}
	return seen
}

// canaryCondition says that canaries do not arrive.
func (in *instance) canaryCondition(now time.Time) []condition {
	limit, seen := in.cfg.Health.canaryLost(), in.canarySeen()
	if !in.roles.notifier {
		limit += 2 * processEvery // it hears of them from another process
	}
	since := later(seen, in.began)
	if in.cfg.Health.Canary == 0 || now.Sub(later(since, in.awake)) < limit {
		return nil
	}
	title := "Test items do not arrive: alerts may not reach people"
	text := "The program sends a test item through its whole pipeline every " + in.cfg.Health.Canary.String() + ". The last one arrived " + notifier.Spell(now.Sub(seen)) + " ago.\n"
	if seen.IsZero() {
		text = "The program sends a test item through its whole pipeline every " + in.cfg.Health.Canary.String() + ". None has arrived since the start " + notifier.Spell(now.Sub(since)) + " ago.\n"
	}
	return []condition{{
		key: "canary", kind: troubleCanary, since: since, severity: news.SeverityCritical, title: title,
		text: text + in.whereStuck(now) + "Until this ends, silence means nothing.",
	}}
}

// whereStuck names the first stage that has finished nothing for a while: every canary gives each of them work.
func (in *instance) whereStuck(now time.Time) string {
	progress := in.bus.Progress()
	for _, s := range stagesInOrder() {
		if at, known := progress[s]; known && now.Sub(at) > in.cfg.Health.canaryLost() {
			return "The first stage that stands still is the " + s + ", since " + notifier.Spell(now.Sub(at)) + ".\n"
		}
	}
	return ""
}
