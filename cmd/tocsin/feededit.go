package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/fetcher"
	"tocsin/news"
)

func feedsDiscoverCommand(s std) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:     "discover URL",
		Short:   "Ask an address once: read it if it is a feed, else list the feeds that the page names",
		Example: "  tocsin feeds discover https://www.example.org/",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, faults := loadConfig(file)
			if err := faults.Err(); err != nil {
				return usage(err)
			}
			ch, err := cfg.checker()
			if err != nil {
				return err
			}
			d := ch.Discover(c.Context(), args[0])
			if d.Feed.Fault == nil {
				fmt.Fprintf(s.out, "feed   %s  %s, %s\n", d.Feed.URL, isolate(d.Feed.Title), checkSummary(&d.Feed))
				return nil
			}
			return writeNamed(s, args[0], &d)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the operator's file: for allow_networks and contact")
	return c
}

// writeNamed lists the feeds of a page. None is asked: the operator chooses.
func writeNamed(s std, address string, d *fetcher.Discovery) error {
	if len(d.Named) == 0 {
		return fmt.Errorf("%s is no feed and names none: %w: look for a link called RSS or Atom on the page", address, d.Feed.Fault)
	}
	for _, n := range d.Named {
		kind := "names"
		if n.Comments {
			kind = "comments"
		}
		fmt.Fprintf(s.out, "%-8s %s  %s\n", kind, n.URL, isolate(n.Title))
	}
	return nil
}

type addFlags struct {
	config, file, outlet, lang, country, note string
	tier                                      int
	tags                                      []string
	unchecked                                 bool
}

func feedsAddCommand(s std) *cobra.Command {
	var f addFlags
	c := &cobra.Command{
		Use:   "add URL",
		Short: "Ask an address once and, when it is a feed, write it at the end of a feed list",
		Long: `Ask an address once and, when it is a feed, write it at the end of a YAML feed list. Every other line of the list stays as it is.
A running instance takes the change up within seconds.`,
		Example: "  tocsin feeds add https://www.example.org/rss --config tocsin.yaml --file feeds.yaml --outlet 'Border Herald' --country PK",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return addFeed(c.Context(), s, &f, args[0]) },
	}
	c.Flags().StringVar(&f.config, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().StringVar(&f.file, "file", "", "the YAML feed list to write into (default: the only one of the configuration)")
	c.Flags().StringVar(&f.outlet, "outlet", "", "name of the outlet (default: the feed's title)")
	c.Flags().StringVar(&f.lang, "lang", "", "language of its items, as in en, ur, ps")
	c.Flags().StringVar(&f.country, "country", "", "country of the outlet, as in PK, AF")
	c.Flags().IntVar(&f.tier, "tier", 0, "1 (highest) to 5")
	c.Flags().StringSliceVar(&f.tags, "tags", nil, "free words")
	c.Flags().StringVar(&f.note, "note", "", "a remark for people")
	c.Flags().BoolVar(&f.unchecked, "unchecked", false, "write it without asking the address")
	return c
}

func addFeed(ctx context.Context, s std, f *addFlags, address string) error {
	cfg, feeds, err := listedFeeds(f.config)
	if err != nil {
		return err
	}
	list, err := cfg.listFile(f.file)
	if err != nil {
		return usage(err)
	}
	for _, old := range feeds {
		if news.CanonicalURL(old.URL) == news.CanonicalURL(address) {
			return usage(fmt.Errorf("%s: the feed stands there already", old.Pos))
		}
	}
	add := fetcher.Feed{URL: address, Outlet: f.outlet, Lang: f.lang, Country: f.country, Tier: f.tier, Tags: f.tags, Note: f.note}
	said := "not asked"
	if !f.unchecked {
		ch, err := cfg.checker()
		if err != nil {
			return err
		}
		d := ch.Discover(ctx, address)
		if d.Feed.Fault != nil {
			if len(d.Named) > 0 {
				_ = writeNamed(s, address, &d) // it lists, as there are some
			}
			return fmt.Errorf("%s is not added: %w", address, d.Feed.Fault)
		}
		if add.Outlet == "" {
			add.Outlet = d.Feed.Title
		}
		said = checkSummary(&d.Feed)
	}
	if err := editList(list, func(data []byte) ([]byte, error) { return fetcher.AppendFeeds(list, data, add) }); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %s added as feed %s (%s)\n", list, address, news.FeedID(address), said)
	return nil
}

func listedFeeds(file string) (config, []fetcher.Feed, error) {
	cfg, faults := loadConfig(file)
	feeds, more := loadFeeds(&cfg)
	if err := append(faults, more...).Err(); err != nil {
		return cfg, nil, usage(err)
	}
	return cfg, feeds, nil
}

// listFile is the list that commands write into: the named one, else the only YAML file of the configuration.
func (c *config) listFile(named string) (string, error) {
	if named != "" {
		if ext := strings.ToLower(filepath.Ext(named)); ext != ".yaml" && ext != ".yml" {
			return "", fmt.Errorf("--file %s: only YAML lists are edited: write this one by hand, or move its feeds with `tocsin feeds import`", named)
		}
		return named, nil
	}
	var found []string
	for _, n := range c.Fetcher.Feeds {
		if ext := strings.ToLower(filepath.Ext(n.Value)); ext == ".yaml" || ext == ".yml" {
			found = append(found, c.path(n.Value))
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return "", errors.New("the feeds are inside the program (shipped) or in a folder: name a list of your own with --file feeds.yaml, and write fetcher: {feeds: [shipped, feeds.yaml]} into tocsin.yaml")
	}
	return "", fmt.Errorf("several lists are configured: choose one with --file: %s", strings.Join(found, ", "))
}

// editList replaces a file by its edited form, whole or not at all. A file that does not exist is an empty one.
func editList(file string, edit func([]byte) ([]byte, error)) error {
	data, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", file, cause(err))
	}
	mode := fs.FileMode(0o644)
	if st, err := os.Stat(file); err == nil {
		mode = st.Mode().Perm()
	}
	out, err := edit(data)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), ".feeds-*")
	if err != nil {
		return fmt.Errorf("%s: %w", file, cause(err))
	}
	_, err = tmp.Write(out)
	err = errors.Join(err, tmp.Sync(), tmp.Chmod(mode), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

func feedsRemoveCommand(s std) *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:     "remove FEED",
		Short:   "Take a feed out of its YAML feed list; every other line stays",
		Long:    "FEED is an id or its first letters, an address, or the name of an outlet. What was published stays; the feed's state is kept and used when it comes back.",
		Example: "  tocsin feeds remove 'Border Herald' --config tocsin.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, feeds, err := listedFeeds(file)
			if err != nil {
				return err
			}
			all := make([]fetcher.FeedStatus, len(feeds))
			for i := range feeds {
				all[i].Feed = feeds[i]
			}
			f, err := findFeed(all, args[0])
			if err != nil {
				return usage(err)
			}
			return removeFeed(s, &cfg, &f.Feed)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the operator's file, tocsin.yaml")
	return c
}

func removeFeed(s std, c *config, f *fetcher.Feed) error {
	for _, n := range c.Fetcher.Feeds {
		path := c.path(n.Value)
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			path = filepath.Join(path, filepath.Base(f.File))
		} else if filepath.Base(path) != filepath.Base(f.File) {
			continue
		}
		if n.Value == shipped || strings.EqualFold(filepath.Ext(path), ".opml") {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			continue
		}
		if err := editList(path, func(data []byte) ([]byte, error) { return fetcher.RemoveFeed(path, data, *f) }); err != nil {
			return err
		}
		fmt.Fprintf(s.out, "%s: %s removed\n", path, f.URL)
		return nil
	}
	return usage(fmt.Errorf("%s: the feed is inside the program or in an OPML list: copy the lists with `tocsin feeds export`, import them into a YAML list of your own and name that in fetcher.feeds", f.Pos))
}
