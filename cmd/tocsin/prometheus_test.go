//go:build prometheus || compose

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// promServer is a real Prometheus that scrapes every second.
type promServer struct {
	t    testing.TB
	addr string
	log  *syncBuffer
}

// scrapeJob is one job of it.
type scrapeJob struct {
	name, target string
	more         string // further targets, each with a comma before it
	extra        string // further lines of the job
}

// prometheusPath finds the program: TOCSIN_PROMETHEUS names another than that of the system.
func prometheusPath(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("TOCSIN_PROMETHEUS"); p != "" {
		return p
	}
	p, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is not installed: apt-get install prometheus (Debian), or name it in TOCSIN_PROMETHEUS")
	}
	return p
}

func startPrometheus(t testing.TB, native bool, rules string, jobs ...scrapeJob) *promServer {
	t.Helper()
	path, dir, p := prometheusPath(t), t.TempDir(), &promServer{t: t, addr: freeAddr(t), log: &syncBuffer{}}
	text := "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nscrape_configs:\n"
	for _, j := range jobs {
		text += fmt.Sprintf("  - job_name: %s\n    static_configs: [{targets: [%q%s]}]\n%s", j.name, j.target, j.more, j.extra)
	}
	if rules != "" {
		text += "rule_files: [rules.yml]\n"
		write(t, dir, "rules.yml", rules)
	}
	args := []string{"--config.file=" + write(t, dir, "prometheus.yml", text), "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + p.addr}
	if native {
		args = append(args, "--enable-feature=native-histograms")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, p.log, p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()          // it is killed on purpose
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended }) // likewise
	waitFor(t, time.Minute, "Prometheus to be ready", func() bool {
		select {
		case <-ended:
			t.Fatalf("Prometheus ended: %s", tail(p.log.String(), 2000))
		default:
		}
		resp, err := http.Get("http://" + p.addr + "/-/ready")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return p
}

// ask calls the API and decodes its data.
func (p *promServer) ask(path string, q url.Values, into any) error {
	resp, err := http.Get("http://" + p.addr + path + "?" + q.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return json.Unmarshal(answer.Data, into)
}

// values gives the samples of an expression that are numbers; a native histogram counts as one.
func (p *promServer) values(expr string) (out []string, err error) {
	var data struct {
		Result []struct {
			Value     []any
			Histogram []any
		}
	}
	if err := p.ask("/api/v1/query", url.Values{"query": {expr}}, &data); err != nil {
		return nil, err
	}
	for _, r := range data.Result {
		switch {
		case len(r.Histogram) == 2:
			out = append(out, "histogram")
		case len(r.Value) == 2 && r.Value[1] != "NaN":
			out = append(out, fmt.Sprint(r.Value[1]))
		}
	}
	return out, nil
}

// firing gives the alerts that fire for a job, sorted, each once. Watchdog has no job and fires for all.
func (p *promServer) firing(job string) []string {
	p.t.Helper()
	var data struct {
		Alerts []struct {
			State  string
			Labels map[string]string
		}
	}
	if err := p.ask("/api/v1/alerts", nil, &data); err != nil {
		p.t.Fatal(err)
	}
	names := map[string]bool{}
	for _, a := range data.Alerts {
		if a.State == "firing" && (a.Labels["job"] == job || a.Labels["alertname"] == "Watchdog") {
			names[a.Labels["alertname"]] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// names are all metrics of ours that it has stored, histograms by their base name.
func (p *promServer) names() map[string]bool {
	p.t.Helper()
	var all []string
	if err := p.ask("/api/v1/label/__name__/values", nil, &all); err != nil {
		p.t.Fatal(err)
	}
	out := map[string]bool{}
	for _, n := range all {
		if strings.HasPrefix(n, "tocsin_") {
			out[baseName(n)] = true
		}
	}
	return out
}

// classicOnly passes scrapes on without protobuf, so that a Prometheus with native histograms stores classic ones too.
func classicOnly(t testing.TB, addr string) string {
	t.Helper()
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: addr})
		r.Out.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	}}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// modes are the ways in which Prometheus may store the histograms. Before 2.45 one scrape cannot store both forms: two jobs of one name, one in
// protobuf for the native histograms and one in text for all the rest, leave the same series.
func modes(t testing.TB, addr string) map[string]*promServer {
	t.Helper()
	const job = "tocsin"
	natives := strings.Join(histogramNames(), "|")
	return map[string]*promServer{
		"classic": startPrometheus(t, false, "", scrapeJob{name: job, target: addr}),
		"native":  startPrometheus(t, true, "", scrapeJob{name: job, target: addr}),
		"both": startPrometheus(t, true, "", scrapeJob{name: "text", target: classicOnly(t, addr), extra: `    metric_relabel_configs: [{target_label: job, replacement: tocsin}, {target_label: instance, replacement: "a"}]
`}, scrapeJob{name: "protobuf", target: addr, extra: `    metric_relabel_configs: [{source_labels: [__name__], regex: "` + natives + `", action: keep}, {target_label: job, replacement: tocsin}, {target_label: instance, replacement: "a"}]
`}),
	}
}
