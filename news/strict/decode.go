package strict

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Unmarshaler is implemented by types that have several written forms, such as a text or a mapping. It reads n through c, which reports faults.
type Unmarshaler interface {
	UnmarshalStrict(c *Cursor)
}

// Cursor stands on one node of a document and reads it.
type Cursor struct {
	d *decoder
	n *yaml.Node
}

// Pos is where the node stands.
func (c *Cursor) Pos() Pos { return c.d.pos(c.n) }

// IsScalar, IsList and IsMap tell the shape of the node.
func (c *Cursor) IsScalar() bool { return c.n.Kind == yaml.ScalarNode }

// IsList tells whether the node is a sequence.
func (c *Cursor) IsList() bool { return c.n.Kind == yaml.SequenceNode }

// IsMap tells whether the node is a mapping.
func (c *Cursor) IsMap() bool { return c.n.Kind == yaml.MappingNode }

// Scalar is the node's text, "" for other shapes.
func (c *Cursor) Scalar() string { return c.n.Value }

// Into decodes the node into v, a pointer.
func (c *Cursor) Into(v any) { c.d.value(c.n, reflect.ValueOf(v).Elem(), 0) }

// Fault reports an error at the node.
func (c *Cursor) Fault(next, format string, args ...any) {
	c.d.faults.Add(c.Pos(), next, format, args...)
}

// Items gives a cursor for each element of a list.
func (c *Cursor) Items() []*Cursor {
	if !c.IsList() {
		return nil
	}
	out := make([]*Cursor, len(c.n.Content))
	for i, n := range c.n.Content {
		out[i] = &Cursor{c.d, deref(n)}
	}
	return out
}

// Entries calls f for each key of a mapping in the order of the file; a key that stands twice is a fault.
func (c *Cursor) Entries(f func(key Text, value *Cursor)) {
	c.d.entries(c.n, func(k, v *yaml.Node) { f(Text{c.d.pos(k), k.Value}, &Cursor{c.d, v}) })
}

// Limits that keep a hostile file (anchors that repeat one another) from costing more than a moment.
const (
	maxDepth = 64
	// A file may hold as many values as it has bytes, and this many more through anchors: memory stays in proportion to the file.
	maxRepeated = 100_000
)

type decoder struct {
	file   string
	faults Faults
	values int
	limit  int // of values
}

func (d *decoder) pos(n *yaml.Node) Pos { return Pos{d.file, n.Line, n.Column} }

func (d *decoder) root(n *yaml.Node, v any) { d.value(n, reflect.ValueOf(v).Elem(), 0) }

func deref(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

var (
	posType      = reflect.TypeFor[Pos]()
	textType     = reflect.TypeFor[Text]()
	durationType = reflect.TypeFor[time.Duration]()
)

func (d *decoder) value(n *yaml.Node, v reflect.Value, depth int) {
	n = deref(n)
	if d.values++; d.values > d.limit {
		if d.values == d.limit+1 {
			d.faults.Add(d.pos(n), "repeat less by anchors", "more than %d values", d.limit)
		}
		return
	}
	if depth > maxDepth {
		d.faults.Add(d.pos(n), "write it flatter", "nested deeper than %d", maxDepth)
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), depth)
		return
	}
	if v.CanAddr() {
		if u, ok := v.Addr().Interface().(Unmarshaler); ok {
			u.UnmarshalStrict(&Cursor{d, n})
			return
		}
		if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			d.text(n, u)
			return
		}
	}
	switch {
	case v.Type() == textType:
		if d.want(n, yaml.ScalarNode, "a text") {
			v.Set(reflect.ValueOf(Text{d.pos(n), n.Value}))
		}
	case v.Kind() == reflect.Struct:
		d.structure(n, v, depth)
	case v.Kind() == reflect.Map:
		d.mapping(n, v, depth)
	case v.Kind() == reflect.Slice:
		d.list(n, v, depth)
	default:
		d.scalar(n, v)
	}
}

func (d *decoder) text(n *yaml.Node, u encoding.TextUnmarshaler) {
	if !d.want(n, yaml.ScalarNode, "a text") {
		return
	}
	if err := u.UnmarshalText([]byte(n.Value)); err != nil {
		d.faults.Add(d.pos(n), "", "%s", err)
	}
}

var kindNames = map[yaml.Kind]string{yaml.ScalarNode: "a single value", yaml.SequenceNode: "a list", yaml.MappingNode: "a mapping of keys"}

func (d *decoder) want(n *yaml.Node, kind yaml.Kind, what string) bool {
	if n.Kind == kind {
		return true
	}
	d.faults.Add(d.pos(n), "", "%s stands here, %s is expected", kindNames[n.Kind], what)
	return false
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, depth int) {
	if !d.want(n, yaml.SequenceNode, "a list, as in [a, b],") {
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, c := range n.Content {
		d.value(c, out.Index(i), depth+1)
	}
	v.Set(out)
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, depth int) {
	if !d.want(n, yaml.MappingNode, "a mapping of keys") {
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	d.entries(n, func(k, c *yaml.Node) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(c, e, depth+1)
		v.SetMapIndex(reflect.ValueOf(k.Value).Convert(v.Type().Key()), e)
	})
}

func (d *decoder) entries(n *yaml.Node, f func(k, v *yaml.Node)) {
	seen := map[string]Pos{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			d.faults.Add(d.pos(k), "write a plain text as key", "a key that is not a text")
			continue
		}
		if first, ok := seen[k.Value]; ok {
			d.faults.Add(d.pos(k), "remove one of them", "key %q stands twice, first at line %d", k.Value, first.Line)
			continue
		}
		seen[k.Value] = d.pos(k)
		f(k, deref(n.Content[i+1]))
	}
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, depth int) {
	if !d.want(n, yaml.MappingNode, "a mapping of keys") {
		return
	}
	fields := map[string]int{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Type == posType && f.Name == "Pos" {
			v.Field(i).Set(reflect.ValueOf(d.pos(n)))
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			fields[name] = i
		}
	}
	d.entries(n, func(k, c *yaml.Node) {
		i, ok := fields[k.Value]
		if !ok {
			d.unknownKey(k, fields)
			return
		}
		d.value(c, v.Field(i), depth+1)
	})
}

func (d *decoder) unknownKey(k *yaml.Node, fields map[string]int) {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	next := "known keys: " + strings.Join(names, ", ")
	if g := Guess(k.Value, names); g != "" {
		next = fmt.Sprintf("did you mean %q?", g)
	}
	d.faults.Add(d.pos(k), next, "unknown key %q", k.Value)
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value) {
	if !d.want(n, yaml.ScalarNode, scalarName(v)) {
		return
	}
	var err error
	switch {
	case v.Type() == durationType:
		var x time.Duration
		x, err = ParseDuration(n.Value)
		v.SetInt(int64(x))
	case v.Kind() == reflect.String:
		v.SetString(n.Value)
	case v.Kind() == reflect.Bool:
		var x bool
		x, err = parseBool(n.Value)
		v.SetBool(x)
	case v.CanInt():
		var x int64
		x, err = strconv.ParseInt(n.Value, 10, v.Type().Bits())
		v.SetInt(x)
	case v.CanFloat():
		var x float64
		x, err = strconv.ParseFloat(n.Value, 64)
		v.SetFloat(x)
	default:
		panic(fmt.Sprintf("strict: field of type %s cannot be read", v.Type()))
	}
	if err != nil {
		d.faults.Add(d.pos(n), "", "%q is not %s", n.Value, scalarName(v))
	}
}

func scalarName(v reflect.Value) string {
	switch {
	case v.Type() == durationType:
		return "a duration such as 30s, 15m, 72h or 7d"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt():
		return "a whole number"
	case v.CanFloat():
		return "a number"
	}
	return "a text"
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true", "yes", "on":
		return true, nil
	case "false", "no", "off":
		return false, nil
	}
	return false, strconv.ErrSyntax
}

// ParseDuration reads Go's durations and, beside them, whole days (7d) and weeks (2w). Negative durations are refused.
func ParseDuration(s string) (time.Duration, error) {
	unit := time.Duration(0)
	switch {
	case strings.HasSuffix(s, "d"):
		unit = 24 * time.Hour
	case strings.HasSuffix(s, "w"):
		unit = 7 * 24 * time.Hour
	}
	if unit > 0 {
		n, err := strconv.Atoi(s[:len(s)-1])
		if err != nil || n < 0 || n > 100000 {
			return 0, fmt.Errorf("duration %q: write a whole number of days or weeks", s)
		}
		return time.Duration(n) * unit, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("duration %q: write 30s, 15m, 72h or 7d", s)
	}
	return d, nil
}

// Guess gives the one of names that is nearest to word, or "" when none is near (more than a third of the letters differ).
func Guess(word string, names []string) string {
	best, dist := "", 1+max(1, len(word)/3)
	for _, n := range names {
		if d := distance(strings.ToLower(word), n); d < dist {
			best, dist = n, d
		}
	}
	return best
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		prev := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := prev
			if a[i] != b[j] {
				cost++
			}
			prev = row[j+1]
			row[j+1] = min(cost, row[j]+1, prev+1)
		}
	}
	return row[len(b)]
}
