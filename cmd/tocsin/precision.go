package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/bus"
	"tocsin/news"
	"tocsin/notifier"
)

// worth is what people said of the alerts of a watchlist, or of one of its entities.
type worth struct {
	Watchlist string   `json:"watchlist"`
	Entity    string   `json:"entity,omitempty"` // "": the whole watchlist
	Useful    int      `json:"useful"`
	Noise     int      `json:"noise"`
	Mute      int      `json:"mute"`
	Precision *float64 `json:"precision,omitempty"` // useful of useful and noise; a muted story may have been both
}

// worths counts verdicts. The same verdict by the same person counts once.
type worths struct {
	seen map[string]bool
	rows map[[2]string]*worth
}

func newWorths() *worths { return &worths{map[string]bool{}, map[[2]string]*worth{}} }

func (w *worths) add(l *news.LedgerEntry) {
	if l.Event != news.EventFeedback || l.Reason == notifier.FeedbackAck || w.seen[l.Delivery] {
		return
	}
	w.seen[l.Delivery] = true
	for _, e := range append([]string{""}, l.Entities...) {
		key := [2]string{l.Watchlist, e}
		x := w.rows[key]
		if x == nil {
			x = &worth{Watchlist: l.Watchlist, Entity: e}
			w.rows[key] = x
		}
		switch l.Reason {
		case notifier.FeedbackUseful:
			x.Useful++
		case notifier.FeedbackNoise:
			x.Noise++
		case notifier.FeedbackMute:
			x.Mute++
		}
	}
}

// list gives the rows, each watchlist before its entities.
func (w *worths) list() []worth {
	out := []worth{}
	for _, x := range w.rows {
		if n := x.Useful + x.Noise; n > 0 {
			p := float64(x.Useful) / float64(n)
			x.Precision = &p
		}
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b worth) int {
		if c := strings.Compare(a.Watchlist, b.Watchlist); c != 0 {
			return c
		}
		return strings.Compare(a.Entity, b.Entity)
	})
	return out
}

// serveWorth gives the verdicts of the time ?since=, counted by watchlist and entity.
func (in *instance) serveWorth(w http.ResponseWriter, r *http.Request) {
	since, err := parseSince(r.URL.Query().Get("since"), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	all := newWorths()
	err = in.bus.ReadLedger(r.Context(), since, false, func(l news.LedgerEntry, _ bus.Meta) error {
		all.add(&l)
		return nil
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, all.list())
}

// scoreHistory prints the precision of the running instance's alerts, as people judged them.
func scoreHistory(c *cobra.Command, s std, server, since string, asJSON bool) error {
	var rows []worth
	if err := fetchJSON(c, server, "/api/v1/feedback", url.Values{"since": {since}}, &rows); err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(s.out).Encode(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintf(s.out, "nobody has judged an alert since %s: `tocsin feedback ALERT useful|noise`, or the links in alerts (notifier.feedback)\n", since)
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "WATCHLIST\tENTITY\tUSEFUL\tNOISE\tMUTE\tPRECISION")
	for _, x := range rows {
		entity, precision := x.Entity, "-"
		if entity == "" {
			entity = "(all)"
		}
		if x.Precision != nil {
			precision = fmt.Sprintf("%.2f", *x.Precision)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\n", x.Watchlist, entity, x.Useful, x.Noise, x.Mute, precision)
	}
	return w.Flush()
}
