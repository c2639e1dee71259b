// Package strict reads YAML files written by people: every unknown key, duplicate key, wrong type and bad value is reported, all at once,
// each with its place (file:line:column), the fact and a next step. It promises that a file with any fault changes nothing, and that the
// faults come sorted and the same in every run. What a value means (is this severity known, does this alias fold to nothing) is left to the
// packages that own the types; they add their own faults with the positions kept here.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Pos is a place in a file. Line and Col count from 1; zero means unknown.
type Pos struct {
	File      string
	Line, Col int
}

// String writes file:line:column as editors understand it.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Col == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Fault is one thing wrong in a file, told in three parts.
type Fault struct {
	Pos
	Fact string // what is wrong
	Next string // what to do about it; may be empty
	Warn bool   // true: worth saying, but the file is accepted
}

// Error writes "place: fact: next step".
func (f Fault) Error() string {
	s := f.Pos.String() + ": "
	if f.Warn {
		s += "warning: "
	}
	if f.Next == "" {
		return s + f.Fact
	}
	return s + f.Fact + ": " + f.Next
}

// Faults are all faults of one load, sorted by place.
type Faults []Fault

// Error writes one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort orders the faults by file, line, column and text, and drops exact repeats.
func (fs Faults) Sort() Faults {
	sort.SliceStable(fs, func(i, j int) bool {
		a, b := fs[i], fs[j]
		switch {
		case a.File != b.File:
			return a.File < b.File
		case a.Line != b.Line:
			return a.Line < b.Line
		case a.Col != b.Col:
			return a.Col < b.Col
		}
		return a.Fact < b.Fact
	})
	out := fs[:0]
	for i, f := range fs {
		if i == 0 || f != fs[i-1] {
			out = append(out, f)
		}
	}
	return out
}

// Split separates errors from warnings.
func (fs Faults) Split() (errs, warnings Faults) {
	for _, f := range fs {
		if f.Warn {
			warnings = append(warnings, f)
		} else {
			errs = append(errs, f)
		}
	}
	return errs, warnings
}

// Err is nil when no fault is an error, else the errors among the faults, sorted.
func (fs Faults) Err() error {
	errs, _ := fs.Split()
	if len(errs) == 0 {
		return nil
	}
	return errs.Sort()
}

// Add appends an error at p.
func (fs *Faults) Add(p Pos, next, format string, args ...any) {
	*fs = append(*fs, Fault{Pos: p, Fact: fmt.Sprintf(format, args...), Next: next})
}

// AddWarning appends a warning at p.
func (fs *Faults) AddWarning(p Pos, next, format string, args ...any) {
	*fs = append(*fs, Fault{Pos: p, Fact: fmt.Sprintf(format, args...), Next: next, Warn: true})
}

// Text is a scalar that remembers where it stood.
type Text struct {
	Pos
	Value string
}

// Decode reads one YAML document into v, a pointer to a struct with `yaml` tags, and returns every fault. Fields of type Pos named Pos are set to
// the place of their mapping, Text fields keep their place, and types that implement encoding.TextUnmarshaler or Unmarshaler read themselves.
// Limits: maxBytes for the file, depth 64. An empty file leaves v as it is.
func Decode(file string, data []byte, maxBytes int, v any) Faults {
	d := decoder{file: file, limit: len(data) + maxRepeated}
	if len(data) > maxBytes {
		d.faults.Add(Pos{File: file}, "split the file", "%d bytes, the limit is %d", len(data), maxBytes)
		return d.faults
	}
	root, ok := d.parse(data)
	if ok && root != nil {
		d.root(root, v)
	}
	return d.faults.Sort()
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func (d *decoder) parse(data []byte) (*yaml.Node, bool) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, true
	}
	if err == nil {
		var more yaml.Node
		if !errors.Is(dec.Decode(&more), io.EOF) {
			d.faults.Add(Pos{File: d.file, Line: max(more.Line, 1)}, "keep one document a file", "a second document or unreadable text follows the first")
			return nil, false
		}
		if len(doc.Content) == 0 {
			return nil, true
		}
		return doc.Content[0], true
	}
	d.syntax(data, err)
	return nil, false
}

// syntax words the YAML library's errors for people; a tab is by far the most common cause and gets its exact place.
func (d *decoder) syntax(data []byte, err error) {
	for i, line := range strings.Split(string(data), "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if k := strings.IndexByte(indent, '\t'); k >= 0 {
			d.faults.Add(Pos{d.file, i + 1, k + 1}, "indent with spaces", "a tab cannot indent YAML")
			return
		}
	}
	p := Pos{File: d.file, Line: 1}
	msg := err.Error()
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		msg = m[2]
		if n, e := strconv.Atoi(m[1]); e == nil {
			p.Line = n
		}
	}
	d.faults.Add(p, "look for a missing colon, quote or indent on this line or the one before", "not valid YAML (%s)", msg)
}
