package stdout

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// screen is an output that can break.
type screen struct {
	mu     sync.Mutex
	blocks [][]byte
	broken bool
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return 0, errors.New("broken pipe")
	}
	s.blocks = append(s.blocks, bytes.Clone(p))
	return len(p), nil
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		s := &screen{}
		ch, err := New(Config{}, Options{ID: "out", Writer: s})
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]string{}
		return &notifiertest.Peer{
			Channel: ch,
			Set: func(f notifiertest.Fault) {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.broken = f == notifiertest.Broken
			},
			Received: func() (out []notifiertest.Received) {
				s.mu.Lock()
				defer s.mu.Unlock()
				for _, b := range s.blocks {
					out = append(out, notifiertest.Received{ID: idOf(t, &ch, b, ids), Body: b})
				}
				return out
			},
			Verdicts: map[notifiertest.Fault]notifier.Verdict{notifiertest.Broken: notifier.Retry},
		}
	})
}

// idOf finds which sample a block shows: people see no ids on a screen.
func idOf(t testing.TB, ch *notifier.Channel, block []byte, ids map[string]string) string {
	if len(ids) == 0 {
		for _, s := range notifiertest.Samples() {
			d := notifiertest.Plan(t, ch, &s.Alert)
			ids[string(d.Body)] = d.ID
		}
	}
	return ids[string(block)]
}

func TestGoldenScreens(t *testing.T) {
	for _, color := range []string{"never", "always"} {
		var c Config
		if fs := strict.Decode("t.yaml", []byte("color: "+color+"\n"), 100, &c); len(fs) > 0 {
			t.Fatal(fs)
		}
		s := &screen{}
		loc, err := time.LoadLocation("Asia/Karachi")
		if err != nil {
			t.Fatal(err)
		}
		ch, err := New(c, Options{ID: "out", Writer: s, Location: loc})
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, x := range notifiertest.Samples() {
			all = append(all, notifiertest.Plan(t, &ch, &x.Alert).Body...)
		}
		path := filepath.Join("testdata", color+".txt")
		if *update {
			os.MkdirAll("testdata", 0o755)
			if err := os.WriteFile(path, all, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(all, want) {
			t.Errorf("%s differs (write it anew with -update and read the difference):\n%s", path, all)
		}
	}
}

func TestColourFollowsTerminalAndWish(t *testing.T) {
	for _, c := range []struct {
		color             string
		terminal, noColor bool
		want              bool
	}{
		{"", true, false, true},
		{"auto", true, true, false},
		{"auto", false, false, false},
		{"always", false, true, true},
		{"never", true, false, false},
	} {
		ch, err := New(Config{Color: strict.Text{Value: c.color}}, Options{ID: "out", Writer: &screen{}, Terminal: c.terminal, NoColor: c.noColor})
		if err != nil {
			t.Fatal(err)
		}
		d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
		if got := bytes.Contains(d.Body, []byte("\x1b[")); got != c.want {
			t.Errorf("%+v: coloured is %v", c, got)
		}
	}
	if err := (&Config{Color: strict.Text{Value: "red"}}).Check().Err(); err == nil {
		t.Error("color red was accepted")
	}
}

// TestNoSequenceButOurs: whatever an item says, only the sequences written in this package reach the terminal, and isolates are closed.
func TestNoSequenceButOurs(t *testing.T) {
	ch, err := New(Config{Color: strict.Text{Value: "always"}}, Options{ID: "out", Writer: &screen{}})
	if err != nil {
		t.Fatal(err)
	}
	s := notifiertest.Hostile()
	body := string(notifiertest.Plan(t, &ch, &s.Alert).Body)
	rest := body
	for _, ours := range []string{reset, bold, dim, mark, blue, severityColor("high")} {
		rest = strings.ReplaceAll(rest, ours, "")
	}
	for _, r := range rest {
		if r < 0x20 && r != '\n' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			t.Errorf("control %U came through: %q", r, rest)
		}
	}
	for _, line := range strings.Split(body, "\n") {
		if strings.Count(line, "\u2068") != strings.Count(line, "\u2069") {
			t.Errorf("isolates are not closed in %q", line)
		}
	}
}
