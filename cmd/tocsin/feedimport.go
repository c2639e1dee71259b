package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tocsin/fetcher"
	"tocsin/news"
)

func feedsImportCommand(s std) *cobra.Command {
	var config, file string
	var check bool
	c := &cobra.Command{
		Use:   "import FILE.opml",
		Short: "Write the feeds of an OPML file at the end of a YAML feed list",
		Long: `Write the feeds of an OPML file (or of another YAML list) at the end of a YAML feed list, those left out that stand in the configuration already.
With --check each is asked once first, politely, and only those that can be read are written.`,
		Example: "  tocsin feeds import reader.opml --config tocsin.yaml --file feeds.yaml --check",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, old, err := listedFeeds(config)
			if err != nil {
				return err
			}
			list, err := cfg.listFile(file)
			if err != nil {
				return usage(err)
			}
			return importFeeds(c.Context(), s, &cfg, importOf{from: args[0], list: list, old: old, check: check})
		},
	}
	c.Flags().StringVar(&config, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().StringVar(&file, "file", "", "the YAML feed list to write into (default: the only one of the configuration)")
	c.Flags().BoolVar(&check, "check", false, "ask each feed once, and leave out what cannot be read")
	return c
}

type importOf struct {
	from, list string
	old        []fetcher.Feed
	check      bool
}

func importFeeds(ctx context.Context, s std, cfg *config, im importOf) error {
	dir := filepath.Dir(im.from)
	feeds, faults := fetcher.LoadFeeds(os.DirFS(dir), filepath.Base(im.from))
	if err := faults.Err(); err != nil {
		return usage(fmt.Errorf("%s is refused, nothing is imported:\n%w", im.from, err))
	}
	known := map[string]bool{}
	for _, f := range im.old {
		known[news.CanonicalURL(f.URL)] = true
	}
	var fresh []fetcher.Feed
	for _, f := range feeds {
		if !known[news.CanonicalURL(f.URL)] {
			fresh = append(fresh, f)
		}
	}
	double, unread := len(feeds)-len(fresh), 0
	if im.check {
		ch, err := cfg.checker()
		if err != nil {
			return err
		}
		fresh, unread = readable(ctx, s, ch, fresh)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if len(fresh) > 0 {
		if err := editList(im.list, func(data []byte) ([]byte, error) { return fetcher.AppendFeeds(im.list, data, fresh...) }); err != nil {
			return err
		}
	}
	fmt.Fprintf(s.out, "%s: %d feeds added, %d stood there already, %d cannot be read\n", im.list, len(fresh), double, unread)
	return nil
}

// readable asks each feed once and keeps those that can be read, in their order.
func readable(ctx context.Context, s std, ch *fetcher.Checker, feeds []fetcher.Feed) ([]fetcher.Feed, int) {
	good := map[string]bool{}
	_, bad := checkAll(ctx, s, ch, feeds, 16, func(r *fetcher.CheckResult) {
		if r.Fault == nil {
			good[r.Feed.ID] = true
			return
		}
		clearLine(s)
		fmt.Fprintf(s.out, "%-6s %-24s %s  %s\n", okWord(false), isolate(r.Feed.Outlet), checkSummary(r), r.Feed.URL)
	})
	var out []fetcher.Feed
	for _, f := range feeds {
		if good[f.ID] {
			out = append(out, f)
		}
	}
	return out, bad
}
