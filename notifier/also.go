package notifier

import (
	"fmt"
	"strings"

	"tocsin/news"
)

// Report is another report of the story, for people.
type Report struct {
	Outlet, Title, Language string
	Lang                    string // for lang attributes
	Link, Host              string // http or https only; "" when there is none
}

// story fills what a story adds to its alert.
func (v *View) story(a *news.Alert) {
	for _, x := range a.Also {
		r := Report{Outlet: Shorten(Clean(x.Outlet), maxLine), Title: Shorten(Clean(x.Title), maxLine), Lang: langOf(x.Lang)}
		r.Language = languageName(r.Lang)
		if r.Link, r.Host = SafeLink(x.URL); r.Outlet == "" {
			r.Outlet = r.Host
		}
		v.Also = append(v.Also, r)
	}
	v.AlsoMore = a.AlsoMore
	if a.Before != "" {
		v.Was = Shorten(Clean(a.Before), maxLine)
	}
}

// maxNamed is how many outlets the line of further reports names.
const maxNamed = 5

// AlsoLine names who else reports, in one line; "" when nobody does.
func (v *View) AlsoLine() string {
	var names []string
	seen := map[string]bool{}
	for _, r := range v.Also {
		if r.Outlet != "" && !seen[r.Outlet] {
			seen[r.Outlet] = true
			names = append(names, r.Outlet)
		}
	}
	rest := v.AlsoMore
	if len(names) > maxNamed {
		rest += len(names) - maxNamed
		names = names[:maxNamed]
	}
	switch {
	case len(names) == 0:
		return ""
	case rest > 0:
		return fmt.Sprintf("also reported by %s and %d more", strings.Join(names, ", "), rest)
	}
	return "also reported by " + strings.Join(names, ", ")
}

// News is what is new in an update, what its title was before an edit, and who else reports: a line each.
func (v *View) News() []string {
	out := v.New
	if v.Was != "" {
		out = append(out[:len(out):len(out)], "the title was: "+v.Was)
	}
	if l := v.AlsoLine(); l != "" {
		out = append(out[:len(out):len(out)], l)
	}
	return out
}

// factText words a fact of Alert.New for people. names are those of the entities and rules at hand.
func factText(f string, names map[string]string) string {
	kind, rest, _ := strings.Cut(f, " ")
	if n := names[f]; n != "" {
		return n
	}
	switch kind {
	case "severity":
		return "severity is now " + rest
	case "number", "entity", "rule":
		return rest
	case "place":
		return "place: " + rest
	case "lang":
		return "first report in " + languageName(rest)
	case "tier":
		return "first report by a source of tier " + rest
	}
	return f
}

// ThreadTitle is the title that all messages of the alert have in common: the one of the first.
func (v *View) ThreadTitle() string {
	if h := v.Alert.Headline; h != "" {
		return Shorten(Clean(h), maxHeadline)
	}
	return v.Title()
}

// ThreadSeverity is the severity that the first message had.
func (v *View) ThreadSeverity() string {
	if v.Alert.Headline != "" {
		return v.Alert.Opened.String()
	}
	return v.Severity
}
