package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/bus"
	"tocsin/news"
	"tocsin/notifier"
)

// sendWait is how long a request waits for the outcome of its deliveries. The client waits longer.
const sendWait = 20 * time.Second

// sent is what became of one test delivery.
type sent struct {
	Delivery  string `json:"delivery"`
	Recipient string `json:"recipient,omitempty"`
	Event     string `json:"event"` // of the ledger: planned while nothing is known
	Status    string `json:"status,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Attempt   int    `json:"attempt,omitempty"`
}

func sendCommand(s std) *cobra.Command {
	var server, channel string
	c := &cobra.Command{
		Use:   "send --test CHANNEL",
		Short: "Send a test alert to one channel, the way every alert goes, and tell what became of it",
		Long: `Send a test alert to one channel of the running instance. It goes through outbox, sender and ledger like every other, with the reason "test";
routes, digests and quiet hours are left out. The command waits for the first outcome of each recipient.`,
		Example: "  tocsin send --test desk-mail",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if channel == "" {
				return usage(errors.New("say which: --test CHANNEL, an id from the operator's file"))
			}
			var rows []sent
			if err := ask(c, server, http.MethodPost, "/api/v1/send", url.Values{"channel": {channel}}, &rows); err != nil {
				return err
			}
			return writeSent(s, rows)
		},
	}
	serverFlag(c, &server)
	c.Flags().StringVar(&channel, "test", "", "id of the channel")
	return c
}

func writeSent(s std, rows []sent) error {
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "DELIVERY\tRECIPIENT\tOUTCOME\tREASON\tTRIES\tANSWER")
	good := true
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", r.Delivery, r.Recipient, r.Event, r.Reason, r.Attempt, isolate(r.Status))
		good = good && r.Event == news.EventDelivered
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if !good {
		return failed(errors.New("not everything was delivered"))
	}
	return nil
}

// testAlert is an alert that says that it is a test. Each has an id of its own, so that each is sent.
func testAlert(now time.Time) news.Alert {
	now = now.UTC()
	it := news.Item{
		Schema: news.Schema, ID: news.ItemID("test", now.Format(time.RFC3339Nano)), Revision: "r1", Reason: news.ReasonNew, Outlet: "Tocsin", Lang: "en",
		Title:     "Test alert: this channel works when you read this",
		Summary:   "An operator asked for it. Right to left: آزمائشی پیغام. Chinese: 测试消息. Nothing happened.",
		Published: now, FirstSeen: now,
	}
	m := news.Match{Schema: news.Schema, Item: it, Watchlist: "test", Title: "Test", Severity: news.SeverityInfo, MatchedAt: now}
	m.ID = news.MatchID(it.ID, it.Revision, m.Watchlist, "")
	return news.Alert{
		Schema: news.Schema, ID: news.AlertID(it.ID, m.Watchlist), Revision: 1, Kind: news.KindTest, Story: it.ID, Watchlist: m.Watchlist, Severity: m.Severity,
		Match: m, Items: 1, OpenedAt: now, At: now,
	}
}

// serveSend sends a test alert to ?channel=ID and waits for what becomes of it.
func (in *instance) serveSend(w http.ResponseWriter, r *http.Request) {
	if !in.roles.notifier {
		http.Error(w, "this instance has no role notifier: ask one that has", http.StatusConflict)
		return
	}
	begun := time.Now()
	ids, err := in.notify.Test(r.Context(), r.URL.Query().Get("channel"), testAlert(begun))
	if err != nil {
		status := http.StatusInternalServerError
		if errors.Is(err, notifier.ErrNoChannel) {
			status = http.StatusNotFound
		}
		http.Error(w, err.Error(), status)
		return
	}
	rows, err := in.outcomes(r.Context(), begun, ids)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, rows)
}

// outcomes reads the ledger until each delivery has an attempt behind it, or sendWait is over.
func (in *instance) outcomes(ctx context.Context, since time.Time, ids []string) ([]sent, error) {
	ctx, stop := context.WithTimeout(ctx, sendWait)
	defer stop()
	at := map[string]int{}
	rows := make([]sent, len(ids))
	for i, id := range ids {
		at[id], rows[i] = i, sent{Delivery: id, Event: news.EventPlanned}
	}
	open := len(ids)
	err := in.bus.ReadLedger(ctx, since.Add(-time.Second), true, func(l news.LedgerEntry, _ bus.Meta) error {
		i, ours := at[l.Delivery]
		if !ours {
			return nil
		}
		first := rows[i].Event == news.EventPlanned && l.Event != news.EventPlanned
		rows[i] = sent{l.Delivery, l.Recipient, l.Event, l.Status, l.Reason, l.Attempt}
		if first {
			open--
		}
		if open == 0 {
			return errStopReading
		}
		return nil
	})
	if errors.Is(err, errStopReading) || ctx.Err() != nil {
		err = nil
	}
	return rows, err
}
