package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tocsin/matcher"
	"tocsin/matcher/watchlist"
	"tocsin/news"
)

// maxTextInput bounds what explain reads; maxLine bounds one line of match and score.
const (
	maxTextInput = 1 << 20
	maxLine      = 4 << 20
)

func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = usage(fmt.Errorf("input is longer than %d bytes", limit))
	}
	return b, err
}

// inputItem is one line of `tocsin match`.
type inputItem struct {
	ID      *string `json:"id"`
	Lang    string  `json:"lang"`
	Title   string  `json:"title"`
	Summary string  `json:"summary"`
	Body    string  `json:"body"`
	URL     string  `json:"url"`
}

func (in *inputItem) item() news.Item {
	it := news.Item{Lang: in.Lang, Title: in.Title, Summary: in.Summary, Body: in.Body, URL: in.URL}
	if it.Lang == "" {
		it.Lang = "und"
	}
	if in.ID != nil {
		it.ID = *in.ID
	}
	return it
}

// outputLine is one line of the answer of `tocsin match`.
type outputLine struct {
	ID       *string        `json:"id"`
	Flagged  []string       `json:"flagged"`
	Mentions []news.Mention `json:"mentions"`
	Rules    []outputRule   `json:"rules"`
}

type outputRule struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

type outputError struct {
	ID    *string `json:"id"`
	Error string  `json:"error"`
}

func matchCommand(s std) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "match",
		Short: "Match items from standard input (JSON Lines) against the watchlists",
		Long: `Read items as JSON Lines from standard input, {"id", "lang", "title", "summary", "body", "url"}, and write one line each, in order:
{"id", "flagged": [ids of entities and rules], "mentions": [{entity, alias, field, start, end, text, why}], "rules": [{id, why}]}.
A line that cannot be read gives {"id": null, "error": ...} and exit status 2 at the end; the others are matched all the same.`,
		Example: `  echo '{"id":"1","title":"TTP claims ambush in Bajaur"}' | tocsin match`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			x, _, err := loadIndex(dir)
			if err != nil {
				return usage(fmt.Errorf("watchlists are refused:\n%w", err))
			}
			return matchLines(s, x)
		},
	}
	listsFlag(c, &dir)
	return c
}

func listsFlag(c *cobra.Command, v *string) {
	c.Flags().StringVar(v, "watchlists", shipped, "folder of watchlists")
	_ = c.MarkFlagDirname("watchlists")
}

// eachLine calls f for every line; a line over the limit is cut and passed with tooLong set, so that one line never stops the others.
func eachLine(r io.Reader, limit int, f func(n int, line []byte, tooLong bool) error) error {
	br := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		var line []byte
		tooLong := false
		for {
			part, err := br.ReadSlice('\n')
			if room := limit - len(line); len(part) > room {
				part, tooLong = part[:room], true
			}
			line = append(line, part...)
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if err == io.EOF {
				if len(line) == 0 && !tooLong {
					return nil
				}
				return f(n, line, tooLong)
			}
			if err != nil {
				return err
			}
			break
		}
		if err := f(n, line, tooLong); err != nil {
			return err
		}
	}
}

func matchLines(s std, x *matcher.Index) error {
	w := bufio.NewWriterSize(s.out, 64<<10)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	bad := 0
	err := eachLine(s.in, maxLine, func(n int, line []byte, tooLong bool) error {
		var in inputItem
		err := json.Unmarshal(line, &in)
		if tooLong {
			err = fmt.Errorf("longer than %d bytes", maxLine)
		}
		if err != nil {
			bad++
			return enc.Encode(outputError{Error: fmt.Sprintf("line %d: %s", n, err)})
		}
		it := in.item()
		return enc.Encode(answer(in.ID, x.Match(&it)))
	})
	if err := errors.Join(err, w.Flush()); err != nil {
		return err
	}
	if bad > 0 {
		return usage(fmt.Errorf("%d lines could not be read: each has its error in the output", bad))
	}
	return nil
}

// answer folds the matches of all lists into one line, each id once.
func answer(id *string, ms []news.Match) outputLine {
	out := outputLine{ID: id, Flagged: []string{}, Mentions: []news.Mention{}, Rules: []outputRule{}}
	ids := map[string]bool{}
	for _, m := range ms {
		for _, k := range m.IDs() {
			ids[k] = true
		}
		out.Mentions = append(out.Mentions, m.Mentions...)
		for _, r := range m.Rules {
			out.Rules = append(out.Rules, outputRule{r.ID, r.Why})
		}
	}
	out.Flagged = news.SortedKeys(ids)
	return out
}

func schemaCommand(s std) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "JSON Schema of the watchlist language, for editors", Args: cobra.NoArgs,
		Example: "  tocsin schema > schema.json   # then: # yaml-language-server: $schema=schema.json",
		RunE: func(*cobra.Command, []string) error {
			_, err := s.out.Write(append(watchlist.Schema(), '\n'))
			return err
		},
	}
}
