package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// desk is a small world under the test's control: one feed, and one webhook receiver.
type desk struct {
	*httptest.Server
	mu     sync.Mutex
	items  []string
	status int
	bodies []string
}

func openDesk(t *testing.T) *desk {
	d := &desk{status: http.StatusOK}
	mux := http.NewServeMux()
	mux.HandleFunc("/feed.xml", d.feed)
	mux.HandleFunc("/hook", d.hook)
	d.Server = httptest.NewServer(mux)
	t.Cleanup(d.Close)
	return d
}

func (d *desk) feed(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprint(w, `<?xml version="1.0"?><rss version="2.0"><channel><title>Desk</title><link>http://x.example/</link>`)
	for i, title := range d.items {
		fmt.Fprintf(w, `<item><guid>g%d</guid><title>%s</title><link>http://x.example/%d</link><pubDate>%s</pubDate></item>`, i, title, i, time.Now().UTC().Format(time.RFC1123Z))
	}
	fmt.Fprint(w, `</channel></rss>`)
}

func (d *desk) hook(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w.WriteHeader(d.status)
	if d.status == http.StatusOK {
		d.bodies = append(d.bodies, string(b))
	}
}

func (d *desk) publish(title string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.items = append(d.items, title)
}

func (d *desk) got() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string{}, d.bodies...)
}

// run runs the command line against an instance and gives what it prints; ok says which exit status is wanted.
func (p *proc) run(ok bool, args ...string) string {
	p.t.Helper()
	c := exec.Command("tocsin", append(args, "--server", "http://"+p.addr)...)
	b, err := c.CombinedOutput()
	if (err == nil) != ok {
		p.t.Fatalf("tocsin %s: %v\n%s", strings.Join(args, " "), err, b)
	}
	return string(b)
}

func (p *proc) says(ok bool, want string, args ...string) string {
	p.t.Helper()
	out := p.run(ok, args...)
	if !regexp.MustCompile(want).MatchString(out) {
		p.t.Errorf("tocsin %s says\n%s, want %s", strings.Join(args, " "), out, want)
	}
	return out
}

func startDesk(t *testing.T, d *desk, notifier string) *proc {
	t.Helper()
	dir, addr := t.TempDir(), freeAddr(t)
	write(t, dir, "feeds.yaml", fmt.Sprintf("feeds:\n  - {url: %q, outlet: Desk, lang: en, interval: 1s}\n", d.URL+"/feed.xml"))
	write(t, dir, "lists/a.yaml", "id: a\ntitle: A\nentities:\n  - id: front\n    name: Front\n    aliases: {en: [Xylophone Front]}\n    flag: [\"The Xylophone Front met.\"]\n")
	write(t, dir, "hook.secret", "whsec_"+"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
	config := write(t, dir, "tocsin.yaml", strings.NewReplacer("ADDR", addr, "HOOK", d.URL+"/hook", "NOTIFIER", notifier).Replace(`
data_dir: data
http: {listen: "ADDR"}
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1], min_interval: 1s, host_gap: 0s}
matcher: {watchlists: lists}
channels:
  - {id: hook, webhook: {url: "HOOK", secret_file: hook.secret, allow_http: true}, schedule: [0s, 1s]}
  - {id: own, file: {path: own.jsonl}}
notifier: NOTIFIER
`))
	p := start(t, config, addr)
	p.waitReady(2 * time.Minute)
	waitFor(t, 30*time.Second, "the first reading of the feed", func() bool {
		return strings.Contains(p.get("/metrics"), `tocsin_fetch_total{feed=`) || strings.Contains(p.get("/api/v1/feeds"), `"last_success"`) || strings.Contains(p.get("/api/v1/feeds"), "200")
	})
	time.Sleep(1500 * time.Millisecond) // its backlog is read
	return p
}

// TestOperatorCommands takes an alert through the commands: show, ledger, feedback by link and command, silences, dead letters.
func TestOperatorCommands(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	p := startDesk(t, d, `{stories: none, feedback: {url: "http://tocsin.example"}, route: {channels: [hook], routes: [{matchers: ['watchlist="tocsin"'], channels: [own]}]}}`)
	d.publish("Xylophone Front met on Monday")
	waitFor(t, 30*time.Second, "the alert", func() bool { return len(d.got()) == 1 })
	var e struct {
		Data struct {
			Alert, Story string
			Feedback     map[string]string
		}
	}
	if err := json.Unmarshal([]byte(d.got()[0]), &e); err != nil {
		t.Fatal(err)
	}
	id := e.Data.Alert
	waitFor(t, 10*time.Second, "the ledger", func() bool { return strings.Contains(p.run(true, "ledger", "show", id), "delivered") })
	p.says(true, "headline.*Xylophone Front met", "alerts", "show", id[:8])
	p.says(true, id[:12], "alerts", "list")
	p.says(true, id[:12], "alerts")
	p.says(true, `hook +1 +1 +0 +0 +0 +0`, "ledger", "check")
	p.says(true, id+": ack", "alerts", "ack", id)
	p.says(true, ": useful", "feedback", id[:10], "useful", "--by", "ana")
	p.says(false, "write useful, noise", "feedback", id[:10], "great")
	if !strings.Contains(p.get("/metrics"), `tocsin_feedback_total{entity="front",verdict="useful",watchlist="a"} 1`) {
		t.Error("the verdict is not counted")
	}
	p.says(true, `(?s)a +\(all\) +1 +0 +0 +1\.00.*a +front +1 +0 +0 +1\.00`, "score", "--history")
	feedbackByLink(t, p, e.Data.Feedback["noise"])
	p.says(true, `a +front +1 +1 +0 +0\.50`, "score", "--history", "--since", "1h")
	silenceByCommand(t, p, d)
	deadByCommand(t, p, d)
	p.says(true, `, 0 without a ledger entry, 0 deliveries missing`, "ledger", "check")
	if err := p.interrupt(30 * time.Second); err != nil {
		t.Error(err)
	}
}

// feedbackByLink follows a link as a mail program does: with another host name, without our header. GET asks, POST acts, a forged link does nothing.
func feedbackByLink(t *testing.T, p *proc, link string) {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil || u.Host != "tocsin.example" {
		t.Fatalf("link %q, %v", link, err)
	}
	ask := func(method, host string, q url.Values) (int, string) {
		t.Helper()
		var body io.Reader
		target := "http://" + p.addr + u.Path
		if method == http.MethodGet {
			target += "?" + q.Encode()
		} else {
			body = strings.NewReader(q.Encode())
		}
		req, err := http.NewRequest(method, target, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	noise := `tocsin_feedback_total{entity="front",verdict="noise",watchlist="a"} 1`
	if code, page := ask(http.MethodGet, "tocsin.example", u.Query()); code != http.StatusOK || !strings.Contains(page, "Xylophone Front met") || strings.Contains(p.get("/metrics"), noise) {
		t.Errorf("GET: %d\n%s", code, page)
	}
	if code, _ := ask(http.MethodGet, "evil.example", u.Query()); code != http.StatusForbidden {
		t.Errorf("another host: %d", code)
	}
	forged := u.Query()
	forged.Set("a", "aaaaaaaaaaaaaaaaaaaaaaaaaa")
	if code, _ := ask(http.MethodPost, "tocsin.example", forged); code != http.StatusForbidden {
		t.Errorf("forged: %d", code)
	}
	if code, page := ask(http.MethodPost, "tocsin.example", u.Query()); code != http.StatusOK || !strings.Contains(page, "Thank you") || !strings.Contains(p.get("/metrics"), noise) {
		t.Errorf("POST: %d\n%s", code, page)
	}
}

func silenceByCommand(t *testing.T, p *proc, d *desk) {
	t.Helper()
	// the program may have had news of itself on a busy machine
	p.says(true, "1 of \\d+ alerts of the last 7 days", "silence", "preview", "--word", "monday")
	p.says(true, "0 of \\d+ alerts", "silence", "preview", "--word", "mon")
	p.says(false, "comment is missing", "silence", "add", "--word", "monday", "--for", "1h", "--author", "ana")
	p.says(false, "at most 90 days", "silence", "add", "--word", "monday", "--for", "91d", "--author", "ana", "--comment", "x")
	out := p.says(true, "mutes until", "silence", "add", `entity="front"`, "--for", "1h", "--author", "ana", "--comment", "exercise")
	id := strings.Fields(out)[0]
	p.says(true, id+` +active .*ana .*exercise`, "silence", "list")
	if !strings.Contains(p.get("/metrics"), "tocsin_silences_active 1") {
		t.Error("the active silence is not in the metrics")
	}
	d.publish("Xylophone Front met on Tuesday")
	waitFor(t, 30*time.Second, "the silenced alert", func() bool {
		return regexp.MustCompile(`hook +2 +1 +0 +1 +0 +0`).MatchString(p.run(true, "ledger", "check"))
	})
	p.says(true, "is over", "silence", "expire", id)
	p.says(false, "no open silence", "silence", "expire", id)
}

func deadByCommand(t *testing.T, p *proc, d *desk) {
	t.Helper()
	d.mu.Lock()
	d.status = http.StatusGone
	d.mu.Unlock()
	d.publish("Xylophone Front met on Wednesday")
	waitFor(t, 30*time.Second, "the dead letter", func() bool { return strings.Contains(p.run(true, "dead", "list"), "gone") })
	n := regexp.MustCompile(`(?m)^(\d+) .*gone`).FindStringSubmatch(p.run(true, "dead", "list"))[1]
	p.says(true, "(?s)reason +gone.*Xylophone Front met on Wednesday", "dead", "show", n)
	p.says(true, "1 would be given back", "dead", "retry", n, "--dry-run")
	p.says(true, "0 would be given back", "dead", "retry", "--since", "1h", "--channel", "other", "--dry-run")
	p.says(false, `(?s)\d+ would be given back: \d+ to .*nothing was done: answer y, or write --yes`, "dead", "retry", "--since", "1h") // nobody answers
	p.says(true, "1 of 1 given back", "dead", "retry", n)
	waitFor(t, 30*time.Second, "its second death", func() bool {
		return strings.Count(p.run(true, "dead", "list"), "gone") == 1 && !strings.Contains(p.run(true, "dead", "list"), "\n"+n+" ")
	})
	n = regexp.MustCompile(`(?m)^(\d+) .*gone`).FindStringSubmatch(p.run(true, "dead", "list"))[1]
	p.says(true, "is removed", "dead", "drop", n)
	p.says(false, "is not stored", "dead", "drop", n)
	if out := p.run(true, "dead", "list"); strings.Contains(out, "gone") {
		t.Errorf("still there:\n%s", out)
	}
	p.says(true, `hook +3 +1 +1 +1 +0 +0`, "ledger", "check")
}
