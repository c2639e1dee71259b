package notifier

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/news"
)

// DigestView is what a channel shows of a digest or summary.
type DigestView struct {
	Delivery string // its id
	Route    string
	Bars     []Bar   // how many of each severity
	Title    string  // one line: how many alerts, of which lists
	Full     []*View // shown in full, the most severe first
	Rest     []Line  // the others, one line each
	Count    int
	Lists    []string // titles of the lists when there are several
	Span     string   // from the first alert to the last, "" for one
	Leave    string   // address by which the reader leaves the list; "" when there is none
	Beats    []*View  // heartbeats of lists: what was watched; not among Full, Rest and Count
	Summary  bool     // it stands for alerts that were held by a throttle, a group or quiet hours
}

// Bar is the number of alerts of one severity, as a bar of a small chart.
type Bar struct {
	Name         string // "" when none is stated
	Count, Width int    // Width in pixels
}

// Line names one alert in one line.
type Line struct {
	Severity, Watchlist, Title, Link, Host, Short string // Short is the beginning of the alert's id
	Old                                           bool   // from the backlog of a new feed
}

// Bounds of a digest's lines, in bytes.
const (
	maxDigestLine = 160
	shortID       = 8
	maxLists      = 5 // named
)

// NewDigestView makes the view of a digest. d says how many alerts are shown in full.
func NewDigestView(entries []news.Alert, d *news.Delivery, loc *time.Location) *DigestView {
	full, err := strconv.Atoi(d.Headers[headerMaxItems])
	if err != nil || full < 1 {
		full = defaultMaxItems
	}
	entries, beats := beatsOf(entries)
	v := &DigestView{Count: len(entries), Summary: d.Reason == news.SendSummary, Delivery: d.ID, Route: Clean(d.Route), Bars: bars(entries)}
	lists, seen := []string{}, map[string]bool{}
	for _, a := range bySeverity(entries) {
		view := NewView(a, loc)
		if !seen[view.Watchlist] {
			seen[view.Watchlist] = true
			lists = append(lists, view.Watchlist)
		}
		if len(v.Full) < full {
			v.Full = append(v.Full, view)
			continue
		}
		v.Rest = append(v.Rest, Line{
			Severity: view.Severity, Watchlist: Shorten(view.Watchlist, 40), Title: Shorten(view.Title(), maxDigestLine), Link: view.Link, Host: view.Host,
			Short: a.ID[:min(shortID, len(a.ID))], Old: a.Match.Item.Backfill,
		})
	}
	v.Span = span(entries, loc)
	v.title(lists)
	for i := range beats {
		v.Beats = append(v.Beats, NewView(&beats[i], loc))
	}
	if len(entries) == 0 && len(beats) > 0 {
		v.Title = quietTitle(beats)
	}
	return v
}

// title says how many alerts there are, of what severity, and of which lists. Names of several lists are too long for a title.
func (v *DigestView) title(lists []string) {
	of := ""
	for _, b := range v.Bars {
		if len(v.Bars) > 1 && (b.Name == "critical" || b.Name == "high") {
			of += fmt.Sprintf(", %d %s", b.Count, b.Name)
		}
	}
	switch {
	case v.Count == 1:
		v.Title = "1 alert: " + v.Full[0].Watchlist + ": " + v.Full[0].Title()
	case len(lists) == 1:
		v.Title = fmt.Sprintf("%d alerts: %s%s", v.Count, lists[0], of)
	default:
		v.Title = fmt.Sprintf("%d alerts on %d lists%s", v.Count, len(lists), of)
		if v.Lists = lists; len(lists) > maxLists {
			v.Lists = append(lists[:maxLists:maxLists], fmt.Sprintf("and %d more lists", len(lists)-maxLists))
		}
	}
	v.Title = Shorten(v.Title, maxHeadline)
}

// span says between which times the alerts were made.
func span(entries []news.Alert, loc *time.Location) string {
	var from, to time.Time
	for i := range entries {
		if at := entries[i].At; from.IsZero() || at.Before(from) {
			from = at
		}
		if at := entries[i].At; at.After(to) {
			to = at
		}
	}
	if to.Sub(from) < time.Minute {
		return ""
	}
	return When(from, loc) + " to " + When(to, loc)
}

// Preview is the line that mail programs show beside the subject: the most severe alert.
func (v *DigestView) Preview() string {
	if len(v.Full) == 0 {
		return ""
	}
	x := v.Full[0]
	return dotted(slices.DeleteFunc([]string{x.Badge(), x.Who(), x.Title()}, func(s string) bool { return s == "" }))
}

// quietTitle is the line of a digest that holds nothing but heartbeats.
func quietTitle(beats []news.Alert) string {
	matches := 0
	for i := range beats {
		matches += beats[i].Heartbeat.Matches
	}
	last := beats[len(beats)-1].Heartbeat
	return Shorten(fmt.Sprintf("0 alerts: %s of %s, %d of %d feeds live", count(matches, "match", "matches"), count(len(beats), "watchlist", "watchlists"), last.Live, last.Feeds), maxHeadline)
}

// widest is the width of the longest bar in pixels.
const widest = 220

func bars(entries []news.Alert) (out []Bar) {
	count, most := map[news.Severity]int{}, 1
	for i := range entries {
		count[entries[i].Severity]++
		most = max(most, count[entries[i].Severity])
	}
	for s := news.SeverityCritical; s >= news.SeverityNone; s-- {
		if n := count[s]; n > 0 {
			out = append(out, Bar{s.String(), n, max(4, n*widest/most)})
		}
	}
	return out
}

// bySeverity gives the alerts with the most severe first, else in their order.
func bySeverity(entries []news.Alert) []*news.Alert {
	out := make([]*news.Alert, 0, len(entries))
	for s := news.SeverityCritical; s >= news.SeverityNone; s-- {
		for i := range entries {
			if entries[i].Severity == s {
				out = append(out, &entries[i])
			}
		}
	}
	return out
}

// OneLine is a line of plain text.
func (l *Line) OneLine() string {
	s := Isolate(l.Title)
	if l.Severity != "" {
		s = l.Severity + " " + s
	}
	if l.Old {
		s += " (old)"
	}
	return s + " [" + l.Short + "]"
}

// Text writes the digest as plain text.
func (v *DigestView) Text() string {
	var b strings.Builder
	b.WriteString(Isolate(v.Title) + "\n")
	if len(v.Lists) > 0 {
		b.WriteString(dotted(v.Lists) + "\n")
	}
	if v.Span != "" {
		b.WriteString(v.Span + "\n")
	}
	for _, x := range v.Full {
		b.WriteString("\n" + dotted(x.Top()))
		if x.Alert.Match.Item.Backfill {
			b.WriteString(" · old")
		}
		b.WriteString("\n" + marked(x.Headline) + "\n")
		if facts := x.DigestFacts(); len(facts) > 0 {
			b.WriteString(dotted(facts) + "\n")
		}
		if x.Link != "" {
			b.WriteString(x.Link + "\n")
		}
	}
	if len(v.Rest) > 0 {
		fmt.Fprintf(&b, "\nAnd %d more, the most severe first:\n", len(v.Rest))
	}
	for i := range v.Rest {
		b.WriteString("- " + v.Rest[i].OneLine() + "\n")
	}
	for _, x := range v.Beats {
		b.WriteString("\n" + Isolate(x.Watchlist) + " · " + Isolate(x.Title()) + "\n")
		for _, line := range x.Lines {
			b.WriteString(Isolate(line) + "\n")
		}
	}
	return b.String()
}

// HTML writes the digest as a page for mail programs, under the same rules as Page.HTML.
func (v *DigestView) HTML() ([]byte, error) {
	w := &bounded{left: news.MaxDelivery}
	if err := digestPage.Execute(w, v); err != nil {
		return nil, fmt.Errorf("render digest %s: %w", v.Delivery, err)
	}
	return w.b.Bytes(), nil
}

// renderDigest fills the delivery of a digest. A channel without a form of its own gets an alert whose text lists them.
func renderDigest(ch *Channel, entries []news.Alert, d *news.Delivery) error {
	f := ch.RenderDigest
	if f == nil {
		f = func(entries []news.Alert, d *news.Delivery) error { return ch.Render(digestAlert(entries, d), d) }
	}
	err := guarded(func() error { return f(entries, d) })
	if err == nil && len(d.Body) > news.MaxDelivery {
		err = fmt.Errorf("%d bytes: %w", len(d.Body), ErrTooLarge)
	}
	if err == nil || ch.Short == nil || len(entries) > 1 && errors.Is(err, ErrTooLarge) {
		return err
	}
	d.Subject = NewDigestView(entries, d, nil).Title
	return guarded(func() error { return ch.Short(d) })
}

// digestAlert is an alert that stands for others, for channels that know only alerts.
func digestAlert(entries []news.Alert, d *news.Delivery) *news.Alert {
	v := NewDigestView(entries, d, nil)
	var lines []string
	rest, _ := beatsOf(entries)
	for _, a := range bySeverity(rest) {
		x := NewView(a, nil)
		lines = append(lines, (&Line{Severity: x.Severity, Title: Shorten(x.Title(), maxDigestLine), Short: a.ID[:min(shortID, len(a.ID))]}).OneLine())
	}
	for _, x := range v.Beats {
		lines = append(lines, Isolate(x.Watchlist)+": "+Isolate(x.Title())+". "+strings.Join(x.Lines, " "))
	}
	first := entries[0]
	return &news.Alert{
		Schema: news.Schema, ID: d.ID, Revision: 1, Kind: news.KindFirst, Story: d.ID, Watchlist: first.Watchlist, Severity: d.Severity,
		OpenedAt: d.PlannedAt, At: d.PlannedAt, Items: len(entries),
		Match: news.Match{Watchlist: first.Watchlist, Title: first.Match.Title, Severity: d.Severity, Item: news.Item{
			Title: v.Title, Summary: strings.Join(lines, "; "), FirstSeen: d.PlannedAt,
		}},
	}
}
