package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"tocsin/news"
)

// itemSource is where stored items are read from: a running instance, or files of JSON Lines.
type itemSource struct {
	server, since string
	sinceSet      bool
	files         []string
}

func (s *itemSource) flags(c *cobra.Command) {
	serverFlag(c, &s.server)
	c.Flags().StringVar(&s.since, "since", "30d", "how far back: 24h, 7d, or a time; with --items only if stated")
	c.Flags().StringArrayVar(&s.files, "items", nil, "read items from this file (JSON Lines, may end in .gz; - is standard input) instead of the running instance; may be repeated")
}

// fileItem is a line of a file of items: an item as Tocsin writes it, or a simpler one with a source and a date.
type fileItem struct {
	news.Item
	Source string `json:"source"`
	Date   string `json:"date"`
}

// read gives the item of a line and its time, which is zero when the line tells none.
func (f *fileItem) read(line []byte) (time.Time, error) {
	*f = fileItem{}
	if err := json.Unmarshal(line, f); err != nil {
		return time.Time{}, err
	}
	if f.Lang == "" {
		f.Lang = "und"
	}
	if f.Outlet == "" {
		f.Outlet = f.Source
	}
	switch {
	case !f.FirstSeen.IsZero():
		return f.FirstSeen, nil
	case !f.Published.IsZero():
		return f.Published, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, f.Date); err == nil {
			f.Published = t
			return t, nil
		}
	}
	return time.Time{}, nil
}

// itemsRead tells what was read.
type itemsRead struct {
	Items int       `json:"items"`
	Dated int       `json:"dated"` // items whose time is known
	Bad   int       `json:"unreadable_lines,omitempty"`
	From  time.Time `json:"from,omitzero"` // of the oldest item, or what was asked for
	To    time.Time `json:"to,omitzero"`
}

// days is how many days the items span, 0 when the times of most are not known.
func (r *itemsRead) days() float64 {
	if r.From.IsZero() || r.Dated < r.Items/2 {
		return 0
	}
	return max(1, r.To.Sub(r.From).Hours()/24)
}

func (r *itemsRead) add(when time.Time) {
	r.Items++
	if !when.IsZero() {
		r.Dated++
	}
	r.span(when, when)
}

func (r *itemsRead) span(from, to time.Time) {
	if !from.IsZero() && (r.From.IsZero() || from.Before(r.From)) {
		r.From = from
	}
	if to.After(r.To) {
		r.To = to
	}
}

const batchBytes = 256 << 10

// each reads all items and calls visit for each, on all cores: worker tells which of them calls, so that each can count for itself. Test items of the
// program are left out.
func (s *itemSource) each(ctx context.Context, in std, p *gauge, visit func(worker int, it *news.Item, when time.Time)) (itemsRead, error) {
	var since time.Time
	if s.sinceSet || len(s.files) == 0 {
		var err error
		if since, err = parseSince(s.since, time.Now()); err != nil {
			return itemsRead{}, usage(err)
		}
	}
	workers := runtime.GOMAXPROCS(0)
	batches := make(chan []byte, 2*workers)
	counts := make([]itemsRead, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for b := range batches {
				counts[w].batch(b, since, p, func(it *news.Item, when time.Time) { visit(w, it, when) })
			}
		})
	}
	err := s.batches(ctx, in, p, since, batches)
	close(batches)
	wg.Wait()
	var all itemsRead
	for _, c := range counts {
		all.Items, all.Dated, all.Bad = all.Items+c.Items, all.Dated+c.Dated, all.Bad+c.Bad
		all.span(c.From, c.To)
	}
	if len(s.files) == 0 {
		all.span(since, time.Now())
	}
	if err == nil && all.Items == 0 && all.Bad > 0 {
		err = usage(fmt.Errorf("none of the %d lines is an item: give JSON Lines as `tocsin items --format jsonl` writes them", all.Bad))
	}
	return all, err
}

func (r *itemsRead) batch(b []byte, since time.Time, p *gauge, visit func(*news.Item, time.Time)) {
	var f fileItem
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		if len(line) == 0 {
			continue
		}
		when, err := f.read(line)
		switch {
		case err != nil:
			r.Bad++
		case f.Reason == news.ReasonCanary, !when.IsZero() && when.Before(since):
		default:
			r.add(when)
			p.items.Add(1)
			p.reached(when)
			visit(&f.Item, when)
		}
	}
}

// batches sends whole lines, many at a time.
func (s *itemSource) batches(ctx context.Context, in std, p *gauge, since time.Time, to chan<- []byte) error {
	if len(s.files) == 0 {
		body, err := s.open(ctx)
		if err != nil {
			return err
		}
		defer body.Close()
		p.times(since, time.Now())
		return sendLines(ctx, body, to)
	}
	p.files(s.files)
	for _, name := range s.files {
		if err := s.file(ctx, in, p, name, to); err != nil {
			return err
		}
	}
	return nil
}

func (s *itemSource) open(ctx context.Context) (io.ReadCloser, error) {
	c, err := newClient(s.server)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(ctx, http.MethodGet, "/api/v1/items", url.Values{"since": {s.since}})
	if err != nil {
		return nil, fmt.Errorf("%w; or name files with --items", err)
	}
	return resp.Body, nil
}

func (s *itemSource) file(ctx context.Context, in std, p *gauge, name string, to chan<- []byte) error {
	r := in.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return usage(fmt.Errorf("%s: %w: name a readable file with --items", name, cause(err)))
		}
		defer f.Close()
		r = p.counted(f)
	}
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bufio.NewReaderSize(r, 1<<20))
		if err != nil {
			return usage(fmt.Errorf("%s: %w", name, err))
		}
		r = z
	}
	if err := sendLines(ctx, r, to); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// sendLines cuts what it reads behind line ends. A line over maxLine ends the reading: what follows it could not be trusted.
func sendLines(ctx context.Context, r io.Reader, to chan<- []byte) error {
	var rest []byte
	for {
		b := make([]byte, len(rest)+batchBytes)
		copy(b, rest)
		n, err := io.ReadFull(r, b[len(rest):])
		b = b[:len(rest)+n]
		end := bytes.LastIndexByte(b, '\n') + 1
		if err != nil {
			end = len(b)
		}
		rest = b[end:]
		if len(rest) > maxLine {
			return fmt.Errorf("a line is longer than %d bytes", maxLine)
		}
		if end > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case to <- b[:end]:
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
