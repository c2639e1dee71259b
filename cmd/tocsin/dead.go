package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tocsin/news"
)

func deadCommand(s std) *cobra.Command {
	c := &cobra.Command{Use: "dead", Short: "Dead letters: what could not be processed or delivered", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(deadListCommand(s), deadShowCommand(s), deadRetryCommand(s), deadDropCommand(s))
	return c
}

func deadListCommand(s std) *cobra.Command {
	var server, since string
	c := &cobra.Command{
		Use: "list", Short: "One line for each dead letter", Args: cobra.NoArgs,
		Example: "  tocsin dead list --since 7d",
		RunE: func(c *cobra.Command, _ []string) error {
			rows, err := deadFrom(c, server, url.Values{"since": {since}})
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "NUMBER\tTIME\tSTAGE\tCHANNEL\tREASON\tTRIES\tWHAT\tERROR")
			for _, r := range rows {
				fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.Seq, r.At.Local().Format(clock), r.Stage, r.Channel, r.Reason, r.Attempts, isolate(r.Summary), r.Error)
			}
			return w.Flush()
		},
	}
	serverFlag(c, &server)
	c.Flags().StringVar(&since, "since", "90d", "how far back: 24h, 7d, or a time")
	return c
}

func deadShowCommand(s std) *cobra.Command {
	var server string
	c := &cobra.Command{
		Use: "show NUMBER", Short: "One dead letter with its bytes", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			q, err := seqQuery(args[0])
			if err != nil {
				return err
			}
			rows, err := deadFrom(c, server, q)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				return fmt.Errorf("dead letter %s is not stored: `tocsin dead list` shows the numbers", args[0])
			}
			r := rows[0]
			fmt.Fprintf(s.out, "number    %d\ntime      %s\nstage     %s\nchannel   %s\nid        %s\nreason    %s\nerror     %s\nattempts  %d\nsubject   %s\n\n%s\n",
				r.Seq, r.At.Local().Format(clock), r.Stage, r.Channel, r.ID, r.Reason, r.Error, r.Attempts, r.Subject, r.Payload)
			return nil
		},
	}
	serverFlag(c, &server)
	return c
}

func deadRetryCommand(s std) *cobra.Command {
	var server, since, channel string
	var dry, yes bool
	c := &cobra.Command{
		Use:     "retry [NUMBER]",
		Short:   "Give dead letters back to their stage; a delivery keeps its id",
		Example: "  tocsin dead retry 17\n  tocsin dead retry --since 24h --channel desk-mail --dry-run",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			q := url.Values{}
			switch {
			case len(args) == 1:
				var err error
				if q, err = seqQuery(args[0]); err != nil {
					return err
				}
			case since != "":
				q.Set("since", since)
			default:
				return usage(errors.New("say which: a number from `tocsin dead list`, or --since 24h for all of that time"))
			}
			if channel != "" {
				q.Set("channel", channel)
			}
			if dry || since != "" && !yes {
				rows, err := deadFrom(c, server, q)
				if err != nil {
					return err
				}
				fmt.Fprintf(s.out, "%d would be given back%s\n", len(rows), whereTo(rows))
				if dry || len(rows) == 0 {
					return nil
				}
				if err := s.confirm("Give them back?"); err != nil {
					return err
				}
			}
			return deadRetry(c, s, server, q)
		},
	}
	serverFlag(c, &server)
	c.Flags().StringVar(&since, "since", "", "all dead letters of this time: 24h, 7d")
	c.Flags().StringVar(&channel, "channel", "", "only those of this channel")
	c.Flags().BoolVar(&dry, "dry-run", false, "count them and do nothing")
	c.Flags().BoolVar(&yes, "yes", false, "with --since: do not ask")
	return c
}

// whereTo tells whom dead letters would reach, by channel; those of other stages begin there again.
func whereTo(rows []deadRow) string {
	n := map[string]int{}
	for _, r := range rows {
		to := r.Channel
		if to == "" {
			to = "the " + r.Stage
		}
		n[to]++
	}
	var parts []string
	for _, to := range news.SortedKeys(n) {
		parts = append(parts, fmt.Sprintf("%d to %s", n[to], to))
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}

// confirm asks a person. What answers nothing, as a script, has not agreed.
func (s std) confirm(question string) error {
	fmt.Fprintf(s.out, "%s [y/N] ", question)
	line, _ := bufio.NewReader(s.in).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(line)); a != "y" && a != "yes" {
		fmt.Fprintln(s.out)
		return usage(errors.New("nothing was done: answer y, or write --yes"))
	}
	return nil
}

func deadDropCommand(s std) *cobra.Command {
	var server string
	c := &cobra.Command{
		Use: "drop NUMBER...", Short: "Remove dead letters for good; the ledger keeps that they died",
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := newClient(server)
			if err != nil {
				return err
			}
			for _, a := range args {
				q, err := seqQuery(a)
				if err != nil {
					return err
				}
				resp, err := cl.do(c.Context(), http.MethodPost, "/api/v1/dead/drop", q)
				if err != nil {
					return err
				}
				_ = resp.Body.Close() // the status says all
				fmt.Fprintf(s.out, "dead letter %s is removed\n", a)
			}
			return nil
		},
	}
	serverFlag(c, &server)
	return c
}

func deadRetry(c *cobra.Command, s std, server string, q url.Values) error {
	cl, err := newClient(server)
	if err != nil {
		return err
	}
	resp, err := cl.do(c.Context(), http.MethodPost, "/api/v1/dead/retry", q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var out struct {
		Found, Retried int
		Errors         []string
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	for _, e := range out.Errors {
		fmt.Fprintln(s.err, e)
	}
	fmt.Fprintf(s.out, "%d of %d given back\n", out.Retried, out.Found)
	if out.Found == 0 || len(out.Errors) > 0 {
		return failed(errors.New("not all were given back"))
	}
	return nil
}

func seqQuery(arg string) (url.Values, error) {
	n, err := strconv.ParseUint(arg, 10, 64)
	if err != nil || n == 0 {
		return nil, usage(fmt.Errorf("%q is not the number of a dead letter: `tocsin dead list` shows them", arg))
	}
	return url.Values{"seq": {arg}}, nil
}

func deadFrom(c *cobra.Command, server string, q url.Values) ([]deadRow, error) {
	cl, err := newClient(server)
	if err != nil {
		return nil, err
	}
	resp, err := cl.do(c.Context(), http.MethodGet, "/api/v1/dead", q)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var rows []deadRow
	if err := json.NewDecoder(resp.Body).Decode(&rows); err != nil {
		return nil, fmt.Errorf("read dead letters: %w", err)
	}
	return rows, nil
}
