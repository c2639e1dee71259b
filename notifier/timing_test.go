package notifier

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
	"tocsin/news/strict"
)

// interval reads one time interval; a fault ends the test.
func interval(t testing.TB, yaml string) TimeInterval {
	t.Helper()
	var c struct {
		I TimeInterval `yaml:"i"`
	}
	if fs := strict.Decode("t.yaml", []byte("i: "+yaml+"\n"), 1<<16, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	return c.I
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestTimeIntervals(t *testing.T) {
	for _, c := range []struct{ yaml, when, want string }{
		{`{times: [{start_time: "22:00", end_time: "24:00"}], location: Asia/Kabul}`, "2026-01-05T17:29:00Z", "out"}, // 21:59, +4:30
		{`{times: [{start_time: "22:00", end_time: "24:00"}], location: Asia/Kabul}`, "2026-01-05T17:30:00Z", "in"},
		{`{times: [{start_time: "22:00", end_time: "24:00"}], location: Asia/Kabul}`, "2026-01-05T19:29:59Z", "in"},
		{`{times: [{start_time: "22:00", end_time: "24:00"}], location: Asia/Kabul}`, "2026-01-05T19:30:00Z", "out"},
		{`{weekdays: [friday], location: Asia/Karachi}`, "2026-01-08T19:00:00Z", "in"}, // Friday 00:00 there
		{`{weekdays: [friday], location: Asia/Karachi}`, "2026-01-08T18:59:59Z", "out"},
		{`{weekdays: ["monday:friday"]}`, "2026-01-11T12:00:00Z", "out"}, // a Sunday
		// Berlin: the hour 2 to 3 does not exist on 29 March 2026 and comes twice on 25 October
		{`{times: [{start_time: "02:00", end_time: "03:00"}], location: Europe/Berlin}`, "2026-03-29T00:59:00Z", "out"},
		{`{times: [{start_time: "02:00", end_time: "03:00"}], location: Europe/Berlin}`, "2026-03-29T01:00:00Z", "out"},
		{`{times: [{start_time: "02:00", end_time: "03:00"}], location: Europe/Berlin}`, "2026-10-25T00:30:00Z", "in"},
		{`{times: [{start_time: "02:00", end_time: "03:00"}], location: Europe/Berlin}`, "2026-10-25T01:30:00Z", "in"},
		{`{times: [{start_time: "02:00", end_time: "03:00"}], location: Europe/Berlin}`, "2026-10-25T02:00:00Z", "out"},
		// the last day of a month with a change of clocks, and of February
		{`{days_of_month: ["-1"], location: Europe/Berlin}`, "2026-03-30T21:59:00Z", "out"},
		{`{days_of_month: ["-1"], location: Europe/Berlin}`, "2026-03-30T22:00:00Z", "in"},
		{`{days_of_month: ["-3:-1"], location: Europe/Berlin}`, "2026-10-29T00:00:00Z", "in"},
		{`{days_of_month: ["-3:-1"], location: Europe/Berlin}`, "2026-10-28T22:59:00Z", "out"},
		{`{days_of_month: ["-1"]}`, "2028-02-29T00:00:00Z", "in"},
		{`{days_of_month: ["31"]}`, "2026-02-28T00:00:00Z", "out"},
		{`{days_of_month: ["1:-1"]}`, "2026-02-28T00:00:00Z", "in"},
		{`{months: ["january:march", "12"], years: ["2026:2027"]}`, "2026-12-01T00:00:00Z", "in"},
		{`{months: ["january:march"], years: ["2026"]}`, "2026-04-01T00:00:00Z", "out"},
		{`{months: ["january:march"], years: ["2026"]}`, "2027-01-01T00:00:00Z", "out"},
		{`{}`, "2026-04-01T00:00:00Z", "in"},
	} {
		i := interval(t, c.yaml)
		if got := map[bool]string{true: "in", false: "out"}[i.Contains(at(t, c.when))]; got != c.want {
			t.Errorf("%s at %s: %s, want %s", c.yaml, c.when, got, c.want)
		}
	}
}

func TestBrokenTimings(t *testing.T) {
	for yaml, want := range map[string]string{
		`time_intervals: [{name: night, time_intervals: [{times: [{start_time: "22:00", end_time: "06:00"}]}]}]`:                      "write two ranges",
		`time_intervals: [{name: night, time_intervals: [{times: [{start_time: "9:00", end_time: "25:00"}]}]}]`:                       "HH:MM",
		`time_intervals: [{name: night, time_intervals: [{weekdays: [fryday]}]}]`:                                                     `"fryday" is not understood`,
		`time_intervals: [{name: night, time_intervals: [{weekdays: ["friday:monday"]}]}]`:                                            "ends before it starts",
		`time_intervals: [{name: night, time_intervals: [{days_of_month: ["-1:5"]}]}]`:                                                "earlier day first",
		`time_intervals: [{name: night, time_intervals: [{days_of_month: ["0"]}]}]`:                                                   "days of month",
		`time_intervals: [{name: night, time_intervals: [{months: [13]}]}]`:                                                           "13",
		`time_intervals: [{name: night, time_intervals: [{location: Asia/Kabool}]}]`:                                                  "time zone",
		`time_intervals: [{name: night, time_intervals: [{location: Local}]}]`:                                                        "time zone",
		`time_intervals: [{name: night, time_intervals: []}]`:                                                                         "holds no times",
		`time_intervals: [{name: a, time_intervals: [{}]}, {name: a, time_intervals: [{}]}]`:                                          "stands twice",
		`route: {channels: [desk], quiet: {intervals: [nigth]}}`:                                                                      "unknown time interval",
		`route: {channels: [desk], quiet: {then: hold}}`:                                                                              "names no interval",
		`route: {channels: [desk], quiet: {intervals: [], then: digest}}`:                                                             "no digest",
		`route: {channels: [desk], quiet: {intervals: [], then: drops}}`:                                                              `did you mean "drop"`,
		`route: {channels: [desk], digest: {}}`:                                                                                       "no time",
		`route: {channels: [desk], digest: {every: 7h}}`:                                                                              "divide a day",
		`route: {channels: [desk], digest: {at: ["24:00"]}}`:                                                                          "HH:MM",
		`route: {channels: [desk], digest: {every: 1h, bypass: 'severity=~"("'}}`:                                                     "bypass",
		`route: {channels: [desk], digest: {every: 1h, bypass: 'severety="high"'}}`:                                                   `did you mean "severity"`,
		`route: {channels: [desk], digest: {every: 1h, max_items: 100000}}`:                                                           "max_items",
		`route: {channels: [desk], throttle: {per: 1m}}`:                                                                              "max: 10",
		`route: {channels: [desk], throttle: {per: 48h, max: 1}}`:                                                                     "per: 1m",
		`route: {channels: [desk], group_by: [storry]}`:                                                                               `did you mean "story"`,
		`route: {channels: [desk], group_wait: soon}`:                                                                                 "not a time to wait",
		`inhibit: [{source: ['severity="critical"']}]`:                                                                                "needs source, target and equal",
		`inhibit: [{source: ['severity="crit"'], target: ['severity="low"'], equal: [story]}]`:                                        "unknown severity",
		`silences: [{id: a, start: 2026-01-01T00:00:00Z, author: x, comment: y, matchers: ['lang="en"']}]`:                            "end is missing",
		`silences: [{id: a, start: 2026-01-01T00:00:00Z, end: 2026-06-01T00:00:00Z, author: x, comment: y, matchers: ['lang="en"']}]`: "90 days",
		`silences: [{id: a, start: 2026-01-01T00:00:00Z, end: 2026-01-02T00:00:00Z, matchers: ['lang="en"']}]`:                        "author is missing",
		`silences: [{id: a, start: 2026-01-01T00:00:00Z, end: 2026-01-02T00:00:00Z, author: x, comment: y}]`:                          "no condition",
		`silences: [{id: a, end: 2026-01-02T00:00:00Z, author: x, comment: y, words: [w]}]`:                                           "must state its start",
	} {
		var c Config
		fs := strict.Decode("tocsin.yaml", []byte(yaml+"\n"), 1<<16, &c)
		fs = append(fs, c.Check([]string{"desk"})...)
		text := ""
		for _, f := range fs {
			text += f.Error() + "\n"
			if f.Line == 0 && !strings.Contains(f.Fact, "no route") {
				t.Errorf("%s: a fault without its place: %s", yaml, f.Error())
			}
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s\nfaults:\n%swant one with %q", yaml, text, want)
		}
	}
}

func digestOf(t testing.TB, yaml string) *Digest {
	t.Helper()
	var c struct {
		D *Digest `yaml:"d"`
	}
	if fs := strict.Decode("t.yaml", []byte("d: "+yaml+"\n"), 1<<16, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	return c.D
}

func TestDigestTimes(t *testing.T) {
	for _, c := range []struct {
		yaml, from string
		want       []string
	}{
		{`{at: ["08:00", "17:00"], location: Asia/Karachi}`, "2026-01-05T02:59:59Z", []string{"2026-01-05T03:00:00Z", "2026-01-05T12:00:00Z", "2026-01-06T03:00:00Z"}},
		{`{at: ["00:00"], location: Asia/Kabul}`, "2026-01-05T00:00:00Z", []string{"2026-01-05T19:30:00Z", "2026-01-06T19:30:00Z"}},
		// 02:30 does not exist on 29 March: 03:00 summer time; it comes twice on 25 October: the first
		{`{at: ["02:30"], location: Europe/Berlin}`, "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		{`{at: ["02:30", "02:45", "03:00"], location: Europe/Berlin}`, "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		{`{at: ["02:30"], location: Europe/Berlin}`, "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		{`{every: 1h, location: Europe/Berlin}`, "2026-10-24T23:30:00Z", []string{"2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00Z"}},
		{`{every: 6h, location: Asia/Kabul}`, "2026-01-05T00:00:00Z", []string{"2026-01-05T01:30:00Z", "2026-01-05T07:30:00Z", "2026-01-05T13:30:00Z"}},
		{`{every: 1d, at: ["12:00"]}`, "2026-01-05T00:00:00Z", []string{"2026-01-05T12:00:00Z", "2026-01-06T00:00:00Z"}},
	} {
		d, now, got := digestOf(t, c.yaml), at(t, c.from), []string{}
		for range c.want {
			now = d.Next(now)
			got = append(got, now.UTC().Format(time.RFC3339))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s from %s (-want +got):\n%s", c.yaml, c.from, diff)
		}
	}
}

// TestDigestTimesMoveOn: whatever the place and the moment, the next time lies ahead and within a day and an hour.
func TestDigestTimesMoveOn(t *testing.T) {
	for _, zone := range []string{"Asia/Kabul", "Asia/Karachi", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"} {
		d := digestOf(t, fmt.Sprintf(`{at: ["00:00", "02:15"], location: %s}`, zone))
		for now := at(t, "2011-12-01T00:00:00Z"); now.Before(at(t, "2013-01-01T00:00:00Z")); now = now.Add(397 * time.Minute) {
			if wait := d.Next(now).Sub(now); wait <= 0 || wait > 26*time.Hour {
				t.Fatalf("%s at %s: the next digest is in %s", zone, now, wait)
			}
		}
	}
}

func TestFewEntriesWaitForTheNextDigest(t *testing.T) {
	d, now := digestOf(t, `{every: 1h, min: 3}`), at(t, "2026-01-05T08:00:00Z")
	if next, ready := d.due(2, now.Add(-time.Hour), now); ready || !next.Equal(now.Add(time.Hour)) {
		t.Errorf("two entries: %s %v", next, ready)
	}
	if _, ready := d.due(3, now, now); !ready {
		t.Error("three entries wait")
	}
	if _, ready := d.due(1, now.Add(-24*time.Hour), now); !ready {
		t.Error("an entry waits for more than a day")
	}
}

func TestQuietHoursEnd(t *testing.T) {
	in := intervals{"night": {
		interval(t, `{times: [{start_time: "22:00", end_time: "24:00"}], location: Europe/Berlin}`),
		interval(t, `{times: [{start_time: "00:00", end_time: "02:30"}], location: Europe/Berlin}`),
	}, "always": {interval(t, `{}`)}}
	for from, want := range map[string]string{
		"2026-03-28T21:15:20Z": "2026-03-29T01:00:00Z", // 02:30 does not exist
		"2026-10-24T21:00:00Z": "2026-10-25T00:30:00Z", // the first of two
		"2026-10-25T01:05:00Z": "2026-10-25T01:30:00Z", // the hour that comes again is quiet again
		"2026-06-01T12:00:00Z": "2026-06-01T12:00:00Z",
	} {
		if got := in.until([]string{"night"}, at(t, from)); !got.Equal(at(t, want)) {
			t.Errorf("from %s until %s, want %s", from, got.UTC(), want)
		}
	}
	if got := in.until([]string{"always"}, at(t, "2026-06-01T12:00:00Z")); got.Sub(at(t, "2026-06-01T12:00:00Z")) != maxQuiet {
		t.Errorf("a time without end: %s", got)
	}
}

func TestBypass(t *testing.T) {
	critical, high := Labels{"severity": {"critical"}}, Labels{"severity": {"high"}}
	for yaml, want := range map[string][2]bool{
		`{every: 1h}`:                            {true, false},
		`{every: 1h, bypass: none}`:              {false, false},
		`{every: 1h, bypass: 'severity="high"'}`: {false, true},
	} {
		b := &digestOf(t, yaml).Bypass
		if got := [2]bool{b.Holds(critical), b.Holds(high)}; got != want {
			t.Errorf("%s: critical and high bypass: %v, want %v", yaml, got, want)
		}
	}
}

func TestGroupTimes(t *testing.T) {
	c := config(t, `route: {channels: [desk], group_wait: 10s, routes: [{matchers: ['lang="ur"'], group_by: [entity]}, {matchers: ['lang="fa"'], group_interval: 1h}]}`)
	root, err := compileRoute(c.Route, nil)
	must(t, err)
	want := []Grouping{{[]string{"story"}, 10 * time.Second, defaultGroupInterval}, {[]string{"entity"}, 10 * time.Second, defaultGroupInterval}, {[]string{"story"}, 10 * time.Second, time.Hour}}
	if diff := cmp.Diff(want, []Grouping{*root.group, *root.children[0].group, *root.children[1].group}); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	g, now := root.group, at(t, "2026-01-05T08:00:00Z")
	low := Labels{"severity": {"low"}}
	if got := g.due(low, time.Time{}, now); got.Sub(now) != 10*time.Second {
		t.Errorf("first of a group: %s", got)
	}
	if got := g.due(low, now.Add(-time.Minute), now); got.Sub(now) != 14*time.Minute {
		t.Errorf("a minute after the last message: %s", got)
	}
	if got := g.due(low, now.Add(-time.Hour), now); got.Sub(now) != 10*time.Second {
		t.Errorf("long after the last message: %s", got)
	}
	if got := g.due(Labels{"severity": {"critical"}}, now, now); !got.Equal(now) {
		t.Errorf("critical waits until %s", got)
	}
	if g.key(Labels{"story": {"a"}, "lang": {"en"}}) != g.key(Labels{"story": {"a"}}) || g.key(Labels{"story": {"a"}}) == g.key(Labels{"story": {"b"}}) {
		t.Error("keys of groups")
	}
}

func TestThrottleLetsSoManyThrough(t *testing.T) {
	th, b, now := &Throttle{Per: time.Minute, Max: 3}, tokens{}, at(t, "2026-01-05T08:00:00Z")
	passed := 0
	for range 100 {
		if b.take(th, now) {
			passed++
		}
	}
	if passed != 3 {
		t.Errorf("%d pass at once", passed)
	}
	for range 600 { // ten minutes, one alert a second: 3 a minute
		now = now.Add(time.Second)
		if b.take(th, now) {
			passed++
		}
	}
	if passed < 32 || passed > 33 {
		t.Errorf("%d pass in ten minutes", passed)
	}
	storm, b := &Throttle{Per: time.Minute, Max: 1000, Storm: 10}, tokens{}
	passed = 0
	for range 100 {
		if b.take(storm, now) {
			passed++
		}
	}
	if passed != 10 {
		t.Errorf("%d pass in a storm", passed)
	}
	if !b.take(storm, now.Add(10*time.Minute)) {
		t.Error("the storm does not end")
	}
}

func TestInhibition(t *testing.T) {
	in, err := newInhibitions([]Inhibit{{
		Source: []strict.Text{{Value: `severity="critical"`}}, Target: []strict.Text{{Value: `severity=~"low|critical"`}}, Equal: []strict.Text{{Value: "story"}}, For: time.Hour,
	}})
	must(t, err)
	alert := func(story string, s news.Severity) *news.Alert {
		return &news.Alert{Story: story, Severity: s, Kind: news.KindFirst, At: at(t, "2026-01-05T08:00:00Z")}
	}
	in.see(alert("a", news.SeverityCritical))
	for _, c := range []struct {
		story string
		s     news.Severity
		after time.Duration
		held  bool
	}{
		{"a", news.SeverityLow, time.Minute, true},
		{"b", news.SeverityLow, time.Minute, false},
		{"a", news.SeverityHigh, time.Minute, false},
		{"a", news.SeverityCritical, time.Minute, false}, // a source is not its own target
		{"a", news.SeverityLow, time.Hour, false},
	} {
		a := alert(c.story, c.s)
		if why := in.holds(LabelsOf(a), a.At.Add(c.after)); (why != "") != c.held {
			t.Errorf("%+v: held back %q", c, why)
		}
	}
}

func TestSilenceConditions(t *testing.T) {
	now := at(t, "2026-01-05T08:00:00Z")
	a := news.Alert{Story: "s1", Watchlist: "w", Kind: news.KindFirst, Match: news.Match{
		Entities: []news.EntityHit{{ID: "bla"}, {ID: "gwadar"}},
		Item:     news.Item{Feed: "f1", Outlet: "Dawn", URL: "https://www.dawn.com/x", Title: "Strikers play in Lahore", Body: "A bomb squad came. کوئٹہ میں دھماکا"},
	}}
	for name, c := range map[string]struct {
		s    Silence
		want bool
	}{
		"matcher":           {Silence{Matchers: []string{`entity="bla"`}}, true},
		"other matcher":     {Silence{Matchers: []string{`entity="ttp"`}}, false},
		"word":              {Silence{Words: []string{"BOMB SQUAD"}}, true},
		"part of a word":    {Silence{Words: []string{"strike"}}, false},
		"word in Urdu":      {Silence{Words: []string{"دھماکا"}}, true},
		"part of Urdu word": {Silence{Words: []string{"دھما"}}, false},
		"one of entities":   {Silence{Entities: []string{"bla"}}, false},
		"all entities":      {Silence{Entities: []string{"bla", "gwadar", "x"}}, true},
		"story":             {Silence{Stories: []string{"s1"}}, true},
		"host":              {Silence{Sources: []string{"WWW.dawn.com"}}, true},
		"outlet":            {Silence{Sources: []string{"dawn"}}, true},
		"feed":              {Silence{Sources: []string{"f1"}}, true},
		"other source":      {Silence{Sources: []string{"f2"}}, false},
		"two conditions":    {Silence{Sources: []string{"f1"}, Words: []string{"peace"}}, false},
	} {
		s := c.s
		s.End, s.Author, s.Comment = now.Add(time.Hour), "ana", "noise"
		must(t, s.Prepare(now))
		if got := s.Holds(&a, LabelsOf(&a)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
		if !s.Active(now) || s.Active(now.Add(time.Hour)) || s.Active(now.Add(-time.Second)) {
			t.Errorf("%s: active at the wrong times", name)
		}
	}
}

// TestSilencesOfTheProgramItself: news about the program and heartbeats are muted by silences that ask for it, never by accident.
func TestSilencesOfTheProgramItself(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	health := news.Alert{Kind: news.KindHealth, Watchlist: "tocsin", Story: "feed f1"}
	health.Match.Item.Title = "feed f1 is dead"
	beat := news.Alert{Kind: news.KindHeartbeat, Watchlist: "corridors", Heartbeat: &news.Heartbeat{}}
	for _, c := range []struct {
		s            Silence
		health, beat bool
	}{
		{Silence{Matchers: []string{`watchlist=~".*"`}}, false, false},
		{Silence{Matchers: []string{`kind!="first"`}}, false, false},
		{Silence{Words: []string{"dead"}}, false, false},
		{Silence{Matchers: []string{`watchlist="corridors"`}}, false, false},
		{Silence{Matchers: []string{`watchlist="tocsin"`}}, true, false},
		{Silence{Matchers: []string{`kind="health"`}, Words: []string{"f1"}}, true, false},
		{Silence{Matchers: []string{`kind="health"`}, Words: []string{"f2"}}, false, false},
		{Silence{Stories: []string{"feed f1"}}, true, false},
		{Silence{Matchers: []string{`kind="heartbeat"`}}, false, true},
		{Silence{Matchers: []string{`kind=~"heartbeat|health"`}}, true, true},
	} {
		s := c.s
		s.End, s.Author, s.Comment = now.Add(time.Hour), "a", "b"
		must(t, s.Prepare(now))
		if h, b := s.Holds(&health, LabelsOf(&health)), s.Holds(&beat, LabelsOf(&beat)); h != c.health || b != c.beat {
			t.Errorf("%v %v: mutes health %v, heartbeat %v", c.s.Matchers, c.s.Words, h, b)
		}
	}
}

// FuzzTimings: no text makes the configuration of routes panic, and what is accepted gives times that move on.
func FuzzTimings(f *testing.F) {
	f.Add(`{every: 1h, at: ["08:00"], location: Asia/Kabul}`, `{days_of_month: ["-3:-1"], times: [{start_time: "00:00", end_time: "24:00"}]}`, int64(1770000000))
	f.Fuzz(func(t *testing.T, digest, times string, unix int64) {
		var c Config
		text := "time_intervals: [{name: n, time_intervals: [" + times + "]}]\nroute: {channels: [d], digest: " + digest + ", quiet: {intervals: [n]}}\n"
		fs := strict.Decode("t.yaml", []byte(text), 1<<16, &c)
		if append(fs, c.Check([]string{"d"})...).Err() != nil {
			return
		}
		now := time.Unix(unix%4_000_000_000, 0)
		if d := c.Route.Digest; d != nil && !d.off && !d.Next(now).After(now) {
			t.Errorf("%s at %s: next %s", digest, now, d.Next(now))
		}
		if c.Route.Quiet != nil && !c.Route.Quiet.off && c.Route.Quiet.ends(c.intervals(), now).Before(now) {
			t.Errorf("%s at %s ends before", times, now)
		}
	})
}
