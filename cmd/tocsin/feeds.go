package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/cmd/tocsin/page"
	"tocsin/fetcher"
)

func feedsCommand(s std) *cobra.Command {
	c := &cobra.Command{Use: "feeds", Short: "List, show, find, add, remove, poll and check feeds", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(feedsListCommand(s), feedsShowCommand(s), feedsPollCommand(s), feedsCheckCommand(s), feedsDiscoverCommand(s),
		feedsAddCommand(s), feedsRemoveCommand(s), feedsImportCommand(s), feedsExportCommand(s))
	return c
}

func feedsListCommand(s std) *cobra.Command {
	var file, server, format string
	var live bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "Feeds of the configuration, or with --live of the running instance with their health",
		Example: "  tocsin feeds list --config tocsin.yaml\n  tocsin feeds list --live",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if live {
				return feedsLive(c, s, server, format)
			}
			cfg, faults := loadConfig(file)
			feeds, more := loadFeeds(&cfg)
			if err := append(faults, more...).Err(); err != nil {
				return usage(err)
			}
			return printFeeds(s, feeds, format)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().BoolVar(&live, "live", false, "ask the running instance")
	c.Flags().StringVar(&format, "format", "text", "text or jsonl")
	serverFlag(c, &server)
	return c
}

func printFeeds(s std, feeds []fetcher.Feed, format string) error {
	if format == "jsonl" {
		enc := json.NewEncoder(s.out)
		enc.SetEscapeHTML(false)
		for _, f := range feeds {
			row := map[string]any{"id": f.ID, "outlet": f.Outlet, "lang": f.Lang, "country": f.Country, "url": f.URL}
			if f.Insecure {
				row["insecure"] = true
			}
			if err := enc.Encode(row); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	for _, f := range feeds {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s%s\n", f.ID, f.Lang, f.Country, f.Outlet, f.URL, insecureWord(f.Insecure))
	}
	return w.Flush()
}

func feedsLive(c *cobra.Command, s std, server, format string) error {
	cl, err := newClient(server)
	if err != nil {
		return err
	}
	resp, err := cl.do(c.Context(), http.MethodGet, "/api/v1/feeds", url.Values{})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var rows []feedRow
	if err := json.NewDecoder(resp.Body).Decode(&rows); err != nil {
		return fmt.Errorf("read feeds: %w", err)
	}
	if format == "jsonl" {
		enc := json.NewEncoder(s.out)
		for _, r := range rows {
			if err := enc.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "FEED\tSTATE\tLANG\tOUTLET\tITEMS\tLAST SUCCESS\tNEXT\tREASON\tURL")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s%s\n",
			r.ID, r.State, r.Lang, r.Outlet, r.Items, ago(r.LastSuccess), ahead(r.Next), r.Reason, r.URL, insecureWord(r.Insecure))
	}
	return w.Flush()
}

// ago words a past time for people; "never" for the zero time.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return page.Span(time.Since(t)) + " ago"
}

func ahead(t time.Time) string {
	switch d := time.Until(t); {
	case t.IsZero():
		return "-"
	case d <= 0:
		return "due"
	default:
		return "in " + page.Span(d)
	}
}

func feedsExportCommand(s std) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "export", Short: "Write the configured feeds as OPML 2.0", Args: cobra.NoArgs,
		Example: "  tocsin feeds export --config tocsin.yaml > feeds.opml",
		RunE: func(*cobra.Command, []string) error {
			cfg, faults := loadConfig(file)
			feeds, more := loadFeeds(&cfg)
			if err := append(faults, more...).Err(); err != nil {
				return usage(err)
			}
			return fetcher.WriteOPML(s.out, feeds)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the operator's file, tocsin.yaml")
	return c
}

// progress draws a bar on the error stream when it is a terminal; the output stream stays clean for pipes.
func progress(s std, done, all int, what string) {
	if !(std{out: s.err}).terminal() || all == 0 {
		return
	}
	const width = 30
	n := done * width / all
	end := "\r"
	if done == all {
		end = "\n"
	}
	fmt.Fprintf(s.err, "\r\033[K[%s%s] %d/%d %s%s", strings.Repeat("█", n), strings.Repeat("░", width-n), done, all, what, end)
}

// insecureWord marks a feed whose certificates are not verified, in every report.
func insecureWord(insecure bool) string {
	if insecure {
		return "  NOT VERIFIED (insecure: true)"
	}
	return ""
}
