package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/bus"
	"tocsin/news"
	"tocsin/notifier"
)

// serveDeadDrop removes one dead letter: ?seq=N.
func (in *instance) serveDeadDrop(w http.ResponseWriter, r *http.Request) {
	seq, err := strconv.ParseUint(r.URL.Query().Get("seq"), 10, 64)
	if err != nil || seq == 0 {
		http.Error(w, "say which: seq=N", http.StatusBadRequest)
		return
	}
	rows, err := in.deadRows(r.Context(), time.Time{}, seq)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	case len(rows) == 0:
		http.Error(w, fmt.Sprintf("dead letter %d is not stored: `tocsin dead list` shows the numbers", seq), http.StatusNotFound)
		return
	}
	if err := in.bus.DeleteDead(r.Context(), seq); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	in.log.Info("dead letter dropped by an operator", "delivery", rows[0].ID, "reason", rows[0].Reason)
	writeJSON(w, map[string]uint64{"dropped": seq})
}

// shortestID is the least of an id that names something.
const shortestID = 6

// about tells whether a ledger entry is about an alert, delivery or entry whose id begins so.
func about(l *news.LedgerEntry, id string) bool {
	return strings.HasPrefix(l.Delivery, id) ||
		slices.ContainsFunc(l.Alerts, func(r news.AlertRef) bool { return strings.HasPrefix(r.ID, id) }) ||
		slices.ContainsFunc(l.Entries, func(e string) bool { return strings.HasPrefix(e, id) })
}

// serveLedger gives the ledger entries about ?id=, of the time ?since=.
func (in *instance) serveLedger(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	since, err := parseSince(r.URL.Query().Get("since"), time.Now())
	if err != nil || len(id) < shortestID {
		http.Error(w, fmt.Sprintf("say which: id=, at least %d letters of an alert's or a delivery's id, and since=30d", shortestID), http.StatusBadRequest)
		return
	}
	out := []news.LedgerEntry{}
	err = in.bus.ReadLedger(r.Context(), since, false, func(l news.LedgerEntry, _ bus.Meta) error {
		if about(&l, id) {
			out = append(out, l)
		}
		return nil
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, out)
}

// ledgerReport is the result of a check: what ALERTS says against what LEDGER says.
type ledgerReport struct {
	Alerts   int                        `json:"alerts"` // records older than the grace
	Silent   []string                   `json:"silent"` // of which the ledger says nothing
	Channels map[string]notifier.Counts `json:"channels"`
	Missing  int                        `json:"missing"`

	Ambiguous int `json:"ambiguous"` // attempts after which the endpoint may have the message although no answer came
}

func (r *ledgerReport) ok() bool { return len(r.Silent) == 0 && r.Missing == 0 }

// checkGrace is how long an alert may take to its first ledger entry.
const checkGrace = 30 * time.Second

// serveLedgerCheck compares two sources that share no counter: every record in ALERTS must be named in LEDGER, and every delivery must be
// delivered, dead, suppressed or pending.
func (in *instance) serveLedgerCheck(w http.ResponseWriter, r *http.Request) {
	since, err := parseSince(r.URL.Query().Get("since"), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	before := time.Now().Add(-checkGrace)
	rep, named, fold := ledgerReport{Silent: []string{}}, map[news.AlertRef]bool{}, notifier.NewFold()
	err = in.bus.ReadAlerts(r.Context(), since, false, func(a news.Alert, _ bus.Meta) error {
		if a.At.Before(before) {
			rep.Alerts++
			named[news.AlertRef{ID: a.ID, Revision: a.Revision}] = false
		}
		return nil
	})
	if err == nil {
		err = in.bus.ReadLedger(r.Context(), since, false, func(l news.LedgerEntry, _ bus.Meta) error {
			for _, ref := range l.Alerts {
				delete(named, ref)
			}
			fold.Add(l)
			if l.Event == news.EventAttempt && l.Ambiguous {
				rep.Ambiguous++
			}
			return nil
		})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for ref := range named {
		rep.Silent = append(rep.Silent, ref.ID+"."+strconv.Itoa(ref.Revision))
	}
	slices.Sort(rep.Silent)
	rep.Channels = fold.Counts()
	for _, c := range rep.Channels {
		rep.Missing += c.Missing()
	}
	writeJSON(w, rep)
}

func ledgerCommand(s std) *cobra.Command {
	c := &cobra.Command{
		Use: "ledger", Short: "What became of alerts: every attempt, and the check that none disappeared", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(ledgerShowCommand(s), ledgerCheckCommand(s))
	return c
}

func ledgerShowCommand(s std) *cobra.Command {
	var server, since string
	c := &cobra.Command{
		Use: "show ID", Short: "Every entry about an alert or a delivery, by the beginning of its id", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var entries []news.LedgerEntry
			if err := fetchJSON(c, server, "/api/v1/ledger", url.Values{"id": {args[0]}, "since": {since}}, &entries); err != nil {
				return err
			}
			if len(entries) == 0 {
				return fmt.Errorf("the ledger says nothing about %s since %s", args[0], since)
			}
			return writeLedger(s.out, entries)
		},
	}
	serverFlag(c, &server)
	c.Flags().StringVar(&since, "since", "30d", "how far back: 24h, 7d, or a time")
	return c
}

func writeLedger(out io.Writer, entries []news.LedgerEntry) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tEVENT\tCHANNEL\tTO\tDELIVERY\tTRY\tREASON\tSTATUS")
	for i := range entries {
		l := &entries[i]
		status := l.Status
		if !l.Next.IsZero() {
			status = strings.TrimSpace(status + " next " + l.Next.Local().Format(clock))
		}
		if l.Ambiguous {
			status += " (ambiguous)"
		}
		if len(l.Entries) > 1 {
			status = strings.TrimSpace(fmt.Sprintf("%s, stands for %d alerts", status, len(l.Entries)))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", l.At.Local().Format(clock), l.Event, l.Channel, l.Recipient, l.Delivery, l.Attempt, l.Reason, isolate(status))
	}
	return w.Flush()
}

// fetchJSON reads one answer of the running instance.
func fetchJSON(c *cobra.Command, server, path string, q url.Values, out any) error {
	cl, err := newClient(server)
	if err != nil {
		return err
	}
	resp, err := cl.do(c.Context(), http.MethodGet, path, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

func ledgerCheckCommand(s std) *cobra.Command {
	var server, since string
	c := &cobra.Command{
		Use: "check", Short: "Prove that no alert disappeared: accepted = delivered + dead + suppressed + pending", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var rep ledgerReport
			if err := fetchJSON(c, server, "/api/v1/ledger/check", url.Values{"since": {since}}, &rep); err != nil {
				return err
			}
			w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "CHANNEL\tACCEPTED\tDELIVERED\tDEAD\tSUPPRESSED\tPENDING\tMISSING")
			for _, ch := range news.SortedKeys(rep.Channels) {
				x := rep.Channels[ch]
				fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\n", ch, x.Accepted, x.Delivered, x.Dead, x.Suppressed, x.Pending, x.Missing())
			}
			if err := w.Flush(); err != nil {
				return err
			}
			for _, k := range rep.Silent {
				fmt.Fprintf(s.out, "alert %s: the ledger says nothing about it\n", k)
			}
			fmt.Fprintf(s.out, "%d alert records, %d without a ledger entry, %d deliveries missing, %d ambiguous attempts\n", rep.Alerts, len(rep.Silent), rep.Missing, rep.Ambiguous)
			if !rep.ok() {
				return failed(errors.New("the ledger does not add up"))
			}
			return nil
		},
	}
	serverFlag(c, &server)
	c.Flags().StringVar(&since, "since", "30d", "how far back: 24h, 7d, or a time")
	return c
}
