//go:build prometheus

package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// emptyWhenWell are questions that rightly have no answer in this world: nobody gave feedback, no
// heartbeat was due, and no marks of reloads or releases stand.
func emptyWhenWell() []string {
	return []string{
		"annotation Reloads", "annotation Releases", "Heartbeats A", "Precision by feedback A", "Precision by feedback B", "Verdicts A", "Never hits A",
	}
}

// TestPrometheusAnswersEveryPanel runs the program with planted faults (a dead feed, a broken one, a late one, a gap, a channel that answers 429, one that
// refuses, a silence) under three real Prometheus servers, which store histograms in classic, native and both forms, and asks each every question of
// every dashboard and every recording rule: one answer at least that is a number. Every metric that is asked for is served; every metric that is
// served is asked for or documented.
func TestPrometheusAnswersEveryPanel(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts three Prometheus servers")
	}
	prometheusPath(t)
	b := openBeat(t)
	dir, addr := t.TempDir(), freeAddr(t)
	p := start(t, faultyInstance(t, b, dir, addr), addr)
	p.waitReady(2 * time.Minute)
	servers := modes(t, addr)
	exprs := boardExprs(t)
	for _, r := range readRules(t) {
		if r.Record != "" && !strings.Contains(r.Expr, "tocsin:") { // no server records here; the test of provoked faults does
			exprs["rule "+r.Record] = r.Expr
		}
	}
	for mode, s := range servers {
		waitForAnswers(t, mode, s, exprs)
	}
	served := servers["classic"].names()
	checkNames(t, served, exprs)
	t.Logf("%d expressions answered in %d modes, %d metrics served", len(exprs)-len(emptyWhenWell()), len(servers), len(served))
}

func faultyInstance(t testing.TB, b *beat, dir, addr string) string {
	t.Helper()
	channels := fmt.Sprintf(`  - id: busy
    webhook: {url: "%s/busy", secret_file: hook.secret, allow_http: true}
    schedule: [0s, 1s, 1s, 1s, 1s, 1s, 1h]
  - id: refuse
    webhook: {url: "%[1]s/refuse", secret_file: hook.secret, allow_http: true}
    schedule: [0s, 1s, 1s, 1s]
`, b.URL)
	notifier := fmt.Sprintf(`  silences:
    - {id: quiet, words: [nothing of this], start: "%s", end: "%s", author: ana, comment: fixture}
  route:
    channels: [good]
    routes:
      - {id: all, matchers: ['kind=~".*"'], channels: [good, busy, refuse], continue: true}
      - {id: daily, matchers: ['kind=~".*"'], channels: [good], digest: {every: 6h}}
`, time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339))
	return beatConfig(t, dir, addr, b.goodFeeds(12)+b.faultyFeeds(), channels, notifier)
}

// waitForAnswers asks until every question has an answer; what has none in time is blamed.
func waitForAnswers(t *testing.T, mode string, s *promServer, exprs map[string]string) {
	t.Helper()
	open := maps.Clone(exprs)
	maps.DeleteFunc(open, func(at, _ string) bool {
		return slices.ContainsFunc(emptyWhenWell(), func(e string) bool { return strings.HasSuffix(at, e) })
	})
	for end := time.Now().Add(90 * time.Second); len(open) > 0 && time.Now().Before(end); time.Sleep(time.Second) {
		for at, expr := range open {
			values, err := s.values(expr)
			if err != nil {
				t.Errorf("%s: %s: %v", mode, at, err)
			}
			if err != nil || len(values) > 0 {
				delete(open, at)
			}
		}
	}
	for _, at := range slices.Sorted(maps.Keys(open)) {
		t.Errorf("%s: %s has no answer: %s", mode, at, open[at])
	}
	for at, expr := range exprs {
		if _, err := s.values(expr); err != nil {
			t.Errorf("%s: %s: %v", mode, at, err)
		}
	}
}

// onlyOnEvents are metrics that are not served before their event comes.
func onlyOnEvents() []string {
	return []string{"tocsin_feedback_total", "tocsin_heartbeat_last_sent_timestamp_seconds", "tocsin_outbox_oldest_timestamp_seconds"}
}

func checkNames(t *testing.T, served map[string]bool, exprs map[string]string) {
	t.Helper()
	asked := map[string]bool{}
	for _, r := range readRules(t) {
		exprs["rule "+r.Record+r.Alert] = r.Expr
	}
	for at, expr := range exprs {
		q, err := readPromQL(expr)
		if err != nil {
			t.Errorf("%s: %v", at, err)
		}
		for _, n := range q.names() {
			if n = baseName(n); strings.HasPrefix(n, "tocsin_") {
				asked[n] = true
			}
			if strings.HasPrefix(n, "tocsin_") && !served[n] && !slices.Contains(onlyOnEvents(), n) {
				t.Errorf("%s asks for %s, which is not served", at, n)
			}
		}
	}
	documented := readDocumented(t)
	for n := range served {
		if !asked[n] && !documented[n] {
			t.Errorf("%s is in no panel and no rule, and deploy/prometheus/README.md says nothing of it", n)
		}
	}
}

// readDocumented gives the metrics that deploy/prometheus/README.md explains.
func readDocumented(t testing.TB) map[string]bool {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(deployDir, "prometheus/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, n := range regexp.MustCompile("`(tocsin_[a-z_]+)").FindAllStringSubmatch(string(b), -1) {
		out[n[1]] = true
	}
	return out
}

// faultyFeeds lists one outlet for each fault.
func (b *beat) faultyFeeds() string {
	list := ""
	for _, name := range []string{"gap", "late", "gone", "broken"} {
		list += fmt.Sprintf("  - {url: \"%s/%s\", outlet: %s, lang: ur, country: PK, interval: 1s, expect: 1h}\n", b.URL, name, name)
	}
	return list
}
