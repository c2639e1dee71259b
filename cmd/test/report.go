package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// leftOut is how the skip message of a data test begins.
const leftOut = "data test left out:"

// event is one line of `go test -json`; see `go doc test2json` and `go help buildjson`.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build events
	Test        string // "" for the package itself
	Output      string
	FailedBuild string
}

// report gathers what went well and what did not.
type report struct {
	out                     io.Writer
	passed, failed, skipped int
	data                    map[string][]string        // data tests left out, by package
	other                   []string                   // other skips with their reason
	open                    map[string]map[string]text // output of running tests, by package; "" is the package
	broken                  map[string]bool            // packages in which a test failed
	exit                    error                      // of go test
}

type text []string

func newReport(out io.Writer) *report {
	return &report{out: out, data: map[string][]string{}, open: map[string]map[string]text{}, broken: map[string]bool{}}
}

// read takes events until the stream ends. A line that is no event is shown as it is.
func (r *report) read(in io.Reader) {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) != nil:
			fmt.Fprintf(r.out, "%s", line)
		default:
			r.add(e)
		}
		if err != nil {
			return
		}
	}
}

func (r *report) add(e event) {
	switch e.Action {
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "output":
		r.output(e)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.endPackage(e)
			return
		}
		r.endTest(e)
	}
}

func (r *report) output(e event) {
	if e.Test == "" && summary(e.Output) {
		fmt.Fprint(r.out, e.Output)
		return
	}
	if r.open[e.Package] == nil {
		r.open[e.Package] = map[string]text{}
	}
	r.open[e.Package][e.Test] = append(r.open[e.Package][e.Test], e.Output)
}

// summary tells whether a line is the one that go test prints for a whole package.
func summary(line string) bool {
	return strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "FAIL\t") || strings.HasPrefix(line, "?   \t")
}

func (r *report) endTest(e event) {
	said := r.open[e.Package][e.Test]
	delete(r.open[e.Package], e.Test)
	switch e.Action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		r.broken[e.Package] = true
		fmt.Fprint(r.out, strings.Join(said, ""))
	case "skip":
		r.skipped++
		why := reason(said)
		if strings.Contains(why, leftOut) {
			r.data[e.Package] = append(r.data[e.Package], e.Test)
			return
		}
		r.other = append(r.other, fmt.Sprintf("%s.%s: %s", e.Package, e.Test, why))
	}
}

// reason is what a skipped test said, without go test's own lines.
func reason(said text) string {
	said = slices.DeleteFunc(slices.Clone(said), func(s string) bool {
		s = strings.TrimSpace(s)
		return strings.HasPrefix(s, "=== ") || strings.HasPrefix(s, "--- ")
	})
	return strings.Join(strings.Fields(strings.Join(said, "")), " ")
}

// endPackage shows what a failed package said outside its failed tests: a panic, a deadline, a data race. It counts as one failure when no test
// of it was blamed.
func (r *report) endPackage(e event) {
	open := r.open[e.Package]
	delete(r.open, e.Package)
	if e.Action != "fail" {
		return
	}
	for _, test := range slices.Sorted(maps.Keys(open)) {
		fmt.Fprint(r.out, strings.Join(open[test], ""))
	}
	if !r.broken[e.Package] {
		r.failed++
	}
}

// finish writes the last lines and says whether all is well. withData: TOCSIN_DATA is set, so no data test may be left out.
func (r *report) finish(withData bool) error {
	for _, s := range r.other {
		fmt.Fprintln(r.out, "skipped:", s)
	}
	n, names := r.leftOut()
	if n > 0 {
		fmt.Fprintf(r.out, "data tests left out: %d (%s); set TOCSIN_DATA to the folder of shared test data to run them\n", n, names)
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	switch {
	case r.failed > 0:
		return fmt.Errorf("%d failed", r.failed)
	case r.exit != nil:
		return fmt.Errorf("go test: %w", r.exit)
	case r.passed == 0:
		return errors.New("no test ran")
	case withData && n > 0:
		return fmt.Errorf("%d data tests left out although TOCSIN_DATA is set", n)
	}
	return nil
}

func (r *report) leftOut() (n int, names string) {
	var parts []string
	for _, pkg := range slices.Sorted(maps.Keys(r.data)) {
		tests := slices.Sorted(slices.Values(r.data[pkg]))
		n += len(tests)
		parts = append(parts, path.Base(pkg)+": "+strings.Join(tests, " "))
	}
	return n, strings.Join(parts, "; ")
}
