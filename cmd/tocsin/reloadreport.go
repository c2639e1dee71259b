package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"tocsin/matcher"
	"tocsin/news"
)

type reloadMetrics struct {
	successful *prometheus.GaugeVec
	timestamp  *prometheus.GaugeVec
}

func newReloadMetrics(reg prometheus.Registerer) *reloadMetrics {
	m := &reloadMetrics{
		successful: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tocsin_config_last_reload_successful", Help: "1 when the last load of these lists was accepted, 0 when it was refused and older ones keep running.",
		}, []string{"what"}),
		timestamp: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tocsin_config_last_reload_success_timestamp_seconds", Help: "When lists of this kind were last accepted.",
		}, []string{"what"}),
	}
	reg.MustRegister(m.successful, m.timestamp)
	return m
}

func (m *reloadMetrics) outcome(what string, ok bool, now time.Time) {
	if !ok {
		m.successful.WithLabelValues(what).Set(0)
		return
	}
	m.successful.WithLabelValues(what).Set(1)
	m.timestamp.WithLabelValues(what).Set(float64(now.UnixMilli()) / 1000)
}

// episodeOf names one time of refusal. The same fault over the same good lists within an hour is one story: restarts and replicas that see it too
// do not tell people again.
func episodeOf(s *listStatus, now time.Time) string {
	sum := sha256.Sum256([]byte(s.Refused))
	return fmt.Sprintf("reload %s %s %s %s", s.What, s.Revision, hex.EncodeToString(sum[:6]), now.UTC().Truncate(time.Hour).Format(time.RFC3339))
}

const (
	healthTitle   = "Tocsin itself"
	maxHealthText = 2 << 10
)

// refused is the alert that lists were not accepted.
func refused(s listStatus, now time.Time) news.Alert {
	n := strings.Count(s.Refused, "\n") + 1
	faults := "1 fault"
	if n > 1 {
		faults = fmt.Sprintf("%d faults", n)
	}
	title := fmt.Sprintf("%s refused: %s. Revision %s keeps running", capital(s.What), faults, s.Revision)
	return health(s.episode, 1, news.SeverityHigh, title, s.Refused, now, now)
}

// recovered is the alert that ends a refusal.
func recovered(s, before listStatus, now time.Time) news.Alert {
	title := fmt.Sprintf("%s accepted again: revision %s is live", capital(s.What), s.Revision)
	return health(before.episode, 2, news.SeverityInfo, title, fmt.Sprintf("They were refused since %s.", before.RefusedSince.UTC().Format(time.RFC3339)), before.RefusedSince, now)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// health is an alert about the program itself, on the reserved watchlist.
func health(story string, revision int, severity news.Severity, title, text string, opened, now time.Time) news.Alert {
	if len(text) > maxHealthText {
		text = text[:strings.LastIndexByte(text[:maxHealthText], '\n')+1] + "... the status page has all of it"
	}
	it := news.Item{
		ID: news.ItemID(matcher.CanaryList, story), Revision: news.ContentHash(title, "", text), Reason: news.ReasonNew, Outlet: healthTitle,
		Lang: "en", Title: title, Summary: text, FirstSeen: now,
	}
	return news.Alert{
		Schema: news.Schema, ID: news.AlertID(story, matcher.CanaryList), Revision: revision, Kind: news.KindHealth, Story: story,
		Watchlist: matcher.CanaryList, Severity: severity, Items: 1, OpenedAt: opened, At: now,
		Match: news.Match{
			Schema: news.Schema, ID: news.MatchID(it.ID, it.Revision, matcher.CanaryList, ""), Item: it, Watchlist: matcher.CanaryList,
			Title: healthTitle, Severity: severity, MatchedAt: now,
		},
	}
}

// reloadReport is the answer of POST /api/v1/reload.
type reloadReport struct {
	OK    bool         `json:"ok"`
	Lists []listStatus `json:"lists"`
}

// serveReload loads all lists again and tells the outcome: 200 when all are accepted, 422 when some are refused.
func (in *instance) serveReload(w http.ResponseWriter, r *http.Request) {
	rep := reloadReport{OK: true, Lists: in.reload.all(context.WithoutCancel(r.Context()))}
	for _, l := range rep.Lists {
		rep.OK = rep.OK && l.OK
	}
	status := http.StatusOK
	if !rep.OK {
		status = http.StatusUnprocessableEntity
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	writeJSON(w, rep)
}

// serveWatchlists gives the files of the live watchlists as a zip archive.
func (in *instance) serveWatchlists(w http.ResponseWriter, _ *http.Request) {
	archive, err := in.reload.liveArchive()
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/zip")
	_, _ = w.Write(archive) // the reader went away
}

func reloadCommand(s std) *cobra.Command {
	var server string
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the running instance read its watchlists and feed lists again, now",
		Long: `Have the running instance read its watchlists and feed lists again. It does so by itself within seconds of an edit; this command waits for the
outcome and prints it. Lists with a fault are refused: the last good ones keep running, and the exit status is 1.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return reload(c.Context(), s, server) },
	}
	serverFlag(c, &server)
	return c
}

func reload(ctx context.Context, s std, server string) error {
	c, err := newClient(server)
	if err != nil {
		return err
	}
	resp, err := c.send(ctx, http.MethodPost, "/api/v1/reload", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnprocessableEntity {
		return fmt.Errorf("%s: %s", c.base, readShort(resp.Body))
	}
	var rep reloadReport
	if err := json.NewDecoder(resp.Body).Decode(&rep); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	for _, l := range rep.Lists {
		l.write(s)
	}
	if !rep.OK {
		return failed(errors.New("lists are refused"))
	}
	return nil
}

func (l *listStatus) write(s std) {
	if !l.OK {
		fmt.Fprintln(s.err, l.Refused)
		fmt.Fprintf(s.out, "%s: refused; revision %s keeps running\n", l.What, l.Revision)
		return
	}
	fmt.Fprintf(s.out, "%s: live: %s (%s)\n", l.What, l.Summary, strings.ReplaceAll(l.From, "_", " "))
	if l.NotShared != "" {
		fmt.Fprintf(s.err, "%s: not stored for other instances: %s\n", l.What, l.NotShared)
	}
}
