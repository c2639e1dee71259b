//go:build compose

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
	"tocsin/news"
)

// cluster is docker-compose.yml brought up in one way or another: three NATS nodes, two fetchers, two matchers, a notifier, Prometheus.
type cluster struct {
	desk       string // address of the notifier's HTTP
	prometheus string
	fetch      func()                   // starts the fetchers
	kill       func(what string)        // ends a NATS node or a matcher at once
	jsz        func(node string) []byte // what a NATS node says of JetStream
	logs       func() string
}

// TestComposeProcesses brings up the topology of docker-compose.yml as processes of this machine: for machines without a container engine.
func TestComposeProcesses(t *testing.T) { sendNewsThrough(t, "127.0.0.1", upProcesses) }

// sendNewsThrough brings up everything but the fetchers, opens the newsroom, lets the fetchers in, kills a NATS node and a matcher halfway, and
// compares what came out at the webhook receiver and the mail server with the truth.
func sendNewsThrough(t *testing.T, host string, up func(testing.TB, *newsroom.World) *cluster) {
	began := time.Now()
	w, err := newsroom.Start(newsroom.Options{Seed: 7, Span: 15 * time.Second, Interval: time.Second, Host: host})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() }) // its listeners alone
	c := up(t, w)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs:\n%s", c.logs())
		}
	})
	t.Logf("up after %s", time.Since(began).Round(time.Second))
	for _, node := range []string{"nats1", "nats2", "nats3"} {
		checkNode(t, node, c.jsz(node))
	}
	w.Open()
	c.fetch()
	waitFor(t, 3*time.Minute, "half of the news to be published", func() bool { n, all := w.Progress(); return 2*n > all })
	waitFor(t, 3*time.Minute, "Prometheus to see all five processes", func() bool { return c.count(t, `up{job="tocsin"} == 1`) == 5 })
	c.kill("nats2")
	c.kill("matcher")
	var report newsroom.Report
	told := map[string]bool{} // folds that the newsroom knows
	ok := func() bool {
		c.readFolds(t, w, told)
		report = w.Report(newsroom.Judged())
		hooks, mails := arrivals(w)
		return report.OK() && len(hooks) == len(mails)
	}
	for end := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			hooks, mails := arrivals(w)
			t.Fatalf("webhooks %d, mails %d\n%s", len(hooks), len(mails), report.Table())
		}
	}
	t.Logf("%s after the start: %d planted, %d alerted, %d folded, none missed, false or twice; p50 %s, p99 %s", time.Since(began).Round(time.Second),
		report.Planted, report.Alerted, report.Folded, report.P50.Round(time.Millisecond), report.P99.Round(time.Millisecond))
	c.checkRules(t)
}

// count is how many series an expression has.
func (c *cluster) count(t testing.TB, expr string) int {
	v, err := (&promServer{t: t, addr: c.prometheus}).values(expr)
	if err != nil {
		return -1
	}
	return len(v)
}

// checkRules asks Prometheus whether it evaluates each alert rule.
func (c *cluster) checkRules(t *testing.T) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	if err := (&promServer{t: t, addr: c.prometheus}).ask("/api/v1/rules", nil, &data); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if n++; r.Health == "err" {
				t.Errorf("rule %s: %s", r.Name, r.LastError)
			}
		}
	}
	if n < 20 {
		t.Errorf("Prometheus has %d rules", n)
	}
}

// readFolds tells the newsroom what was joined to an alert without a message.
func (c *cluster) readFolds(t testing.TB, w *newsroom.World, told map[string]bool) {
	resp, err := http.Get("http://" + c.desk + "/api/v1/alerts?since=1h")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for dec := json.NewDecoder(resp.Body); dec.More(); {
		var a news.Alert
		if err := dec.Decode(&a); err != nil {
			return // the bus is electing; asked again soon
		}
		key := a.ID + a.Watchlist + a.Match.Item.ID
		if a.Kind != news.KindFold || told[key] {
			continue
		}
		told[key] = true
		w.AddFold(newsroom.Fold{Alert: a.ID, Watchlist: a.Watchlist, URL: a.Match.Item.URL, IDs: a.Match.IDs()})
	}
}

// checkNode looks at what docker-compose.yml promises of a node: it syncs each write, and holds a copy of every stream.
func checkNode(t *testing.T, node string, jsz []byte) {
	var a struct {
		Config struct {
			SyncAlways bool `json:"sync_always"`
		}
		AccountDetails []struct {
			StreamDetail []struct {
				Name   string
				Config struct {
					NumReplicas int `json:"num_replicas"`
				}
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := json.Unmarshal(jsz, &a); err != nil {
		t.Fatalf("%s: %v in %s", node, err, jsz)
	}
	if !a.Config.SyncAlways {
		t.Errorf("%s does not sync every write", node)
	}
	streams := 0
	for _, acc := range a.AccountDetails {
		for _, s := range acc.StreamDetail {
			if streams++; s.Config.NumReplicas != 3 {
				t.Errorf("%s: stream %s has %d copies", node, s.Name, s.Config.NumReplicas)
			}
		}
	}
	if streams < 7 {
		t.Errorf("%s holds %d streams: %s", node, streams, jsz)
	}
}

// swap replaces texts in a file of the repository; one that does not stand there is an error, for then the file has changed.
func swap(t testing.TB, path string, pairs ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !bytes.Contains(b, []byte(pairs[i])) {
			t.Fatalf("%s has no %q", path, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(b))
}

// newsroomConfig is deploy/compose/tocsin.yaml with the newsroom in place of the world: its feeds, its mail server, and its webhook receiver beside.
func newsroomConfig(t testing.TB, w *newsroom.World, host, secrets string, more ...string) string {
	return swap(t, "deploy/compose/tocsin.yaml", append([]string{
		"allow_networks: [10.84.70.0/24]", "allow_networks: [" + host + "]\n  min_interval: 1s\n  host_gap: 0s",
		"server: mailpit:1025", "server: " + w.SMTPAddr,
		"route: {channels: [terminal, mail]}", "route: {channels: [terminal, mail, hook]}\n  stories: {update_interval: 5s}",
		"channels:\n", fmt.Sprintf("channels:\n  - id: hook\n    webhook: {url: %q, secret_file: %s/hook, allow_http: true}\n", w.WebhookURL, secrets),
	}, more...)...)
}

func command(t testing.TB, dir string, env []string, name string, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, append(os.Environ(), env...), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// buildNATS builds the server from its module, static, at the version of go.mod.
func buildNATS(t testing.TB, path string) {
	command(t, ".", []string{"CGO_ENABLED=0"}, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/nats-io/nats-server/v2")
}

func upProcesses(t testing.TB, w *newsroom.World) *cluster {
	dir := t.TempDir()
	nats := filepath.Join(dir, "nats-server")
	buildNATS(t, nats)
	names := []string{"nats1", "nats2", "nats3"}
	client, route, monitor := map[string]string{}, []string{}, map[string]string{}
	var routes, urls []string
	for _, n := range names {
		client[n], monitor[n] = freeAddr(t), freeAddr(t)
		route = append(route, freeAddr(t))
		routes = append(routes, "nats://"+n+":6222", "nats://"+route[len(route)-1])
		urls = append(urls, "nats://"+client[n])
	}
	c, procs := &cluster{}, map[string]*proc{}
	secrets := filepath.Join(dir, "secrets")
	command(t, "../..", []string{"TOCSIN=tocsin"}, "sh", "deploy/compose/make-secrets", secrets)
	for i, n := range names {
		write(t, dir, n+"/accounts.conf", swap(t, "deploy/nats/accounts.conf"))
		copyInto(t, filepath.Join(dir, "secrets/keys.conf"), filepath.Join(dir, n, "keys.conf"))
		write(t, dir, n+"/common.conf", swap(t, "deploy/compose/nats/common.conf", "0.0.0.0:4222", client[n], "127.0.0.1:8222", monitor[n], "/data", filepath.Join(dir, n, "data")))
		file := write(t, dir, n+"/cluster.conf", swap(t, "deploy/compose/nats/cluster.conf", append([]string{"0.0.0.0:6222", route[i]}, routes...)...))
		cmd := exec.Command(nats, "--config", file)
		cmd.Env = append(os.Environ(), "NODE="+n)
		procs[n] = startCommand(t, cmd, file, client[n])
	}
	for _, n := range names {
		waitFor(t, time.Minute, n+" to be well", func() bool { return answers("http://" + monitor[n] + "/healthz?js-server-only=true") })
	}
	for name, text := range map[string]string{"mail_ca": string(w.CAPEM), "mail_password": w.SMTPPassword, "hook": w.WebhookSecret} {
		write(t, secrets, name, text)
	}
	write(t, dir, "feeds/newsroom.yaml", string(w.FeedsYAML()))
	lists, err := filepath.Abs("../../watchlists")
	if err != nil {
		t.Fatal(err)
	}
	config := func(name, user string) (file, addr string) {
		addr = freeAddr(t)
		return write(t, dir, name+".yaml", newsroomConfig(t, w, "127.0.0.1", secrets, "0.0.0.0:8470", addr, "nats://nats:4222", strings.Join(urls, ","),
			"/run/secrets/nkey", filepath.Join(secrets, user+".nk"), "/run/secrets/", secrets+"/", "watchlists: watchlists", "watchlists: "+lists)), addr
	}
	file, _ := config("setup", "admin")
	command(t, dir, nil, "tocsin", "nats", "setup", "--config", file)
	role := func(name, role string) *proc {
		file, addr := config(name, role)
		procs[name] = start(t, file, addr, "--roles", role)
		return procs[name]
	}
	var targets []string
	for _, p := range []*proc{role("matcher1", "matcher"), role("matcher2", "matcher"), role("notifier", "notifier")} {
		p.waitReady(2 * time.Minute)
		targets = append(targets, p.addr)
	}
	c.fetch = func() {
		for _, p := range []*proc{role("fetcher1", "fetcher"), role("fetcher2", "fetcher")} {
			p.waitReady(2 * time.Minute)
			targets = append(targets, p.addr)
		}
		rules, err := os.ReadFile("../../deploy/prometheus/rules.yml")
		if err != nil {
			t.Fatal(err)
		}
		c.prometheus = startPrometheus(t, false, string(rules), scrapeJob{name: "tocsin", target: targets[0], more: `, "` + strings.Join(targets[1:], `", "`) + `"`}).addr
	}
	c.desk = procs["notifier"].addr
	c.kill = func(what string) {
		if what == "matcher" {
			what = "matcher1"
		}
		procs[what].kill()
	}
	c.jsz = func(node string) []byte {
		return []byte((&proc{t: t, addr: monitor[node]}).get("/jsz?streams=true&config=true"))
	}
	c.logs = func() (out string) {
		for _, n := range news.SortedKeys(procs) {
			out += n + ":\n" + tail(procs[n].output(), 2000) + "\n"
		}
		return out
	}
	return c
}

func answers(url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

var slash = regexp.MustCompile(`/\S+`)

// sharedLibraries are what a program of this machine needs beside itself.
func sharedLibraries(t testing.TB, program string) (paths []string) {
	for line := range strings.Lines(command(t, ".", nil, "ldd", program)) {
		if p := slash.FindString(line); p != "" {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	return paths
}
