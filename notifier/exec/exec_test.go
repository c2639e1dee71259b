package exec

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

// program writes a script that keeps its input and then does what the file "then" beside it says.
func program(t testing.TB) (path, dir string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "program")
	script := "#!/bin/sh\ncat >> " + dir + "/got\n. " + dir + "/then\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	then(t, dir, "exit 0")
	return path, dir
}

func then(t testing.TB, dir, what string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "then"), []byte(what+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, command ...string) notifier.Channel {
	t.Helper()
	ch, err := New(Config{Command: command}, Options{ID: "run"})
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func received(t testing.TB, dir string) (out []notifiertest.Received) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "got"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, l := range bytes.SplitAfter(b, []byte("\n")) {
		var in Input
		if json.Unmarshal(l, &in) == nil && in.Delivery != "" {
			out = append(out, notifiertest.Received{ID: in.Delivery, Body: l})
		}
	}
	return out
}

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	ch := open(t, "/bin/true")
	notifiertest.Golden(t, &ch, *update)
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		path, dir := program(t)
		return &notifiertest.Peer{
			Channel: open(t, path),
			Set: func(f notifiertest.Fault) {
				mode := os.FileMode(0o755)
				switch f {
				case notifiertest.Busy:
					then(t, dir, "echo busy >&2; exit 75")
				case notifiertest.Broken:
					mode = 0o644
				case notifiertest.Lost:
					then(t, dir, "kill -9 $$")
				case notifiertest.Hangs:
					then(t, dir, "sleep 30")
				case notifiertest.Content:
					then(t, dir, "exit 65")
				case notifiertest.Login:
					then(t, dir, "exit 78")
				case notifiertest.Nobody:
					then(t, dir, "exit 67")
				default:
					then(t, dir, "exit 0")
				}
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			},
			Received: func() []notifiertest.Received { return received(t, dir) },
			Verdicts: map[notifiertest.Fault]notifier.Verdict{
				notifiertest.Busy: notifier.Retry, notifiertest.Broken: notifier.Misconfigured, notifiertest.Lost: notifier.Retry, notifiertest.Hangs: notifier.Retry,
				notifiertest.Content: notifier.Refused, notifiertest.Login: notifier.Misconfigured, notifiertest.Nobody: notifier.Permanent,
			},
		}
	})
}

// TestNothingOfTheAlertOutsideStdin: arguments and environment are those of the configuration, whatever the alert says.
func TestNothingOfTheAlertOutsideStdin(t *testing.T) {
	t.Setenv("TOCSIN_SECRET", "CANARY")
	out := filepath.Join(t.TempDir(), "out")
	script := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n{ echo \"$#:$*\"; env; pwd; } > "+out+"\ncat > /dev/null\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ch := open(t, script, "$(id)", "a b")
	if r := ch.Send(t.Context(), notifiertest.Plan(t, &ch, notifiertest.Caller())); r.Verdict != notifier.Delivered {
		t.Fatal(r)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(b); !strings.HasPrefix(s, "2:$(id) a b\n") || strings.Contains(s, "CANARY") || strings.Contains(s, "everyone") {
		t.Errorf("the program saw:\n%s", s)
	}
}

func TestWhatItSaysIsShownInPart(t *testing.T) {
	path, dir := program(t)
	ch := open(t, path)
	then(t, dir, "head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1")
	r := ch.Send(t.Context(), notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert))
	if r.Verdict != notifier.Retry || len(r.Response) > 4<<10 || len(r.Status) > 300 || !strings.HasPrefix(r.Status, "exit 1: xxx") {
		t.Errorf("%s, %d bytes, status %q", r.Verdict, len(r.Response), r.Status)
	}
}

// TestAProgramThatReadsNothing ends well: a broken pipe is its own choice.
func TestAProgramThatReadsNothing(t *testing.T) {
	ch := open(t, "/bin/true")
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	d.Body = bytes.Repeat([]byte("x"), 1<<20)
	if r := ch.Send(t.Context(), d); r.Verdict != notifier.Delivered {
		t.Errorf("%+v", r)
	}
}

func TestATimeoutEndsTheProgram(t *testing.T) {
	path, dir := program(t)
	ch, err := New(Config{Command: []string{path}, Timeout: 200 * time.Millisecond}, Options{ID: "run"})
	if err != nil {
		t.Fatal(err)
	}
	then(t, dir, "sleep 30")
	begun := time.Now()
	r := ch.Send(t.Context(), notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert))
	if !r.Ambiguous || r.Verdict != notifier.Retry || time.Since(begun) > 10*time.Second {
		t.Errorf("%+v after %s", r, time.Since(begun))
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"{}": "no command", "command: [notify-send]": "looked up nowhere", "{command: [/bin/true], timeout: 2m}": "too long", "{command: [/bin/true], concurrency: 99}": "out of range",
	} {
		var c Config
		fs := append(strict.Decode("t.yaml", []byte(yaml), 1<<10, &c), c.Check()...)
		if !strings.Contains(fs.Error(), want) {
			t.Errorf("%s: %q, want %q", yaml, fs.Error(), want)
		}
	}
}

func TestADigestHasEveryAlert(t *testing.T) {
	ch := open(t, "/bin/true")
	var in Input
	if err := json.Unmarshal(notifiertest.Digest(t, &ch, 30).Body, &in); err != nil || len(in.Alerts) != 30 || in.Alert != nil {
		t.Errorf("%v, %d alerts", err, len(in.Alerts))
	}
}
