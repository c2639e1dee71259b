package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"tocsin/fetcher"
)

func feedsCheckCommand(s std) *cobra.Command {
	var file string
	var parallel int
	c := &cobra.Command{
		Use:     "check",
		Short:   "Ask every feed once and say what it answered",
		Long:    "Ask every configured feed once, politely, and print one line each: how many items it holds, or why it cannot be read. Exit status 1 if any cannot.",
		Example: "  tocsin feeds check --config tocsin.yaml",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, faults := loadConfig(file)
			feeds, more := loadFeeds(&cfg)
			if err := append(faults, more...).Err(); err != nil {
				return usage(err)
			}
			ch, err := cfg.checker()
			if err != nil {
				return err
			}
			return checkFeeds(c.Context(), s, ch, feeds, parallel)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().IntVar(&parallel, "parallel", 16, "feeds asked at the same time")
	return c
}

// checker looks at feeds by the guarded client and with the distances of the configuration.
func (c *config) checker() (*fetcher.Checker, error) {
	allow, err := parseNetworks(c.networks())
	if err != nil {
		return nil, usage(err)
	}
	g := newGuard(allow)
	return fetcher.NewChecker(fetcher.Options{
		Client:    func(f fetcher.Feed) (*http.Client, error) { return g.feedClient(c, f) },
		UserAgent: userAgent(c.Fetcher.Contact), HostGap: c.hostGap(),
	}), nil
}

// hostGap is the distance of requests to one host; none is written as a negative one for the fetcher, whose zero means the default.
func (c *config) hostGap() time.Duration {
	if c.Fetcher.HostGap == 0 {
		return -1
	}
	return c.Fetcher.HostGap
}

// byHost puts feeds of one host together, so that one worker asks them one after the other and no worker waits for another's host.
func byHost(feeds []fetcher.Feed) [][]fetcher.Feed {
	var out [][]fetcher.Feed
	at := map[string]int{}
	for _, f := range feeds {
		h := strings.ToLower(hostOf(f.URL))
		i, ok := at[h]
		if !ok {
			i = len(out)
			at[h], out = i, append(out, nil)
		}
		out[i] = append(out[i], f)
	}
	slices.SortStableFunc(out, func(a, b []fetcher.Feed) int { return len(b) - len(a) })
	return out
}

// checkAll asks every feed once and gives each result to tell, one at a time.
func checkAll(ctx context.Context, s std, ch *fetcher.Checker, feeds []fetcher.Feed, parallel int, tell func(r *fetcher.CheckResult)) (done, bad int) {
	todo := make(chan []fetcher.Feed)
	var mu sync.Mutex
	var wg sync.WaitGroup
	one := func(f fetcher.Feed) {
		r := ch.Check(ctx, f)
		mu.Lock()
		defer mu.Unlock()
		done++
		if r.Fault != nil {
			bad++
		}
		tell(&r)
		progress(s, done, len(feeds), "feeds asked")
	}
	for range max(1, parallel) {
		wg.Go(func() {
			for group := range todo {
				for _, f := range group {
					if ctx.Err() == nil {
						one(f)
					}
				}
			}
		})
	}
	for _, group := range byHost(feeds) {
		if ctx.Err() != nil {
			break
		}
		todo <- group
	}
	close(todo)
	wg.Wait()
	return done, bad
}

func checkFeeds(ctx context.Context, s std, ch *fetcher.Checker, feeds []fetcher.Feed, parallel int) error {
	done, bad := checkAll(ctx, s, ch, feeds, parallel, func(r *fetcher.CheckResult) {
		clearLine(s)
		fmt.Fprintf(s.out, "%-6s %-3s %-24s %s  %s%s\n", okWord(r.Fault == nil), r.Feed.Lang, r.Feed.Outlet, checkSummary(r), r.Feed.URL, insecureWord(r.Feed.Insecure))
	})
	fmt.Fprintf(s.out, "%d of %d feeds can be read\n", done-bad, len(feeds))
	if bad > 0 || done < len(feeds) {
		return failed(errors.New("some feeds cannot be read"))
	}
	return nil
}

// clearLine takes the bar away before a line is written.
func clearLine(s std) {
	if (std{out: s.err}).terminal() {
		fmt.Fprint(s.err, "\r\033[K")
	}
}

// checkSummary says in one line what a feed answered.
func checkSummary(r *fetcher.CheckResult) string {
	if r.Fault != nil {
		return r.Fault.Error()
	}
	s := fmt.Sprintf("%d items, %s, newest %s", len(r.Items), r.Kind, ago(r.Newest))
	if r.Moved != "" {
		s += ", moved for good: write " + r.Moved + " into the list, and the old address as was:"
	}
	for _, n := range r.Notes {
		s += ", " + n
	}
	return s
}

func okWord(ok bool) string {
	if ok {
		return "ok"
	}
	return "fails"
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}
