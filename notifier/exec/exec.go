// Package exec is the channel that hands alerts to a program of the operator's, as one JSON object on its standard input. It promises that nothing
// of an alert stands on a command line or in the environment, that no shell is involved, and that the program sees none of our own environment.
// Whether programs may run at all is for the operator's file to allow; the caller asks it.
package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file.
type Config struct {
	strict.Pos
	Command     []string      `yaml:"command"`     // full path of the program, then its arguments, as they are
	Timeout     time.Duration `yaml:"timeout"`     // of one run, 15 s when not stated, at most 60 s
	Concurrency int           `yaml:"concurrency"` // runs at the same time, 1 when not stated, at most 16
}

const maxFlight = 16

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	switch {
	case len(c.Command) == 0:
		fs.Add(c.Pos, "write command: [/usr/local/bin/program]", "channel of type exec has no command")
	case !filepath.IsAbs(c.Command[0]):
		fs.Add(c.Pos, "write its full path", "the command %q is looked up nowhere", c.Command[0])
	}
	notifier.CheckTimeout(&fs, c.Pos, c.Timeout)
	if c.Concurrency < 0 || c.Concurrency > maxFlight {
		fs.Add(c.Pos, fmt.Sprintf("write 1 to %d", maxFlight), "concurrency %d is out of range", c.Concurrency)
	}
	return fs.Sort()
}

// Options are what the channel needs beside its configuration.
type Options struct {
	ID string
}

// New returns the channel.
func New(c Config, o Options) (notifier.Channel, error) {
	if err := c.Check().Err(); err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	r := runner{command: c.Command, timeout: c.Timeout}
	if r.timeout == 0 {
		r.timeout = notifier.PostTimeout
	}
	return notifier.Channel{
		ID: o.ID, Type: "exec", Recipients: []string{""}, Concurrency: max(1, c.Concurrency), Render: render, RenderDigest: digest, Short: short, Send: r.send,
	}, nil
}

// Input is what the program reads: one JSON object and a line end.
type Input struct {
	Delivery string       `json:"delivery"` // the same for every run of one delivery
	Subject  string       `json:"subject"`  // one line
	Route    string       `json:"route"`
	Reason   string       `json:"reason"`
	At       time.Time    `json:"at"`
	Alert    *news.Alert  `json:"alert,omitempty"`  // without the item's body; missing in the short form
	Alerts   []news.Alert `json:"alerts,omitempty"` // of a digest, instead of Alert
}

func render(a *news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewView(a, nil).Subject()
	own := *a
	own.Match.Item.Body = ""
	return fill(d, &own, nil)
}

func digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	all := slices.Clone(entries)
	for i := range all {
		all[i].Match.Item.Body = ""
	}
	return fill(d, nil, all)
}

func short(d *news.Delivery) error { return fill(d, nil, nil) }

func fill(d *news.Delivery, a *news.Alert, all []news.Alert) error {
	b, err := json.Marshal(Input{d.ID, d.Subject, d.Route, d.Reason, d.PlannedAt.UTC(), a, all})
	if err != nil {
		return fmt.Errorf("write input: %w", err)
	}
	d.Body = append(b, '\n')
	return nil
}

// Exit codes with a meaning of their own (sysexits.h). Every other one but 0 is tried again.
const (
	dataErr  = 65 // the program does not take this input
	noUser   = 67 // nobody is there to be told
	tempFail = 75
	confErr  = 78
)

type runner struct {
	command []string
	timeout time.Duration
}

func (r *runner) send(ctx context.Context, d *news.Delivery) notifier.Result {
	if err := ctx.Err(); err != nil {
		return notifier.Result{Status: err.Error()}
	}
	ctx, stop := context.WithTimeout(ctx, r.timeout)
	defer stop()
	c := exec.CommandContext(ctx, r.command[0], r.command[1:]...)
	said := &head{left: 4 << 10}
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(d.Body), io.Discard, said
	c.Env, c.Dir = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}, "/"
	c.WaitDelay = time.Second
	if err := c.Start(); err != nil {
		v := notifier.Retry
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, exec.ErrNotFound) {
			v = notifier.Misconfigured
		}
		return notifier.Result{Verdict: v, Status: err.Error()}
	}
	err := c.Wait()
	if ctx.Err() != nil {
		return notifier.Result{Status: "the program did not end in time", Ambiguous: true}
	}
	return judge(err, strings.ToValidUTF8(said.b.String(), ""))
}

// judge reads how the program ended. One that ends well without reading its input has done what it wants with it.
func judge(err error, said string) notifier.Result {
	r := notifier.Result{Response: said}
	ended := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return notifier.Result{Verdict: notifier.Delivered, Status: "exit 0", Response: said}
	case errors.As(err, &ended) && ended.ExitCode() < 0:
		r.Status, r.Ambiguous = ended.Error(), true // killed by a signal: what it did before is not known
		return r
	case !errors.As(err, &ended):
		r.Status, r.Ambiguous = err.Error(), true
		return r
	}
	code := ended.ExitCode()
	switch code {
	case dataErr:
		r.Verdict = notifier.Refused
	case noUser:
		r.Verdict = notifier.Permanent
	case confErr, 126, 127:
		r.Verdict = notifier.Misconfigured
	}
	r.Status = "exit " + strconv.Itoa(code)
	if said != "" {
		r.Status += ": " + notifier.Shorten(said, 200)
	}
	return r
}

// head keeps the beginning of what is written and lets the rest go.
type head struct {
	b    bytes.Buffer
	left int
}

func (h *head) Write(p []byte) (int, error) {
	n := min(len(p), h.left)
	h.left -= n
	h.b.Write(p[:n])
	return len(p), nil
}
