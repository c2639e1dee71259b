package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/matcher"
	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// daily reads the operator's words for the time of heartbeats.
func daily(t *testing.T, text string) *notifier.Daily {
	t.Helper()
	var c struct {
		Heartbeat notifier.Daily `yaml:"heartbeat"`
	}
	if err := strict.Decode("t.yaml", []byte("heartbeat: "+text+"\n"), 1<<10, &c).Err(); err != nil {
		t.Fatal(err)
	}
	return &c.Heartbeat
}

// TestHeartbeatsOncePerDay runs 400 days with restarts at odd times and outages: every civil day of the zone on which the program ran after the time
// has exactly one heartbeat, and their spans follow one another without a hole.
func TestHeartbeatsOncePerDay(t *testing.T) {
	lists := []matcher.ListInfo{{ID: "a", Severity: news.SeverityHigh}}
	for _, zone := range []string{"Asia/Kabul", "Asia/Karachi", "Europe/Berlin", "America/New_York", "UTC"} {
		t.Run(zone, func(t *testing.T) {
			d := daily(t, `{at: "02:30", location: `+zone+`}`) // the hour that clock changes leave out or repeat
			loc := d.Location.Location()
			slot := func(_ *news.Alert, after time.Time) (time.Time, time.Time) { n := d.Next(after); return n, n }
			b := &beats{lists: map[string]beatState{}, slot: slot}
			began := time.Date(2026, 11, 1, 0, 0, 0, 0, loc)
			days, ids, last := map[string]int{}, map[string]bool{}, began
			for now, n := began, 0; now.Before(began.AddDate(0, 0, 400)); now, n = now.Add(7*time.Minute), n+1 {
				if day := now.In(loc).YearDay(); day == 40 || day == 41 || day == 42 {
					continue // the program is stopped
				}
				due, _ := b.due(lists, now)
				for _, x := range due {
					days[now.In(loc).Format(time.DateOnly)]++
					a := beatAlert(x.list, &news.Heartbeat{From: x.from, To: now}, x.slot, now)
					if ids[a.ID] || !x.from.Equal(last) {
						t.Fatalf("at %s: repeated %v, from %s, the one before ended %s", now, ids[a.ID], x.from, last)
					}
					ids[a.ID], last = true, now
					if n%3 == 0 {
						// The program dies before it notes the heartbeat: what it makes then has the same id, so that the bus keeps one.
						again, _ := b.due(lists, now.Add(time.Minute))
						if len(again) != 1 || beatAlert(again[0].list, &news.Heartbeat{}, again[0].slot, now).ID != a.ID {
							t.Fatalf("after a crash: %+v", again)
						}
					}
					b.lists["a"] = beatState{Slot: x.slot, To: now}
				}
				data, err := json.Marshal(b.lists)
				if err != nil {
					t.Fatal(err)
				}
				b = &beats{lists: map[string]beatState{}, slot: slot}
				if err := json.Unmarshal(data, &b.lists); err != nil {
					t.Fatal(err)
				}
			}
			for day, n := range days {
				// After the outage the one that was missed comes at once, and that day's own follows.
				if n != 1 && !(n == 2 && strings.HasSuffix(day, "-02-12")) {
					t.Errorf("%s: %d heartbeats", day, n)
				}
			}
			if len(days) != 400-3 && len(days) != 400-4 {
				t.Errorf("%d days with a heartbeat", len(days))
			}
		})
	}
}

// TestHeartbeatGoesWithItsDigest: where the route has a digest the heartbeat is made just before it; without, at its time of day.
func TestHeartbeatGoesWithItsDigest(t *testing.T) {
	var c config
	text := `channels: [{id: desk, stdout: {}}]
notifier:
  route:
    channels: [desk]
    routes:
      - {matchers: ['watchlist="evening"'], digest: {at: ["18:00"], location: Asia/Karachi}}
      - {matchers: ['watchlist="weekly"'], digest: {every: 7d}}
`
	if err := strict.Decode("t.yaml", []byte(text), 1<<12, &c).Err(); err != nil {
		t.Fatal(err)
	}
	ch := notifier.Channel{ID: "desk", Recipients: []string{""}, Render: func(*news.Alert, *news.Delivery) error { return nil }}
	o := notifier.Options{Config: c.Notifier, Channels: []notifier.Channel{ch}}
	fillNotifier(&o)
	n, err := notifier.New(o)
	if err != nil {
		t.Fatal(err)
	}
	d := daily(t, `{at: "08:00", location: Asia/Karachi}`)
	after := time.Date(2026, 11, 25, 3, 0, 0, 0, time.UTC) // Wednesday, 08:00 there
	for list, want := range map[string]string{
		"morning": "2026-11-26T03:00:00Z 2026-11-26T03:00:00Z",
		"evening": "2026-11-26T13:00:00Z 2026-11-26T12:59:00Z",
		"weekly":  "2026-11-26T00:00:00Z",
	} {
		a := beatAlert(matcher.ListInfo{ID: list, Severity: news.SeverityMedium}, &news.Heartbeat{}, after, after)
		slot, when := n.HeartbeatSlot(&a, d, after)
		got := slot.UTC().Format(time.RFC3339) + " " + when.UTC().Format(time.RFC3339)
		if list == "weekly" {
			if slot.Weekday() != time.Thursday && slot.Sub(after) > 8*24*time.Hour || slot.Sub(when) != time.Minute {
				t.Errorf("weekly: %s", got)
			}
			continue
		}
		if got != want {
			t.Errorf("%s: %s, want %s", list, got, want)
		}
	}
}

// beatWorld is a small world: a feed that lives, one that is gone, one that is paused, and a desk and an operator that take webhooks.
type beatWorld struct {
	mu     sync.Mutex
	events map[string][]webhookEvent // by path
	srv    *httptest.Server
}

type webhookEvent struct {
	Type string `json:"type"`
	Data struct {
		Kind      string   `json:"kind"`
		Summary   string   `json:"summary"`
		Text      []string `json:"text"`
		Watchlist struct {
			ID string `json:"id"`
		} `json:"watchlist"`
	} `json:"data"`
}

func (w *beatWorld) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/live.xml":
		at := time.Now().Add(-time.Minute).UTC().Format(time.RFC1123Z)
		fmt.Fprint(rw, `<rss version="2.0"><channel><title>Live</title>`)
		for i, title := range []string{"The Xylophone Front met", "Rain", "Xylophone Front again", "Snow", "Wind"} {
			fmt.Fprintf(rw, "<item><title>%s</title><guid>g%d</guid><pubDate>%s</pubDate></item>", title, i, at)
		}
		fmt.Fprint(rw, "</channel></rss>")
	case "/gone.xml":
		rw.WriteHeader(http.StatusGone)
	default:
		var e webhookEvent
		b, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(b, &e); err != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events[r.URL.Path] = append(w.events[r.URL.Path], e)
	}
}

func (w *beatWorld) got(path, kind string) (out []webhookEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.events[path] {
		if kind == "" || e.Data.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

func openBeatWorld(t *testing.T) (w *beatWorld, dir, config string) {
	w = &beatWorld{events: map[string][]webhookEvent{}}
	w.srv = httptest.NewServer(w)
	t.Cleanup(w.srv.Close)
	dir = t.TempDir()
	write(t, dir, "feeds.yaml", strings.ReplaceAll(`feeds:
  - {url: "URL/live.xml", outlet: Live, lang: en}
  - {url: "URL/gone.xml", outlet: Gone, lang: en}
  - {url: "URL/paused.xml", outlet: Paused, lang: en, paused: true}
`, "URL", w.srv.URL))
	write(t, dir, "lists/a.yaml", list("a", "Xylophone Front"))
	write(t, dir, "hook.secret", "whsec_"+strings.Repeat("A", 43)+"=")
	return w, dir, strings.ReplaceAll(`
data_dir: data
http: {listen: "127.0.0.1:0"}
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1/32], min_interval: 1s, host_gap: 0s}
matcher: {watchlists: lists}
health: {canary: 1s, heartbeat: {at: "08:00", location: Asia/Kabul}}
channels:
  - {id: desk, webhook: {url: "URL/desk", secret_file: hook.secret, allow_http: true}}
  - {id: ops, webhook: {url: "URL/ops", secret_file: hook.secret, allow_http: true}}
notifier:
  silences: [{id: cricket, words: [cricket], start: 2026-01-01T00:00:00Z, end: 2026-03-01T00:00:00Z, author: ana, comment: sports pages}]
  route: {channels: [desk], routes: [{matchers: ['watchlist="tocsin"'], channels: [ops]}]}
`, "URL", w.srv.URL)
}

// beatAsOf makes an instance that is not running believe that its last heartbeat was long ago.
func beatAsOf(t *testing.T, dir, config string, st beatState) {
	t.Helper()
	cfg, faults := loadConfig(write(t, dir, "tocsin.yaml", config))
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	in, err := open(t.Context(), cfg, roles{true, true, true}, slog.New(slog.DiscardHandler), std{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.abandon()
	data, err := json.Marshal(map[string]beatState{"a": st})
	if err != nil {
		t.Fatal(err)
	}
	if err := putAny(t.Context(), in.bus.State("health"), beatKey, data); err != nil {
		t.Fatal(err)
	}
}

// TestHeartbeatTellsTheTruth: what was read, matched, and is in trouble stands in the heartbeat that reaches the desk; a restart sends no second one,
// and news of the program itself goes to the operators alone.
func TestHeartbeatTellsTheTruth(t *testing.T) {
	w, dir, config := openBeatWorld(t)
	in := openWithin(t, dir, config)
	waitFor(t, 60*time.Second, "the dead feed to be told to the operators", func() bool { return len(w.got("/ops", news.KindHealth)) > 0 })
	if e := w.got("/ops", news.KindHealth)[0]; e.Type != "tocsin.health" || !strings.Contains(e.Data.Summary, "Feed Gone is dead: 410") || len(e.Data.Text) < 3 {
		t.Errorf("health event %+v", e)
	}
	waitFor(t, 60*time.Second, "a canary to arrive", func() bool { return !in.canarySeen().IsZero() })
	noCanaries(t, in)
	if got := w.got("/desk", news.KindHeartbeat); len(got) != 0 {
		t.Fatalf("a new watch sends a heartbeat at once: %+v", got)
	}
	in.stop()
	from := time.Now().Add(-30 * time.Hour)
	beatAsOf(t, dir, config, beatState{Slot: from, To: from})
	write(t, dir, "lists/a.yaml", list("a", "Xylophone Front")+"\n    colour: red\n")
	in = openWithin(t, dir, config)
	waitFor(t, 60*time.Second, "the heartbeat", func() bool { return len(w.got("/desk", news.KindHeartbeat)) > 0 })
	e := w.got("/desk", news.KindHeartbeat)[0]
	text := strings.Join(e.Data.Text, "\n")
	for _, want := range []string{
		"(Asia/Kabul): 2 matches, 0 alerts opened.", "5 items read from all feeds, newest ", "1 of 2 feeds live, 1 dead, 1 paused", "Dead: Gone since ", "(410).",
		"Silences: none.", "newer lists refused since ", "a.yaml:", "colour",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the heartbeat lacks %q:\n%s", want, text)
		}
	}
	if e.Type != "tocsin.heartbeat" || e.Data.Watchlist.ID != "a" || !strings.Contains(e.Data.Summary, "2 matches from 1 of 2 live feeds") {
		t.Errorf("event %+v", e)
	}
	for range 2 {
		in.stop()
		in = openWithin(t, dir, config)
		began := time.Now()
		waitFor(t, 60*time.Second, "a canary after the restart", func() bool { return in.canarySeen().After(began) })
	}
	if got := w.got("/desk", news.KindHeartbeat); len(got) != 1 {
		t.Errorf("%d heartbeats after restarts", len(got))
	}
	if got := w.got("/desk", news.KindHealth); len(got) != 0 {
		t.Errorf("the desk is told of the program itself: %+v", got)
	}
	if page := in.get(t, "/metrics"); !strings.Contains(page, `tocsin_heartbeat_last_sent_timestamp_seconds{watchlist="a"}`) {
		t.Error("no metric of the heartbeat after a restart")
	}
}

// noCanaries looks everywhere where people look.
func noCanaries(t *testing.T, in *within) {
	t.Helper()
	for _, path := range []string{"/api/v1/items?since=1h", "/api/v1/matches?since=1h", "/api/v1/alerts?since=1h", "/api/v1/ledger?since=1h", "/alerts.json", "/"} {
		if text := in.get(t, path); strings.Contains(text, matcher.CanaryTitle) || strings.Contains(text, `"canary"`) {
			t.Errorf("%s shows a canary", path)
		}
	}
	page := in.get(t, "/metrics")
	for _, want := range []string{"tocsin_canary_last_delivered_timestamp_seconds ", "tocsin_canary_seconds_count ", `tocsin_items_total{outcome="canary",stage="matcher"}`} {
		if !strings.Contains(page, want) {
			t.Errorf("no metric %s", want)
		}
	}
	if strings.Contains(page, `tocsin_alerts_total{kind="first",severity="info",watchlist="tocsin"}`) {
		t.Error("canaries count as alerts")
	}
}

// fillNotifier gives a Notifier that does nothing all that New asks for.
func fillNotifier(o *notifier.Options) {
	o.PublishAlert = func(context.Context, news.Alert) error { return nil }
	o.PublishDelivery = func(context.Context, news.Delivery) error { return nil }
	o.PublishLedger = func(context.Context, news.LedgerEntry) error { return nil }
	o.PublishDead = func(context.Context, news.DeadLetter) error { return nil }
	o.ArmRetry = func(context.Context, news.Delivery, time.Time) error { return nil }
	o.LoadSent = func(context.Context, string) ([]byte, uint64, error) { return nil, 0, news.ErrNotFound }
	o.SaveSent = func(context.Context, string, []byte, uint64) (uint64, error) { return 1, nil }
	for i := range o.Channels {
		o.Channels[i].Send = func(context.Context, *news.Delivery) notifier.Result {
			return notifier.Result{Verdict: notifier.Delivered}
		}
	}
}
