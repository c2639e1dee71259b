//go:build prometheus

package main

import (
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// promtool gives the path of promtool and whether it knows series of native histograms (3.0 and later).
func promtool(t *testing.T) (path string, native bool) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not installed: apt-get install prometheus (Debian)")
	}
	out, err := exec.Command(path, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path, !bytes.Contains(out, []byte("version 2."))
}

// TestPromtoolAgrees runs the checks and tests of Prometheus' own tool.
func TestPromtoolAgrees(t *testing.T) {
	t.Parallel()
	tool, native := promtool(t)
	calls := [][]string{
		{"check", "rules", "rules.yml"}, {"check", "config", "prometheus.yml"}, {"test", "rules", "tests/rules_test.yml"},
	}
	if native {
		calls = append(calls, []string{"test", "rules", "tests/rules_native_test.yml"})
	}
	for _, args := range calls {
		cmd := exec.Command(tool, args...)
		cmd.Dir = filepath.Join(deployDir, "prometheus")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// TestPromtoolReadsThePanels has Prometheus' own parser read every question of the dashboards, and the selectors of their variables.
func TestPromtoolReadsThePanels(t *testing.T) {
	t.Parallel()
	tool, _ := promtool(t)
	file := "groups:\n  - name: panels\n    rules:\n"
	exprs := boardExprs(t)
	for _, d := range readBoards(t) {
		for _, v := range d.Templating.List {
			if inner, ok := strings.CutPrefix(v.Definition, "label_values("); ok {
				exprs[d.file+": variable "+v.Name] = plainExpr(inner[:strings.LastIndex(inner, ",")])
			}
		}
	}
	for i, at := range slices.Sorted(maps.Keys(exprs)) {
		file += fmt.Sprintf("      - record: panel:%d\n        expr: %q\n", i, exprs[at])
	}
	path := write(t, t.TempDir(), "panels.yml", file)
	if out, err := exec.Command(tool, "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if len(exprs) < 80 {
		t.Errorf("only %d expressions", len(exprs))
	}
}

// plainExpr replaces what Grafana puts in.
func plainExpr(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$__range", "10m", "$job", ".*", "$instance", ".*", "$watchlist", ".*", "$channel", ".*").Replace(expr)
}

// boardExprs are all questions of all dashboards, by where they stand: panels, annotations.
func boardExprs(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, d := range readBoards(t) {
		for _, p := range d.Panels {
			for _, q := range p.Targets {
				out[d.file+": "+p.Title+" "+q.RefID] = plainExpr(q.Expr)
			}
		}
		for _, a := range d.Annotations.List {
			if a.Expr != "" {
				out[d.file+": annotation "+a.Name] = plainExpr(a.Expr)
			}
		}
	}
	return out
}
