package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tocsin/news"
)

// std are the three streams of a command.
type std struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// terminal tells whether the output is a terminal that wants colour (https://no-color.org).
func (s std) terminal() bool {
	f, ok := s.out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == ""
}

const (
	defaultServer = "http://127.0.0.1:8470"
	serverHelp    = "address of the running instance (or TOCSIN_SERVER)"
)

func serverFlag(c *cobra.Command, v *string) {
	def := defaultServer
	if s := os.Getenv("TOCSIN_SERVER"); s != "" {
		def = s
	}
	c.Flags().StringVar(v, "server", def, serverHelp)
}

func readShort(r io.Reader) string {
	b, _ := io.ReadAll(io.LimitReader(r, 2048)) // part of an error text: what came is enough
	return strings.TrimSpace(string(b))
}

type streamFlags struct {
	server, since, format string
	follow                bool
}

func streamCommands(s std) []*cobra.Command {
	return []*cobra.Command{
		streamCommand(s, "items", "Stored items: what the feeds published", itemLine),
		streamCommand(s, "matches", "Matches: items that mention something watched", matchLine),
		alertCommands(s, streamCommand(s, "alerts", "Alerts: what people were told, and what was folded", alertLine)),
	}
}

func streamCommand[T any](s std, name, short string, line func(T) string) *cobra.Command {
	var f streamFlags
	c := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		Example: fmt.Sprintf("  tocsin %s --since 7d\n  tocsin %s --follow --format jsonl | jq .", name, name),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.format != "text" && f.format != "jsonl" {
				return usage(fmt.Errorf("--format %q: write text or jsonl", f.format))
			}
			return copyStream(c.Context(), s, name, f, line)
		},
	}
	serverFlag(c, &f.server)
	c.Flags().StringVar(&f.since, "since", "24h", "how far back: 24h, 7d, or a time")
	c.Flags().BoolVar(&f.follow, "follow", false, "go on as new ones come, until interrupted")
	c.Flags().StringVar(&f.format, "format", "text", "text or jsonl")
	return c
}

func copyStream[T any](ctx context.Context, s std, name string, f streamFlags, line func(T) string) error {
	c, err := newClient(f.server)
	if err != nil {
		return err
	}
	q := url.Values{"since": {f.since}}
	if f.follow {
		q.Set("follow", "1")
	}
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/"+name, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	sc := bufio.NewScanner(resp.Body)
	sc.Buffer(nil, news.MaxWire+1)
	for sc.Scan() {
		if f.format == "jsonl" {
			fmt.Fprintln(s.out, sc.Text())
			continue
		}
		var v T
		if err := json.Unmarshal(sc.Bytes(), &v); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		fmt.Fprintln(s.out, line(v))
	}
	if ctx.Err() != nil {
		return nil
	}
	return sc.Err()
}

const clock = "2006-01-02 15:04:05"

// isolate wraps text of unknown direction, so that a right-to-left title cannot reorder what stands beside it (Unicode UAX #9, FSI and PDI).
func isolate(s string) string { return "\u2068" + s + "\u2069" }

func itemLine(it news.Item) string {
	return fmt.Sprintf("%s  %s  %-4s %s  %s  %s", it.FirstSeen.Local().Format(clock), it.ID[:min(12, len(it.ID))], it.Lang, isolate(it.Outlet), isolate(headline(&it)), it.URL)
}

func matchLine(m news.Match) string {
	return fmt.Sprintf("%s  %s  %-8s %s [%s]  %s", m.MatchedAt.Local().Format(clock), m.Item.ID[:min(12, len(m.Item.ID))], m.Severity, m.Watchlist, strings.Join(m.IDs(), " "), isolate(headline(&m.Item)))
}

func alertLine(a news.Alert) string {
	return fmt.Sprintf("%s  %s.%d %-6s %-8s %s [%s]  %s  %s", a.At.Local().Format(clock), a.ID[:min(12, len(a.ID))], a.Revision, a.Kind, a.Severity, a.Watchlist,
		strings.Join(a.Match.IDs(), " "), isolate(headline(&a.Match.Item)), a.Match.Item.URL)
}

// headline is the item's title, or the start of its text when it has none.
func headline(it *news.Item) string {
	t := it.Title
	if t == "" {
		t = it.Summary
	}
	if t == "" {
		t = it.Body
	}
	r := []rune(strings.Join(strings.Fields(t), " "))
	if len(r) > 120 {
		return string(r[:119]) + "…"
	}
	return string(r)
}
