package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tocsin/bus"
	"tocsin/cmd/tocsin/page"
	"tocsin/news"
)

// buildPage makes the status page. What a role does that this process does not have, is left out.
func (in *instance) buildPage() error {
	token, err := in.cfg.HTTP.Page.Token()
	if err != nil {
		return err
	}
	o := page.Options{
		Version: programVersion(), Roles: in.roles.String(), Began: in.began, Token: token, Ready: in.ready.Load,
		Bus: in.bus.Status, Lists: in.pageLists, Health: in.pageHealth, Canary: in.canarySeen, Log: in.log.With("component", "page"), Do: page.Actions{Reload: in.reloadAll},
	}
	if in.bus.Sees("ITEMS") {
		o.Items = in.pageItems
	}
	if in.bus.Sees("LEDGER") {
		o.Ledger = in.ledgerOf
	}
	if in.bus.Sees("DEAD") {
		o.Dead, o.Do.RetryDead, o.Do.DropDead = in.pageDead, in.retryNumber, in.bus.DeleteDead
	}
	if in.roles.fetcher {
		o.Feeds = in.fetch.Status
		o.Do.Poll = in.fetch.Resume
	}
	if in.roles.matcher {
		o.Explain = in.pageExplain
	}
	if in.roles.notifier {
		o.Channels, o.Counts, o.Held, o.Silences = in.notify.Channels, in.notify.Ledger, in.notify.Held, in.notify.Silences
		o.Do.Feedback, o.Do.Silence, o.Do.Expire = in.notify.AddFeedback, in.notify.AddSilence, in.notify.ExpireSilence
	}
	in.page, err = page.New(o)
	return err
}

// pageStages feed the page. What cannot be read, it does without: it must not stop the pipeline.
func (in *instance) pageStages() []stage {
	back := func(d time.Duration) time.Time { return time.Now().Add(-d) }
	s := []stage{{"status page", in.page.Run}}
	if in.bus.Sees("ALERTS") {
		s = append(s, stage{"recent alerts", in.followAlerts})
	}
	if in.bus.Sees("ITEMS") {
		s = append(s, stage{"recent items", in.patient(func(ctx context.Context) error {
			return in.bus.ReadItems(ctx, back(24*time.Hour), true, func(it news.Item, _ bus.Meta) error { in.page.Item(&it); return nil })
		})})
	}
	if in.bus.Sees("LEDGER") {
		s = append(s, stage{"recent deliveries", in.patient(func(ctx context.Context) error {
			return in.bus.ReadLedger(ctx, back(48*time.Hour), true, func(l news.LedgerEntry, _ bus.Meta) error { in.page.Entry(&l); return nil })
		})})
	}
	return s
}

// patientPause is the time between two tries to read what the page shows.
const patientPause = 30 * time.Second

func (in *instance) patient(read func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for {
			if err := read(ctx); err != nil && ctx.Err() == nil {
				in.log.Warn("the status page cannot read what is stored, trying again", "component", "page", "err", err)
			}
			if !pause(ctx, patientPause) {
				return nil
			}
		}
	}
}

func (in *instance) pageLists() []page.List {
	var out []page.List
	for _, l := range in.reload.status() {
		x := page.List{
			What: l.What, Revision: l.Revision, Summary: l.Summary, From: l.From, LiveSince: l.LiveSince, OK: l.OK, RefusedSince: l.RefusedSince, NotShared: l.NotShared,
		}
		if l.Refused != "" {
			x.Faults = strings.Split(strings.TrimSpace(l.Refused), "\n")
		}
		out = append(out, x)
	}
	return out
}

// pageHealth is what is wrong beside feeds, gaps and lists, which the page knows itself. A lost role it sees by itself where it sees the whole bus.
func (in *instance) pageHealth() (out []page.Remark) {
	known := in.noticed.Load()
	if known == nil {
		return nil
	}
	for _, c := range *known {
		r := page.Remark{Level: "warn", Text: c.title, Link: "/system"}
		switch c.kind {
		case troubleFeed, troubleGap, troubleReload:
			continue
		case troubleRole:
			if in.roles.single() == "" {
				continue
			}
		case troubleCircuit, troubleMismatch, troubleDead:
			r.Link = "/delivery"
		case troubleNetwork:
			r.Link = "/feeds"
		}
		if c.severity >= news.SeverityHigh {
			r.Level = "bad"
		}
		out = append(out, r)
	}
	return out
}

// pageDeadSince is how far back the page shows dead letters: as long as they are kept.
const pageDeadSince = 90 * 24 * time.Hour

func (in *instance) pageDead(ctx context.Context) ([]page.DeadLetter, error) {
	rows, err := in.deadRows(ctx, time.Now().Add(-pageDeadSince), 0)
	out := make([]page.DeadLetter, len(rows))
	for i, r := range rows {
		out[i] = page.DeadLetter{Number: r.Seq, DeadLetter: r.DeadLetter}
		out[i].Payload = nil
	}
	return out, err
}

func (in *instance) retryNumber(ctx context.Context, number uint64) error {
	rows, err := in.deadRows(ctx, time.Time{}, number)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("dead letter %s: %w", strconv.FormatUint(number, 10), news.ErrNotFound)
	}
	return in.retryDead(ctx, rows[0])
}

func (in *instance) reloadAll(ctx context.Context) error {
	for _, l := range in.reload.all(ctx) {
		if !l.OK {
			return fmt.Errorf("the %s are refused: %s", l.What, l.Refused)
		}
	}
	return nil
}

func (in *instance) pageItems(ctx context.Context, since time.Time, f func(*news.Item) error) error {
	return in.bus.ReadItems(ctx, since, false, func(it news.Item, _ bus.Meta) error { return f(&it) })
}

func (in *instance) ledgerOf(ctx context.Context, id string, since time.Time) ([]news.LedgerEntry, error) {
	var out []news.LedgerEntry
	err := in.bus.ReadLedger(ctx, since, false, func(l news.LedgerEntry, _ bus.Meta) error {
		if about(&l, id) {
			out = append(out, l)
		}
		return nil
	})
	return out, err
}

func (in *instance) pageExplain(it *news.Item) page.Explanation {
	e := in.index.Load().Explain(it)
	out := page.Explanation{Matches: e.Matches}
	for _, s := range e.Stopped {
		out.Stopped = append(out.Stopped, page.Stopped{Watchlist: s.Watchlist, Name: s.Entity, Text: s.Text, Check: s.Check, Why: s.Why})
	}
	for _, f := range e.Failed {
		out.Failed = append(out.Failed, page.Stopped{Watchlist: f.Watchlist, Name: f.Rule, Why: f.Why})
	}
	return out
}
