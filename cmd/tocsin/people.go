package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/news"
	"tocsin/notifier/email"
	"tocsin/notifier/feed"
)

// suppression is one address that must not be written to: the value in bucket suppressed.
type suppression struct {
	Address   string    `json:"address"`
	Watchlist string    `json:"watchlist,omitempty"` // "" means all
	Why       string    `json:"why"`
	At        time.Time `json:"at"`
}

const suppressedBucket = "suppressed"

func suppressionKey(address, watchlist string) string {
	sum := sha256.Sum256([]byte(strings.ToLower(address) + "\n" + watchlist))
	return hex.EncodeToString(sum[:16])
}

// buildDoors makes what leads out of the program and what people come in by: channels, feeds of alerts, links to leave a list.
func (in *instance) buildDoors() error {
	people := email.People{Away: in.away, Bounced: in.bounced}
	var err error
	if in.channels, err = in.cfg.buildChannels(outside{in.guard, in.out, people}); err != nil {
		return err
	}
	if in.feed, err = feed.New(in.cfg.HTTP.Feeds, feed.Options{Alerts: in.recent.newest, Began: in.began}); err != nil {
		return err
	}
	door := email.Unsubscribe{Leave: func(ctx context.Context, address, list string) error {
		in.log.Warn("recipient left a list", "watchlist", list)
		return in.suppress(ctx, suppression{Address: address, Watchlist: list, Why: "the recipient left the list"})
	}}
	for _, ch := range in.cfg.Channels {
		if ch.Email == nil {
			continue
		}
		l, err := ch.Email.Leaver()
		if err != nil {
			return err
		}
		if l != nil {
			door.Leavers = append(door.Leavers, l)
		}
	}
	in.leave = door
	return nil
}

// public lets the door for leaving a list through to everybody: its token is its proof, and mail programs send no header of ours.
func (in *instance) public(local http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/unsubscribe" {
			in.leave.ServeHTTP(w, r)
			return
		}
		local.ServeHTTP(w, r)
	})
}

func (in *instance) suppress(ctx context.Context, s suppression) error {
	s.At = time.Now().UTC()
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = in.bus.State(suppressedBucket).Put(ctx, suppressionKey(s.Address, s.Watchlist), b, 0)
	if errors.Is(err, news.ErrConflict) {
		return nil // it stands there already
	}
	return err
}

func (in *instance) bounced(ctx context.Context, address, status string) error {
	in.log.Warn("address does not exist, no mail goes there until it is lifted", "status", status)
	return in.suppress(ctx, suppression{Address: address, Why: "the address does not exist: " + status})
}

func (in *instance) away(ctx context.Context, address, watchlist string) (string, error) {
	for _, list := range []string{"", watchlist} {
		b, _, err := in.bus.State(suppressedBucket).Get(ctx, suppressionKey(address, list))
		if errors.Is(err, news.ErrNotFound) {
			continue
		}
		if err != nil {
			return "", err
		}
		var s suppression
		if err := json.Unmarshal(b, &s); err != nil {
			return "", fmt.Errorf("read suppression: %w", err)
		}
		return s.Why, nil
	}
	return "", nil
}

func (in *instance) suppressions(ctx context.Context) ([]suppression, error) {
	state := in.bus.State(suppressedBucket)
	keys, err := state.Keys(ctx)
	if err != nil {
		return nil, err
	}
	out := []suppression{}
	for _, k := range keys {
		b, _, err := state.Get(ctx, k)
		if errors.Is(err, news.ErrNotFound) {
			continue
		}
		var s suppression
		if err == nil {
			err = json.Unmarshal(b, &s)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b suppression) int { return a.At.Compare(b.At) })
	return out, nil
}

func (in *instance) serveSuppressed(w http.ResponseWriter, r *http.Request) {
	all, err := in.suppressions(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, all)
}

// serveLift lets an address be written to again: ?address=, and &watchlist= when it left one list.
func (in *instance) serveLift(w http.ResponseWriter, r *http.Request) {
	all, err := in.suppressions(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	q, n := r.URL.Query(), 0
	for _, s := range all {
		if !strings.EqualFold(s.Address, q.Get("address")) || q.Has("watchlist") && q.Get("watchlist") != s.Watchlist {
			continue
		}
		if err := in.bus.State(suppressedBucket).Delete(r.Context(), suppressionKey(s.Address, s.Watchlist)); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		n++
	}
	writeJSON(w, map[string]int{"lifted": n})
}

func suppressedCommand(s std) *cobra.Command {
	c := &cobra.Command{
		Use: "suppressed", Short: "Mail addresses that are not written to: who left, and what does not exist", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	var server, list string
	show := &cobra.Command{
		Use: "list", Short: "One line for each address", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var rows []suppression
			if err := ask(c, server, http.MethodGet, "/api/v1/suppressed", nil, &rows); err != nil {
				return err
			}
			w := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "TIME\tADDRESS\tWATCHLIST\tWHY")
			for _, r := range rows {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.At.Local().Format(clock), r.Address, r.Watchlist, r.Why)
			}
			return w.Flush()
		},
	}
	lift := &cobra.Command{
		Use: "lift ADDRESS", Short: "Write to an address again", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			q := url.Values{"address": {args[0]}}
			if list != "" {
				q.Set("watchlist", list)
			}
			var out struct{ Lifted int }
			if err := ask(c, server, http.MethodPost, "/api/v1/suppressed/lift", q, &out); err != nil {
				return err
			}
			fmt.Fprintf(s.out, "%d lifted\n", out.Lifted)
			if out.Lifted == 0 {
				return failed(errors.New("nothing was lifted"))
			}
			return nil
		},
	}
	serverFlag(show, &server)
	serverFlag(lift, &server)
	lift.Flags().StringVar(&list, "watchlist", "", "only what the recipient said about this watchlist")
	c.AddCommand(show, lift)
	return c
}

// ask sends one request to a running instance and reads the JSON that it answers.
func ask(c *cobra.Command, server, method, path string, q url.Values, answer any) error {
	cl, err := newClient(server)
	if err != nil {
		return err
	}
	resp, err := cl.do(c.Context(), method, path, q)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}
