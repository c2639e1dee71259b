package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// keyedWorld is a feed that gets items when the test says so, and a desk that takes webhooks.
type keyedWorld struct {
	*httptest.Server
	items atomic.Int64
	mu    sync.Mutex
	heard []webhookEvent
}

func newKeyedWorld(t *testing.T) *keyedWorld {
	w := &keyedWorld{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/feed.xml" {
			fmt.Fprint(rw, `<rss version="2.0"><channel><title>Live</title><item><title>Rain</title><guid>g0</guid></item>`)
			for i := range w.items.Load() {
				fmt.Fprintf(rw, "<item><title>Xylophone Front strikes in Quetta %d</title><guid>x%d</guid><pubDate>%s</pubDate></item>", i, i, time.Now().UTC().Format(time.RFC1123Z))
			}
			fmt.Fprint(rw, "</channel></rss>")
			return
		}
		var e webhookEvent
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			rw.WriteHeader(http.StatusBadRequest)
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.heard = append(w.heard, e)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *keyedWorld) hears(kind string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.heard {
		if e.Data.Kind == kind {
			return true
		}
	}
	return false
}

func (w *keyedWorld) config(t *testing.T, dir string) string {
	write(t, dir, "feeds.yaml", fmt.Sprintf("feeds:\n  - {url: %q, outlet: Live, lang: en, interval: 1s}\n", w.URL+"/feed.xml"))
	write(t, dir, "lists/a.yaml", list("a", "Xylophone Front"))
	write(t, dir, "hook.secret", "whsec_"+strings.Repeat("A", 43)+"=")
	return strings.ReplaceAll(`
data_dir: data
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1/32], min_interval: 1s, host_gap: 0s}
matcher: {watchlists: lists}
health: {canary: 1s}
channels: [{id: desk, webhook: {url: "URL/desk", secret_file: hook.secret, allow_http: true}}]
`, "URL", w.URL)
}

// expect runs one command and gives its output; it must end with the given code.
func expect(t *testing.T, code int, args ...string) string {
	t.Helper()
	got, out, errs := tocsin(t, args...)
	if got != code {
		t.Errorf("tocsin %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	return out + errs
}

// TestEachRoleDoesItsWholeJobWithItsOwnKey runs one process for each role, each with its own key, on a server that grants each key what `tocsin nats
// permissions` writes: set up by the admin's key alone, they deliver an alert, share an edited watchlist, and answer all commands about it. No process is
// refused anything on the way.
func TestEachRoleDoesItsWholeJobWithItsOwnKey(t *testing.T) {
	if testing.Short() {
		t.Skip("breaks processes of its own for a minute or two: nothing of this process runs at the same time")
	}
	t.Parallel()
	w, dir := newKeyedWorld(t), t.TempDir()
	k := bustest.Keyed(t, nil)
	config := w.config(t, dir) + fmt.Sprintf("bus: {url: %q, system_nkey_file: %q, max_store: 1GiB, nkey_file: ", k.ClientURL(), k.Seed(bus.UserSystem))
	file := func(role, addr string) string {
		return write(t, dir, role+".yaml", config+fmt.Sprintf("%q}\nhttp: {listen: %q}\n", k.Seed(role), addr))
	}
	setup := file("notifier", freeAddr(t))
	if out := expect(t, exitFailed, "nats", "status", "--config", setup, "--nkey-file", k.Seed("status")); !strings.Contains(out, "none of the streams exists") || !strings.Contains(out, "tocsin nats setup") {
		t.Errorf("before the setup: %s", out)
	}
	if out := expect(t, exitOK, "nats", "setup", "--config", setup, "--nkey-file", k.Seed("admin")); !strings.Contains(out, "made consumer OUTBOX/channel-desk") {
		t.Errorf("setup: %s", out)
	}
	if out := expect(t, exitOK, "nats", "setup", "--config", setup, "--nkey-file", k.Seed("admin")); !strings.HasPrefix(out, "nothing to do") {
		t.Errorf("second setup: %s", out)
	}
	procs := map[string]*proc{}
	for _, role := range []string{"notifier", "matcher", "fetcher"} {
		addr := freeAddr(t)
		procs[role] = start(t, file(role, addr), addr, "--roles", role)
		procs[role].waitReady(2 * time.Minute)
	}
	at := func(role string) string { return "http://" + procs[role].addr }
	const canary = "tocsin_canary_last_delivered_timestamp_seconds"
	began := float64(time.Now().Unix())
	for role, p := range procs {
		waitFor(t, 90*time.Second, "a canary to be known to the "+role, func() bool { return p.metric(canary) > began })
	}
	w.items.Store(1)
	waitFor(t, 90*time.Second, "the alert at the desk", func() bool { return w.hears(news.KindFirst) })

	write(t, dir, "lists/a.yaml", list("a", "Marimba League"))
	if out := expect(t, exitOK, "reload", "--server", at("matcher")); strings.Contains(out, "not shared") {
		t.Errorf("reload: %s", out)
	}
	var alerts []news.Alert
	for line := range strings.Lines(procs["notifier"].get("/api/v1/alerts?since=1h")) {
		var a news.Alert
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		if a.Watchlist == "a" && a.Kind == news.KindFirst {
			alerts = append(alerts, a)
		}
	}
	if len(alerts) != 1 {
		t.Fatalf("%d alerts on list a", len(alerts))
	}
	for _, args := range [][]string{
		{"why", alerts[0].ID},
		{"ledger", "show", alerts[0].ID},
		{"ledger", "check"},
		{"alerts", "list"},
		{"items"},
		{"matches"},
		{"dead", "list"},
		{"suppressed", "list"},
		{"silence", "add", `watchlist="a"`, "--for", "1h", "--author", "ana", "--comment", "a test"},
		{"silence", "list"},
		{"feedback", alerts[0].ID, "useful", "--by", "ana"},
		{"send", "--test", "desk"},
		{"feeds", "list", "--live"},
	} {
		expect(t, exitOK, append(args, "--server", at("notifier"))...)
	}
	if out := expect(t, exitFailed, "dead", "list", "--server", at("matcher")); !strings.Contains(out, "stream DEAD: the key of this process may not read it") {
		t.Errorf("dead letters asked of the matcher: %s", out)
	}
	expect(t, exitOK, "feeds", "list", "--live", "--server", at("fetcher"))
	for _, path := range []string{"/", "/feeds", "/delivery", "/system", "/search?q=rain", "/stories", "/silences"} {
		for role := range procs {
			if resp, err := http.Get(at(role) + path); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("%s of the %s: %v %v", path, role, resp, err)
			} else if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	out := expect(t, exitOK, "nats", "status", "--config", setup, "--nkey-file", k.Seed("status"))
	if !strings.Contains(out, "every write synced: true") || !strings.Contains(out, "OUTBOX/channel-desk") {
		t.Errorf("status: %s", out)
	}
	for role, p := range procs {
		if err := p.interrupt(40 * time.Second); err != nil {
			t.Errorf("%s: %v", role, err)
		}
		if log := p.output(); strings.Contains(log, "ermissions") || strings.Contains(log, "key may not") || strings.Contains(log, "process may not") {
			t.Errorf("the %s was refused something:\n%s", role, tail(log, 4000))
		}
	}
}
