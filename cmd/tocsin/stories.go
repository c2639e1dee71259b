package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/matcher"
	"tocsin/news"
	"tocsin/notifier/story"
)

// storyInput is one line of `tocsin stories`.
type storyInput struct {
	ID        string    `json:"id"`
	Lang      string    `json:"lang"`
	Source    string    `json:"source"`
	Title     string    `json:"title"`
	Summary   string    `json:"summary"`
	URL       string    `json:"url"`
	Published time.Time `json:"published"`
}

func (in *storyInput) item() news.Item {
	it := news.Item{
		ID: in.ID, Lang: in.Lang, Outlet: in.Source, Title: in.Title, Summary: in.Summary, URL: in.URL,
		Published: in.Published, FirstSeen: in.Published,
	}
	if it.Lang == "" {
		it.Lang = "und"
	}
	return it
}

type storyOutput struct {
	ID    string `json:"id"`
	Story string `json:"story"`
}

func storiesCommand(s std) *cobra.Command {
	var dir string
	var why bool
	c := &cobra.Command{
		Use:   "stories",
		Short: "Join items from standard input (JSON Lines) into stories",
		Long: `Read items as JSON Lines from standard input in order of arrival, {"id", "lang", "source", "title", "summary", "url", "published"}, and at the end
of input write one line each, in the same order: {"id", "story"}. The items go through the same stage as those of a running instance.
With --why, standard error tells of each item what joined it, what spoke against it, and the nearest story that it did not join.
A line that cannot be read is told on standard error and gives exit status 2 at the end; the others are joined all the same.`,
		Example: `  tocsin stories < items.jsonl > stories.jsonl`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			x, _, err := loadIndex(dir)
			if err != nil {
				return usage(fmt.Errorf("watchlists are refused:\n%w", err))
			}
			return joinStories(s, x, why)
		},
	}
	listsFlag(c, &dir)
	c.Flags().BoolVar(&why, "why", false, "tell the evidence on standard error")
	return c
}

// joinStories reads all items, then tells the story of each as it is in the end.
func joinStories(s std, x *matcher.Index, why bool) error {
	stage, err := story.New(story.Options{})
	if err != nil {
		return err
	}
	var ids []string
	final := map[string]string{} // story that an item was put in, by item
	into := map[string]string{}  // story that a story ended in
	bad := 0
	err = eachLine(s.in, maxLine, func(n int, line []byte, tooLong bool) error {
		if len(strings.TrimSpace(string(line))) == 0 {
			return nil
		}
		var in storyInput
		err := json.Unmarshal(line, &in)
		switch {
		case tooLong:
			err = fmt.Errorf("longer than %d bytes", maxLine)
		case err == nil && in.ID == "":
			err = errors.New("no id")
		}
		if err != nil {
			bad++
			fmt.Fprintf(s.err, "line %d: %s\n", n, err)
			return nil
		}
		it := in.item()
		sig := x.Signature(&it)
		d, err := stage.Add(story.Of(&it, &sig))
		if err != nil {
			return err
		}
		if _, again := final[in.ID]; !again {
			ids = append(ids, in.ID)
		}
		final[in.ID] = d.Story
		for _, m := range d.Merged {
			into[m.From] = m.Into
		}
		if why {
			tellStory(s.err, &it, &d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := writeStories(s.out, ids, final, into); err != nil {
		return err
	}
	if bad > 0 {
		return usage(fmt.Errorf("%d lines could not be read: each is told above", bad))
	}
	return nil
}

func writeStories(out io.Writer, ids []string, final, into map[string]string) error {
	w := bufio.NewWriterSize(out, 64<<10)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, id := range ids {
		st := final[id]
		for into[st] != "" {
			st = into[st]
		}
		if err := enc.Encode(storyOutput{id, st}); err != nil {
			return err
		}
	}
	return w.Flush()
}

// tellStory words one decision for people.
func tellStory(w io.Writer, it *news.Item, d *story.Decision) {
	fmt.Fprintf(w, "%s %s\n", it.ID, it.Title)
	switch {
	case d.Again:
		fmt.Fprintf(w, "  known: story %s\n", d.Story)
	case d.Opened:
		fmt.Fprintf(w, "  opens story %s\n", d.Story)
	}
	if d.Joined != nil {
		tellLink(w, "joins", d.Joined)
	}
	if d.Nearest != nil {
		tellLink(w, "not", d.Nearest)
	}
	for _, m := range d.Merged {
		tellLink(w, "story "+m.From+" ends in", &m.Link)
	}
}

func tellLink(w io.Writer, verb string, l *story.Link) {
	fmt.Fprintf(w, "  %s %s: %+.1f points\n", verb, l.Story, l.Points)
	for _, e := range l.Evidence {
		fmt.Fprintf(w, "    %+5.1f %s", e.Points, e.Name)
		if e.Detail != "" {
			fmt.Fprintf(w, " (%s)", e.Detail)
		}
		fmt.Fprintln(w)
	}
}
