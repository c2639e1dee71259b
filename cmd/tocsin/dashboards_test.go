package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// grafanaBoard is what the lint rules look at in a dashboard.
type grafanaBoard struct {
	UID           string
	Title         string
	SchemaVersion int
	Editable      bool
	Timezone      string
	Links         []struct{ URL string }
	Panels        []grafanaPanel
	Templating    struct{ List []grafanaVar }
	Annotations   struct{ List []grafanaMark }
	file          string
	raw           map[string]any
}

type grafanaPanel struct {
	ID          int
	Type        string
	Title       string
	Description string
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		Expr, RefID    string
		Instant, Range bool
	}
	FieldConfig  struct{ Defaults struct{ Unit string } }
	LibraryPanel any
}

type grafanaVar struct {
	Name, Type string
	Refresh    int
	Definition string
}

type grafanaMark struct{ Name, Expr string }

func readBoards(t testing.TB) (boards []grafanaBoard) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(deployDir, "grafana/dashboards/*.json"))
	if err != nil || len(files) != 5 {
		t.Fatalf("dashboards: %v, %v", files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d := grafanaBoard{file: filepath.Base(f)}
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if err := json.Unmarshal(b, &d.raw); err != nil {
			t.Fatal(err)
		}
		boards = append(boards, d)
	}
	return boards
}

func TestDashboardsAreGenerated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.Command("go", "run", "../../deploy/grafana/gen", dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, d := range readBoards(t) {
		want, err := os.ReadFile(filepath.Join(dir, d.file))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(deployDir, "grafana/dashboards", d.file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes: go run ./deploy/grafana/gen deploy/grafana/dashboards", d.file)
		}
		var again bytes.Buffer
		e := json.NewEncoder(&again)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(d.raw); err != nil || !bytes.Equal(again.Bytes(), got) {
			t.Errorf("%s changes when it is read and written again: %v", d.file, err)
		}
	}
}

func TestDashboardsAreSound(t *testing.T) {
	uids := map[string]bool{}
	boards := readBoards(t)
	for _, d := range boards {
		if uids[d.UID] || d.UID == "" {
			t.Errorf("%s: uid %q", d.file, d.UID)
		}
		uids[d.UID] = true
	}
	for _, d := range boards {
		for _, f := range lintBoard(d, uids) {
			t.Errorf("%s: %s", d.file, f)
		}
	}
}

func lintBoard(d grafanaBoard, uids map[string]bool) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if d.SchemaVersion != 42 || d.Editable || d.Timezone != "browser" {
		fault("schema version %d, editable %v, time zone %q", d.SchemaVersion, d.Editable, d.Timezone)
	}
	for _, l := range d.Links {
		if uid, ok := strings.CutPrefix(l.URL, "/d/"); !ok || !uids[uid] || uid == d.UID {
			fault("link %s leads nowhere", l.URL)
		}
	}
	if len(d.Links) != len(uids)-1 {
		fault("%d links to %d other dashboards", len(d.Links), len(uids)-1)
	}
	sources := 0
	for _, v := range d.Templating.List {
		switch {
		case v.Type == "datasource":
			sources++
		case v.Type == "query" && v.Refresh != 2:
			fault("variable %s does not follow the time that is shown", v.Name)
		}
	}
	names := func(v grafanaVar) string { return v.Name }
	if have := collect(d.Templating.List, names); sources != 1 || !slices.Contains(have, "job") || !slices.Contains(have, "instance") {
		fault("variables %v, %d data sources", have, sources)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			fault("two panels are number %d", p.ID)
		}
		ids[p.ID] = true
		for _, f := range lintPanel(p) {
			fault("panel %q: %s", p.Title, f)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					fault("panels %q and %q overlap", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	return append(faults, fixedSources(d.raw, "")...)
}

func collect[T any](in []T, f func(T) string) (out []string) {
	for _, v := range in {
		out = append(out, f(v))
	}
	return out
}

// builtIn are the panels of Grafana that need no plugin.
func builtIn() []string {
	return []string{"timeseries", "stat", "bargauge", "table", "state-timeline", "heatmap", "piechart", "news", "text"}
}

// rawOnPurpose are counters that may be shown as they are: feedback begins with that of the last 30 days at each start.
func rawOnPurpose() []string { return []string{"tocsin_feedback_total"} }

func lintPanel(p grafanaPanel) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" {
		fault("title, description or unit is missing")
	}
	if !slices.Contains(builtIn(), p.Type) || p.LibraryPanel != nil {
		fault("type %s is not built in", p.Type)
	}
	if len(p.Targets) == 0 && p.Type != "news" && p.Type != "text" {
		fault("it asks nothing")
	}
	for _, t := range p.Targets {
		q, err := readPromQL(t.Expr)
		if err != nil {
			fault("%v", err)
			continue
		}
		if t.Instant == t.Range {
			fault("%s is both or neither of instant and range", t.RefID)
		}
		for _, s := range q.selectors {
			if !strings.Contains(s.labels, `job=~"$job"`) || !strings.Contains(s.labels, `instance=~"$instance"`) {
				fault("%s in %s is not narrowed to job and instance", s.name, t.RefID)
			}
		}
		window, wrong := "[$__rate_interval]", "[$__range]"
		if t.Instant {
			window, wrong = wrong, window
		}
		if strings.Contains(t.Expr, wrong) || strings.Count(t.Expr, "[") != strings.Count(t.Expr, window) {
			fault("a window of %s is not %s: %s", t.RefID, window, t.Expr)
		}
		raw, gauges := q.rawCounters()
		raw = slices.DeleteFunc(raw, func(n string) bool { return slices.Contains(rawOnPurpose(), n) })
		if len(raw)+len(gauges) > 0 {
			fault("counters shown raw: %v, rates of gauges: %v", raw, gauges)
		}
		if err := bothForms(q); err != nil {
			fault("%v", err)
		}
	}
	return faults
}

// bothForms wants a histogram asked in its native and its classic form, because only one of them may be stored.
func bothForms(q promQL) error {
	for _, h := range histogramNames() {
		native := slices.ContainsFunc(q.selectors, func(s selector) bool { return s.name == h })
		classic := slices.ContainsFunc(q.selectors, func(s selector) bool { return s.name == h+"_bucket" })
		if native != classic || native && !strings.Contains(q.text, " or ") && !strings.Contains(q.text, "\n") {
			return fmt.Errorf("%s is not asked in both forms: %s", h, q.text)
		}
	}
	return nil
}

func TestRulesAskHistogramsInBothForms(t *testing.T) {
	for _, r := range readRules(t) {
		q, err := readPromQL(r.Expr)
		if err == nil {
			err = bothForms(q)
		}
		if err != nil {
			t.Errorf("%s%s: %v", r.Alert, r.Record, err)
		}
		for _, s := range q.selectors {
			if strings.Contains(s.labels, "le=") && !strings.Contains(s.labels, "le=~") {
				t.Errorf("%s%s: le is compared with one spelling of a number", r.Alert, r.Record)
			}
		}
	}
}

// fixedSources finds data sources that are not the variable.
func fixedSources(v any, path string) (faults []string) {
	switch x := v.(type) {
	case map[string]any:
		for _, k := range slices.Sorted(maps.Keys(x)) {
			if m, ok := x[k].(map[string]any); ok && k == "datasource" {
				if uid := m["uid"]; uid != "${datasource}" && uid != "-- Grafana --" {
					faults = append(faults, fmt.Sprintf("%s.%s is fixed: %v", path, k, uid))
				}
				continue
			}
			faults = append(faults, fixedSources(x[k], path+"."+k)...)
		}
	case []any:
		for i, e := range x {
			faults = append(faults, fixedSources(e, fmt.Sprintf("%s[%d]", path, i))...)
		}
	}
	return faults
}

func TestDashboardRulesCanFail(t *testing.T) {
	var p grafanaPanel
	if err := json.Unmarshal([]byte(`{"type": "marvellous-panel", "title": "x", "targets": [
		{"refId": "A", "range": true, "expr": "tocsin_items_total{job=~\"$job\"} + rate(tocsin_feeds[5m])"},
		{"refId": "B", "range": true, "instant": true, "expr": "sum(rate(tocsin_seen_to_alert_seconds_bucket{job=~\"$job\", instance=~\"$instance\"}[$__range]))"}]}`), &p); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(lintPanel(p), "\n")
	for _, want := range []string{
		"unit is missing", "marvellous-panel is not built in", "tocsin_items_total in A is not narrowed", "tocsin_feeds in A is not narrowed", "window of A",
		"raw: [tocsin_items_total], rates of gauges: [tocsin_feeds]", "B is both or neither", "is not asked in both forms",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("nothing says %q:\n%s", want, got)
		}
	}
	if f := fixedSources(map[string]any{"panels": []any{map[string]any{"datasource": map[string]any{"uid": "abc"}}}}, ""); len(f) != 1 {
		t.Errorf("a fixed data source is not found: %v", f)
	}
}
