package main

import (
	"fmt"
	"io"
	"strings"

	"tocsin/news"
)

// tellPlace says why the item of an alert record belongs to its story, what was missing for the nearest one that it does not belong to, and which
// stories turned out to be one because of it. head begins the first line, blank the others.
func tellPlace(w io.Writer, a *news.Alert, head, blank string) {
	line := func(format string, args ...any) {
		fmt.Fprintf(w, head+format+"\n", args...)
		head = blank
	}
	if a.Joined != nil {
		line("belongs to story %s: %s", a.Joined.Story, evidence(a.Joined))
	}
	if a.Nearest != nil {
		line("not to story %s: %s", a.Nearest.Story, evidence(a.Nearest))
	}
	for _, m := range a.Merged {
		line("story %s ended in %s: %s", m.From, m.Into, evidence(&m.Link))
		if m.Alert != "" {
			line("alert %s is merged into %s", m.Alert, a.ID)
		}
	}
}

// evidence words a link: what speaks for it, then what speaks against it, the heaviest first.
func evidence(l *news.StoryLink) string {
	var parts [2][]string
	for _, e := range l.Evidence {
		s := fmt.Sprintf("%s %+.1f", e.Name, e.Points)
		if e.Detail != "" {
			s = fmt.Sprintf("%s (%s) %+.1f", e.Name, isolate(e.Detail), e.Points)
		}
		side := 0
		if e.Points < 0 {
			side = 1
		}
		parts[side] = append(parts[side], s)
	}
	s := fmt.Sprintf("%+.1f points", l.Points)
	for i, word := range []string{"for", "against"} {
		if len(parts[i]) > 0 {
			s += "; " + word + ": " + strings.Join(parts[i], ", ")
		}
	}
	return s
}
