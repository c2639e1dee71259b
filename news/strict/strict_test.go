package strict

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Pos
	ID    Text              `yaml:"id"`
	Every time.Duration     `yaml:"every"`
	On    bool              `yaml:"on"`
	N     int               `yaml:"n"`
	Names []string          `yaml:"names"`
	Tags  map[string]string `yaml:"tags"`
	Sub   *sample           `yaml:"sub"`
}

func TestDecodeReadsAndKeepsPlaces(t *testing.T) {
	var s sample
	fs := Decode("a.yaml", []byte("id: x\nevery: 7d\non: yes\nn: 4\nnames: [a, b]\ntags: {k: v}\nsub:\n  id: y\n"), 1<<20, &s)
	if len(fs) != 0 {
		t.Fatal(fs)
	}
	if s.ID.Value != "x" || s.Every != 7*24*time.Hour || !s.On || s.N != 4 || len(s.Names) != 2 || s.Tags["k"] != "v" {
		t.Fatalf("read %+v", s)
	}
	if got := s.Sub.ID.String(); got != "a.yaml:8:7" {
		t.Fatalf("place of sub.id = %s", got)
	}
}

func TestDecodeReportsEveryFaultWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"unknown key": {"idd: x\nn: 1\n", []string{`a.yaml:1:1: unknown key "idd": did you mean "id"?`}},
		"all at once": {"n: x\non: maybe\n", []string{`a.yaml:1:4: "x" is not a whole number`, `a.yaml:2:5: "maybe" is not true or false`}},
		"twice":       {"n: 1\nn: 2\n", []string{`a.yaml:2:1: key "n" stands twice, first at line 1: remove one of them`}},
		"tab":         {"tags:\n\tk: v\n", []string{`a.yaml:2:1: a tab cannot indent YAML: indent with spaces`}},
		"shape":       {"names: x\n", []string{`a.yaml:1:8: a single value stands here, a list, as in [a, b], is expected`}},
		"duration":    {"every: -5s\n", []string{`a.yaml:1:8: "-5s" is not a duration such as 30s, 15m, 72h or 7d`}},
		"two docs":    {"n: 1\n---\nn: 2\n", []string{"a second document"}},
		"syntax":      {"names: [a\nn: 1\n", []string{"not valid YAML"}},
	} {
		t.Run(name, func(t *testing.T) {
			var s sample
			fs := Decode("a.yaml", []byte(c.in), 1<<20, &s)
			if len(fs) != len(c.want) {
				t.Fatalf("got %d faults: %v", len(fs), fs)
			}
			for i, w := range c.want {
				if !strings.Contains(fs[i].Error(), w) {
					t.Errorf("fault %d = %q, want %q", i, fs[i].Error(), w)
				}
			}
		})
	}
}

func TestDecodeRefusesLargeFiles(t *testing.T) {
	var s sample
	if fs := Decode("a.yaml", []byte("id: xxxxxxxxxxx\n"), 8, &s); len(fs) != 1 || !strings.Contains(fs[0].Error(), "the limit is 8") {
		t.Fatal(fs)
	}
}

func TestDecodeBoundsWhatAnchorsRepeat(t *testing.T) {
	in := "names: &a [" + strings.Repeat("x,", 1000) + "]\nsub: {names: *a, sub: " + strings.Repeat("{names: *a, sub: ", 59) + "{names: *a}" + strings.Repeat("}", 60) + "\n"
	var s sample
	if fs := Decode("a.yaml", []byte(in), 1<<20, &s); len(fs) > 0 {
		t.Fatalf("61,000 values: %v", fs)
	}
	var lists struct {
		Of []map[string]string `yaml:"of"`
	}
	in = "of: [&a {" + strings.Join(keys(1000), ",") + "}," + strings.Repeat("*a,", 200) + "]\n"
	if fs := Decode("a.yaml", []byte(in), 1<<20, &lists); len(fs) != 1 || !strings.Contains(fs[0].Error(), "repeat less by anchors") {
		t.Fatalf("200,000 values: %d faults, %v", len(fs), fs)
	}
}

func keys(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("k%d: v", i)
	}
	return out
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("id: x\nsub: &a {id: y, sub: *a}\n"))
	f.Add([]byte("a: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var s sample
		for _, x := range Decode("a.yaml", in, 1<<16, &s) {
			if x.Fact == "" || x.File == "" {
				t.Fatalf("fault without fact or file: %+v", x)
			}
		}
	})
}
