//go:build prometheus

package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tocsin/bus/bustest"
)

// hastyRules are the rules of the product with every `for` a sixtieth as long (1 s at least) and two ages shorter, so that a test can wait for
// them; lag is allowed more. Everything else, expressions and windows, is as people use it.
func hastyRules(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(deployDir, "prometheus/rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`for: (\d+)([ms])`).ReplaceAllStringFunc(string(b), func(s string) string {
		n, _ := strconv.Atoi(strings.Trim(s, "for: ms")) // the expression says that it is a number
		if strings.HasSuffix(s, "s") {
			n = 1
		}
		return fmt.Sprintf("for: %ds", n)
	})
	for _, r := range [][2]string{
		{"_timestamp_seconds) > 900", "_timestamp_seconds) > 5"},
		{"_timestamp_seconds) > 60", "_timestamp_seconds) > 20"},
		{`{consumer!~"channel-.*"}) > 20`, `{consumer!~"channel-.*"}) > 5000`}, // ten processes on a small machine do lag for ten seconds
	} {
		if strings.Count(text, r[0]) != 1 {
			t.Fatalf("rules.yml holds %q %d times", r[0], strings.Count(text, r[0]))
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	return text
}

// trouble is an instance with planted faults, and what must fire for it: these alerts and no other.
type trouble struct {
	job, target string
	begin       func() // once Prometheus scrapes
	provoke     func() // after it has run well for a while; nil when the fault is there from the start
	want        []string
}

// TestPrometheusFiresWhatIsProvoked runs real instances under one real Prometheus, breaks each in its own way, and wants exactly the alerts that belong to it.
// A healthy one beside them fires nothing but Watchdog. Clocks are injected: the machine's own is left alone.
func TestPrometheusFiresWhatIsProvoked(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs ten processes and a Prometheus")
	}
	prometheusPath(t)
	b := openBeat(t)
	troubles := slices.Concat(
		[]trouble{wellInstance(t, b), plantedFaults(t, b), operatorTrouble(t), mailTrouble(t, b), networkTrouble(t), clockTrouble(t)}, roleTrouble(t, b), diskTrouble(t, b))
	var jobs []scrapeJob
	for _, x := range troubles {
		if i := slices.IndexFunc(jobs, func(j scrapeJob) bool { return j.name == x.job }); i >= 0 {
			jobs[i].more += fmt.Sprintf(", %q", x.target)
			continue
		}
		jobs = append(jobs, scrapeJob{name: x.job, target: x.target})
	}
	p := startPrometheus(t, false, hastyRules(t), jobs...)
	for _, x := range troubles {
		x.begin()
	}
	time.Sleep(15 * time.Second) // all is well at first where faults are provoked
	for _, x := range troubles {
		if x.provoke == nil {
			continue
		}
		if got := p.firing(x.job); !slices.Equal(got, []string{"Watchdog"}) {
			t.Errorf("%s: %v fire before anything is wrong", x.job, got)
		}
		x.provoke()
	}
	for _, x := range slices.Backward(troubles) { // the healthy one last: it has had time to go wrong
		want := append([]string{"Watchdog"}, x.want...)
		slices.Sort(want)
		end := time.Now().Add(3 * time.Minute)
		for missing(want, p.firing(x.job)) != "" && time.Now().Before(end) {
			time.Sleep(time.Second)
		}
		if got := p.firing(x.job); !slices.Equal(got, want) {
			t.Errorf("%s: %v fire, want %v", x.job, got, want)
		}
	}
}

func missing(want, got []string) string {
	for _, w := range want {
		if !slices.Contains(got, w) {
			return w
		}
	}
	return ""
}

func beginning(t *testing.T, config, addr string) func() {
	return func() { start(t, config, addr).waitReady(2 * time.Minute) }
}

func wellInstance(t *testing.T, b *beat) trouble {
	dir, addr := t.TempDir(), freeAddr(t)
	config := beatConfig(t, dir, addr, b.goodFeeds(12), "", "  route: {channels: [good]}\n")
	return trouble{job: "tocsin-well", target: addr, begin: beginning(t, config, addr)}
}

// plantedFaults: a dead feed, a broken one, a late one, a gap, a channel that answers 429, one that is gone and makes dead letters, a silence.
func plantedFaults(t *testing.T, b *beat) trouble {
	dir, addr := t.TempDir(), freeAddr(t)
	return trouble{job: "tocsin-faults", target: addr, begin: beginning(t, faultyInstance(t, b, dir, addr), addr), want: []string{"FeedDead", "FeedFailing", "FeedLate", "CoverageGap", "CircuitOpen", "DeliveryFailing", "OutboxOld", "DeadLetters"}}
}

// operatorTrouble: all feeds die, and an edit breaks the watchlists.
func operatorTrouble(t *testing.T) trouble {
	b := openBeat(t)
	dir, addr := t.TempDir(), freeAddr(t)
	config := beatConfig(t, dir, addr, b.goodFeeds(3), "", "  route: {channels: [good]}\n")
	return trouble{job: "tocsin-operator", target: addr, begin: beginning(t, config, addr), want: []string{"ReloadRefused", "FeedFailing", "ManyFeedsDown"}, provoke: func() {
		write(t, dir, "lists/broken.yaml", "id: broken\nno such key: 1\n")
		b.dead.Store(true)
	}}
}

// mailTrouble: nobody listens where the mail server should be.
func mailTrouble(t *testing.T, b *beat) trouble {
	dir, addr := t.TempDir(), freeAddr(t)
	channels := fmt.Sprintf(`  - id: mail
    email: {server: "%s", tls: none, from: tocsin@example.org, to: [desk@example.org]}
    schedule: [0s, 1s, 1s, 1s, 1s, 1s, 1h]
`, freeAddr(t))
	config := beatConfig(t, dir, addr, b.goodFeeds(3), channels, "  route: {channels: [good, mail]}\n")
	return trouble{job: "tocsin-mail", target: addr, begin: beginning(t, config, addr), want: []string{"CircuitOpen", "DeliveryFailing", "OutboxOld"}}
}

// networkTrouble: twelve outlets on twelve hosts vanish at once, as they do when our own network is down.
func networkTrouble(t *testing.T) trouble {
	var servers []*httptest.Server
	list := "feeds:\n"
	for i := range 12 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+2))
		if err != nil {
			t.Fatal(err)
		}
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { rss(w, rssItem("one", time.Now(), "")) }))
		_ = s.Listener.Close() // ours takes its place
		s.Listener = l
		s.Start()
		t.Cleanup(s.Close)
		servers = append(servers, s)
		list += fmt.Sprintf("  - {url: \"%s/feed\", outlet: Host %d, lang: en, interval: 1s, expect: 1h}\n", s.URL, i)
	}
	dir, addr := t.TempDir(), freeAddr(t)
	config := beatConfig(t, dir, addr, list, "", "  route: {channels: [good]}\n")
	return trouble{job: "tocsin-network", target: addr, begin: beginning(t, config, addr), want: []string{"NetworkDown", "ManyFeedsDown", "FeedFailing"}, provoke: func() {
		for _, s := range servers {
			s.Close()
		}
	}}
}

// clockTrouble serves the clock watch alone, with a clock that the test sets an hour ahead.
func clockTrouble(t *testing.T) trouble {
	c, reg := &setClock{began: time.Now()}, prometheus.NewRegistry()
	w := newClockWatch(reg)
	w.read = c.read
	go func() { _ = w.run(t.Context(), func(time.Duration) {}) }() // it has no error
	s := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	t.Cleanup(s.Close)
	return trouble{job: "tocsin-clock", target: s.Listener.Addr().String(), begin: func() {}, want: []string{"ClockJump", "ClockSkew"}, provoke: func() { c.set(time.Hour) }}
}

// roleTrouble: three roles on one server, and the matcher is killed. Its process no longer answers, and no test item comes through.
func roleTrouble(t *testing.T, b *beat) (out []trouble) {
	s := bustest.Server(t)
	var matcher *proc
	for _, role := range []string{"fetcher", "matcher", "notifier"} {
		dir, addr := t.TempDir(), freeAddr(t)
		path := beatConfig(t, dir, addr, b.goodFeeds(2), "", "  route: {channels: [good]}\n")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "tocsin.yaml", strings.Replace(string(text), "bus: {max_store: 1GiB}", fmt.Sprintf("bus: {url: %q, setup: true, max_store: 1GiB}", s.ClientURL()), 1))
		out = append(out, trouble{job: "tocsin-roles", target: addr, want: []string{"TargetDown", "CanaryMissing"}, begin: func() {
			p := start(t, path, addr, "--roles", role)
			p.waitReady(2 * time.Minute)
			if role == "matcher" {
				matcher = p
			}
		}})
	}
	out[2].provoke = func() { matcher.kill() }
	return out
}
