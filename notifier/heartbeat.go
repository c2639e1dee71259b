package notifier

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
)

// HeartbeatTitle is the one line of a heartbeat.
func HeartbeatTitle(h *news.Heartbeat) string {
	return fmt.Sprintf("%s from %s of %s", count(h.Matches, "match", "matches"), thousands(h.Live), count(h.Feeds, "live feed", "live feeds"))
}

// HeartbeatLines is all that a heartbeat says, one fact a line, times in its own zone. Text of feeds and people in it is clean.
func HeartbeatLines(h *news.Heartbeat) []string {
	c := clock{at: h.To, loc: h.Location()}
	lines := []string{
		fmt.Sprintf("Watched from %s to %s (%s): %s, %s opened.", c.full(h.From), c.full(h.To), c.loc, count(h.Matches, "match", "matches"), count(h.Alerts, "alert", "alerts")),
		c.read(h),
		c.feeds(h),
	}
	lines = c.troubles(lines, "Dead", h.Dead)
	lines = c.troubles(lines, "Failing", h.Failing)
	lines = c.troubles(lines, "Late", h.Late)
	if h.More > 0 {
		lines = append(lines, count(h.More, "more feed is", "more feeds are")+" in trouble: the status page lists all.")
	}
	lines = append(lines, c.gaps(h), c.silences(h), c.list(h))
	for _, t := range h.Troubles {
		lines = append(lines, "Trouble: "+oneLine(t.Title)+c.since(t.Since)+".")
	}
	return lines
}

// clock words times for the reader of one heartbeat.
type clock struct {
	at  time.Time
	loc *time.Location
}

func (c clock) full(t time.Time) string { return t.In(c.loc).Format("2 Jan 15:04") }

// short leaves out what the reader knows: the date of today, and the hour of what is long ago.
func (c clock) short(t time.Time) string {
	t, now := t.In(c.loc), c.at.In(c.loc)
	switch {
	case t.Year() == now.Year() && t.YearDay() == now.YearDay():
		return t.Format("15:04")
	case now.Sub(t) < 48*time.Hour && t.Before(now):
		return t.Format("2 Jan 15:04")
	case t.Year() == now.Year():
		return t.Format("2 Jan")
	}
	return t.Format("2 Jan 2006")
}

func (c clock) since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + c.short(t)
}

func (c clock) read(h *news.Heartbeat) string {
	s := count(h.Items, "item", "items") + " read from all feeds"
	if h.Newest.IsZero() {
		return s + "."
	}
	return s + ", newest " + Spell(h.To.Sub(h.Newest)) + " before."
}

func (c clock) feeds(h *news.Heartbeat) string {
	s := fmt.Sprintf("%s of %s live", thousands(h.Live), count(h.Feeds, "feed", "feeds"))
	for _, x := range []struct {
		n    int
		what string
	}{{len(h.Dead), "dead"}, {len(h.Failing), "failing"}, {len(h.Late), "late"}, {h.Untried, "not polled yet"}, {h.Paused, "paused by hand and not counted"}} {
		if x.n > 0 && h.More == 0 || x.n > 0 && (x.what == "not polled yet" || strings.HasPrefix(x.what, "paused")) {
			s += fmt.Sprintf(", %s %s", thousands(x.n), x.what)
		}
	}
	return s + "."
}

func (c clock) troubles(lines []string, word string, all []news.FeedTrouble) []string {
	if len(all) == 0 {
		return lines
	}
	parts := make([]string, len(all))
	for i, f := range all {
		parts[i] = nameOf(f.Outlet, f.Feed) + c.since(f.Since)
		if why := oneLine(f.Reason); why != "" {
			if f.Expected > 0 {
				why += ", expected every " + Spell(f.Expected)
			}
			parts[i] += " (" + why + ")"
		}
	}
	return append(lines, word+": "+strings.Join(parts, ", ")+".")
}

func (c clock) gaps(h *news.Heartbeat) string {
	if len(h.Gaps) == 0 {
		return "Gaps: none known."
	}
	parts := make([]string, len(h.Gaps))
	for i, g := range h.Gaps {
		parts[i] = nameOf(g.Outlet, g.Feed)
		if g.Feeds > 1 {
			parts[i] = count(g.Feeds, "feed", "feeds")
		}
		parts[i] += " " + c.short(g.From) + "–" + c.short(g.To)
		if g.Lost > 0 {
			parts[i] += " (perhaps " + count(g.Lost, "item", "items") + " missed)"
		}
	}
	s := "Gaps: " + strings.Join(parts, ", ")
	if h.MoreGaps > 0 {
		s += fmt.Sprintf(", and %d more", h.MoreGaps)
	}
	return s + "."
}

func (c clock) silences(h *news.Heartbeat) string {
	if len(h.Silences) == 0 {
		return "Silences: none."
	}
	parts := make([]string, len(h.Silences))
	for i, x := range h.Silences {
		parts[i] = "until " + c.short(x.Until)
		if about := oneLine(strings.TrimSpace(x.Comment)); about != "" {
			parts[i] += " (" + about + ")"
		}
	}
	s := fmt.Sprintf("Silences: %d: %s", len(h.Silences)+h.MoreSilences, strings.Join(parts, ", "))
	if h.MoreSilences > 0 {
		s += fmt.Sprintf(", and %d more", h.MoreSilences)
	}
	return s + "."
}

func (c clock) list(h *news.Heartbeat) string {
	s := "List revision " + oneLine(h.Revision)
	if h.Refused != "" {
		return s + ", newer lists refused" + c.since(h.RefusedSince) + ": " + oneLine(h.Refused)
	}
	return s + "."
}

func nameOf(outlet, feed string) string {
	if s := oneLine(outlet); s != "" {
		return Shorten(s, 60)
	}
	return feed
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

// thousands writes 18431 as 18,431.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Spell words a time for people, in the largest unit of which there are at least two (seconds below a minute).
func Spell(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d/(24*time.Hour)))
}

// digestLead is how long before a digest a heartbeat is made that goes with it: it must wait there in time, and be fresh.
const digestLead = time.Minute

// HeartbeatSlot gives the first time after t at which a heartbeat like a is due, and when to make it. It goes out at the time of day of d; where its
// route has a digest, with the first digest from then on, so that a day without news gives a heartbeat and no empty digest.
func (n *Notifier) HeartbeatSlot(a *news.Alert, d *Daily, t time.Time) (slot, when time.Time) {
	base := d.Next(t)
	labels := LabelsOf(a)
	for _, r := range n.root.find(labels) {
		at, make := base, base
		if r.digest != nil && !r.digest.Bypass.Holds(labels) {
			at = r.digest.Next(base.Add(-time.Nanosecond))
			make = at.Add(-digestLead)
		}
		if slot.IsZero() || at.Before(slot) {
			slot, when = at, make
		}
	}
	return slot, when
}

// HeartbeatSent notes that a heartbeat of a watchlist reached somebody, or did so before this start.
func (n *Notifier) HeartbeatSent(watchlist string, at time.Time) {
	n.m.mu.Lock()
	defer n.m.mu.Unlock()
	if at.After(n.m.beats[watchlist]) {
		n.m.beats[watchlist] = at
		n.m.beat.WithLabelValues(watchlist).Set(float64(at.UnixMilli()) / 1000)
	}
}

// headerBeats names the watchlists whose heartbeats a delivery holds.
const headerBeats = "heartbeats"

func (n *Notifier) beatDelivered(d *news.Delivery, now time.Time) {
	if d.Reason == news.SendHeartbeat {
		n.HeartbeatSent(d.Watchlist, now)
	}
	for _, list := range strings.Fields(d.Headers[headerBeats]) {
		n.HeartbeatSent(list, now)
	}
}

// beatsOf splits the entries of a message into alerts about news and heartbeats.
func beatsOf(entries []news.Alert) (rest, beats []news.Alert) {
	for i := range entries {
		if entries[i].Kind == news.KindHeartbeat {
			beats = append(beats, entries[i])
		} else {
			rest = append(rest, entries[i])
		}
	}
	return rest, beats
}

// Daily is when heartbeats go out: every day at a time of day. `heartbeat: none` switches them off.
type Daily struct {
	strict.Pos
	At       DayTime `yaml:"at"`       // HH:MM
	Location Zone    `yaml:"location"` // UTC when not stated
	off      bool
}

// UnmarshalStrict reads the mapping, or the word none.
func (d *Daily) UnmarshalStrict(c *strict.Cursor) {
	if d.off = readOff(c); !d.off {
		type plain Daily
		c.Into((*plain)(d))
	}
	d.Pos = c.Pos()
}

// DefaultDaily is 08:00 UTC.
func DefaultDaily() Daily { return Daily{At: DayTime{minute: 8 * 60}} }

// Off tells that nothing is sent.
func (d *Daily) Off() bool { return d.off }

// Next is the first time after t. A time of day that a change of clocks leaves out gives the next valid minute, one that comes twice the first.
func (d *Daily) Next(t time.Time) time.Time {
	return (&Digest{At: []DayTime{d.At}, Location: d.Location}).Next(t)
}
