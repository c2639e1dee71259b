package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/fetcher"
)

func feedsCommand(s std) *cobra.Command {
	c := &cobra.Command{Use: "feeds", Short: "List feeds, or ask each once whether it answers", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(feedsListCommand(s), feedsCheckCommand(s), feedsExportCommand(s))
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
			if err := enc.Encode(row); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	for _, f := range feeds {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", f.ID, f.Lang, f.Country, f.Outlet, f.URL)
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
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.State, r.Lang, r.Outlet, r.Items, ago(r.LastSuccess), ahead(r.Next), r.Reason, r.URL)
	}
	return w.Flush()
}

// ago words a past time for people; "never" for the zero time.
func ago(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return roughly(time.Since(t)) + " ago"
}

func ahead(t time.Time) string {
	switch d := time.Until(t); {
	case t.IsZero():
		return "-"
	case d <= 0:
		return "due"
	default:
		return "in " + roughly(d)
	}
}

func roughly(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
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

func feedsCheckCommand(s std) *cobra.Command {
	var file string
	var parallel int
	c := &cobra.Command{
		Use:     "check",
		Short:   "Ask every feed once and say what it answered",
		Long:    "Ask every configured feed once, politely, and print one line each: how many items it holds, or why it cannot be read. Exit status 1 if any cannot.",
		Example: "  tocsin feeds check --config tocsin.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, faults := loadConfig(file)
			feeds, more := loadFeeds(&cfg)
			if err := append(faults, more...).Err(); err != nil {
				return usage(err)
			}
			allow, err := parseNetworks(cfg.networks())
			if err != nil {
				return usage(err)
			}
			g := newGuard(allow)
			o := fetcher.Options{
				Client:    func(f fetcher.Feed) (*http.Client, error) { return g.client(cfg.path(f.CAFile), 15*time.Second) },
				UserAgent: userAgent(cfg.Fetcher.Contact),
			}
			return checkFeeds(c, s, o, feeds, parallel)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().IntVar(&parallel, "parallel", 16, "feeds asked at the same time")
	return c
}

func checkFeeds(c *cobra.Command, s std, o fetcher.Options, feeds []fetcher.Feed, parallel int) error {
	ctx := c.Context()
	todo := make(chan fetcher.Feed)
	var mu sync.Mutex
	var wg sync.WaitGroup
	done, bad := 0, 0
	for range max(1, parallel) {
		wg.Go(func() {
			for f := range todo {
				r := fetcher.Check(ctx, o, f)
				mu.Lock()
				done++
				if r.Fault != nil {
					bad++
				}
				progress(s, done, len(feeds), "feeds asked")
				fmt.Fprintf(s.out, "%-6s %-3s %-24s %s  %s\n", okWord(r.Fault == nil), f.Lang, f.Outlet, checkSummary(&r), f.URL)
				mu.Unlock()
			}
		})
	}
	for _, f := range feeds {
		if ctx.Err() != nil {
			break
		}
		todo <- f
	}
	close(todo)
	wg.Wait()
	fmt.Fprintf(s.out, "%d of %d feeds can be read\n", done-bad, len(feeds))
	if bad > 0 || done < len(feeds) {
		return failed(errors.New("some feeds cannot be read"))
	}
	return nil
}

// checkSummary says in one line what a feed answered.
func checkSummary(r *fetcher.CheckResult) string {
	if r.Fault != nil {
		return r.Fault.Error()
	}
	s := fmt.Sprintf("%d items, %s, newest %s", len(r.Items), r.Kind, ago(r.Newest))
	if r.Moved != "" {
		s += ", moved for good: write " + r.Moved + " into the list, and the old address as was:"
	}
	for _, n := range r.Notes {
		s += ", " + n
	}
	return s
}

func okWord(ok bool) string {
	if ok {
		return "ok"
	}
	return "fails"
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
