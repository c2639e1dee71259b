package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/fetcher"
	"tocsin/news"
)

// clockwork drives troubles as watchHealth does, a look every 5 s, and writes its state down and reads it back at every look.
type clockwork struct {
	t    *testing.T
	now  time.Time
	tr   *troubles
	told []news.Alert
}

func newClockwork(t *testing.T) *clockwork {
	return &clockwork{t: t, now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), tr: newTroubles()}
}

func (c *clockwork) pass(d time.Duration, conds func(now time.Time) []condition) {
	c.t.Helper()
	for end := c.now.Add(d); c.now.Before(end); c.now = c.now.Add(healthEvery) {
		c.told = append(c.told, c.tr.look(c.now, conds(c.now))...)
		data, err := json.Marshal(c.tr)
		if err != nil {
			c.t.Fatal(err)
		}
		first, total := c.tr.first, c.tr.total
		if c.tr, err = readTroubles(data); err != nil {
			c.t.Fatal(err)
		}
		c.tr.first, c.tr.total = first, total // a restart only waits once more
	}
}

func (c *clockwork) want(titles ...string) {
	c.t.Helper()
	var got []string
	for _, a := range c.told {
		got = append(got, fmt.Sprintf("%d %s", a.Revision, a.Match.Item.Title))
	}
	if strings.Join(got, "\n") != strings.Join(titles, "\n") {
		c.t.Errorf("told:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(titles, "\n"))
	}
}

func badFeeds(n int, state string, since time.Time) []fetcher.FeedStatus {
	out := make([]fetcher.FeedStatus, n)
	for i := range out {
		id := fmt.Sprintf("f%03d", i)
		out[i] = fetcher.FeedStatus{Feed: fetcher.Feed{ID: id, Outlet: "Outlet " + id}, State: state, Since: since, Failures: 4, Reason: fetcher.ReasonTimeout, LastError: "no answer"}
	}
	return out
}

// TestTroubleOfOneFeed: told once when it begins, once when it gets worse, once when it ends, over restarts, as revisions of one alert.
func TestTroubleOfOneFeed(t *testing.T) {
	c := newClockwork(t)
	since := c.now
	state := func(s string) func(time.Time) []condition {
		return func(now time.Time) []condition { return feedConditions(badFeeds(1, s, since), now, false) }
	}
	c.pass(time.Hour, state(fetcher.StateFailing))
	c.pass(time.Hour, state(fetcher.StateDead))
	c.pass(time.Hour, state(fetcher.StateLive))
	c.want("1 Feed Outlet f000 is failing: timeout", "2 Feed Outlet f000 is dead: timeout", "3 Feed Outlet f000 is live again")
	for _, a := range c.told {
		l := a.Match.Labels
		if a.ID != c.told[0].ID || a.Kind != news.KindHealth || a.Watchlist != "tocsin" || l["trouble"] != troubleFeed || a.Match.Item.Feed != "f000" {
			t.Errorf("alert %+v", a)
		}
	}
	if first := c.told[0]; first.At.Sub(since) > 30*time.Second || !strings.Contains(first.Match.Item.Summary, "no answer") {
		t.Errorf("told %s later: %s", first.At.Sub(since), first.Match.Item.Summary)
	}
	c.pass(time.Minute, state(fetcher.StateLate))
	if len(c.told) != 4 || c.told[3].ID == c.told[0].ID && c.told[3].Revision <= 3 {
		t.Errorf("a second trouble repeats a revision of the first: %+v", c.told[3])
	}
}

// TestManyFeedsAtOnceAreOneAlert: 30 of 214 feeds that fail at once, or within some minutes, are one alert, and one more when they are back.
func TestManyFeedsAtOnceAreOneAlert(t *testing.T) {
	for name, spread := range map[string]time.Duration{"at once": 0, "within 15 s": 500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			c := newClockwork(t)
			c.tr.total = 214
			begin := c.now
			c.pass(time.Hour, func(now time.Time) []condition {
				n := 30
				if spread > 0 {
					n = min(30, int(now.Sub(begin)/spread))
				}
				return feedConditions(badFeeds(n, fetcher.StateFailing, begin), now, false)
			})
			c.want("1 30 of 214 feeds are in trouble at once: our network?")
			if text := c.told[0].Match.Item.Summary; strings.Count(text, "\n") != 30 || !strings.Contains(text, "Outlet f007: failing, timeout") || c.told[0].Severity != news.SeverityHigh {
				t.Errorf("the alert does not name them:\n%s", text)
			}
			c.pass(time.Minute, func(now time.Time) []condition {
				return feedConditions(badFeeds(2, fetcher.StateFailing, begin), now, false)
			})
			c.want("1 30 of 214 feeds are in trouble at once: our network?", "2 28 of 30 feeds are out of trouble again")
			if text := c.told[1].Match.Item.Summary; strings.Count(text, "Still:") != 2 {
				t.Errorf("what is left is not named:\n%s", text)
			}
			c.pass(time.Minute, func(time.Time) []condition { return nil })
			if got := len(c.told); got != 4 || c.told[3].Match.Item.Title != "Feed Outlet f001 is live again" {
				t.Errorf("the end of the rest: %d alerts", got)
			}
		})
	}
}

// TestSlowCrowd: feeds that fail one after the other over hours give five alerts an hour and then one for all, told again at most every 15 min.
func TestSlowCrowd(t *testing.T) {
	c := newClockwork(t)
	begin := c.now
	c.pass(2*time.Hour, func(now time.Time) []condition {
		return feedConditions(badFeeds(int(now.Sub(begin)/(2*time.Minute)), fetcher.StateFailing, begin), now, false)
	})
	single, crowds := 0, 0
	for _, a := range c.told {
		if strings.HasPrefix(a.Match.Item.Title, "Feed ") {
			single++
		} else {
			crowds++
		}
	}
	if single > 2*foldAbove || crowds < 2 || crowds > 8 {
		t.Errorf("60 feeds in 2 hours: %d alone and %d for many", single, crowds)
	}
}

// TestGapsAreToldOnce: a gap is news when it is known; its end is none. A time asleep is one alert for all feeds.
func TestGapsAreToldOnce(t *testing.T) {
	c := newClockwork(t)
	gap := fetcher.Gap{Kind: fetcher.GapScrolled, From: c.now.Add(-time.Hour), To: c.now, Lost: 7}
	one := []fetcher.FeedStatus{{Feed: fetcher.Feed{ID: "a", Outlet: "A"}, State: fetcher.StateLive, Gaps: []fetcher.Gap{
		gap, {Kind: fetcher.GapWish, From: c.now, To: c.now.Add(time.Hour)}, {Kind: fetcher.GapScrolled, From: c.now.Add(-2 * time.Hour), To: c.now.Add(-time.Hour), Found: 3},
	}}}
	c.pass(30*time.Hour, func(now time.Time) []condition { return feedConditions(one, now, false) })
	c.want("1 Feed A has a gap: perhaps 7 items came and went between two polls")
	c = newClockwork(t)
	many := badFeeds(40, fetcher.StateLive, c.now)
	for i := range many {
		many[i].Gaps = []fetcher.Gap{{Kind: fetcher.GapAsleep, From: c.now.Add(-6 * time.Hour), To: c.now}}
	}
	c.pass(30*time.Hour, func(now time.Time) []condition { return feedConditions(many, now, false) })
	c.want("1 40 feeds have gaps: items may have been missed")
}

// TestNobodyIsBlamedForOurNetwork: while our own network is down no feed is called failing; what is known of dead ones stays.
func TestNobodyIsBlamedForOurNetwork(t *testing.T) {
	now := time.Now()
	if got := feedConditions(badFeeds(30, fetcher.StateFailing, now), now, true); len(got) != 0 {
		t.Errorf("%d feeds are blamed", len(got))
	}
	if got := feedConditions(badFeeds(1, fetcher.StateDead, now), now, true); len(got) != 1 {
		t.Error("a dead feed is forgotten")
	}
}

// TestLostRoleIsNamed: the last process of a role is missed within 30 s of its last word and 5 s, and not while another has the role.
func TestLostRoleIsNamed(t *testing.T) {
	p, now := newProcesses(), time.Now()
	row := process{Roles: []string{"matcher"}, Host: "h1", At: now}
	p.heard("process.a", row, 1, now)
	own := roles{fetcher: true}
	if got := p.conditions(own, now.Add(time.Hour)); len(got) != 0 {
		t.Errorf("a process that stood still for an hour misses others: %+v", got)
	}
	p.heardAt = now.Add(processLost)
	if got := p.conditions(own, now.Add(processLost-time.Second)); len(got) != 0 {
		t.Errorf("missed too early: %+v", got)
	}
	got := p.conditions(own, now.Add(processLost))
	if len(got) != 1 || got[0].title != "The matcher has gone: killed, or its machine hangs" || got[0].severity != news.SeverityCritical || !strings.Contains(got[0].text, "h1") {
		t.Fatalf("%+v", got)
	}
	p.heard("process.b", process{Roles: []string{"matcher"}, Host: "h2", At: now.Add(processLost)}, 7, now.Add(processLost))
	if got := p.conditions(own, now.Add(processLost)); len(got) != 0 {
		t.Errorf("another matcher is there: %+v", got)
	}
	p.heardAt = now.Add(10 * processLost)
	if got := p.conditions(roles{matcher: true}, now.Add(10*processLost)); len(got) != 0 {
		t.Errorf("this process is a matcher: %+v", got)
	}
	if old := p.forget([]string{"process.a", "process.b"}, now.Add(processOld+time.Hour)); len(old) != 2 {
		t.Errorf("old rows stay: %v", old)
	}
}
