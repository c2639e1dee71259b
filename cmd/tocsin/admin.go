package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tocsin/bus"
	"tocsin/news"
	"tocsin/news/strict"
)

// handler is everything the instance serves over HTTP. It is meant for loopback or a trusted network: it reads, and only POST acts.
func (in *instance) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(in.reg, promhttp.HandlerOpts{EnableOpenMetrics: true, Registry: in.reg}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", in.serveReady)
	for _, form := range []string{"rss", "atom", "json"} {
		mux.Handle("GET /alerts."+form, in.feed)
	}
	mux.HandleFunc("POST /api/v1/send", in.serveSend)
	mux.HandleFunc("GET /api/v1/suppressed", in.serveSuppressed)
	mux.HandleFunc("POST /api/v1/suppressed/lift", in.serveLift)
	mux.HandleFunc("GET /api/v1/items", func(w http.ResponseWriter, r *http.Request) { stream(w, r, in.bus.ReadItems) })
	mux.HandleFunc("GET /api/v1/matches", func(w http.ResponseWriter, r *http.Request) { stream(w, r, in.bus.ReadMatches) })
	mux.HandleFunc("GET /api/v1/alerts", func(w http.ResponseWriter, r *http.Request) { stream(w, r, in.bus.ReadAlerts) })
	mux.HandleFunc("GET /api/v1/feeds", in.serveFeeds)
	mux.HandleFunc("GET /api/v1/feeds/show", in.serveFeedShow)
	mux.HandleFunc("POST /api/v1/feeds/poll", in.serveFeedPoll)
	mux.HandleFunc("GET /api/v1/status", in.serveStatus)
	mux.HandleFunc("GET /api/v1/watchlists", in.serveWatchlists)
	mux.HandleFunc("GET /api/v1/why", in.serveWhy)
	mux.HandleFunc("GET /api/v1/dead", in.serveDead)
	mux.HandleFunc("POST /api/v1/dead/retry", in.serveDeadRetry)
	mux.HandleFunc("POST /api/v1/dead/drop", in.serveDeadDrop)
	mux.HandleFunc("POST /api/v1/reload", in.serveReload)
	mux.HandleFunc("POST "+backupPath, in.serveBackup)
	mux.HandleFunc("GET /api/v1/silences", in.serveSilences)
	mux.HandleFunc("POST /api/v1/silences", in.serveSilenceAdd)
	mux.HandleFunc("POST /api/v1/silences/preview", in.serveSilencePreview)
	mux.HandleFunc("POST /api/v1/silences/expire", in.serveSilenceExpire)
	mux.HandleFunc("GET /api/v1/ledger", in.serveLedger)
	mux.HandleFunc("GET /api/v1/feedback", in.serveWorth)
	mux.HandleFunc("POST /api/v1/feedback", in.serveFeedbackAPI)
	if in.cfg.Notifier.Feedback != nil {
		mux.HandleFunc("GET "+feedbackPath, in.serveFeedback)
		mux.HandleFunc("POST "+feedbackPath, in.serveFeedback)
	}
	mux.HandleFunc("GET /api/v1/ledger/check", in.serveLedgerCheck)
	return in.public(in.local(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if in.page.Owns(r) {
			in.page.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})))
}

// local refuses requests that a web page could make a browser send: a foreign Host (DNS rebinding), and writes from another origin.
func (in *instance) local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signed := r.URL.Path == feedbackPath // its links are for people elsewhere; a signature guards it
		if !in.ownHost(r.Host) && (!signed || !sameHost(r.Host, in.feedbackHost())) {
			http.Error(w, "this host name is not ours: open the page by its address", http.StatusForbidden)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get("X-Tocsin") == "" && !signed && !in.page.Owns(r) {
			http.Error(w, "writes need the header X-Tocsin: the command line sets it", http.StatusForbidden)
			return
		}
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// ownHost accepts literal addresses and localhost; names only when the listener is not on loopback (a reverse proxy or a container).
func (in *instance) ownHost(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if host == "localhost" || net.ParseIP(strings.Trim(host, "[]")) != nil {
		return true
	}
	a, ok := in.listen.Addr().(*net.TCPAddr)
	return ok && !a.IP.IsLoopback()
}

// sameHost compares a Host header with a name.
func sameHost(hostport, name string) bool {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = h
	}
	return name != "" && strings.EqualFold(hostport, name)
}

func (in *instance) serveReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case !in.ready.Load():
		http.Error(w, "starting or stopping", http.StatusServiceUnavailable)
	case !in.bus.Connected():
		http.Error(w, "the bus is not connected", http.StatusServiceUnavailable)
	default:
		fmt.Fprintln(w, "ready")
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the reader went away
}

// stream writes stored values as JSON Lines: ?since=24h or a time, &follow=1 keeps going.
func stream[T any](w http.ResponseWriter, r *http.Request, read func(context.Context, time.Time, bool, func(T, bus.Meta) error) error) {
	since, err := parseSince(r.URL.Query().Get("since"), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl; charset=utf-8")
	rc := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	follow := r.URL.Query().Get("follow") == "1"
	if follow {
		w.WriteHeader(http.StatusOK)
		_ = rc.Flush() // so that the client knows the stream is open before the first value
	}
	err = read(r.Context(), since, follow, func(v T, _ bus.Meta) error {
		if err := enc.Encode(v); err != nil {
			return err
		}
		if follow {
			return rc.Flush()
		}
		return nil
	})
	if err != nil && r.Context().Err() == nil && !follow {
		fmt.Fprintf(w, "{\"error\":%q}\n", err.Error())
	}
}

// parseSince reads a duration back from now (24h, 7d) or a time (RFC 3339, or a date). Empty means the last 24 hours.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return now.Add(-24 * time.Hour), nil
	}
	if d, err := strict.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("since %q: write a duration such as 24h or 7d, or a time such as 2026-11-25T08:00:00Z", s)
}

func (in *instance) serveFeeds(w http.ResponseWriter, r *http.Request) {
	st, err := in.feedRows(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, st)
}

func (in *instance) serveStatus(w http.ResponseWriter, r *http.Request) {
	st, err := in.bus.Status(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, map[string]any{
		"version": programVersion(), "began": in.began, "roles": in.roles.String(), "bus": st,
		"watchlists": in.match.Revision(), "lists": in.reload.status(), "channels": in.notify.Channels(),
	})
}

// deadRow is a dead letter with its place in the stream, which names it for `dead show` and `dead retry`.
type deadRow struct {
	Seq uint64 `json:"seq"`
	news.DeadLetter
}

var errStopReading = errors.New("enough read")

func (in *instance) deadRows(ctx context.Context, since time.Time, want uint64) ([]deadRow, error) {
	var rows []deadRow
	err := in.bus.ReadDead(ctx, since, false, func(d news.DeadLetter, m bus.Meta) error {
		if want == 0 || m.Sequence == want {
			rows = append(rows, deadRow{m.Sequence, d})
		}
		if want != 0 && m.Sequence == want {
			return errStopReading
		}
		return nil
	})
	if errors.Is(err, errStopReading) {
		err = nil
	}
	return rows, err
}

func (in *instance) serveDead(w http.ResponseWriter, r *http.Request) {
	since, err := parseSince(r.URL.Query().Get("since"), time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	seq, _ := strconv.ParseUint(r.URL.Query().Get("seq"), 10, 64)
	if seq != 0 {
		since = time.Time{}
	}
	rows, err := in.deadRows(r.Context(), since, seq)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, ofChannel(rows, r.URL.Query().Get("channel")))
}

// ofChannel keeps the dead letters of one channel; "" keeps all.
func ofChannel(rows []deadRow, channel string) []deadRow {
	return slices.DeleteFunc(rows, func(r deadRow) bool { return channel != "" && r.Channel != channel })
}

// serveDeadRetry plans dead letters again: ?seq=N one of them, ?since=D all of that time, with &channel= only those of it. A delivery keeps its id, so that receivers can tell.
func (in *instance) serveDeadRetry(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	seq, _ := strconv.ParseUint(q.Get("seq"), 10, 64)
	since, err := parseSince(q.Get("since"), time.Now())
	if err != nil || (seq == 0 && q.Get("since") == "") {
		http.Error(w, "say which: seq=N or since=24h", http.StatusBadRequest)
		return
	}
	if seq != 0 {
		since = time.Time{}
	}
	rows, err := in.deadRows(r.Context(), since, seq)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	rows = ofChannel(rows, q.Get("channel"))
	done, errs := 0, []string{}
	for _, row := range rows {
		if err := in.retryDead(r.Context(), row); err != nil {
			errs = append(errs, fmt.Sprintf("dead letter %d: %s", row.Seq, err))
			continue
		}
		done++
	}
	writeJSON(w, map[string]any{"found": len(rows), "retried": done, "errors": errs})
}

// retryDead gives a dead letter back to its stage, then removes it. A crash in between leaves it listed: the same ids make that harmless.
func (in *instance) retryDead(ctx context.Context, row deadRow) error {
	var err error
	switch row.Stage {
	case "channel":
		err = in.notify.RetryDead(ctx, row.DeadLetter)
	case "matcher":
		err = again(row.Payload, func(it news.Item) error { return in.match.Handle(ctx, it) })
	case "notifier":
		err = again(row.Payload, func(m news.Match) error { return in.notify.HandleMatch(ctx, m) })
	case "router":
		err = again(row.Payload, func(a news.Alert) error { return in.notify.HandleAlert(ctx, a) })
	default:
		err = fmt.Errorf("stage %q cannot be tried again by this version", row.Stage)
	}
	if err != nil {
		return err
	}
	return in.bus.DeleteDead(ctx, row.Seq)
}

func again[T news.Wire](payload []byte, handle func(T) error) error {
	v, err := news.Decode[T](payload)
	if err != nil {
		return err
	}
	return handle(v)
}

// client asks a running instance.
type client struct {
	base  *url.URL
	http  *http.Client
	token string
}

func newClient(server string) (*client, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return nil, usage(fmt.Errorf("--server %q: write it as http://127.0.0.1:8470", server))
	}
	loopback, err := parseNetworks([]string{"0.0.0.0/0", "::/0"}) // the operator names the address on the command line
	if err != nil {
		return nil, err
	}
	token, err := clientToken()
	if err != nil {
		return nil, err
	}
	h, err := newGuard(loopback).client(os.Getenv("TOCSIN_CA_FILE"), 30*time.Second)
	return &client{u, h, token}, err
}

// do sends one request; path may hold a query. The caller closes the body. Any status but 200 is an error.
func (c *client) do(ctx context.Context, method, path string, q url.Values) (*http.Response, error) {
	resp, err := c.send(ctx, method, path, q)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", c.base, readShort(resp.Body))
	}
	return resp, nil
}

// send is do for callers that look at the status themselves.
func (c *client) send(ctx context.Context, method, path string, q url.Values) (*http.Response, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Tocsin", "1")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no running instance answers at %s: start one with `tocsin run`, or name it with --server: %w", c.base, errors.Unwrap(err))
	}
	return resp, nil
}
