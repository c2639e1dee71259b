package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/news/strict"
	"tocsin/notifier"
)

// maxSilenceBody bounds a silence in JSON.
const maxSilenceBody = 64 << 10

func (in *instance) serveSilences(w http.ResponseWriter, _ *http.Request) {
	list := in.notify.Silences()
	if list == nil {
		list = []notifier.Silence{}
	}
	writeJSON(w, list)
}

func readSilence(w http.ResponseWriter, r *http.Request) (s notifier.Silence, ok bool) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxSilenceBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		http.Error(w, "the silence cannot be read: "+err.Error(), http.StatusBadRequest)
		return s, false
	}
	return s, true
}

func (in *instance) serveSilenceAdd(w http.ResponseWriter, r *http.Request) {
	s, ok := readSilence(w, r)
	if !ok {
		return
	}
	s, err := in.notify.AddSilence(r.Context(), s)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	writeJSON(w, s)
}

func (in *instance) serveSilenceExpire(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	switch err := in.notify.ExpireSilence(r.Context(), id); {
	case errors.Is(err, notifier.ErrNoSilence):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	default:
		writeJSON(w, map[string]string{"expired": id})
	}
}

// silencePreview is what a silence would have hidden.
type silencePreview struct {
	Looked int          `json:"looked"` // alerts of the last 7 days, folds not counted
	Muted  []mutedAlert `json:"muted"`
}

type mutedAlert struct {
	Key, Line string
}

func (in *instance) serveSilencePreview(w http.ResponseWriter, r *http.Request) {
	s, ok := readSilence(w, r)
	if !ok {
		return
	}
	muted, looked, err := in.notify.PreviewSilence(r.Context(), s)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	out := silencePreview{Looked: looked, Muted: []mutedAlert{}}
	for _, a := range muted {
		out.Muted = append(out.Muted, mutedAlert{a.Key(), alertLine(a)})
	}
	writeJSON(w, out)
}

// post sends v as JSON and reads the answer into out. Any status but 200 is an error.
func (c *client) post(ctx context.Context, path string, v, out any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base.JoinPath(path).String(), bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("X-Tocsin", "1")
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("no running instance answers at %s: start one with `tocsin run`, or name it with --server: %w", c.base, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", c.base, readShort(resp.Body))
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// silenceFlags are the conditions of a silence on the command line; matchers are arguments.
type silenceFlags struct {
	server, author, comment, lasts, start, end string
	words, entities, stories, sources          []string
}

func (f *silenceFlags) bind(c *cobra.Command) {
	serverFlag(c, &f.server)
	who := os.Getenv("USER")
	fl := c.Flags()
	fl.StringVar(&f.author, "author", who, "who mutes")
	fl.StringVar(&f.comment, "comment", "", "why (compulsory)")
	fl.StringVar(&f.lasts, "for", "", "how long: 2h, 7d; at most 90d")
	fl.StringVar(&f.start, "start", "", "from this time instead of now")
	fl.StringVar(&f.end, "end", "", "until this time, instead of --for")
	fl.StringArrayVar(&f.words, "word", nil, "word or phrase in title, summary or body")
	fl.StringArrayVar(&f.entities, "entity", nil, "entity id; an alert that names another entity too is not muted")
	fl.StringArrayVar(&f.stories, "story", nil, "story id")
	fl.StringArrayVar(&f.sources, "source", nil, "feed id, outlet or host")
}

func (f *silenceFlags) silence(args []string, now time.Time) (notifier.Silence, error) {
	s := notifier.Silence{
		Matchers: args, Words: f.words, Entities: f.entities, Stories: f.stories, Sources: f.sources, Author: f.author, Comment: f.comment, Start: now,
	}
	var err error
	if f.start != "" {
		if s.Start, err = parseMoment(f.start); err != nil {
			return s, err
		}
	}
	switch {
	case f.end != "":
		s.End, err = parseMoment(f.end)
	case f.lasts != "":
		var d time.Duration
		d, err = strict.ParseDuration(f.lasts)
		s.End = s.Start.Add(d)
	}
	return s, err
}

// parseMoment reads a time of the command line; without a zone it is the local one.
func parseMoment(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("time %q: write it as 2026-11-25T08:00:00Z, 2026-11-25T08:00 or 2026-11-25", s)
}

func silenceCommand(s std) *cobra.Command {
	c := &cobra.Command{
		Use: "silence", Short: "Mute alerts for a time, with author, reason and end", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(silenceAddCommand(s), silencePreviewCommand(s), silenceListCommand(s), silenceExpireCommand(s))
	return c
}

func silenceAddCommand(s std) *cobra.Command {
	var f silenceFlags
	c := &cobra.Command{
		Use: "add [MATCHER...]", Short: "Mute alerts that meet every condition",
		Example: "  tocsin silence add 'entity=\"bla\"' 'lang=\"en\"' --for 2d --comment \"exercise until Friday\"\n  tocsin silence add --word \"cricket\" --for 30d --comment \"sports pages\"",
		RunE: func(c *cobra.Command, args []string) error {
			x, err := f.silence(args, time.Now())
			if err != nil {
				return usage(err)
			}
			cl, err := newClient(f.server)
			if err != nil {
				return err
			}
			if err := cl.post(c.Context(), "/api/v1/silences", x, &x); err != nil {
				return err
			}
			fmt.Fprintf(s.out, "%s mutes until %s\n", x.ID, x.End.Local().Format(clock))
			return nil
		},
	}
	f.bind(c)
	return c
}

func silencePreviewCommand(s std) *cobra.Command {
	var f silenceFlags
	c := &cobra.Command{
		Use: "preview [MATCHER...]", Short: "What a silence would have hidden in the last 7 days",
		RunE: func(c *cobra.Command, args []string) error {
			if f.lasts == "" && f.end == "" {
				f.lasts = "1h"
			}
			if f.comment == "" {
				f.comment = "preview"
			}
			if f.author == "" {
				f.author = "preview"
			}
			x, err := f.silence(args, time.Now())
			if err != nil {
				return usage(err)
			}
			cl, err := newClient(f.server)
			if err != nil {
				return err
			}
			var p silencePreview
			if err := cl.post(c.Context(), "/api/v1/silences/preview", x, &p); err != nil {
				return err
			}
			for _, m := range p.Muted {
				fmt.Fprintln(s.out, m.Line)
			}
			fmt.Fprintf(s.out, "%d of %d alerts of the last 7 days would have been muted\n", len(p.Muted), p.Looked)
			return nil
		},
	}
	f.bind(c)
	return c
}

func silenceListCommand(s std) *cobra.Command {
	var server string
	var over bool
	c := &cobra.Command{
		Use: "list", Short: "One line for each silence", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := newClient(server)
			if err != nil {
				return err
			}
			resp, err := cl.do(c.Context(), http.MethodGet, "/api/v1/silences", nil)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			var list []notifier.Silence
			if err := json.NewDecoder(resp.Body).Decode(&list); err != nil {
				return fmt.Errorf("read silences: %w", err)
			}
			return listSilences(s.out, list, over, time.Now())
		},
	}
	serverFlag(c, &server)
	c.Flags().BoolVar(&over, "all", false, "also those that are over")
	return c
}

func listSilences(out io.Writer, list []notifier.Silence, over bool, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATE\tUNTIL\tAUTHOR\tWHAT\tCOMMENT")
	for i := range list {
		x := &list[i]
		state := "active"
		switch {
		case x.Active(now):
		case now.Before(x.Start):
			state = "to come"
		case !over:
			continue
		default:
			state = "over"
		}
		what := append([]string{}, x.Matchers...)
		for _, f := range []struct {
			name   string
			values []string
		}{{"words", x.Words}, {"entities", x.Entities}, {"stories", x.Stories}, {"sources", x.Sources}} {
			if len(f.values) > 0 {
				what = append(what, f.name+" "+strings.Join(f.values, ", "))
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, state, x.End.Local().Format(clock), x.Author, isolate(strings.Join(what, "; ")), isolate(x.Comment))
	}
	return w.Flush()
}

func silenceExpireCommand(s std) *cobra.Command {
	var server string
	c := &cobra.Command{
		Use: "expire ID", Short: "End a silence now", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := newClient(server)
			if err != nil {
				return err
			}
			resp, err := cl.do(c.Context(), http.MethodPost, "/api/v1/silences/expire", url.Values{"id": {args[0]}})
			if err != nil {
				return err
			}
			fmt.Fprintf(s.out, "%s is over\n", args[0])
			return resp.Body.Close()
		},
	}
	serverFlag(c, &server)
	return c
}
