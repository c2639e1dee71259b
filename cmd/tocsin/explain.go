package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/fetcher"
	"tocsin/matcher"
	"tocsin/news"
)

type explainFlags struct {
	lists, config, lang string
	langSet, json       bool
}

func explainCommand(s std) *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain TEXT | URL | -",
		Short: "Show what a text or page would flag, what nearly did, and what stopped it",
		Long: `Show what a text would flag, what nearly did, and what stopped it. The first line of the text is its title.

A URL is fetched once, through the same guard as feeds: private networks need allow_networks in the file that --config names.`,
		Example: "  tocsin explain 'TTP claims ambush in Bajaur'\n  tocsin explain https://example.org/news/1234\n  pbpaste | tocsin explain -",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			f.langSet = c.Flags().Changed("lang")
			return explain(c.Context(), s, &f, strings.Join(args, " "))
		},
	}
	listsFlag(c, &f.lists)
	c.Flags().StringVar(&f.lang, "lang", "und", "language of the text, for rules and lists that ask for one")
	c.Flags().StringVar(&f.config, "config", "", "the operator's file: for allow_networks and contact when a URL is fetched")
	c.Flags().BoolVar(&f.json, "json", false, "write the explanation as JSON")
	return c
}

func explain(ctx context.Context, s std, f *explainFlags, text string) error {
	x, _, err := loadIndex(f.lists)
	if err != nil {
		return usage(fmt.Errorf("watchlists are refused:\n%w", err))
	}
	it, err := explainItem(ctx, s, f, text)
	if err != nil {
		return err
	}
	e := x.Explain(&it)
	if f.json {
		e.Matches, e.Stopped, e.Failed = orEmpty(e.Matches), orEmpty(e.Stopped), orEmpty(e.Failed)
		return writeIndented(s.out, e)
	}
	if it.URL != "" {
		fmt.Fprintf(s.out, "page     %s\n         %s, %d bytes of text, language %s\n", isolate(it.Title), it.URL, len(it.Body), it.Lang)
	}
	return e.Write(s.out, s.terminal())
}

// orEmpty makes JSON write [] instead of null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// explainItem makes an item of what the command line names.
func explainItem(ctx context.Context, s std, f *explainFlags, text string) (news.Item, error) {
	if strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://") {
		return pageItem(ctx, f, text)
	}
	if text == "-" {
		b, err := readInput(s, "-")
		if err != nil {
			return news.Item{}, err
		}
		text = string(b)
	}
	title, body, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return news.Item{Lang: f.lang, Title: title, Body: strings.TrimSpace(body)}, nil
}

func pageItem(ctx context.Context, f *explainFlags, address string) (news.Item, error) {
	cfg, faults := loadConfig(f.config)
	if err := faults.Err(); err != nil {
		return news.Item{}, usage(fmt.Errorf("the configuration is refused:\n%w", err))
	}
	allow, err := parseNetworks(cfg.networks())
	if err != nil {
		return news.Item{}, usage(err)
	}
	g := newGuard(allow)
	p, err := fetcher.ReadPage(ctx, fetcher.Options{
		Client:    func(fetcher.Feed) (*http.Client, error) { return g.client("", 15*time.Second) },
		UserAgent: userAgent(cfg.Fetcher.Contact),
	}, address)
	if err != nil {
		return news.Item{}, fmt.Errorf("the page cannot be read: %w", err)
	}
	if f.langSet {
		p.Lang = f.lang
	}
	return news.Item{Lang: p.Lang, URL: p.URL, Title: p.Title, Body: p.Text}, nil
}

func scoreCommand(s std) *cobra.Command {
	var dir, server, since string
	var asJSON, history bool
	c := &cobra.Command{
		Use:   "score FILE | score --history",
		Short: "Precision and recall on labelled items, with every miss and false alarm",
		Long: `Read labelled items as JSON Lines, {"id", "lang", "title", "summary", "body", "expect": [ids], "optional": [ids], "hard_negative_for": [ids]}, match them,
and print precision, recall and F1 in all, per entity and per language. Ids under "optional" count neither way.
With --history it asks the running instance instead: what people said of its alerts, useful or noise, per watchlist and entity.`,
		Example: "  tocsin score labelled.jsonl\n  tocsin score --watchlists ./watchlists --json labelled.jsonl\n  tocsin score --history --since 90d",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case history && len(args) == 0:
				return scoreHistory(c, s, server, since, asJSON)
			case history || len(args) == 0:
				return usage(errors.New("give either a file of labelled items, or --history"))
			}
			x, _, err := loadIndex(dir)
			if err != nil {
				return usage(fmt.Errorf("watchlists are refused:\n%w", err))
			}
			items, err := readLabelled(s, args[0])
			if err != nil {
				return err
			}
			report := matcher.Score(items, x)
			if asJSON {
				enc := json.NewEncoder(s.out)
				enc.SetEscapeHTML(false)
				return enc.Encode(report)
			}
			return report.Write(s.out)
		},
	}
	listsFlag(c, &dir)
	c.Flags().BoolVar(&asJSON, "json", false, "write the report as JSON")
	c.Flags().BoolVar(&history, "history", false, "what people said of the running instance's alerts")
	c.Flags().StringVar(&since, "since", "30d", "with --history: how far back: 24h, 7d, or a time")
	serverFlag(c, &server)
	return c
}

func readLabelled(s std, name string) ([]matcher.Labelled, error) {
	in := s.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usage(fmt.Errorf("%s: %w: name a readable file, or - for standard input", name, cause(err)))
		}
		defer f.Close()
		in = f
	}
	var items []matcher.Labelled
	err := eachLine(in, maxLine, func(n int, line []byte, tooLong bool) error {
		var l matcher.Labelled
		if err := json.Unmarshal(line, &l); err != nil || tooLong {
			return usage(fmt.Errorf("%s:%d: not a labelled item: %w", name, n, err))
		}
		items = append(items, l)
		return nil
	})
	return items, err
}
