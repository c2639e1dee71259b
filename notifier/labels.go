package notifier

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"tocsin/news"
)

// Labels are what routes look at. A label may have several values: an item can mention three entities. A positive matcher holds when one
// value matches, a negative one when none does.
type Labels map[string][]string

// LabelNames lists the labels that every alert has, beside those that watchlists set themselves.
func LabelNames() []string {
	return []string{"country", "entity", "feed", "kind", "lang", "reason", "rule", "severity", "story", "tier", "trouble", "watchlist"}
}

// LabelsOf gives the labels of an alert.
func LabelsOf(a *news.Alert) Labels {
	it := &a.Match.Item
	l := Labels{}
	for k, v := range a.Match.Labels {
		l[k] = []string{v}
	}
	for k, v := range map[string]string{
		"watchlist": a.Watchlist, "severity": a.Severity.String(), "kind": a.Kind, "story": a.Story,
		"country": it.Country, "lang": it.Lang, "feed": it.Feed, "reason": it.Reason,
	} {
		l[k] = []string{v}
	}
	if a.Kind == news.KindHeartbeat {
		l["severity"] = []string{a.Match.Severity.String()} // it goes the way of its list's alerts
	}
	if l["trouble"] == nil {
		l["trouble"] = []string{""}
	}
	l["tier"] = []string{""}
	if it.Tier > 0 {
		l["tier"] = []string{strconv.Itoa(it.Tier)}
	}
	l["entity"], l["rule"] = nil, nil
	for _, e := range a.Match.Entities {
		l["entity"] = append(l["entity"], e.ID)
	}
	for _, r := range a.Match.Rules {
		l["rule"] = append(l["rule"], r.ID)
	}
	return l
}

// Matcher is one condition on one label, in the grammar of Alertmanager: name, one of = != =~ !~, and a value. Regular expressions are RE2
// and anchored at both ends.
type Matcher struct {
	Name, Op, Value string
	re              *regexp.Regexp
}

// Holds tells whether the labels satisfy the matcher. A missing label counts as the empty value.
func (m *Matcher) Holds(l Labels) bool {
	values := l[m.Name]
	if len(values) == 0 {
		values = []string{""}
	}
	positive := m.Op == "=" || m.Op == "=~"
	for _, v := range values {
		if m.matches(v) {
			return positive
		}
	}
	return !positive
}

func (m *Matcher) matches(v string) bool {
	if m.re != nil {
		return m.re.MatchString(v)
	}
	return v == m.Value
}

// String writes the matcher so that ParseMatchers reads it back.
func (m *Matcher) String() string {
	name := m.Name
	if !plainName(name) {
		name = quote(name)
	}
	return name + m.Op + quote(m.Value)
}

func plainName(s string) bool {
	for i := range len(s) {
		if !nameByte(s[i], i == 0) {
			return false
		}
	}
	return s != ""
}

func nameByte(c byte, first bool) bool {
	switch {
	case c == '_' || c == ':' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
		return true
	case c == '-' || c == '.' || '0' <= c && c <= '9':
		return !first
	}
	return false
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// maxMatcher bounds the text of one entry in bytes, as a guard against expressions that cost more than they say.
const maxMatcher = 4 << 10

// ParseMatchers reads one entry of a matchers list: a matcher, or several between commas, with or without braces around them.
func ParseMatchers(s string) ([]*Matcher, error) {
	if len(s) > maxMatcher {
		return nil, fmt.Errorf("%d bytes, the limit is %d", len(s), maxMatcher)
	}
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("not valid UTF-8")
	}
	p := matcherParser{rest: strings.TrimSpace(s)}
	if strings.HasPrefix(p.rest, "{") {
		if !strings.HasSuffix(p.rest, "}") {
			return nil, fmt.Errorf(`"{" is not closed`)
		}
		p.rest = strings.TrimSpace(p.rest[1 : len(p.rest)-1])
	}
	return p.all()
}

type matcherParser struct{ rest string }

func (p *matcherParser) all() ([]*Matcher, error) {
	var out []*Matcher
	for p.rest != "" {
		m, err := p.one()
		if err != nil {
			return nil, err
		}
		out = append(out, m)
		p.space()
		if p.rest == "" {
			break
		}
		if p.rest[0] != ',' {
			return nil, fmt.Errorf("%q stands after a matcher, a comma is expected", cut(p.rest))
		}
		p.rest = p.rest[1:]
		p.space()
	}
	if len(out) == 0 {
		return nil, fmt.Errorf(`empty; write name="value"`)
	}
	return out, nil
}

func (p *matcherParser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

func (p *matcherParser) one() (*Matcher, error) {
	name, err := p.name()
	if err != nil {
		return nil, err
	}
	p.space()
	m := &Matcher{Name: name}
	for _, op := range []string{"=~", "!~", "!=", "="} {
		if strings.HasPrefix(p.rest, op) {
			m.Op, p.rest = op, p.rest[len(op):]
			break
		}
	}
	if m.Op == "" {
		return nil, fmt.Errorf("after %q one of = != =~ !~ is expected", name)
	}
	p.space()
	if m.Value, err = p.value(); err != nil {
		return nil, err
	}
	if m.Op == "=~" || m.Op == "!~" {
		if m.re, err = regexp.Compile("^(?:" + m.Value + ")$"); err != nil {
			return nil, fmt.Errorf("bad regular expression %q", cut(m.Value))
		}
	}
	return m, nil
}

func (p *matcherParser) name() (string, error) {
	if strings.HasPrefix(p.rest, `"`) {
		s, err := p.quoted()
		if err == nil && s == "" {
			err = fmt.Errorf("empty label name")
		}
		return s, err
	}
	n := 0
	for n < len(p.rest) && nameByte(p.rest[n], n == 0) {
		n++
	}
	if n == 0 {
		return "", fmt.Errorf(`a label name is expected before %q; write name="value"`, cut(p.rest))
	}
	name := p.rest[:n]
	p.rest = p.rest[n:]
	return name, nil
}

func (p *matcherParser) value() (string, error) {
	if strings.HasPrefix(p.rest, `"`) {
		return p.quoted()
	}
	n := strings.IndexAny(p.rest, ",\"{}\n")
	if n < 0 {
		n = len(p.rest)
	}
	v := strings.TrimSpace(p.rest[:n])
	p.rest = p.rest[n:]
	return v, nil
}

func (p *matcherParser) quoted() (string, error) {
	var b strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; c {
		case '"':
			p.rest = p.rest[i+1:]
			return b.String(), nil
		case '\\':
			i++
			if i == len(p.rest) {
				return "", fmt.Errorf("a text ends with a backslash")
			}
			switch p.rest[i] {
			case 'n':
				b.WriteByte('\n')
			case '"', '\\':
				b.WriteByte(p.rest[i])
			default: // as Alertmanager: an unknown escape stays as written, so that \d and \. work in expressions
				b.WriteByte('\\')
				b.WriteByte(p.rest[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", fmt.Errorf("a quote is not closed in %s", cut(p.rest))
}

// cut shortens s for messages, at a letter.
func cut(s string) string {
	if len(s) <= 40 {
		return s
	}
	n := 40
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
