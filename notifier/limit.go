package notifier

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"
)

// Unit is what a service counts a text in.
type Unit int

// The units. Where a service's documentation says only "characters", the table of limits names the stricter reading.
const (
	Bytes      Unit = iota // of UTF-8
	Characters             // code points
	UTF16                  // units of UTF-16: a letter beyond U+FFFF counts twice
)

// String names the unit.
func (u Unit) String() string { return [...]string{"bytes", "characters", "UTF-16 units"}[u] }

// Count measures s.
func (u Unit) Count(s string) int {
	switch u {
	case Characters:
		return utf8.RuneCountInString(s)
	case UTF16:
		n := 0
		for _, r := range s {
			n++
			if r > 0xFFFF {
				n++
			}
		}
		return n
	}
	return len(s)
}

// Limit is the room that a service gives to one field of a message.
type Limit struct {
	Channel, Field string
	Max            int
	Unit           Unit
}

// limits is the one table of limits: from the services' documentation, and ours where they state none. No service was asked itself.
var limits = []Limit{
	{"slack", "text", 3000, UTF16}, // the fallback of a message may hold 40,000; a notification shows a line or two
	{"slack", "header", 150, UTF16},
	{"slack", "section", 3000, UTF16},
	{"slack", "context", 2000, UTF16},
	{"slack", "block_id", 255, UTF16},
	{"slack", "blocks", 50, Characters}, // a number of blocks
	{"mattermost", "text", 16383, Characters},
	{"mattermost", "line", 2000, Characters}, // ours, so that ten lines fit the text
	{"teams", "payload", 28 << 10, Bytes},
	{"teams", "text", 1500, Bytes},  // ours, so that all texts fit the payload
	{"teams", "news", 10000, Bytes}, // ours, of news about the program itself
	{"discord", "content", 2000, UTF16},
	{"discord", "author", 256, UTF16},
	{"discord", "title", 256, UTF16},
	{"discord", "description", 2500, UTF16}, // the service takes 4,096; ours, so that all texts stay under its 6,000
	{"discord", "field", 1024, UTF16},
	{"discord", "footer", 512, UTF16}, // the service takes 2,048
	{"discord", "embed", 6000, UTF16},
	{"telegram", "text", 4096, UTF16},
	{"telegram", "line", 600, UTF16},  // ours
	{"telegram", "news", 2400, UTF16}, // ours, of news about the program itself
	{"ntfy", "message", 4096, Bytes},
	{"ntfy", "title", 250, Bytes}, // ours: a phone shows less
	{"ntfy", "line", 600, Bytes},  // ours
	{"ntfy", "text", 2400, Bytes}, // ours, of news about the program itself
	{"pagerduty", "summary", 1024, UTF16},
	{"pagerduty", "dedup_key", 255, Characters},
	{"pagerduty", "text", 2000, UTF16}, // ours
	{"pagerduty", "event", 512000, Bytes},
	{"alertmanager", "annotation", 2000, Bytes}, // ours: the service states none
	{"grafana", "line", 1000, Bytes},            // ours: the service states none
	{"grafana", "tag", 100, Characters},
}

// Limits gives the table of limits of every channel, for tests and documentation.
func Limits() []Limit { return append([]Limit(nil), limits...) }

// LimitOf gives a row of the table; a row that is not there leaves no room, which no test overlooks.
func LimitOf(channel, field string) Limit {
	for _, l := range limits {
		if l.Channel == channel && l.Field == field {
			return l
		}
	}
	return Limit{Channel: channel, Field: field}
}

// Less is the limit less n units, for what stands beside the text.
func (l Limit) Less(n int) Limit {
	l.Max = max(l.Max-n, 0)
	return l
}

// ellipsis marks that a text was cut; it is part of the room.
const ellipsis = "…"

// Fit cuts s to the limit with "…" at its end, between grapheme clusters (Unicode UAX 29), so that no letter loses its marks. escape writes
// one cluster as the service wants it and is counted; nil changes nothing.
func (l Limit) Fit(s string, escape func(string) string) string {
	if escape == nil {
		escape = func(s string) string { return s }
	}
	room, used, whole := l.Max-l.Unit.Count(ellipsis), 0, 0
	if strings.Contains(s, fsi) {
		room -= l.Unit.Count(pdi) // reasons hold isolates, one deep: one may have to be closed
	}
	var b strings.Builder
	g := graphemes.FromString(s)
	for g.Next() {
		e := escape(g.Value())
		used += l.Unit.Count(e)
		if used > l.Max {
			return shut(strings.TrimRight(b.String()[:whole], " ")) + mark(room)
		}
		b.WriteString(e)
		if used <= room {
			whole = b.Len()
		}
	}
	return b.String()
}

// shut ends an isolate that a cut left open.
func shut(s string) string {
	if strings.LastIndex(s, fsi) > strings.LastIndex(s, pdi) {
		return s + pdi
	}
	return s
}

func mark(room int) string {
	if room < 0 {
		return ""
	}
	return ellipsis
}

// Isolated is Fit between U+2068 and U+2069, which are counted too; the empty text stays empty. s must be clean.
func (l Limit) Isolated(s string, escape func(string) string) string {
	open := IsolateOpen(s)
	if s = l.Less(l.Unit.Count(open+IsolateEnd)).Fit(s, escape); s == "" {
		return ""
	}
	return open + s + IsolateEnd
}

// Marked is Isolated for a text in parts, with mark on both sides of what was looked for, where the mark can stand: beside a letter or digit.
func (l Limit) Marked(parts []Part, mark string, escape func(string) string) string {
	open, all := IsolateOpen(Plain(parts)), strings.Builder{}
	room := l.Less(l.Unit.Count(open + IsolateEnd))
	for _, p := range parts {
		around := ""
		if p.Mark && solid(p.Text) {
			around = mark
		}
		s := room.Less(2*l.Unit.Count(around)).Fit(p.Text, escape)
		if s == "" {
			break
		}
		all.WriteString(around + s + around)
		room = room.Less(l.Unit.Count(around + s + around))
		if strings.HasSuffix(s, ellipsis) && !strings.HasSuffix(p.Text, ellipsis) {
			break
		}
	}
	if all.Len() == 0 {
		return ""
	}
	return open + all.String() + IsolateEnd
}

// Body is the text of an alert: what was found with its surroundings, or the lines of news about the program itself, one under the other.
func (l Limit) Body(v *View, mark string, escape func(string) string) string {
	if len(v.Lines) > 0 {
		return l.Lines("", v.Lines, l.Max, escape)
	}
	return l.Marked(v.Snippets, mark, escape)
}

// solid tells whether a text begins and ends with a letter or digit: the marks of Markdown beside other characters are shown and not read.
func solid(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	full := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r) }
	return full(first) && full(last)
}

// NoMentions breaks what chats take for a call to people (@everyone, @here, <!channel>, <@U123>) by a zero width space that nobody sees.
func NoMentions(s string) string {
	return strings.NewReplacer("@", "@\u200B", "<", "<\u200B", "＠", "＠\u200B").Replace(s)
}

// Lines puts lines under one another, each behind bullet, isolated and within each of the limit's units; lines that do not fit are counted.
func (l Limit) Lines(bullet string, lines []string, each int, escape func(string) string) string {
	var out []string
	used := 0
	for i, line := range lines {
		one := l
		one.Max = min(each, l.Max) - l.Unit.Count(bullet)
		s := bullet + one.Isolated(line, escape)
		more := bullet + fmt.Sprintf("and %d more", len(lines)-i)
		room := l.Max
		if i < len(lines)-1 {
			room -= l.Unit.Count("\n" + more)
		}
		if used+l.Unit.Count(s) > room {
			return strings.Join(append(out, more), "\n")
		}
		out, used = append(out, s), used+l.Unit.Count(s)+1
	}
	return strings.Join(out, "\n")
}

// Join puts words beside one another with dots between, each isolated and within each of the limit's units.
func (l Limit) Join(words []string, each int, escape func(string) string) string {
	one := l
	one.Max = min(each, l.Max)
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = one.Isolated(w, escape)
	}
	return strings.Join(out, " · ")
}
