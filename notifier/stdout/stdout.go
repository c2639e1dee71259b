// Package stdout is the channel that shows alerts on a terminal or in a log: one block for each alert with the mention highlighted, readable
// in right-to-left scripts too. It promises that hostile text cannot send control sequences to the terminal. Whether the output is a terminal,
// and the output itself, are handed in.
package stdout

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file.
type Config struct {
	strict.Pos
	Color strict.Text `yaml:"color"` // auto (default), always or never
}

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	if !slices.Contains([]string{"", "auto", "always", "never"}, c.Color.Value) {
		fs.Add(c.Color.Pos, "write auto, always or never", "color %q is not known", c.Color.Value)
	}
	return fs
}

// Options are what the channel needs beside its configuration.
type Options struct {
	ID       string
	Writer   io.Writer
	Terminal bool           // Writer is a terminal
	NoColor  bool           // the environment asks for no colour (NO_COLOR is set and not empty)
	Location *time.Location // second time zone beside UTC; may be nil
}

// New returns the channel.
func New(c Config, o Options) (notifier.Channel, error) {
	if err := c.Check().Err(); err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	if o.Writer == nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: no writer", o.ID)
	}
	p := painter{loc: o.Location, color: c.Color.Value == "always" || c.Color.Value != "never" && o.Terminal && !o.NoColor}
	w := &writer{w: o.Writer}
	return notifier.Channel{
		ID: o.ID, Type: "stdout", Recipients: []string{""}, Concurrency: 1, Render: p.render, RenderDigest: p.digest, Short: short, Send: w.send,
	}, nil
}

type writer struct {
	mu sync.Mutex
	w  io.Writer
}

func (w *writer) send(ctx context.Context, d *news.Delivery) notifier.Result {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return notifier.Result{Status: err.Error()}
	}
	n, err := w.w.Write(d.Body)
	if err != nil {
		return notifier.Result{Status: err.Error(), Ambiguous: n > 0}
	}
	return notifier.Result{Verdict: notifier.Delivered, Status: "written"}
}

func short(d *news.Delivery) error {
	d.Body = []byte(notifier.Isolate(notifier.Clean(d.Subject)) + "\n\n")
	return nil
}

type painter struct {
	color bool
	loc   *time.Location
}

// Sequences of ECMA-48.
const (
	reset = "\x1b[0m"
	bold  = "\x1b[1m"
	dim   = "\x1b[2m"
	mark  = "\x1b[1;30;43m"
	blue  = "\x1b[34m"
)

func severityColor(s string) string {
	switch s {
	case "critical":
		return "\x1b[1;37;41m"
	case "high":
		return "\x1b[1;31m"
	case "medium":
		return "\x1b[1;33m"
	case "low":
		return "\x1b[1;36m"
	}
	return bold
}

func (p painter) paint(code, s string) string {
	if !p.color || code == "" || s == "" {
		return s
	}
	return code + s + reset
}

// parts writes text between isolates; the mention is coloured, or stands between asterisks where there is no colour.
func (p painter) parts(parts []notifier.Part, code string) string {
	var b strings.Builder
	for _, x := range parts {
		switch {
		case x.Mark && p.color:
			b.WriteString(p.paint(mark, x.Text))
		case x.Mark:
			b.WriteString("*" + x.Text + "*")
		default:
			b.WriteString(p.paint(code, x.Text))
		}
	}
	return notifier.IsolateOpen(notifier.Plain(parts)) + b.String() + notifier.IsolateEnd
}

func (p painter) render(a *news.Alert, d *news.Delivery) error {
	v := notifier.NewView(a, p.loc)
	d.Subject = v.Subject()
	var b strings.Builder
	line := func(indent, s string) {
		if s != "" {
			b.WriteString(indent + s + "\n")
		}
	}
	line("", p.top(v))
	line("  ", p.parts(v.Headline, bold))
	for _, s := range v.Lines {
		line("  ", notifier.Isolate(s))
	}
	if len(v.Lines) == 0 && len(v.Snippets) > 0 {
		line("  ", p.parts(v.Snippets, ""))
	}
	for _, f := range v.News() {
		line("  ", "new: "+notifier.Isolate(f))
	}
	for _, w := range v.Why {
		line("  ", p.paint(dim, "why: ")+why(w))
	}
	line("  ", p.paint(blue, v.Link))
	b.WriteString("\n")
	d.Body = []byte(b.String())
	return nil
}

func (p painter) digest(entries []news.Alert, d *news.Delivery) error {
	v := notifier.NewDigestView(entries, d, p.loc)
	d.Subject = v.Title
	d.Body = []byte(v.Text() + "\n")
	return nil
}

func why(w notifier.Why) string {
	s := notifier.Isolate(w.Name)
	if w.Text != "" {
		s += ": " + notifier.Isolate(w.Text)
	}
	return s
}

// top is the first line: severity, list, kind, outlet, time.
func (p painter) top(v *notifier.View) string {
	words := []string{p.paint(severityColor(v.Severity), strings.ToUpper(v.Severity)), notifier.Isolate(v.Watchlist)}
	if v.Kind != "" {
		words = append(words, v.Kind)
	}
	when := v.Published
	if when == "" {
		when = v.FirstSeen
	}
	words = append(words, notifier.Isolate(v.Outlet), v.Language, p.paint(dim, when))
	words = slices.DeleteFunc(words, func(s string) bool { return s == "" })
	return strings.Join(words, p.paint(dim, " · "))
}
