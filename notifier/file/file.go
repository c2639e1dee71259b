// Package file is the channel that appends alerts to a file as JSON Lines: one line for each delivery, with the delivery id, synced to disk
// before it counts as delivered. It promises that a line torn by a crash spoils only itself, and that an id stands twice only after an
// ambiguous attempt. The file may be moved away at any time (logrotate): every delivery opens it anew. Readers skip lines that are not JSON.
package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file.
type Config struct {
	strict.Pos
	Path strict.Text `yaml:"path"` // of the file; its folder must exist
}

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	if c.Path.Value == "" {
		fs.Add(c.Pos, "write path: /var/lib/tocsin/alerts.jsonl", "channel of type file has no path")
	}
	return fs
}

// Options are what the channel needs beside its configuration.
type Options struct {
	ID string // of the channel
}

// New returns the channel. It does not open the file: a folder that is missing for a while only delays deliveries.
func New(c Config, o Options) (notifier.Channel, error) {
	if err := c.Check().Err(); err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	w := &writer{path: c.Path.Value}
	return notifier.Channel{
		ID: o.ID, Type: "file", Recipients: []string{""}, Concurrency: 1, Render: render, RenderDigest: digest, Short: short, Send: w.send,
	}, nil
}

// Line is one line of the file.
type Line struct {
	Delivery string       `json:"delivery"`
	Alert    *news.Alert  `json:"alert,omitempty"`
	Alerts   []news.Alert `json:"alerts,omitempty"`  // of a digest, without the bodies of their items
	Subject  string       `json:"subject,omitempty"` // alone when the alert itself does not fit
	Route    string       `json:"route"`
	Reason   string       `json:"reason"`
	At       time.Time    `json:"at"`
}

func render(a *news.Alert, d *news.Delivery) error {
	v := notifier.NewView(a, nil)
	d.Subject = v.Subject()
	return fill(d, Line{Delivery: d.ID, Alert: a, Route: d.Route, Reason: d.Reason, At: d.PlannedAt})
}

func digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	l := Line{Delivery: d.ID, Subject: d.Subject, Route: d.Route, Reason: d.Reason, At: d.PlannedAt}
	for _, a := range entries {
		a.Match.Item.Body = ""
		l.Alerts = append(l.Alerts, a)
	}
	return fill(d, l)
}

func short(d *news.Delivery) error {
	return fill(d, Line{Delivery: d.ID, Subject: d.Subject, Route: d.Route, Reason: d.Reason, At: d.PlannedAt})
}

func fill(d *news.Delivery, l Line) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("write line: %w", err)
	}
	d.Body = append(b, '\n')
	return nil
}

type writer struct {
	mu   sync.Mutex
	path string
}

func (w *writer) send(ctx context.Context, d *news.Delivery) notifier.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return notifier.Result{Status: err.Error()}
	}
	wrote, err := w.append(d.Body)
	if err == nil {
		return notifier.Result{Verdict: notifier.Delivered, Status: "written"}
	}
	r := notifier.Result{Status: err.Error(), Ambiguous: wrote}
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		r.Verdict = notifier.Misconfigured
	}
	return r
}

// append writes one line in one call and syncs it. wrote says that the whole line may stand in the file although an error is returned.
func (w *writer) append(line []byte) (wrote bool, err error) {
	_, statErr := os.Stat(w.path)
	f, err := os.OpenFile(w.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o640)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	torn, err := tornEnd(f)
	if err != nil {
		return false, err
	}
	if torn {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := f.Write(line); err != nil {
		return false, err
	}
	if err := f.Sync(); err != nil {
		return true, err
	}
	if errors.Is(statErr, fs.ErrNotExist) {
		return true, syncDir(filepath.Dir(w.path))
	}
	return true, nil
}

// tornEnd tells whether the file ends inside a line. What cannot be read from an end (a pipe, a terminal) has no torn line.
func tornEnd(f *os.File) (bool, error) {
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	if !st.Mode().IsRegular() || st.Size() == 0 {
		return false, nil
	}
	last := make([]byte, 1)
	if _, err := f.ReadAt(last, st.Size()-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
