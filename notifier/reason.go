package notifier

import (
	"fmt"
	"slices"
	"strings"

	"tocsin/news"
)

// Why is one reason for the alert.
type Why struct {
	Name  string // entity or rule
	About string // one line about it
	Text  string // what made it count; quoted words that run from right to left stand between isolates
}

const (
	maxWhy    = 8
	maxQuoted = 80 // bytes of a mention in a reason
	maxQuotes = 3  // mentions in a reason
)

// reasons says what of the list the item named, and by which words.
func reasons(m *news.Match) []Why {
	var out []Why
	for _, e := range m.Entities {
		out = append(out, Why{Name: Shorten(Clean(e.Name), maxLine), About: Shorten(Clean(e.About), maxLine), Text: mentioned(m, e.ID)})
	}
	for _, r := range m.Rules {
		name := r.Title
		if name == "" {
			name = r.ID
		}
		out = append(out, Why{Name: Shorten(Clean(name), maxLine), Text: quotes(Shorten(Clean(r.Why), maxLine))})
	}
	if len(out) > maxWhy {
		rest := len(out) - maxWhy
		out = append(out[:maxWhy:maxWhy], Why{Name: fmt.Sprintf("and %d more", rest)})
	}
	return out
}

// mentioned lists the words that named an entity: "TTP" in the title and summary, with "fighters" 1 word away.
func mentioned(m *news.Match, entity string) string {
	type place struct{ text, fields, why []string }
	var all []*place
	byText := map[string]*place{}
	for _, x := range m.Mentions {
		if x.Entity != entity {
			continue
		}
		text, field := strings.TrimSpace(Clean(x.Text)), Clean(x.Field)
		p := byText[strings.ToLower(text)]
		if p == nil {
			p = &place{}
			byText[strings.ToLower(text)] = p
			all = append(all, p)
		}
		p.text = add(p.text, text)
		p.fields = add(p.fields, field)
		for w := range strings.SplitSeq(Clean(x.Why), "; ") {
			if w != "named" { // that it is named, the quotation says
				p.why = add(p.why, w)
			}
		}
	}
	var out []string
	for _, p := range all {
		if len(out) == maxQuotes {
			out = append(out, fmt.Sprintf("and %d more", len(all)-maxQuotes))
			break
		}
		s := ""
		if len(p.text) > 0 {
			s = `"` + Shorten(p.text[0], maxQuoted) + `" in the ` + list(p.fields)
		}
		if why := strings.Join(p.why[:min(len(p.why), 1)], ""); why != "" {
			s = strings.TrimPrefix(s+", "+Shorten(why, maxLine/2), ", ")
		}
		if s != "" {
			out = append(out, quotes(s))
		}
	}
	return strings.Join(out, "; ")
}

// add appends what is not there yet and not empty.
func add(to []string, s string) []string {
	if s == "" || slices.Contains(to, s) {
		return to
	}
	return append(to, s)
}

// list writes names as a, b and c.
func list(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// quotes puts quotations that run from right to left between isolates, so that they do not turn the English around them.
func quotes(s string) string {
	pieces := strings.Split(s, `"`)
	for i := 1; i+1 < len(pieces); i += 2 {
		if strings.ContainsFunc(pieces[i], isRTL) {
			pieces[i-1] += fsi
			pieces[i+1] = pdi + pieces[i+1]
		}
	}
	return strings.Join(pieces, `"`)
}

// Who names what the alert is about, for its first line: at most two entities, or rules where it names none, and how many more.
func (v *View) Who() string {
	var names []string
	m := &v.Alert.Match
	for _, e := range m.Entities {
		names = add(names, Shorten(Clean(e.Name), maxLine))
	}
	if len(names) == 0 {
		for _, r := range m.Rules {
			names = add(names, Shorten(Clean(r.Title), maxLine))
		}
	}
	if n := len(names); n > 2 {
		return names[0] + ", " + names[1] + fmt.Sprintf(" and %d more", n-2)
	}
	return list(names)
}

// newFacts words what is new in an update.
func newFacts(a *news.Alert) []string {
	names := map[string]string{}
	for _, e := range a.Match.Entities {
		names["entity "+e.ID] = e.Name
	}
	for _, r := range a.Match.Rules {
		names["rule "+r.ID] = r.Title
	}
	var out []string
	for i, f := range a.New {
		if i == maxWhy {
			out = append(out, fmt.Sprintf("and %d more", len(a.New)-maxWhy))
			break
		}
		out = append(out, Shorten(Clean(factText(f, names)), maxLine))
	}
	return out
}
