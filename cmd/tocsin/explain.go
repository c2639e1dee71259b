package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/matcher"
	"tocsin/news"
)

func explainCommand(s std) *cobra.Command {
	var dir, lang string
	c := &cobra.Command{
		Use:     "explain TEXT | -",
		Short:   "Show what a text would flag, what nearly did, and what stopped it",
		Example: "  tocsin explain 'TTP claims ambush in Bajaur'\n  pbpaste | tocsin explain -",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			x, _, err := loadIndex(dir)
			if err != nil {
				return usage(fmt.Errorf("watchlists are refused:\n%w", err))
			}
			text := strings.Join(args, " ")
			if text == "-" {
				b, err := readInput(s, "-")
				if err != nil {
					return err
				}
				text = string(b)
			}
			title, body, _ := strings.Cut(strings.TrimSpace(text), "\n")
			it := news.Item{Lang: lang, Title: title, Body: strings.TrimSpace(body)}
			return x.Explain(&it).Write(s.out, s.terminal())
		},
	}
	listsFlag(c, &dir)
	c.Flags().StringVar(&lang, "lang", "und", "language of the text, for rules and lists that ask for one")
	return c
}

func scoreCommand(s std) *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "score FILE",
		Short: "Precision and recall on labelled items, with every miss and false alarm",
		Long: `Read labelled items as JSON Lines, {"id", "lang", "title", "summary", "body", "expect": [ids], "optional": [ids], "hard_negative_for": [ids]}, match them,
and print precision, recall and F1 in all, per entity and per language. Ids under "optional" count neither way.`,
		Example: "  tocsin score labelled.jsonl\n  tocsin score --watchlists ./watchlists --json labelled.jsonl",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
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
