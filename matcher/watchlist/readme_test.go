package watchlist

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// block is a fenced block of the analysts' page.
type block struct {
	kind, text string
	line       int
}

func readmeBlocks(text string) []block {
	var out []block
	var open *block
	for n, line := range strings.Split(text, "\n") {
		switch fence, ok := strings.CutPrefix(line, "```"); {
		case ok && open == nil:
			open = &block{kind: fence, line: n + 1}
		case ok:
			out = append(out, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	return out
}

func readme(t *testing.T) string {
	data, err := os.ReadFile("../../watchlists/README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var firstID = regexp.MustCompile(`(?m)^id: (\S+)$`)

// TestReadmeExamples loads every YAML block of the page for analysts. A block with an id is a file of its own; any other is loaded together with
// the last such file that was right. A text block behind a YAML block holds exactly the faults that the program gives for it, and perhaps the command.
func TestReadmeExamples(t *testing.T) {
	blocks := readmeBlocks(readme(t))
	loaded, refused := 0, 0
	var good []source
	for i, b := range blocks {
		if b.kind != "yaml" {
			continue
		}
		loaded++
		file := source{"example.yaml", []byte("id: example\ntitle: Example\n" + b.text)}
		files := good
		if m := firstID.FindStringSubmatch(b.text); m != nil {
			file, files = source{m[1] + ".yaml", []byte(b.text)}, nil
		}
		_, fs := assemble(append(slices.Clone(files), file))
		var want, got []string
		if i+1 < len(blocks) && blocks[i+1].kind == "text" {
			want = strings.Split(strings.TrimSpace(blocks[i+1].text), "\n")
			want = slices.DeleteFunc(want, func(l string) bool { return strings.HasPrefix(l, "$ ") }) // a command that a person types
			refused++
		}
		for _, f := range fs {
			got = append(got, f.Error())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("README.md:%d: %s", b.line, d)
		}
		if len(fs) == 0 && files == nil {
			good = []source{file}
		}
	}
	if loaded < 7 || refused < 2 {
		t.Errorf("only %d examples, %d of them with faults", loaded, refused)
	}
}

var queryRow = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// TestReadmeQueries parses the first column of the table of queries.
func TestReadmeQueries(t *testing.T) {
	_, table, ok := strings.Cut(readme(t), "| write | it finds |")
	if !ok {
		t.Fatal("no table of queries")
	}
	rows := queryRow.FindAllStringSubmatch(table, -1)
	if len(rows) < 12 {
		t.Fatalf("only %d queries", len(rows))
	}
	for _, r := range rows {
		if _, fs := ParseQuery("query", r[1]); len(fs) > 0 {
			t.Error(r[1], fs)
		}
	}
}

// TestShippedListsLoad holds the lists of the repository to the language; package matcher tries their sentences.
func TestShippedListsLoad(t *testing.T) {
	files, err := filepath.Glob("../../watchlists/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	if _, fs := LoadDir("../../watchlists"); fs.Err() != nil {
		t.Error(fs.Err())
	}
}
