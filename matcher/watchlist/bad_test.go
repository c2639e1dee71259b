package watchlist

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the faults found into the first lines of testdata/bad; read the difference before you commit it")

const wantMark = "# want: "

// TestBadFiles loads every file of testdata/bad. Its first lines hold all the faults it must give, as line:column: fact: next step.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil || len(files) < 45 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := faultsOf(file, data)
			if *update {
				data = rewrite(t, file, data, got)
				got = faultsOf(file, data)
			}
			if d := cmp.Diff(wants(data), got); d != "" {
				t.Error(d)
			}
		})
	}
}

func faultsOf(file string, data []byte) []string {
	_, fs := LoadFile(file, data)
	var out []string
	for _, f := range fs {
		out = append(out, strings.ReplaceAll(strings.TrimPrefix(f.Error(), file+":"), file, filepath.Base(file)))
	}
	return out
}

func wants(data []byte) []string {
	var out []string
	for line := range strings.Lines(string(data)) {
		if w, ok := strings.CutPrefix(line, wantMark); ok {
			out = append(out, strings.TrimRight(w, "\n"))
		}
	}
	return out
}

// rewrite replaces the wanted faults and moves the lines that they name as the head grows.
func rewrite(t *testing.T, file string, data []byte, got []string) []byte {
	var body []string
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, wantMark) {
			body = append(body, line)
		}
	}
	head := wantMark + strings.Join(got, "\n"+wantMark) + "\n"
	out := []byte(head + strings.Join(body, ""))
	if again := faultsOf(file, out); cmp.Diff(got, again) != "" {
		head = wantMark + strings.Join(again, "\n"+wantMark) + "\n"
		out = []byte(head + strings.Join(body, ""))
	}
	if err := os.WriteFile(file, out, 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}
