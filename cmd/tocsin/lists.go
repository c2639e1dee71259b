package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tocsin/fetcher"
	"tocsin/matcher"
	"tocsin/matcher/watchlist"
	"tocsin/news/strict"
	"tocsin/watchlists"
)

// loadIndex reads the watchlists of a folder ("shipped" or "": those inside the program), compiles them and runs their own sentences.
// warnings are worth showing; err holds every error of every file.
func loadIndex(dir string) (x *matcher.Index, warnings strict.Faults, err error) {
	return compileSet(loadSet(dir))
}

// compileSet makes an index of a set that was read with these faults, and tries its sentences.
func compileSet(set *watchlist.Set, faults strict.Faults) (x *matcher.Index, warnings strict.Faults, err error) {
	if err := faults.Err(); err != nil {
		return nil, nil, err
	}
	x, err = matcher.Compile(set)
	if err != nil {
		return nil, nil, err
	}
	faults = append(faults, x.CheckSentences()...)
	if err := faults.Err(); err != nil {
		return nil, nil, err
	}
	_, warnings = faults.Split()
	return x, warnings.Sort(), nil
}

func loadSet(dir string) (*watchlist.Set, strict.Faults) {
	if dir == "" || dir == shipped {
		return watchlist.Load(watchlists.Lists)
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		var faults strict.Faults
		faults.Add(strict.Pos{File: dir}, "name a folder of *.yaml watchlists", "not a folder that can be read")
		return nil, faults
	}
	return watchlist.LoadDir(dir)
}

// loadFeeds reads feed lists: files, folders (every *.yaml and *.opml in them) and "shipped". Nothing named means shipped.
func loadFeeds(c *config) ([]fetcher.Feed, strict.Faults) {
	names := c.Fetcher.Feeds
	if len(names) == 0 {
		names = []strict.Text{{Value: shipped}}
	}
	var feeds []fetcher.Feed
	var faults strict.Faults
	for _, n := range names {
		fsys, files, err := feedFiles(c, n.Value)
		if err != nil {
			faults.Add(n.Pos, "name a feed list (.yaml or .opml), a folder of them, or "+shipped, "%s", err)
			continue
		}
		more, fs := fetcher.LoadFeeds(fsys, files...)
		feeds, faults = append(feeds, more...), append(faults, fs...)
	}
	for _, f := range feeds {
		if f.Interval > 0 && f.Interval < c.Fetcher.MinInterval {
			faults.Add(f.Pos, fmt.Sprintf("write %s or more; for a server of your own, lower fetcher.min_interval", c.Fetcher.MinInterval), "interval %s is impolite", f.Interval)
		}
	}
	return dedupFeeds(feeds, &faults), faults.Sort()
}

// dedupFeeds keeps the first of feeds that stand in several lists; LoadFeeds did so within one.
func dedupFeeds(feeds []fetcher.Feed, faults *strict.Faults) []fetcher.Feed {
	first := map[string]strict.Pos{}
	out := feeds[:0]
	for _, f := range feeds {
		if p, ok := first[f.ID]; ok {
			faults.AddWarning(f.Pos, "remove one; it is polled once", "feed stands already at %s", p)
			continue
		}
		first[f.ID] = f.Pos
		out = append(out, f)
	}
	return out
}

func feedFiles(c *config, name string) (fs.FS, []string, error) {
	if name == shipped {
		files, err := fs.Glob(watchlists.Feeds, "feeds/*.yaml")
		return watchlists.Feeds, files, err
	}
	path := c.path(name)
	st, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", name, cause(err))
	}
	if !st.IsDir() {
		return namedFS{dir: filepath.Dir(path), shown: filepath.Dir(name)}, []string{filepath.Base(path)}, nil
	}
	var files []string
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %s: %w", name, cause(err))
	}
	for _, e := range entries {
		if ext := strings.ToLower(filepath.Ext(e.Name())); ext == ".yaml" || ext == ".yml" || ext == ".opml" {
			files = append(files, e.Name())
		}
	}
	if len(files) == 0 {
		return nil, nil, errors.New("no .yaml or .opml file in folder " + name)
	}
	return namedFS{dir: path, shown: name}, files, nil
}

// namedFS is a folder on disk. os.DirFS would do, but for errors that should name the path as the operator wrote it.
type namedFS struct{ dir, shown string }

// Open opens a file of the folder.
func (n namedFS) Open(name string) (fs.File, error) {
	f, err := os.Open(filepath.Join(n.dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(n.shown, name), Err: cause(err)}
	}
	return f, nil
}
