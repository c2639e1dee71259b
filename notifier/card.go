package notifier

import (
	"fmt"
	"slices"
	"strings"

	"tocsin/news"
)

// Badge is the severity in capitals, for the beginning of a message; "" when none is stated.
func (v *View) Badge() string { return strings.ToUpper(v.Severity) }

// Lamp is the severity as a coloured disc, for chats that have no other colour.
func (v *View) Lamp() string { return Lamp(v.Severity) }

// Lamp is a severity as a coloured disc with a blank behind it, "" when none is stated.
func Lamp(severity string) string {
	switch severity {
	case "critical":
		return "🔴 "
	case "high":
		return "🟠 "
	case "medium":
		return "🟡 "
	case "low":
		return "🔵 "
	case "info":
		return "⚪ "
	}
	return ""
}

// Color is the severity as red, green, blue: 0xRRGGBB.
func (v *View) Color() int { return Color(v.Severity) }

// Color is a severity as red, green, blue: 0xRRGGBB; grey when none is stated.
func Color(severity string) int {
	switch severity {
	case "critical":
		return 0xB00020
	case "high":
		return 0xE4572E
	case "medium":
		return 0xE0A100
	case "low":
		return 0x2E86AB
	}
	return 0x7A7A7A
}

// Top is the words of the first line: severity, who or what it is about, watchlist, kind.
func (v *View) Top() []string {
	return slices.DeleteFunc([]string{v.Badge(), v.Who(), v.Watchlist, v.Kind}, func(s string) bool { return s == "" })
}

// Facts is the words of the last line: outlet, language, time, and how many outlets report it.
func (v *View) Facts() []string {
	when := v.Published
	if when == "" {
		when = v.FirstSeen
	}
	out := []string{v.Outlet, v.Language, when, v.Severally()}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// DigestFacts is Facts without the language: in a digest and in a preview there is room for less.
func (v *View) DigestFacts() []string {
	return slices.DeleteFunc(v.Facts(), func(s string) bool { return s == v.Language })
}

// Dir is the direction of the headline for a dir attribute: rtl, ltr or auto.
func (v *View) Dir() string { return Direction(v.Lang, v.Title()) }

// SnippetDir is the direction of the snippet for a dir attribute.
func (v *View) SnippetDir() string { return Direction(v.Lang, Plain(v.Snippets)) }

// Named is a piece of text with its name.
type Named struct{ Name, Text string }

// Times are the times that an alert passed, those that are known.
func (v *View) Times() []Named {
	all := []Named{{"Published", v.Published}, {"First seen", v.FirstSeen}, {"Alerted", v.Raised}}
	return slices.DeleteFunc(all, func(n Named) bool { return n.Text == "" })
}

// Severally says how many outlets report the story; "" for one.
func (v *View) Severally() string {
	if len(v.Outlets) < 2 {
		return ""
	}
	return fmt.Sprintf("reported by %d outlets", len(v.Outlets))
}

// Line is the reason as one line.
func (w Why) Line() string {
	if w.Text == "" {
		return w.Name
	}
	return w.Name + ": " + w.Text
}

// Reasons are the lines that say why the alert was raised, without empty ones.
func (v *View) Reasons() []string {
	var out []string
	for _, w := range v.Why {
		if l := w.Line(); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// DigestLines names every alert of a digest in one line, the most severe first: severity, headline, beginning of the alert's id. The lines are
// clean and not isolated, but for headlines that run from right to left.
func DigestLines(entries []news.Alert) []string {
	out := make([]string, 0, len(entries))
	for _, a := range bySeverity(entries) {
		v := NewView(a, nil)
		s := Shorten(v.Title(), maxDigestLine)
		if strings.ContainsFunc(s, isRTL) {
			s = Isolate(s)
		}
		if v.Badge() != "" {
			s = v.Badge() + " " + s
		}
		if a.Match.Item.Backfill {
			s += " (old)"
		}
		out = append(out, s+" ["+a.ID[:min(shortID, len(a.ID))]+"]")
	}
	return out
}
