package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// rate is alerts a day, or per 10,000 items when the items tell no times.
func (r *backtestReport) rate(alerts int) string {
	if r.Days > 0 {
		return fmt.Sprintf("%.2f", float64(alerts)/r.Days)
	}
	return fmt.Sprintf("%.2f", 1e4*float64(alerts)/float64(max(1, r.Read.Items)))
}

func (r *backtestReport) rateName() string {
	if r.Days > 0 {
		return "alerts a day"
	}
	return "alerts per 10,000 items"
}

func (r *backtestReport) headlines() []string {
	span := ""
	if r.Days > 0 {
		span = fmt.Sprintf(" of %s to %s (%.0f days)", r.Read.From.UTC().Format("2006-01-02"), r.Read.To.UTC().Format("2006-01-02"), r.Days)
		span = strings.Replace(span, "(1 days)", "(1 day)", 1)
	}
	out := []string{fmt.Sprintf("%d items%s", r.Read.Items, span)}
	if r.Read.Bad > 0 {
		out[0] += fmt.Sprintf("; %d lines could not be read", r.Read.Bad)
	}
	return append(out, fmt.Sprintf("before: %s: %s", r.Before.Name, r.Before.Summary), fmt.Sprintf("after:  %s: %s", r.After.Name, r.After.Summary))
}

// verdict counts rows in one line.
func (r *backtestReport) verdict() string {
	differ, plus, minus := 0, 0, 0
	for i := range r.Rows {
		x := &r.Rows[i]
		plus, minus = plus+x.Plus, minus+x.Minus
		if x.differs() {
			differ++
		}
	}
	if differ == 0 {
		return fmt.Sprintf("No difference: all %d entities and rules catch the same items.", len(r.Rows))
	}
	return fmt.Sprintf("%d of %d entities and rules differ: +%d -%d.", differ, len(r.Rows), plus, minus)
}

func (x *backtestRow) note() string {
	switch {
	case x.Status == "new" && x.After == 0:
		return "new, catches nothing"
	case x.Status != "":
		return x.Status
	}
	return ""
}

// writeText writes the report for a terminal, with colour if asked for.
func (r *backtestReport) writeText(w io.Writer, color bool) error {
	var b bytes.Buffer
	for _, h := range r.headlines() {
		fmt.Fprintln(&b, h)
	}
	fmt.Fprintf(&b, "\n%s\n", r.verdict())
	r.table(&b)
	for i := range r.Rows {
		x := &r.Rows[i]
		writeSamples(&b, "+", x.ID, x.Plus, x.Added, color)
		writeSamples(&b, "-", x.ID, x.Minus, x.Removed, color)
	}
	_, err := b.WriteTo(w)
	return err
}

func (r *backtestReport) table(out *bytes.Buffer) {
	var b bytes.Buffer
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := false
	for i := range r.Rows {
		x := &r.Rows[i]
		if !x.worth() {
			continue
		}
		if !head {
			head = true
			fmt.Fprintf(tw, "\nbefore\tafter\t+\t-\t%s\t  \n", r.rateName())
		}
		fmt.Fprintf(tw, "%d\t%d\t%d\t%d\t%s -> %s\t  %s\n", x.Before, x.After, x.Plus, x.Minus, r.rate(x.AlertsBefore), r.rate(x.AlertsAfter), label(x))
	}
	_ = tw.Flush() // into memory
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(out, strings.TrimRight(line, " \n"))
	}
}

// apart isolates text that could reorder what stands beside it, and leaves other text as it is.
func apart(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool {
		return r >= 0x590 && r < 0x900 || r >= 0xfb1d && r < 0xff00 || r >= 0x10800 && r < 0x11000 || r >= 0x1e800 && r < 0x1f000 ||
			r == 0x200e || r == 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}) {
		return isolate(s)
	}
	return s
}

func label(x *backtestRow) string {
	s := fmt.Sprintf("%s %s (%s)", x.Kind, x.ID, x.Watchlist)
	if n := x.note(); n != "" {
		s += ", " + n
	}
	return s
}

func writeSamples(b *bytes.Buffer, sign, id string, n int, samples []backtestSample, color bool) {
	if n == 0 {
		return
	}
	on, off := "[", "]"
	if color {
		on, off = "\x1b[1;33m", "\x1b[0m"
	}
	fmt.Fprintf(b, "\n%s %s: %s%s\n", sign, id, itemCount(n), shownOf(n, len(samples)))
	for _, s := range samples {
		fmt.Fprintf(b, "  %s%s\n", s.origin(), apart(s.before+on+s.Mention+off+s.after))
		if s.Why != "" {
			fmt.Fprintf(b, "      %s\n", s.Why)
		}
	}
}

func itemCount(n int) string {
	if n == 1 {
		return "1 item"
	}
	return fmt.Sprintf("%d items", n)
}

func shownOf(n, shown int) string {
	if shown < n && shown > 0 {
		return fmt.Sprintf(", %d of them here", shown)
	}
	return ""
}

// origin is where and when a sample was published.
func (s *backtestSample) origin() string {
	parts := []string{s.Lang}
	if s.Outlet != "" {
		parts = append(parts, apart(oneLine(s.Outlet)))
	}
	if !s.When.IsZero() {
		parts = append(parts, s.When.UTC().Format("2006-01-02"))
	}
	return strings.Join(parts, " ") + "  "
}

// writeMarkdown writes the report as GitHub-flavoured Markdown. News text is made harmless: no markup, no links, no names that would be notified.
func (r *backtestReport) writeMarkdown(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "### Backtest of the watchlists\n\n**%s**\n\n", r.verdict())
	for _, h := range r.headlines() {
		fmt.Fprintf(&b, "- %s\n", markdown(h))
	}
	head := false
	for i := range r.Rows {
		x := &r.Rows[i]
		if !x.worth() {
			continue
		}
		if !head {
			head = true
			fmt.Fprintf(&b, "\n| entity or rule | before | after | + | - | %s |\n|---|--:|--:|--:|--:|--:|\n", r.rateName())
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %s → %s |\n", markdown(label(x)), x.Before, x.After, x.Plus, x.Minus, r.rate(x.AlertsBefore), r.rate(x.AlertsAfter))
	}
	for i := range r.Rows {
		x := &r.Rows[i]
		markdownSamples(&b, "+", x.ID, x.Plus, x.Added)
		markdownSamples(&b, "−", x.ID, x.Minus, x.Removed)
	}
	_, err := b.WriteTo(w)
	return err
}

func markdownSamples(b *bytes.Buffer, sign, id string, n int, samples []backtestSample) {
	if n == 0 {
		return
	}
	fmt.Fprintf(b, "\n<details><summary>%s %s: %s%s</summary>\n\n", sign, markdown(id), itemCount(n), shownOf(n, len(samples)))
	for _, s := range samples {
		fmt.Fprintf(b, "- %s <bdi>%s<b>%s</b>%s</bdi>", markdown(s.origin()), markdown(s.before), markdown(s.Mention), markdown(s.after))
		if s.Why != "" {
			fmt.Fprintf(b, "<br>%s", markdown(s.Why))
		}
		b.WriteString("\n")
	}
	b.WriteString("\n</details>\n")
}

// markdown writes plain text so that no Markdown reader finds markup in it.
func markdown(s string) string {
	var b strings.Builder
	for i, r := range s {
		link := r == ':' && strings.HasPrefix(s[i:], "://") || r == '.' && strings.HasSuffix(strings.ToLower(s[:i]), "www")
		if link || strings.ContainsRune("\\`*_{}[]<>#+!|~&@", r) {
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
