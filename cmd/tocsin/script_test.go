package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptCommands are what scripts can do beside the usual: see each.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"freeaddr": freeAddrCommand, "serve": serveCommand, "fill": fillCommand, "waitready": waitReadyCommand, "waitfor": waitForCommand, "cmpdates": cmpDatesCommand,
	}
}

func plain(ts *testscript.TestScript, neg bool, args []string, n int, form string) {
	if neg || len(args) != n {
		ts.Fatalf("usage: %s", form)
	}
}

// freeAddrCommand: freeaddr NAME sets $NAME to a loopback address that nothing listens on.
func freeAddrCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 1, "freeaddr NAME")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// serveCommand: serve NAME DIR serves the files of a folder until the script ends, and sets $NAME to the address.
func serveCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "serve NAME DIR")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	files := http.FileServer(http.Dir(ts.MkAbs(args[1])))
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-Modified-Since") // counts in seconds: an edit within one would stay unseen
		files.ServeHTTP(w, r)
	})}
	go func() { _ = srv.Serve(l) }() // ends with Close
	ts.Defer(func() { _ = srv.Close() })
	ts.Setenv(args[0], "http://"+l.Addr().String())
}

// fillCommand: fill FILE replaces $NAME in a file by the script's variables.
func fillCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 1, "fill FILE")
	path := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(path, []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// waitReadyCommand: waitready ADDR waits until an instance is ready.
func waitReadyCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 1, "waitready ADDR")
	waitForCommand(ts, false, []string{"http://" + args[0] + "/readyz", "^ready"})
}

const scriptPatience = 30 * time.Second

// waitForCommand: waitfor FILE|URL REGEXP waits until the file or answer matches.
func waitForCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "waitfor FILE|URL REGEXP")
	re, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	var got []byte
	for end := time.Now().Add(scriptPatience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got, err = readAny(ts, args[0]); err == nil && re.Match(got) {
			return
		}
	}
	ts.Fatalf("%s did not come to match %s (%v):\n%s", args[0], args[1], err, tail(string(got), 3000))
}

func readAny(ts *testscript.TestScript, name string) ([]byte, error) {
	if !strings.HasPrefix(name, "http://") {
		return os.ReadFile(ts.MkAbs(name))
	}
	resp, err := http.Get(name)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

var dates = regexp.MustCompile(`\d{4}-\d\d-\d\d`)

func withoutDates(s string) string { return dates.ReplaceAllString(s, "DATE") }

// cmpDatesCommand: cmpdates stdout|stderr FILE is cmp for texts that hold dates: they need not be the same.
func cmpDatesCommand(ts *testscript.TestScript, neg bool, args []string) {
	plain(ts, neg, args, 2, "cmpdates stdout|stderr FILE")
	got, want := withoutDates(ts.ReadFile(args[0])), withoutDates(ts.ReadFile(args[1]))
	if !bytes.Equal([]byte(got), []byte(want)) {
		ts.Fatalf("%s and %s differ:\n--- got\n%s--- want\n%s", args[0], args[1], got, want)
	}
}
