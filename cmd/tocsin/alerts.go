package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/news"
	"tocsin/notifier"
)

// alertCommands add to `tocsin alerts`: list is the same by name, show is one alert with all that became of it, ack says that somebody looks
// after it.
func alertCommands(s std, alerts *cobra.Command) *cobra.Command {
	list := streamCommand(s, "alerts", "The same as `tocsin alerts`", alertLine)
	list.Use, list.Example = "list", "  tocsin alerts list --since 7d"
	alerts.AddCommand(list, alertShowCommand(s), alertAckCommand(s))
	return alerts
}

func alertShowCommand(s std) *cobra.Command {
	var server, since string
	c := &cobra.Command{
		Use: "show ID", Short: "One alert: every revision, why it was raised, and what became of it", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args[0]) < shortestID {
				return usage(fmt.Errorf("%q: write at least %d letters of the id", args[0], shortestID))
			}
			revisions, err := alertRevisions(c, server, args[0], since)
			if err != nil {
				return err
			}
			if len(revisions) == 0 {
				return fmt.Errorf("no alert since %s has an id that begins with %s", since, args[0])
			}
			for i := range revisions {
				showAlert(s, &revisions[i])
			}
			var entries []news.LedgerEntry
			if err := fetchJSON(c, server, "/api/v1/ledger", url.Values{"id": {args[0]}, "since": {since}}, &entries); err != nil {
				return err
			}
			return writeLedger(s.out, entries)
		},
	}
	serverFlag(c, &server)
	c.Flags().StringVar(&since, "since", "30d", "how far back: 24h, 7d, or a time")
	return c
}

func alertRevisions(c *cobra.Command, server, id, since string) (out []news.Alert, err error) {
	cl, err := newClient(server)
	if err != nil {
		return nil, err
	}
	resp, err := cl.do(c.Context(), http.MethodGet, "/api/v1/alerts", url.Values{"since": {since}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, news.MaxWire+1)
	for sc.Scan() {
		var a news.Alert
		if err := json.Unmarshal(sc.Bytes(), &a); err != nil {
			return nil, fmt.Errorf("read alerts: %w", err)
		}
		if strings.HasPrefix(a.ID, id) {
			out = append(out, a)
		}
	}
	return out, sc.Err()
}

func showAlert(s std, a *news.Alert) {
	v := notifier.NewView(a, nil)
	fmt.Fprintf(s.out, "alert     %s revision %d (%s), %s\nstory     %s\nlist      %s\nseverity  %s\nheadline  %s\noutlet    %s\nlink      %s\n",
		a.ID, a.Revision, a.Kind, a.At.Local().Format(clock), a.Story, isolate(v.Watchlist), v.Severity, isolate(v.Title()), isolate(v.Outlet), v.Link)
	for _, w := range v.Why {
		fmt.Fprintf(s.out, "why       %s: %s\n", isolate(w.Name), isolate(w.Text))
	}
	for _, f := range v.New {
		fmt.Fprintf(s.out, "new       %s\n", isolate(f))
	}
	if v.Was != "" {
		fmt.Fprintf(s.out, "was       %s\n", isolate(v.Was))
	}
	for _, r := range v.Also {
		fmt.Fprintf(s.out, "also      %s: %s  %s\n", isolate(r.Outlet), isolate(r.Title), r.Link)
	}
	if v.AlsoMore > 0 {
		fmt.Fprintf(s.out, "also      %d more\n", v.AlsoMore)
	}
	if !a.Due.IsZero() {
		fmt.Fprintf(s.out, "due       %s, unless a later update takes its place\n", a.Due.Local().Format(clock))
	}
	tellPlace(s.out, a, "joined    ", "          ")
	fmt.Fprintln(s.out)
}

func alertAckCommand(s std) *cobra.Command {
	var server, by string
	c := &cobra.Command{
		Use: "ack ID", Short: "Note that somebody looks after an alert", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return sendFeedback(c, s, server, args[0], notifier.FeedbackAck, by)
		},
	}
	serverFlag(c, &server)
	c.Flags().StringVar(&by, "by", os.Getenv("USER"), "who")
	return c
}
