package main

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/watchlists"
)

// snapshot is the content of list files at one moment, by name: what is judged, what goes live and what is shared are then the same bytes.
type snapshot map[string][]byte

// maxListFile is read of each file: a byte more than either kind of list may have, so that a loader sees and refuses what is too large.
const maxListFile = 5<<20 + 1

// hash identifies the content.
func (s snapshot) hash() string {
	h := sha256.New()
	for _, name := range news.SortedKeys(s) {
		fmt.Fprintf(h, "%s\x00%d\x00", name, len(s[name]))
		h.Write(s[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// pack makes an archive of the files. The same content gives the same bytes. An archive is also a file system, from which the lists are read.
func (s snapshot) pack() ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	for _, name := range news.SortedKeys(s) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
		if _, err := f.Write(s[name]); err != nil {
			return nil, fmt.Errorf("pack %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("pack lists: %w", err)
	}
	return b.Bytes(), nil
}

// readWatchlists reads the files of a folder that watchlist.Load would read.
func readWatchlists(dir string) (snapshot, error) { return readFolder(os.DirFS(dir), dir) }

// packShipped makes an archive of the watchlists inside the program.
func packShipped() ([]byte, error) {
	s, err := readFolder(watchlists.Lists, shipped)
	if err != nil {
		return nil, err
	}
	return s.pack()
}

func readFolder(fsys fs.FS, dir string) (snapshot, error) {
	var faults strict.Faults
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		faults.Add(strict.Pos{File: dir}, "check the folder and its rights", "the folder of watchlists cannot be read (%s)", cause(err))
		return nil, faults.Err()
	}
	s := snapshot{}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") || e.IsDir() || !isYAML(name) {
			continue
		}
		data, err := readList(fsys, name)
		if err != nil {
			faults.Add(strict.Pos{File: filepath.Join(dir, name)}, "check the file and its rights", "the file cannot be read (%s)", cause(err))
			continue
		}
		s[name] = data
	}
	return s, faults.Err()
}

func isYAML(name string) bool {
	return strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml")
}

func readList(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("it is no regular file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxListFile))
}

// readFeedLists reads the files of the configured feed lists, to see whether they changed.
func readFeedLists(c *config) (snapshot, error) {
	s := snapshot{}
	for _, n := range c.Fetcher.Feeds {
		if n.Value == shipped {
			continue
		}
		fsys, files, err := feedFiles(c, n.Value)
		if err != nil {
			return nil, strict.Faults{{Pos: n.Pos, Fact: err.Error(), Next: "put the feed list back, or name another in tocsin.yaml and restart"}}
		}
		for _, f := range files {
			data, err := readList(fsys, f)
			if err != nil {
				return nil, strict.Faults{{Pos: strict.Pos{File: filepath.Join(n.Value, f)}, Fact: "the file cannot be read (" + cause(err).Error() + ")", Next: "check the file and its rights"}}
			}
			s[n.Value+"/"+f] = data
		}
	}
	return s, nil
}

// stampOf tells cheaply whether something may have changed in files and folders: names, sizes and times, links followed.
func stampOf(paths []string) string {
	var b strings.Builder
	for _, p := range paths {
		st, err := os.Stat(p)
		switch {
		case err != nil:
			fmt.Fprintf(&b, "%s %s\n", p, cause(err))
		case st.IsDir():
			stampFolder(&b, p)
		default:
			stampFile(&b, p, st)
		}
	}
	return b.String()
}

func stampFolder(b *strings.Builder, dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		fmt.Fprintf(b, "%s %s\n", dir, cause(err))
	}
	for _, e := range entries {
		if ext := strings.ToLower(filepath.Ext(e.Name())); ext != ".yaml" && ext != ".yml" && ext != ".opml" {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if st, err := os.Stat(path); err == nil {
			stampFile(b, path, st)
		}
	}
}

func stampFile(b *strings.Builder, path string, st fs.FileInfo) {
	fmt.Fprintf(b, "%s %d %d %s\n", path, st.Size(), st.ModTime().UnixNano(), st.Mode())
}

// settle waits until files rest: an editor or a copy may still be writing. It gives up after limit, and what is found then is tried.
func settle(paths []string, sleep func(time.Duration) bool, limit time.Duration) {
	const step = 200 * time.Millisecond
	last := stampOf(paths)
	for range int(limit / step) {
		if !sleep(step) {
			return
		}
		now := stampOf(paths)
		if now == last {
			return
		}
		last = now
	}
}

// unpacked reads the lists of an archive as if its files lay in dir.
func unpacked(archive []byte, dir string) (*watchlist.Set, strict.Faults) {
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, strict.Faults{{Pos: strict.Pos{File: dir}, Fact: "the archive of watchlists cannot be read: " + err.Error()}}
	}
	return watchlist.LoadAs(z, dir)
}
