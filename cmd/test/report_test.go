package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

const (
	passing = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestA"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"quiet please\n"}
{"Action":"pass","Package":"m/a","Test":"TestA"}
{"Action":"output","Package":"m/a","Output":"PASS\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.1s\n"}
{"Action":"pass","Package":"m/a"}
`
	leavingOut = `{"Action":"output","Package":"m/b","Test":"TestB","Output":"=== RUN   TestB\n"}
{"Action":"output","Package":"m/b","Test":"TestB","Output":"    b_test.go:9: data test left out: TOCSIN_DATA is not set\n"}
{"Action":"output","Package":"m/b","Test":"TestB","Output":"--- SKIP: TestB (0.00s)\n"}
{"Action":"skip","Package":"m/b","Test":"TestB"}
{"Action":"pass","Package":"m/b"}
`
	skipping = `{"Action":"output","Package":"m/b","Test":"TestS","Output":"    b_test.go:9: not on this day\n"}
{"Action":"skip","Package":"m/b","Test":"TestS"}
{"Action":"pass","Package":"m/b"}
`
	failing = `{"Action":"output","Package":"m/c","Test":"TestC","Output":"    c_test.go:3: got 1\n"}
{"Action":"fail","Package":"m/c","Test":"TestC"}
{"Action":"output","Package":"m/c","Output":"FAIL\tm/c\t0.1s\n"}
{"Action":"fail","Package":"m/c"}
`
	panicking = `{"Action":"run","Package":"m/d","Test":"TestD"}
{"Action":"output","Package":"m/d","Test":"TestD","Output":"panic: oh\n"}
{"Action":"fail","Package":"m/d"}
`
	unbuilt = `{"ImportPath":"m/e","Action":"build-output","Output":"e.go:1: syntax error\n"}
{"ImportPath":"m/e","Action":"build-fail"}
{"Action":"fail","Package":"m/e","FailedBuild":"m/e"}
`
)

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name, events string
		data         bool
		exit         error
		lines        []string // must be there
		not          string   // must not
		totals, err  string
	}{
		{name: "passing", events: passing, lines: []string{"ok  \tm/a\t0.1s"}, not: "quiet", totals: "1 passed, 0 failed, 0 skipped"},
		{
			name: "left out", events: passing + leavingOut, totals: "1 passed, 0 failed, 1 skipped",
			lines: []string{"data tests left out: 1 (b: TestB); set TOCSIN_DATA to the folder of shared test data to run them"},
		},
		{name: "left out with data", events: passing + leavingOut, data: true, totals: "1 passed, 0 failed, 1 skipped", err: "although TOCSIN_DATA is set"},
		{name: "other skips", events: passing + skipping, data: true, lines: []string{"skipped: m/b.TestS: b_test.go:9: not on this day"}, not: "left out", totals: "1 passed, 0 failed, 1 skipped"},
		{name: "failing", events: passing + failing, lines: []string{"    c_test.go:3: got 1", "FAIL\tm/c\t0.1s"}, totals: "1 passed, 1 failed, 0 skipped", err: "1 failed"},
		{name: "panicking", events: passing + panicking, lines: []string{"panic: oh"}, totals: "1 passed, 1 failed, 0 skipped", err: "1 failed"},
		{name: "unbuilt", events: passing + unbuilt, lines: []string{"e.go:1: syntax error"}, totals: "1 passed, 1 failed, 0 skipped", err: "1 failed"},
		{name: "broken go", events: passing, exit: errors.New("exit status 2"), totals: "1 passed, 0 failed, 0 skipped", err: "exit status 2"},
		{name: "nothing", events: "", totals: "0 passed, 0 failed, 0 skipped", err: "no test ran"},
		{name: "not an event", events: "go: strange\n" + passing, lines: []string{"go: strange"}, totals: "1 passed, 0 failed, 0 skipped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			r := newReport(&out)
			r.read(strings.NewReader(c.events))
			r.exit = c.exit
			err := r.finish(c.data)
			if got := errText(err); (c.err == "") != (got == "") || !strings.Contains(got, c.err) {
				t.Errorf("error %q, want %q", got, c.err)
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if last := lines[len(lines)-1]; last != c.totals {
				t.Errorf("last line %q, want %q", last, c.totals)
			}
			for _, want := range c.lines {
				if !strings.Contains(out.String(), want+"\n") {
					t.Errorf("no line %q in\n%s", want, out.String())
				}
			}
			if c.not != "" && strings.Contains(out.String(), c.not) {
				t.Errorf("%q should not be in\n%s", c.not, out.String())
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestParse(t *testing.T) {
	opts, packages, err := parse([]string{"-race", "-timeout", "2m", "./bus"})
	if err != nil || strings.Join(opts, " ") != "-parallel=8 -race=true -timeout=2m0s" || strings.Join(packages, " ") != "./bus" {
		t.Errorf("opts %q, packages %q, error %v", opts, packages, err)
	}
	if _, packages, _ = parse(nil); strings.Join(packages, " ") != "./..." {
		t.Errorf("packages %q", packages)
	}
}
