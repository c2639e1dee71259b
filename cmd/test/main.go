// Command test runs `go test` and says at the end what `go test ./...` keeps to itself: which data tests were left out because TOCSIN_DATA is not
// set (one line), and how many tests passed, failed and were skipped (the last line). It promises to fail when a test, a build or a package fails,
// when no test ran, and when a data test was left out although TOCSIN_DATA is set. Which tests exist is left to the packages.
//
//	go run ./cmd/test                        every package
//	go run ./cmd/test -race -short ./bus     go test's flags race, short, run, count, timeout (30m unless stated) and parallel (8)
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

func main() {
	r, err := run(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(2)
	}
	if err == nil {
		err = r.finish(os.Getenv("TOCSIN_DATA") != "")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		os.Exit(1)
	}
}

// run starts go test and reads its events. A failed test is no error here: the report knows.
func run(args []string, out io.Writer) (*report, error) {
	opts, packages, err := parse(args)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("go", append(append([]string{"test", "-json"}, opts...), packages...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start go test: %w", err)
	}
	r := newReport(out)
	r.read(events)
	r.exit = cmd.Wait()
	return r, nil
}

// parse separates the flags for go test from the packages.
func parse(args []string) (opts, packages []string, err error) {
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.Bool("race", false, "look for data races")
	fs.Bool("short", false, "leave out what is heavy")
	fs.String("run", "", "only tests whose name matches this `expression`")
	fs.Int("count", 1, "run each test `n` times, without the cache")
	fs.Duration("timeout", 30*time.Minute, "give up a package after this `time`: a slow or busy machine needs more than the 10 minutes of go test")
	fs.Int("parallel", 8, "tests of one package that may run at once: the long ones kill processes and wait for them, and use little of the machine")
	if err := fs.Parse(args); err != nil {
		return nil, nil, err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	fs.VisitAll(func(f *flag.Flag) {
		if given[f.Name] || f.Name == "parallel" || f.Name == "timeout" {
			opts = append(opts, "-"+f.Name+"="+f.Value.String())
		}
	})
	if fs.NArg() == 0 {
		return opts, []string{"./..."}, nil
	}
	return opts, fs.Args(), nil
}
