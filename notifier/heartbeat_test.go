package notifier

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
)

func beatOf(h *news.Heartbeat) *news.Alert {
	a := &news.Alert{Kind: news.KindHeartbeat, Watchlist: "corridors", Severity: news.SeverityInfo, Heartbeat: h, At: h.To}
	a.Match = news.Match{Watchlist: "corridors", Title: "Corridors", Severity: news.SeverityHigh, Item: news.Item{Title: HeartbeatTitle(h), FirstSeen: h.To}}
	return a
}

// TestHeartbeatLines: the text says all that the record holds, in the heartbeat's own zone (Asia/Kabul is UTC+4:30).
func TestHeartbeatLines(t *testing.T) {
	to := time.Date(2026, 11, 25, 3, 30, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return to.Add(-d) }
	const h = time.Hour
	beat := &news.Heartbeat{
		From: at(24 * h), To: to, Zone: "Asia/Kabul", Items: 18431, Newest: at(3 * time.Minute), Feeds: 214, Live: 212,
		Dead:     []news.FeedTrouble{{Feed: "a", Outlet: "A", Since: at(13 * 24 * h), Reason: "404"}},
		Late:     []news.FeedTrouble{{Feed: "b", Since: at(20 * h), Reason: "no items", Expected: 4 * h}},
		Gaps:     []news.CoverageGap{{Feed: "c", Outlet: "C", From: at(2 * h), To: at(90 * time.Minute), Lost: 1}, {From: at(h), To: to, Feeds: 200}},
		Silences: []news.SilenceNote{{ID: "s", Until: to.Add(5 * 24 * h), Comment: "sports\npages"}}, MoreSilences: 2,
		Revision: "41", Refused: "armed-groups.yaml:14:9: unknown key \"alias\"", RefusedSince: at(h),
		Troubles: []news.HealthRemark{{Title: "Channel siem fails", Since: at(2 * h)}},
	}
	want := []string{
		"Watched from 24 Nov 08:00 to 25 Nov 08:00 (Asia/Kabul): 0 matches, 0 alerts opened.",
		"18,431 items read from all feeds, newest 3 min before.",
		"212 of 214 feeds live, 1 dead, 1 late.",
		"Dead: A since 12 Nov (404).",
		"Late: b since 24 Nov 12:00 (no items, expected every 4 h).",
		"Gaps: C 06:00–06:30 (perhaps 1 item missed), 200 feeds 07:00–08:00.",
		"Silences: 3: until 30 Nov (sports pages), and 2 more.",
		"List revision 41, newer lists refused since 07:00: armed-groups.yaml:14:9: unknown key \"alias\"",
		"Trouble: Channel siem fails since 06:00.",
	}
	if d := cmp.Diff(want, HeartbeatLines(beat)); d != "" {
		t.Error(d)
	}
	if got := HeartbeatTitle(beat); got != "0 matches from 212 of 214 live feeds" {
		t.Error(got)
	}
	v := NewView(beatOf(beat), nil)
	page := &Page{View: v, Route: "root"}
	text, err := page.Text()
	must(t, err)
	html, err := page.HTML()
	must(t, err)
	for _, line := range want {
		if !strings.Contains(string(text), line) {
			t.Errorf("the text lacks %q", line)
		}
		if plain := strings.NewReplacer(`"`, "&#34;", "'", "&#39;").Replace(line); !strings.Contains(string(html), plain) {
			t.Errorf("the page lacks %q", line)
		}
	}
	if got := LabelsOf(beatOf(beat)); got["severity"][0] != "high" || got["kind"][0] != "heartbeat" {
		t.Errorf("it does not go the way of its list's alerts: %v", got)
	}
}

// TestHeartbeatWithoutTrouble: what is fine is said too, because a line that is missing could mean anything.
func TestHeartbeatWithoutTrouble(t *testing.T) {
	to := time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)
	beat := &news.Heartbeat{From: to.Add(-24 * time.Hour), To: to, Matches: 1, Alerts: 1, Items: 1, Newest: to, Feeds: 1, Live: 1, Paused: 2, Untried: 0, Revision: "r"}
	want := []string{
		"Watched from 24 Nov 08:00 to 25 Nov 08:00 (UTC): 1 match, 1 alert opened.",
		"1 item read from all feeds, newest 0 s before.",
		"1 of 1 feed live, 2 paused by hand and not counted.",
		"Gaps: none known.",
		"Silences: none.",
		"List revision r.",
	}
	if d := cmp.Diff(want, HeartbeatLines(beat)); d != "" {
		t.Error(d)
	}
}

// TestDaily: one time a day, also where the offset is odd and when clocks change.
func TestDaily(t *testing.T) {
	for _, c := range []struct{ zone, at, from, want string }{
		{"Asia/Kabul", "08:00", "2026-11-25T03:29:59Z", "2026-11-25T03:30:00Z"},
		{"Asia/Kabul", "08:00", "2026-11-25T03:30:00Z", "2026-11-26T03:30:00Z"},
		{"Asia/Karachi", "08:00", "2026-11-25T00:00:00Z", "2026-11-25T03:00:00Z"},
		{"Europe/Berlin", "02:30", "2027-03-28T00:00:00Z", "2027-03-28T01:00:00Z"}, // left out: the next valid minute
		{"Europe/Berlin", "02:30", "2027-10-30T23:00:00Z", "2027-10-31T00:30:00Z"}, // twice: the first
		{"Europe/Berlin", "02:30", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"},
		{"America/New_York", "08:00", "2026-11-01T06:00:00Z", "2026-11-01T13:00:00Z"},
	} {
		loc, err := time.LoadLocation(c.zone)
		must(t, err)
		minute, _ := clockMinutes(c.at)
		d := Daily{At: DayTime{minute}, Location: Zone{loc: loc}}
		from, err := time.Parse(time.RFC3339, c.from)
		must(t, err)
		if got := d.Next(from).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s %s after %s: %s, want %s", c.zone, c.at, c.from, got, c.want)
		}
	}
}

// TestHeartbeatInsteadOfAnEmptyDigest: alone in its digest a heartbeat keeps its own form, beside news it goes with it, and a digest that asks for a
// number of alerts does not hold it back. It sets the metric when it arrives.
func TestHeartbeatInsteadOfAnEmptyDigest(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, `route: {channels: [desk], digest: {every: 1h, min: 5}}`), e.digesting("desk"))
	beat := func(matches int) *news.Alert {
		a := beatOf(&news.Heartbeat{From: m.now.Add(-24 * time.Hour), To: m.now, Matches: matches, Feeds: 1, Live: 1})
		a.Schema, a.ID, a.Revision, a.Match.ID = news.Schema, news.AlertID(m.now.String(), "corridors"), 1, m.now.String()
		return a
	}
	must(t, n.HandleAlert(t.Context(), *beat(0)))
	m.wait(t, n, time.Hour)
	if len(e.got) != 1 || e.got[0].Headers[headerBeats] != "corridors" || !strings.Contains(string(e.got[0].Body), "0 matches from 1 of 1 live feed") || e.got[0].Subject == "1 alerts" {
		t.Fatalf("a digest without news: %+v", e.got)
	}
	if at := n.m.beats["corridors"]; at.IsZero() || m.now.Sub(at) > time.Hour {
		t.Errorf("the metric says %s", at)
	}
	throughAlerts(t, m, n, match("i1"))
	must(t, n.HandleAlert(t.Context(), *beat(1)))
	m.wait(t, n, time.Hour)
	if len(e.got) != 2 || e.got[1].Subject != "2 alerts" || e.got[1].Headers[headerBeats] != "corridors" {
		t.Errorf("a digest with news: %+v", e.got)
	}
	if n.Missing() != 0 {
		t.Errorf("%d missing from the ledger", n.Missing())
	}
}
