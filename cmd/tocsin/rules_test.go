package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

const deployDir = "../../deploy"

// promRule is a rule of deploy/prometheus/rules.yml.
type promRule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func readRules(t testing.TB) (rules []promRule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []promRule }
	}
	readYAML(t, filepath.Join(deployDir, "prometheus/rules.yml"), &file)
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	if len(rules) < 30 {
		t.Fatalf("only %d rules", len(rules))
	}
	return rules
}

func readYAML(t testing.TB, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestAlertsHaveAllThatPeopleNeed(t *testing.T) {
	pages := map[string]bool{}
	for _, r := range readRules(t) {
		if r.Alert == "" {
			if !strings.HasPrefix(r.Record, "tocsin:") {
				t.Errorf("record %s: begin it with tocsin:", r.Record)
			}
			continue
		}
		pages[r.Alert+".md"] = true
		if !slices.Contains([]string{"none", "warning", "critical"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		for _, key := range []string{"summary", "description"} {
			if r.Annotations[key] == "" {
				t.Errorf("%s has no %s", r.Alert, key)
			}
		}
		if want := "https://tocsin.example.org/runbooks/" + r.Alert + ".md"; r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
	}
	files, err := filepath.Glob(filepath.Join(deployDir, "runbooks/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := filepath.Base(f); !pages[name] {
			t.Errorf("runbook %s belongs to no alert", name)
		}
		delete(pages, filepath.Base(f))
		checkRunbook(t, f)
	}
	for name := range pages {
		t.Errorf("no runbook %s", name)
	}
}

var (
	runbookLink = regexp.MustCompile(`\]\((\w+\.md)\)`)
	ourCommand  = regexp.MustCompile("(?m)(?:^|`)(tocsin [a-z][^`#|\n]*)")
)

// checkRunbook wants the four parts in their order, links that lead somewhere, and commands of ours that exist with the flags they are given.
func checkRunbook(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	name, text := filepath.Base(path), string(b)
	at := 0
	for _, part := range []string{"# " + strings.TrimSuffix(name, ".md") + "\n", "\n## Meaning\n", "\n## Impact\n", "\n## Check\n", "\n## Mend\n"} {
		i := strings.Index(text[at:], part)
		if i < 0 {
			t.Errorf("%s: no %q in its place", name, strings.TrimSpace(part))
			continue
		}
		at += i
	}
	for _, m := range runbookLink.FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, m := range ourCommand.FindAllStringSubmatch(text, -1) {
		if err := commandExists(strings.Fields(m[1])[1:]); err != nil {
			t.Errorf("%s: %s: %v", name, strings.TrimSpace(m[1]), err)
		}
	}
}

func commandExists(args []string) error {
	c, rest, err := rootCommand(std{out: &bytes.Buffer{}, err: &bytes.Buffer{}}).Find(args)
	if err != nil {
		return err
	}
	if c.HasSubCommands() {
		return fmt.Errorf("%s does nothing by itself", c.Name())
	}
	return flagsExist(c, rest)
}

func flagsExist(c *cobra.Command, args []string) error {
	c.InitDefaultHelpFlag()
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "--"); ok && c.Flag(name) == nil {
			return fmt.Errorf("no flag %s", a)
		}
	}
	return nil
}

func TestRunbookCommandsCanFail(t *testing.T) {
	for _, bad := range []string{"nonsense", "dead", "dead list --nonsense", "feeds show --live"} {
		if commandExists(strings.Fields(bad)) == nil {
			t.Errorf("tocsin %s is taken for a command", bad)
		}
	}
}

// promTest is a case of deploy/prometheus/tests.
type promTest struct {
	Name   string
	Series []struct{ Series, Values string } `yaml:"input_series"`
	Exprs  []struct {
		Expr string
		Want []any `yaml:"exp_samples"`
	} `yaml:"promql_expr_test"`
}

// TestEveryAlertIsTried wants a firing and a quiet case for each alert; the quiet one must feed what the alert looks at.
func TestEveryAlertIsTried(t *testing.T) {
	var file struct{ Tests []promTest }
	readYAML(t, filepath.Join(deployDir, "prometheus/tests/rules_test.yml"), &file)
	rules := readRules(t)
	uses := ruleMetrics(t, rules)
	firing, quiet := map[string]bool{}, map[string]bool{}
	about := regexp.MustCompile(`^ALERTS\{alertname="(\w+)", alertstate="firing"\}$`)
	for _, c := range file.Tests {
		for _, e := range c.Exprs {
			m := about.FindStringSubmatch(e.Expr)
			switch {
			case m == nil:
				t.Errorf("%s: %s is not about one alert", c.Name, e.Expr)
			case len(e.Want) > 0:
				firing[m[1]] = true
			case slices.ContainsFunc(c.Series, func(s struct{ Series, Values string }) bool {
				return slices.Contains(uses[m[1]], strings.Split(s.Series, "{")[0])
			}):
				quiet[m[1]] = true
			}
		}
	}
	for name := range uses {
		if !firing[name] {
			t.Errorf("no case in which %s fires", name)
		}
		if !quiet[name] && name != "Watchdog" { // it is never quiet
			t.Errorf("no case in which %s is quiet before series that it looks at", name)
		}
	}
}

// ruleMetrics gives the metrics that each alert looks at, through records.
func ruleMetrics(t *testing.T, rules []promRule) map[string][]string {
	t.Helper()
	records, out := map[string][]string{}, map[string][]string{}
	for _, r := range rules {
		q, err := readPromQL(r.Expr)
		if err != nil {
			t.Errorf("%s%s: %v", r.Alert, r.Record, err)
			continue
		}
		var names []string
		for _, n := range q.names() {
			if strings.HasPrefix(n, "tocsin:") {
				if records[n] == nil {
					t.Errorf("%s%s uses %s, which no rule above records", r.Alert, r.Record, n)
				}
				names = append(names, records[n]...)
				continue
			}
			names = append(names, n)
		}
		if raw, gauges := q.rawCounters(); len(raw)+len(gauges) > 0 {
			t.Errorf("%s%s: counters used raw: %v, rates of gauges: %v", r.Alert, r.Record, raw, gauges)
		}
		if r.Record != "" {
			records[r.Record] = names
		} else {
			out[r.Alert] = append(out[r.Alert], names...)
		}
	}
	return out
}
