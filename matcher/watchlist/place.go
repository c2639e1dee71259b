package watchlist

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"tocsin/news/strict"
)

// placer finds the line and column of a byte inside a scalar, so that a fault in a query points at the word and not at the query.
type placer struct {
	data  []byte
	lines []int // offset of each line
}

func newPlacer(data []byte) placer {
	p := placer{data: data, lines: []int{0}}
	for i, c := range data {
		if c == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	return p
}

// locate brings the scalar value, which starts at start, and its source side by side and returns the place of value[off:]. Where they cannot be
// brought together, the start of the scalar is the answer.
func (p placer) locate(start strict.Pos, value string) func(off int) strict.Pos {
	if start.Line < 1 || start.Line > len(p.lines) {
		return func(int) strict.Pos { return start }
	}
	value = strings.TrimRight(value, " \n")
	first := p.lines[start.Line-1]
	w := walker{src: p.data, i: first + runes(p.data[first:], start.Col-1), at: make([]int, len(value)+1)}
	w.open()
	w.walk(value)
	return func(off int) strict.Pos {
		src := w.at[min(off, len(value))]
		if src == 0 {
			return start
		}
		line, found := slices.BinarySearch(p.lines, src)
		if !found {
			line--
		}
		return strict.Pos{File: start.File, Line: line + 1, Col: 1 + utf8.RuneCount(p.data[p.lines[line]:src])}
	}
}

// runes is the number of bytes that n runes of b take.
func runes(b []byte, n int) int {
	i := 0
	for ; n > 0 && i < len(b); n-- {
		_, size := utf8.DecodeRune(b[i:])
		i += size
	}
	return i
}

// walker stands at src[i] while it follows a scalar.
type walker struct {
	src   []byte
	i     int
	quote byte  // ' or ", 0 for plain and block scalars
	at    []int // for each byte of the value, its byte in src; 0 unknown
}

func (w *walker) peek() byte {
	if w.i < len(w.src) {
		return w.src[w.i]
	}
	return 0
}

// open steps over anchors, tags, the opening quote or the header of a block.
func (w *walker) open() {
	for c := w.peek(); c == '&' || c == '!'; c = w.peek() {
		for c := w.peek(); c != 0 && c != ' ' && c != '\n'; c = w.peek() {
			w.i++
		}
		w.blanks()
	}
	switch c := w.peek(); c {
	case '\'', '"':
		w.quote = c
		w.i++
	case '|', '>':
		if n := bytes.IndexByte(w.src[w.i:], '\n'); n >= 0 {
			w.i += n
			w.blanks()
		}
	}
}

func (w *walker) blanks() {
	for strings.IndexByte(" \t\r\n", w.peek()) >= 0 && w.i < len(w.src) {
		w.i++
	}
}

// walk fills at; it stops where value and source part ways.
func (w *walker) walk(value string) {
	for i := 0; i < len(value); {
		w.at[i] = w.i
		switch {
		case value[i] == ' ' || value[i] == '\n':
			w.blanks()
			for i < len(value) && (value[i] == ' ' || value[i] == '\n') {
				i++
			}
		case w.quote == '"' && w.peek() == '\\':
			_, size := utf8.DecodeRuneInString(value[i:])
			if w.escape() {
				i += size
			}
		case w.peek() != value[i]:
			w.at[i] = 0
			return
		default:
			if w.quote == '\'' && value[i] == '\'' {
				w.i++
			}
			w.i++
			i++
		}
	}
	w.at[len(value)] = w.i
}

// escape steps over one escape of a double-quoted scalar and tells whether it stands for a letter of the value.
func (w *walker) escape() bool {
	w.i++
	switch w.peek() {
	case '\n', '\r':
		w.blanks()
		return false
	case 'x':
		w.i += 3
	case 'u':
		w.i += 5
	case 'U':
		w.i += 9
	default:
		w.i++
	}
	w.i = min(w.i, len(w.src))
	return true
}

var (
	bareMark   = regexp.MustCompile("(?:^|[\\s\\[{,:-])([@`][\\p{L}\\d_-]*)")
	openQuoted = regexp.MustCompile(`^(\s*(?:- )?query:\s*)(?:"[^"]*"|'[^']*')\s*[^\s#]`)
)

// explainYAML words the two YAML errors that this language invites: an @entity without quotes, and a query that begins with a quoted phrase.
func explainYAML(f *strict.Fault, data []byte) {
	for i, line := range strings.Split(string(data), "\n") {
		n := i + 1
		m := bareMark.FindStringSubmatchIndex(line)
		if m != nil && n >= f.Line-1 && n <= f.Line+1 && strings.Contains(f.Fact, "cannot start any token") {
			f.Line, f.Col = n, 1+utf8.RuneCountInString(line[:m[2]])
			f.Fact = "YAML does not let a text begin with " + line[m[2]:m[2]+1]
			f.Next = `put it in quotes: "` + line[m[2]:m[3]] + `"`
			return
		}
		if m := openQuoted.FindStringSubmatchIndex(line); m != nil && strings.Contains(f.Fact, "not valid YAML") {
			f.Line, f.Col = n, 1+utf8.RuneCountInString(line[:m[3]])
			f.Fact = "the query begins with a quote, so YAML ends it at the next one"
			f.Next = `put the whole query in single quotes: query: '"first phrase" AND second'`
			return
		}
	}
}
