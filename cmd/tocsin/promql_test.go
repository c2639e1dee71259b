package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// promQL is what the lint rules need to know of an expression. Whether it is one, Prometheus itself says: promtool and the server parse every
// expression. Its parser as a Go module would be exact here too, but doubles the modules that this repository depends on, cloud libraries included.
type promQL struct {
	text      string
	selectors []selector
	filters   bool // a comparison may leave nothing
}

// selector is one name of a metric or record, with what stands around it.
type selector struct {
	name   string
	labels string // between the braces
	counts bool   // stands in rate, increase or their like
}

var (
	promToken    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[a-zA-Z_:$][a-zA-Z0-9_:]*|[0-9][0-9.a-z]*|[<>=!]=|=~|!~|\S`)
	promGrouping = map[string]bool{"by": true, "without": true, "on": true, "ignoring": true, "group_left": true, "group_right": true}
	promWord     = map[string]bool{"and": true, "or": true, "unless": true, "bool": true, "offset": true, "inf": true, "nan": true}
	counterFuncs = map[string]bool{"rate": true, "irate": true, "increase": true, "resets": true}
	promName     = regexp.MustCompile(`^[a-zA-Z_:]`)
)

// readPromQL walks over the tokens: a name before a parenthesis is a function, one in a list after by, on and their like is a label, one that
// stands alone or before a brace is a metric.
func readPromQL(text string) (promQL, error) {
	q := promQL{text: text}
	toks := promToken.FindAllString(text, -1)
	next := func(i int) string {
		if i+1 < len(toks) {
			return toks[i+1]
		}
		return ""
	}
	var calls []string
	for i := 0; i < len(toks); i++ {
		switch t := toks[i]; {
		case promGrouping[t]:
			for i < len(toks) && toks[i] != ")" && next(i) != "" && (toks[i] != t || next(i) == "(") {
				i++
			}
		case t == "(":
			calls = append(calls, "")
		case t == ")":
			if len(calls) == 0 {
				return q, fmt.Errorf("%s: a parenthesis too many", text)
			}
			calls = calls[:len(calls)-1]
		case promWord[t] || !promName.MatchString(t):
			q.filters = q.filters || slices.Contains([]string{"<", ">", "<=", ">=", "==", "!="}, t) && next(i) != "bool"
		case next(i) == "(":
			calls = append(calls, t)
			i++
		case next(i) == "by" || next(i) == "without": // an aggregation
		default:
			s := selector{name: t, counts: slices.ContainsFunc(calls, func(c string) bool { return counterFuncs[c] })}
			if next(i) == "{" {
				for i += 2; i < len(toks) && toks[i] != "}"; i++ {
					s.labels += toks[i]
				}
			}
			q.selectors = append(q.selectors, s)
		}
	}
	if len(calls) > 0 {
		return q, fmt.Errorf("%s: a parenthesis is open", text)
	}
	return q, nil
}

// names are those of metrics and records, sorted, each once.
func (q promQL) names() (out []string) {
	for _, s := range q.selectors {
		out = append(out, s.name)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// rawCounters are the counters and histograms that no counter function is applied to; gauges are those that one is applied to.
func (q promQL) rawCounters() (raw, gauges []string) {
	for _, s := range q.selectors {
		switch {
		case isCounter(s.name) && !s.counts:
			raw = append(raw, s.name)
		case !isCounter(s.name) && s.counts:
			gauges = append(gauges, s.name)
		}
	}
	return raw, gauges
}

// histogramNames are the histograms of the program; the live check compares them with what it serves.
func histogramNames() []string {
	return []string{
		"tocsin_publish_to_seen_seconds", "tocsin_seen_to_alert_seconds", "tocsin_alert_to_delivered_seconds",
		"tocsin_seen_to_delivered_seconds", "tocsin_bus_publish_seconds", "tocsin_canary_seconds",
	}
}

// baseName strips what a histogram's series add to its name.
func baseName(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && slices.Contains(histogramNames(), base) {
			return base
		}
	}
	return name
}

func isCounter(name string) bool {
	return strings.HasSuffix(name, "_total") || slices.Contains(histogramNames(), baseName(name))
}

func TestPromQLIsRead(t *testing.T) {
	q, err := readPromQL(`sum by (job, le) (rate(a_total{job=~"x(y)", le=~"60(\\.0)?"}[5m])) / on (job) group_left (z) b > 3 or absent(c) unless max without (q) (increase(d[1h]))`)
	if err != nil {
		t.Fatal(err)
	}
	want := []selector{{"a_total", `job=~"x(y)",le=~"60(\\.0)?"`, true}, {"b", "", false}, {"c", "", false}, {"d", "", true}}
	if !slices.Equal(q.selectors, want) || !q.filters {
		t.Errorf("%+v", q)
	}
	if raw, gauges := q.rawCounters(); len(raw) != 0 || !slices.Equal(gauges, []string{"d"}) {
		t.Errorf("raw %v, gauges %v", raw, gauges)
	}
	for _, bad := range []string{"sum(a", "a)"} {
		if _, err := readPromQL(bad); err == nil {
			t.Errorf("%s is taken for an expression", bad)
		}
	}
	for text, filters := range map[string]bool{"a == bool 1": false, "a == 1": true, `a{b="c"} + 1`: false} {
		if q, err := readPromQL(text); err != nil || q.filters != filters {
			t.Errorf("%s: filters %v, %v", text, q.filters, err)
		}
	}
}
