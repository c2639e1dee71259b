package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

// floodConfig writes the configuration of a flood: webhook and mail, one delivery in flight each, so that a kill interrupts at most one send of each.
func floodConfig(t testing.TB, w *newsroom.World, dir, addr, extra string) string {
	t.Helper()
	write(t, dir, "feeds.yaml", string(w.FeedsYAML()))
	write(t, dir, "webhook.secret", w.WebhookSecret)
	write(t, dir, "mail.password", w.SMTPPassword)
	write(t, dir, "ca.pem", string(w.CAPEM))
	for name, text := range w.WatchlistsYAML() {
		write(t, dir, "lists/"+name, string(text))
	}
	return write(t, dir, "tocsin.yaml", fmt.Sprintf(`
data_dir: data
http: {listen: "%s"}
bus: {max_store: 1GiB}
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1], min_interval: 1s, host_gap: 0s}
matcher: {watchlists: lists}
channels:
  - id: hook
    webhook: {url: "%s", secret_file: webhook.secret, allow_http: true, concurrency: 1}
    schedule: [0s, 1s, 1s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s]
  - id: mail
    email: {server: "%s", tls: starttls, ca_file: ca.pem, username: %s, password_file: mail.password, from: tocsin@example.org, to: [desk@example.org], concurrency: 1}
    schedule: [0s, 1s, 1s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s, 2s]
%s  - {id: own, file: {path: own.jsonl}}
notifier:
  route: {channels: [hook, mail], routes: [{matchers: ['watchlist="tocsin"'], channels: [own]}]}
`, addr, w.WebhookURL, w.SMTPAddr, w.SMTPUser, extra))
}

// arrivals counts deliveries by their id, at the webhook receiver and at the mail server.
func arrivals(w *newsroom.World) (hooks, mails map[string]int) {
	hooks, mails = map[string]int{}, map[string]int{}
	for _, h := range w.Hits() {
		if h.Kept {
			hooks[h.ID]++
		}
	}
	for _, m := range w.Mails() {
		mails[m.Header.Get("Message-Id")]++
	}
	return hooks, mails
}

// waitArrived blocks until both receivers hold all mentions; when they do not in time, the failure tells where the rest is.
func waitArrived(t *testing.T, w *newsroom.World, p *proc, mentions int, within time.Duration) {
	t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		hooks, mails := arrivals(w)
		if len(hooks) >= mentions && len(mails) >= mentions {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("webhook %d, mail %d of %d mentions after %s, %d not served yet\nfeeds: %s\nstatus: %s\ndead: %s\nlog: %s", len(hooks), len(mails), mentions, within,
				w.Unserved(), p.get("/api/v1/feeds"), p.get("/api/v1/status"), p.get("/api/v1/dead"), tail(p.output(), 2000))
		}
	}
}

func repeats(ids map[string]int) (n int) {
	for _, k := range ids {
		n += k - 1
	}
	return n
}

// TestKillLosesNothing kills the whole process at random moments while planted mentions flow: every mention arrives at the webhook receiver and in
// the mailbox, and a repetition carries the id of what it repeats and needs a kill of its own.
func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	mentions, kills, span := 1000, 25, 50*time.Second
	if testing.Short() {
		mentions, kills, span = 200, 8, 16*time.Second
	}
	w, err := newsroom.Flood(mentions, 20, newsroom.Options{Seed: 7, Span: span, Interval: time.Second, Keep: 10 * time.Minute, Window: mentions})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	dir, addr := t.TempDir(), freeAddr(t)
	config := floodConfig(t, w, dir, addr, "")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed of the kills: %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	p := start(t, config, addr)
	for range kills {
		// from the first moments of a start to the middle of the flow
		time.Sleep(time.Duration(rng.Int64N(int64(2*span) / int64(kills))))
		p.kill()
		p = start(t, config, addr)
	}
	waitArrived(t, w, p, mentions, 150*time.Second)
	time.Sleep(2 * time.Second) // a repetition would come now
	hooks, mails := arrivals(w)
	t.Logf("webhook: %d ids, %d repeated; mail: %d ids, %d repeated; %d kills", len(hooks), repeats(hooks), len(mails), repeats(mails), kills)
	if len(hooks) != mentions || len(mails) != mentions {
		t.Errorf("%d webhook ids and %d mail ids for %d mentions: something was told under two ids", len(hooks), len(mails), mentions)
	}
	if r := repeats(hooks); r > kills {
		t.Errorf("webhook: %d repetitions after %d kills", r, kills)
	}
	if r := repeats(mails); r > kills {
		t.Errorf("mail: %d repetitions after %d kills", r, kills)
	}
	if r := w.Report(w.Lists()); r.Missed+r.False+r.Duplicates+r.Waiting+r.Forged != 0 {
		t.Errorf("report:\n%s", tail(r.Table(), 3000))
	}
	if err := p.interrupt(30 * time.Second); err != nil {
		t.Error(err)
	}
}

// TestSecondInstanceRefuses starts two instances on one data directory.
func TestSecondInstanceRefuses(t *testing.T) {
	t.Parallel()
	dir, addr := t.TempDir(), freeAddr(t)
	config := write(t, dir, "tocsin.yaml", fmt.Sprintf("data_dir: data\nhttp: {listen: %q}\nfetcher: {feeds: [feeds.yaml]}\n", addr))
	write(t, dir, "feeds.yaml", "feeds:\n  - {url: \"http://127.0.0.1:1/none.xml\", outlet: None, lang: en}\n")
	p := start(t, config, addr)
	p.waitReady(2 * time.Minute)
	other := write(t, dir, "other.yaml", fmt.Sprintf("data_dir: data\nhttp: {listen: %q}\nfetcher: {feeds: [feeds.yaml]}\n", freeAddr(t)))
	q := start(t, other, addr)
	select {
	case <-q.done:
	case <-time.After(2 * time.Minute):
		t.Fatal("the second instance runs")
	}
	if out := q.output(); q.cmd.ProcessState.ExitCode() == 0 || !strings.Contains(out, "data") || !strings.Contains(out, fmt.Sprint(p.cmd.Process.Pid)) {
		t.Errorf("the refusal names neither the directory nor process %d:\n%s", p.cmd.Process.Pid, out)
	}
	// the same port gives a sentence too
	third := write(t, dir, "third.yaml", fmt.Sprintf("data_dir: data3\nhttp: {listen: %q}\n", addr))
	r := start(t, third, addr)
	<-r.done
	if out := r.output(); !strings.Contains(out, addr+": ") || !strings.Contains(out, "address already in use") || !strings.Contains(out, "choose another port") {
		t.Errorf("port in use: %s", out)
	}
	if resp, err := http.Get("http://" + addr + "/healthz"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the first instance no longer answers: %v", err)
	}
}
