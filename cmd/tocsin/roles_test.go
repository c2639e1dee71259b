package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/bus/bustest"
)

// metric reads one number from the metrics of a process; 0 when it does not answer or has none of that name.
func (p *proc) metric(name string) float64 {
	resp, err := http.Get("http://" + p.addr + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	text, err := readAll(resp.Body, 16<<20)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return v
		}
	}
	return 0
}

// age is how old a time among the metrics is.
func (p *proc) age(name string) time.Duration {
	at := p.metric(name)
	if at == 0 {
		return 0
	}
	return time.Since(time.UnixMilli(int64(at * 1000)))
}

// TestKilledAndHungRolesAreSeen runs the three roles as three processes on one bus. Each is killed or stopped in turn: within a minute the metrics of
// those that are left show it, by the age of the stage and of the canary, and an alert about it is stored, which reaches the operators where a notifier lives.
func TestKilledAndHungRolesAreSeen(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute or two: roles are missed after half a minute each")
	}
	t.Parallel()
	w, dir, config := openBeatWorld(t)
	s := bustest.Server(t)
	config = strings.Replace(config, "data_dir: data", fmt.Sprintf("bus: {url: %q, setup: true, max_store: 1GiB}", s.ClientURL()), 1)
	run := func(role string) *proc {
		addr := freeAddr(t)
		file := write(t, dir, role+".yaml", strings.Replace(config, "127.0.0.1:0", addr, 1))
		p := start(t, file, addr, "--roles", role)
		p.waitReady(2 * time.Minute)
		return p
	}
	procs := map[string]*proc{}
	for _, role := range []string{"fetcher", "matcher", "notifier"} {
		procs[role] = run(role)
	}
	const canary = "tocsin_canary_last_delivered_timestamp_seconds"
	const lag = 12 * time.Second // a process hears from another every 5 s, and that one writes every 5 s
	began := float64(time.Now().Unix())
	for role, p := range procs {
		waitFor(t, 90*time.Second, "a canary to be known to the "+role, func() bool { return p.metric(canary) > began })
	}
	told := func(part string) func() bool {
		return func() bool {
			for _, e := range w.got("/ops", "") {
				if strings.Contains(e.Data.Summary, part) {
					return true
				}
			}
			return false
		}
	}
	stage := func(name string) string {
		return fmt.Sprintf("tocsin_stage_last_progress_timestamp_seconds{stage=%q}", name)
	}

	// Hung: it answers nothing and closes nothing.
	at := time.Now()
	if err := procs["matcher"].cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 3*time.Minute, "the hung matcher in the metrics of the fetcher", func() bool {
		return procs["fetcher"].age(canary) > lag && procs["fetcher"].age(stage("matcher")) > lag
	})
	t.Logf("matcher hung: in metrics after %s", time.Since(at).Round(time.Second))
	waitFor(t, 3*time.Minute, "the operators to hear of lost canaries", told("Test items do not arrive"))
	t.Logf("matcher hung: operators told after %s", time.Since(at).Round(time.Second))
	waitFor(t, 3*time.Minute, "the operators to hear of the matcher", told("The matcher has gone"))
	t.Logf("matcher hung: named after %s", time.Since(at).Round(time.Second))
	if err := procs["matcher"].cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waitFor(t, 2*time.Minute, "canaries to arrive again", func() bool { return procs["fetcher"].age(canary) < lag })

	at = time.Now()
	procs["notifier"].kill()
	waitFor(t, 3*time.Minute, "the killed notifier in the metrics of the matcher", func() bool {
		return procs["matcher"].age(canary) > 2*lag && procs["matcher"].age(stage("router")) > 2*lag
	})
	t.Logf("notifier killed: in metrics after %s", time.Since(at).Round(time.Second))
	waitFor(t, 3*time.Minute, "an alert about the notifier to be stored", func() bool {
		return strings.Contains(procs["fetcher"].get("/api/v1/alerts?since=1h"), "The notifier has gone")
	})
	t.Logf("notifier killed: alert stored after %s", time.Since(at).Round(time.Second))
	procs["notifier"] = run("notifier")
	waitFor(t, 2*time.Minute, "the operators to hear of it when it is back", told("The notifier has gone"))

	at = time.Now()
	procs["fetcher"].kill()
	waitFor(t, 3*time.Minute, "the killed fetcher in the metrics of the notifier", func() bool {
		return procs["notifier"].age(canary) > 2*lag
	})
	waitFor(t, 3*time.Minute, "the operators to hear of the fetcher", told("The fetcher has gone"))
	t.Logf("fetcher killed: operators told after %s", time.Since(at).Round(time.Second))
}
