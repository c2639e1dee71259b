package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/bus"
	"tocsin/news"
)

func whyCommand(s std) *cobra.Command {
	var server string
	c := &cobra.Command{
		Use:   "why ITEM | ALERT | DELIVERY | URL",
		Short: "What became of an item or alert: fetched, matched, alerted, delivered, or where it stopped",
		Long: `Follow one piece of news through the running instance. ITEM, ALERT and DELIVERY are ids, or their first 8 or more characters; URL is the article's address.
The answer names the stage where it stopped: not fetched, no mention (with what nearly matched), suppressed and why, waiting, delivered, dead.`,
		Example: "  tocsin why https://example.org/news/1\n  tocsin why 4fd1a2c09b7e",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := newClient(server)
			if err != nil {
				return err
			}
			resp, err := cl.do(c.Context(), http.MethodGet, "/api/v1/why", url.Values{"q": {args[0]}})
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			_, err = io.Copy(s.out, resp.Body)
			return err
		},
	}
	serverFlag(c, &server)
	return c
}

func (in *instance) serveWhy(w http.ResponseWriter, r *http.Request) {
	q := strings.TrimSpace(r.URL.Query().Get("q"))
	if len(q) < 8 {
		http.Error(w, "say what: an article's address, or at least 8 characters of an id", http.StatusBadRequest)
		return
	}
	t := &trace{in: in, query: q, since: time.Now().Add(-30 * 24 * time.Hour)}
	var buf bytes.Buffer
	if err := t.write(r.Context(), &buf); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = buf.WriteTo(w) // the reader went away
}

// trace follows one query through the streams of the last 30 days.
type trace struct {
	in      *instance
	query   string
	since   time.Time
	items   []news.Item
	matches []news.Match
	alerts  []news.Alert
	ledger  []news.LedgerEntry
}

func (t *trace) write(ctx context.Context, w *bytes.Buffer) error {
	if err := t.collect(ctx); err != nil {
		return err
	}
	if len(t.items)+len(t.matches)+len(t.alerts)+len(t.ledger) == 0 {
		return t.notFetched(ctx, w)
	}
	for _, it := range t.items {
		t.writeItem(w, &it)
	}
	if len(t.items) == 0 {
		fmt.Fprintln(w, "item       no longer stored (items are kept for 30 days)")
	}
	for _, a := range t.alerts {
		fmt.Fprintf(w, "alert      %s  revision %d  %s  %s  %s  [%s]\n", a.ID, a.Revision, a.Kind, a.Severity, a.Watchlist, strings.Join(a.Match.IDs(), " "))
		tellPlace(w, &a, "story      ", "           ")
	}
	for _, l := range t.ledger {
		t.writeLedger(w, &l)
	}
	if len(t.matches) > 0 && len(t.alerts) == 0 {
		fmt.Fprintln(w, "stopped    matched, but no alert yet: the notifier is behind, or this instance does not run it")
	}
	if len(t.alerts) > 0 && len(t.ledger) == 0 {
		fmt.Fprintln(w, "stopped    alert opened, but not routed yet: the router is behind, or this instance does not run it")
	}
	return nil
}

// collect finds items by id or address, then what followed from them; an alert's or delivery's id leads back to its item.
func (t *trace) collect(ctx context.Context) error {
	ids := map[string]bool{}
	alerts := map[string]bool{}
	err := t.in.bus.ReadLedger(ctx, t.since, false, func(l news.LedgerEntry, _ bus.Meta) error {
		if strings.HasPrefix(l.Delivery, t.query) {
			for _, a := range l.Alerts {
				alerts[a.ID] = true
			}
		}
		return nil
	})
	err = errors.Join(err, t.in.bus.ReadAlerts(ctx, t.since, false, func(a news.Alert, _ bus.Meta) error {
		if it := &a.Match.Item; alerts[a.ID] || strings.HasPrefix(a.ID, t.query) || t.isItem(it) {
			t.alerts = append(t.alerts, a)
			alerts[a.ID], ids[it.ID] = true, true
		}
		return nil
	}), t.in.bus.ReadItems(ctx, t.since, false, func(it news.Item, _ bus.Meta) error {
		if t.isItem(&it) || ids[it.ID] {
			t.items, ids[it.ID] = append(t.items, it), true
		}
		return nil
	}), t.in.bus.ReadMatches(ctx, t.since, false, func(m news.Match, _ bus.Meta) error {
		if ids[m.Item.ID] {
			t.matches = append(t.matches, m)
		}
		return nil
	}), t.in.bus.ReadLedger(ctx, t.since, false, func(l news.LedgerEntry, _ bus.Meta) error {
		if slices.ContainsFunc(l.Alerts, func(a news.AlertRef) bool { return alerts[a.ID] }) {
			t.ledger = append(t.ledger, l)
		}
		return nil
	}))
	return err
}

func (t *trace) isItem(it *news.Item) bool {
	return strings.HasPrefix(it.ID, t.query) || it.URL == t.query
}

func (t *trace) writeItem(w *bytes.Buffer, it *news.Item) {
	fmt.Fprintf(w, "item       %s  %s  %s  %s\n           %s\n", it.ID, it.Reason, it.Lang, isolate(it.Outlet), isolate(headline(it)))
	fmt.Fprintf(w, "           %s\n           first seen %s", it.URL, it.FirstSeen.Local().Format(clock))
	if !it.Published.IsZero() {
		fmt.Fprintf(w, ", published %s", it.Published.Local().Format(clock))
	}
	fmt.Fprintln(w)
	found := false
	for _, m := range t.matches {
		if m.Item.ID != it.ID || m.Item.Revision != it.Revision {
			continue
		}
		found = true
		fmt.Fprintf(w, "match      %s  %s  [%s]  list revision %s\n", m.Watchlist, m.Severity, strings.Join(m.IDs(), " "), m.Revision)
		for _, x := range m.Mentions {
			fmt.Fprintf(w, "           %s in %s: %s: %s\n", x.Entity, x.Field, isolate(x.Text), x.Why)
		}
		for _, x := range m.Rules {
			fmt.Fprintf(w, "           rule %s: %s\n", x.ID, x.Why)
		}
	}
	if !found {
		fmt.Fprintln(w, "stopped    no mention; against the present watchlists:")
		_ = t.in.index.Load().Explain(it).Write(w, false) // into memory
	}
}

func (t *trace) writeLedger(w *bytes.Buffer, l *news.LedgerEntry) {
	fmt.Fprintf(w, "%-10s %s  channel %s", l.Event, l.At.Local().Format(clock), l.Channel)
	if l.Recipient != "" {
		fmt.Fprintf(w, " to %s", l.Recipient)
	}
	if l.Attempt > 0 {
		fmt.Fprintf(w, "  attempt %d", l.Attempt)
	}
	for _, s := range []string{l.Reason, l.Status} {
		if s != "" {
			fmt.Fprintf(w, "  %s", s)
		}
	}
	if !l.Next.IsZero() {
		fmt.Fprintf(w, "  next %s", l.Next.Local().Format(clock))
	}
	fmt.Fprintf(w, "  delivery %s\n", l.Delivery)
}

// notFetched explains an address or id that no stream holds: which feeds of that site are watched, and how they are.
func (t *trace) notFetched(ctx context.Context, w *bytes.Buffer) error {
	fmt.Fprintf(w, "not found  no item, alert or delivery of the last 30 days has this id or address\n")
	u, err := url.Parse(t.query)
	if err != nil || u.Host == "" {
		return nil
	}
	feeds, err := t.in.feedRows(ctx)
	if err != nil {
		return err
	}
	site := strings.TrimPrefix(u.Hostname(), "www.")
	n := 0
	for _, f := range feeds {
		if fu, err := url.Parse(f.URL); err == nil && strings.HasSuffix(fu.Hostname(), site) {
			n++
			fmt.Fprintf(w, "feed       %s  %s  last success %s  %s  %s\n", f.ID, f.State, ago(f.LastSuccess), f.Reason, f.URL)
		}
	}
	if n == 0 {
		fmt.Fprintf(w, "           no feed of %s is in the feed lists: add one\n", site)
	}
	return nil
}
