//go:build linux

package matcher

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coregx/ahocorasick"

	"tocsin/matcher/fold"
)

// BenchmarkPeers prints how fast other ways find the same terms in the same texts, in MB of text a second of processor time, as a table. Only ours reads raw text and finds whole words in any
// form of writing; the others get text that is folded already, and their cost of folding is left out. Slow ways read a part of the text.
func BenchmarkPeers(b *testing.B) {
	p := newPeers(b)
	fmt.Print("\n| terms | way | MB/s |\n|---|---|---|\n")
	for b.Loop() {
		for _, n := range []string{"20", "1k", "10k", "100k"} {
			p.round(b, n)
		}
	}
	b.ReportMetric(0, "ns/op")
}

type peers struct {
	all    []batch
	raw    int64
	folded []string
	file   string // holds the folded texts, a line each
	size   int64
}

// newPeers reads texts of all languages.
func newPeers(b *testing.B) *peers {
	p := &peers{file: filepath.Join(b.TempDir(), "texts")}
	for _, l := range langs() {
		items := readItems(b, l, 8)
		p.raw += textBytes(items)
		p.all = append(p.all, batches(items)...)
		for i := range items {
			for _, f := range items[i].Fields() {
				p.folded = append(p.folded, strings.ReplaceAll(fold.String(f.Text), "\n", " "))
			}
		}
	}
	text := strings.Join(p.folded, "\n") + "\n"
	p.size = int64(len(text))
	if err := os.WriteFile(p.file, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return p
}

func (p *peers) round(b *testing.B, n string) {
	terms := readTerms(b, n)
	x := plainIndex(b, terms)
	var kept []string
	for _, t := range terms {
		if t = strings.ReplaceAll(fold.String(t), "\n", " "); t != "" {
			kept = append(kept, t)
		}
	}
	speed := func(name string, size int64, d time.Duration) {
		fmt.Printf("| %s | %s | %.4g |\n", n, name, float64(size)/d.Seconds()/1e6)
	}
	speed("utf8.DecodeRune loop", p.raw, quickest(b, func() { p.each((*batch).decodeRunes) }))
	speed("ours, raw text", p.raw, quickest(b, func() { p.each(func(c *batch) rune { return rune(c.scanOnly(x)) }) }))
	if ac, err := ahocorasick.NewBuilder().AddStrings(kept).Build(); err != nil {
		fmt.Printf("| %s | coregx/ahocorasick | %v |\n", n, err)
	} else {
		part, size := p.part(4 << 20)
		speed("coregx/ahocorasick", size, quickest(b, func() {
			for _, t := range part {
				ac.FindAllOverlapping([]byte(t))
			}
		}))
	}
	if len(kept) <= 1000 {
		p.small(b, kept, speed)
	}
	p.outside(b, n, "rg", kept, speed)
	p.outside(b, n, "grep", kept, speed)
}

func (p *peers) small(b *testing.B, terms []string, speed func(string, int64, time.Duration)) {
	part, size := p.part(1 << 20)
	speed("strings.Contains loop", size, quickest(b, func() {
		for _, text := range part {
			for _, t := range terms {
				strings.Contains(text, t)
			}
		}
	}))
	quoted := make([]string, len(terms))
	for i, t := range terms {
		quoted[i] = regexp.QuoteMeta(t)
	}
	part, size = p.part(100 << 10)
	re := regexp.MustCompile(strings.Join(quoted, "|"))
	speed("regexp of Go", size, quickest(b, func() {
		for _, text := range part {
			re.FindAllStringIndex(text, -1)
		}
	}))
}

// outside times a program over the file, less what it takes over an empty one: start and reading the terms.
func (p *peers) outside(b *testing.B, n, program string, terms []string, speed func(string, int64, time.Duration)) {
	path, err := exec.LookPath(program)
	if err != nil {
		fmt.Printf("| %s | %s -F -o | not installed, left out |\n", n, program)
		return
	}
	list := filepath.Join(b.TempDir(), "terms")
	if err := os.WriteFile(list, []byte(strings.Join(terms, "\n")+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(file string) time.Duration {
		cmd := exec.Command(path, "-F", "-o", "-f", list, file)
		cmd.Stdout = writer{} // not the null device: grep stops at the first match when it sees that nobody reads
		err := cmd.Run()
		if e, ok := err.(*exec.ExitError); err != nil && (!ok || e.ExitCode() > 1) {
			b.Fatalf("%s: %v", program, err)
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	empty := filepath.Join(b.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	start := best(func() time.Duration { return run(empty) })
	took := best(func() time.Duration { return run(p.file) }) - start
	if took < start/20 {
		fmt.Printf("| %s | %s -F -o | lost in the noise of its start |\n", n, program)
		return
	}
	speed(program+" -F -o", p.size, took)
}

// writer drops what is written.
type writer struct{}

func (writer) Write(b []byte) (int, error) { return len(b), nil }

func (p *peers) each(f func(*batch) rune) {
	for i := range p.all {
		f(&p.all[i])
	}
}

// part is texts from all over, of about so many bytes.
func (p *peers) part(size int64) (texts []string, n int64) {
	step := max(1, int(p.size/size))
	for i := 0; i < len(p.folded); i += step {
		texts = append(texts, p.folded[i])
		n += int64(len(p.folded[i]))
	}
	return texts, n
}

// quickest is the processor time of the best of three, or of one that takes long.
func quickest(b *testing.B, f func()) time.Duration {
	return best(func() time.Duration { return cpu(b, f) })
}

func best(f func() time.Duration) time.Duration {
	least := time.Hour
	for range 3 {
		took := f()
		if least = min(least, took); took > 3*time.Second {
			break
		}
	}
	return least
}
