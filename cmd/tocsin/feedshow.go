package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/fetcher"
	"tocsin/news"
)

// feedDetail is all that is known of one feed: `tocsin feeds show`.
type feedDetail struct {
	feedRow
	Verdict     string             `json:"verdict"`
	Rhythm      string             `json:"rhythm"`
	RetryUntil  time.Time          `json:"retry_until,omitzero"`
	FullText    string             `json:"full_text,omitempty"`
	Pages       int                `json:"pages_wanted,omitempty"`
	Hub         string             `json:"hub,omitempty"`
	PushUntil   time.Time          `json:"push_until,omitzero"`
	PushDenied  string             `json:"push_denied,omitempty"`
	Pushed      uint64             `json:"pushed,omitempty"`
	PushRefused uint64             `json:"push_refused,omitempty"`
	Gaps        []fetcher.Gap      `json:"gaps"`
	Polls       []fetcher.PollNote `json:"polls"`
	Head        string             `json:"head,omitempty"`
	BadEntry    string             `json:"bad_entry,omitempty"`
	Gone        []fetcher.Gone     `json:"gone"`
	GoneSum     uint64             `json:"gone_sum,omitempty"`
}

func detailOf(f *fetcher.FeedStatus, now time.Time) feedDetail {
	return feedDetail{
		feedRow: rowOf(f), Verdict: f.Verdict(now), Rhythm: f.Rhythm(), RetryUntil: f.RetryUntil, FullText: f.Feed.FullText, Pages: f.Pages,
		Hub: f.Hub, PushUntil: f.PushUntil, PushDenied: f.PushDenied, Pushed: f.Pushed, PushRefused: f.PushRefused,
		Gaps: orEmpty(f.Gaps), Polls: orEmpty(f.Polls), Head: f.Head, BadEntry: f.BadEntry,
		Gone: orEmpty(f.Gone), GoneSum: f.GoneSum,
	}
}

// findFeed gives the one feed that a word of the operator names: its id or the beginning of it, its address, or its outlet.
func findFeed(all []fetcher.FeedStatus, word string) (*fetcher.FeedStatus, error) {
	fold := func(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
	w := fold(word)
	for _, same := range []func(f *fetcher.Feed) bool{
		func(f *fetcher.Feed) bool { return f.ID == w },
		func(f *fetcher.Feed) bool {
			return news.CanonicalURL(f.URL) == news.CanonicalURL(word) || f.Was != "" && news.CanonicalURL(f.Was) == news.CanonicalURL(word)
		},
		func(f *fetcher.Feed) bool { return fold(f.Outlet) == w },
		func(f *fetcher.Feed) bool { return len(w) >= 4 && strings.HasPrefix(f.ID, w) },
		func(f *fetcher.Feed) bool { return len(w) >= 3 && strings.Contains(fold(f.Outlet), w) },
	} {
		var found []*fetcher.FeedStatus
		for i := range all {
			if same(&all[i].Feed) {
				found = append(found, &all[i])
			}
		}
		switch {
		case len(found) == 1:
			return found[0], nil
		case len(found) > 1:
			return nil, severalFeeds(word, found)
		}
	}
	return nil, fmt.Errorf("feed %q: %w: `tocsin feeds list --live` names them", word, news.ErrNotFound)
}

var errSeveral = errors.New("several feeds fit")

func severalFeeds(word string, found []*fetcher.FeedStatus) error {
	var lines []string
	for _, f := range found[:min(len(found), 20)] {
		lines = append(lines, fmt.Sprintf("  %s  %s  %s", f.Feed.ID, f.Feed.Outlet, f.Feed.URL))
	}
	return fmt.Errorf("feed %q: %w: name one by its id:\n%s", word, errSeveral, strings.Join(lines, "\n"))
}

// wantedFeed finds the feed that ?feed= names, or answers the request.
func (in *instance) wantedFeed(w http.ResponseWriter, r *http.Request) *fetcher.FeedStatus {
	all, err := in.fetch.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return nil
	}
	f, err := findFeed(all, r.URL.Query().Get("feed"))
	switch {
	case errors.Is(err, errSeveral):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		http.Error(w, err.Error(), http.StatusNotFound)
	}
	return f
}

func (in *instance) serveFeedShow(w http.ResponseWriter, r *http.Request) {
	if f := in.wantedFeed(w, r); f != nil {
		writeJSON(w, detailOf(f, time.Now()))
	}
}

// feedPoll is the answer of POST /api/v1/feeds/poll.
type feedPoll struct {
	ID  string    `json:"id"`
	URL string    `json:"url"`
	At  time.Time `json:"at"`            // when the poll comes
	Why string    `json:"why,omitempty"` // why not at once
}

// serveFeedPoll has a feed polled now. A server that asked to be left alone is left alone until then.
func (in *instance) serveFeedPoll(w http.ResponseWriter, r *http.Request) {
	f := in.wantedFeed(w, r)
	if f == nil {
		return
	}
	if f.State == fetcher.StatePaused {
		http.Error(w, "the feed is paused in its list: remove paused: there first", http.StatusConflict)
		return
	}
	if err := in.fetch.Resume(r.Context(), f.Feed.ID); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	p := feedPoll{ID: f.Feed.ID, URL: f.Feed.URL, At: time.Now().UTC()}
	if f.RetryUntil.After(p.At) {
		p.At, p.Why = f.RetryUntil, "the server asked to be left alone until then"
	}
	in.log.Info("poll asked for", "feed", f.Feed.ID)
	writeJSON(w, p)
}

func feedsShowCommand(s std) *cobra.Command {
	var server, format string
	c := &cobra.Command{
		Use:     "show FEED",
		Short:   "All about one feed of the running instance: its state explained, its last 20 polls, what may have been missed",
		Long:    "FEED is an id or its first letters, an address, or the name of an outlet.",
		Example: "  tocsin feeds show 'IRNA'\n  tocsin feeds show https://www.irna.ir/rss --format json",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var d feedDetail
			if err := askFeed(c, server, http.MethodGet, "/api/v1/feeds/show", args[0], &d); err != nil {
				return err
			}
			if format == "json" {
				return writeIndented(s.out, d)
			}
			return writeDetail(s, &d)
		},
	}
	serverFlag(c, &server)
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

func feedsPollCommand(s std) *cobra.Command {
	var server string
	c := &cobra.Command{
		Use:     "poll FEED",
		Short:   "Have the running instance poll a feed now; it ends a 410 and a back-off, never a Retry-After",
		Example: "  tocsin feeds poll 'IRNA'",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var p feedPoll
			if err := askFeed(c, server, http.MethodPost, "/api/v1/feeds/poll", args[0], &p); err != nil {
				return err
			}
			if p.Why != "" {
				fmt.Fprintf(s.out, "%s is polled %s: %s\n", p.URL, ahead(p.At), p.Why)
				return nil
			}
			fmt.Fprintf(s.out, "%s is polled now; `tocsin feeds show %s` tells the outcome\n", p.URL, p.ID)
			return nil
		},
	}
	serverFlag(c, &server)
	return c
}

func askFeed(c *cobra.Command, server, method, path, word string, answer any) error {
	cl, err := newClient(server)
	if err != nil {
		return err
	}
	resp, err := cl.do(c.Context(), method, path, url.Values{"feed": {word}})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

func writeDetail(s std, d *feedDetail) error {
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	line("feed", "%s  %s  %s%s", d.ID, isolate(d.Outlet), d.URL, insecureWord(d.Insecure))
	line("verdict", "%s", d.Verdict)
	line("rhythm", "%s; next %s", d.Rhythm, ahead(d.Next))
	line("items", "%d published, %d possibly missed; kind %s", d.Items, d.Lost, d.Kind)
	if d.Adopted != "" {
		line("moved", "asked at %s: write that into the list, with the old address as was:", d.Adopted)
	}
	if d.RetryUntil.After(time.Now()) {
		line("waits", "the server asked to be left alone until %s", d.RetryUntil.Format(time.RFC3339))
	}
	if d.FullText != "" && d.FullText != fetcher.FullTextNever {
		line("articles", "full_text: %s, %d still wanted", d.FullText, d.Pages)
	}
	if d.Hub != "" {
		line("hub", "%s, %s", d.Hub, pushWord(d))
	}
	for _, n := range d.Notes {
		line("note", "%s", isolate(n))
	}
	for _, g := range d.Gone {
		line("taken back", "%s, item %s, which stays (%d so far)", g.At.Format("2006-01-02 15:04"), g.Item, d.GoneSum)
	}
	for _, g := range d.Gaps {
		line("gap", "%s", gapText(g))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return writePolls(s, d)
}

func pushWord(d *feedDetail) string {
	switch {
	case d.PushDenied != "":
		return "refused us: " + d.PushDenied
	case d.PushUntil.After(time.Now()):
		return fmt.Sprintf("brings news at once until %s: %d deliveries, %d without a good signature", d.PushUntil.UTC().Format(time.RFC3339), d.Pushed, d.PushRefused)
	}
	return "not subscribed: set fetcher.websub to have news at once"
}

func gapText(g fetcher.Gap) string {
	words := map[string]string{
		fetcher.GapScrolled: "no entry was known", fetcher.GapRefused: "documents could not be read", fetcher.GapCut: "documents ended too early",
		fetcher.GapAsleep: "nobody polled", fetcher.GapWish: "the publisher asks to wait longer than its document lasts: set interval: if nothing may be missed",
	}
	text := fmt.Sprintf("%s to %s: %s", g.From.Format("2006-01-02 15:04"), g.To.Format("2006-01-02 15:04"), words[g.Kind])
	if g.Lost > 0 {
		text += fmt.Sprintf(", about %d items missed", g.Lost)
	}
	if g.Found > 0 {
		text += fmt.Sprintf(", %d found on older pages", g.Found)
	}
	return text
}

func writePolls(s std, d *feedDetail) error {
	w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "\nPOLL\tSTATUS\tENTRIES\tNEW\tTOOK\tREASON")
	for i := len(d.Polls) - 1; i >= 0; i-- {
		p := d.Polls[i]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\n", p.At.Format("2006-01-02 15:04:05"), p.Status, p.Entries, p.New, p.Took, p.Reason)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if d.Head != "" {
		fmt.Fprintf(s.out, "\nThe last body that was no feed began:\n%s\n", isolate(d.Head))
	}
	if d.BadEntry != "" {
		fmt.Fprintf(s.out, "\nThe first entry of the last document that could not be read:\n%s\n", isolate(d.BadEntry))
	}
	return nil
}
