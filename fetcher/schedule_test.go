package fetcher

import (
	"net/http"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) // a Sunday

func gapsOf(n int, d time.Duration) []uint32 {
	out := make([]uint32, n)
	for i := range out {
		out[i] = uint32(d / time.Second)
	}
	return out
}

func TestWantedInterval(t *testing.T) {
	for name, c := range map[string]struct {
		p    plan
		want time.Duration
	}{
		"unknown feed":                  {plan{state: &state{EverVal: true}}, time.Hour},
		"four gaps are too few":         {plan{state: &state{EverVal: true, Gaps: gapsOf(4, 30*time.Minute)}}, time.Hour},
		"half the median gap":           {plan{state: &state{EverVal: true, Gaps: gapsOf(5, 40*time.Minute), LastItem: noon}}, 20 * time.Minute},
		"ten minutes at least":          {plan{state: &state{EverVal: true, Gaps: gapsOf(50, time.Minute), LastItem: noon}}, 10 * time.Minute},
		"an hour at most":               {plan{state: &state{EverVal: true, Gaps: gapsOf(50, 20*time.Hour), LastItem: noon}}, time.Hour},
		"silent for a month":            {plan{state: &state{EverVal: true, LastItem: noon.Add(-31 * day)}}, 4 * time.Hour},
		"silent for a year":             {plan{state: &state{EverVal: true, LastItem: noon.Add(-366 * day)}}, 24 * time.Hour},
		"never a validator":             {plan{state: &state{Gaps: gapsOf(50, time.Minute), LastItem: noon}}, time.Hour},
		"never a validator, but a gap":  {plan{state: &state{Gaps: gapsOf(50, time.Minute), LastItem: noon}, lastGap: true}, 10 * time.Minute},
		"little overlap halves":         {plan{state: &state{EverVal: true, Hurry: 1}}, 30 * time.Minute},
		"and halves again to ten":       {plan{state: &state{EverVal: true, Hurry: 3}}, 10 * time.Minute},
		"publisher's max-age":           {plan{state: &state{EverVal: true, Fresh: 2 * time.Hour}}, 2 * time.Hour},
		"publisher's ttl":               {plan{state: &state{EverVal: true, TTL: 3 * time.Hour, Fresh: time.Minute}}, 3 * time.Hour},
		"publisher's period":            {plan{state: &state{EverVal: true, Period: 90 * time.Minute}}, 90 * time.Minute},
		"a day at most":                 {plan{state: &state{EverVal: true, TTL: 900 * time.Hour}}, 24 * time.Hour},
		"interval beats all":            {plan{interval: 5 * time.Minute, state: &state{TTL: 900 * time.Hour, Fresh: time.Hour}}, 5 * time.Minute},
		"the demo shortens our own":     {plan{min: time.Second, state: &state{EverVal: true, Gaps: gapsOf(9, time.Minute), LastItem: noon}}, 10 * time.Second},
		"the demo keeps a publisher's":  {plan{min: time.Second, state: &state{EverVal: true, TTL: time.Minute}}, time.Minute},
		"the shortest of all intervals": {plan{min: 2 * time.Minute, interval: time.Minute, state: &state{}}, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			c.p.now = noon
			setIfZero(&c.p.min, time.Minute)
			if _, got := c.p.next(); got != c.want {
				t.Errorf("wanted %s, not %s", c.want, got)
			}
		})
	}
}

func TestBackoffDoublesAndNeverEnds(t *testing.T) {
	for name, c := range map[string]struct {
		reason Reason
		wanted []time.Duration // per failure
	}{
		"plain":     {Reason4xx, []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour, 24 * time.Hour}},
		"throttled": {ReasonThrottled, []time.Duration{time.Hour, 2 * time.Hour}},
		"blocked":   {ReasonBlocked, []time.Duration{4 * time.Hour, 8 * time.Hour, 16 * time.Hour, 24 * time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			for i, want := range c.wanted {
				p := plan{id: "f", poll: uint64(i), now: noon, min: time.Minute, failing: true, state: &state{EverVal: true, Failures: i + 1, Reason: c.reason}}
				at, _ := p.next()
				if d := at.Sub(noon); d < want || d > want+want/10 {
					t.Errorf("failure %d: %s, want %s and up to a tenth more", i+1, d, want)
				}
			}
		})
	}
	p := plan{now: noon, min: time.Minute, failing: true, state: &state{Failures: 1 << 40}}
	if at, _ := p.next(); at.Sub(noon) < 24*time.Hour || at.Sub(noon) > 27*time.Hour {
		t.Errorf("after endless failures: %s", at.Sub(noon))
	}
	p = plan{interval: time.Minute, now: noon, min: time.Minute, failing: true, state: &state{Failures: 1}}
	if at, _ := p.next(); at.Sub(noon) < 10*time.Minute {
		t.Errorf("a failing feed with interval 1m: %s", at.Sub(noon))
	}
}

func TestRetryAfterBeatsInterval(t *testing.T) {
	p := plan{interval: time.Minute, now: noon, min: time.Minute, state: &state{RetryUntil: noon.Add(5 * time.Hour)}}
	if at, _ := p.next(); !at.Equal(noon.Add(5 * time.Hour)) {
		t.Errorf("next at %s", at)
	}
}

func TestJitterOnlyAddsAndIsTheSameAgain(t *testing.T) {
	different := map[time.Time]bool{}
	for poll := range uint64(50) {
		p := plan{id: "feed", poll: poll, now: noon, min: time.Minute, state: &state{EverVal: true}}
		a, _ := p.next()
		b, _ := p.next()
		if !a.Equal(b) || a.Before(noon.Add(time.Hour)) || a.After(noon.Add(66*time.Minute)) {
			t.Fatalf("poll %d: %s and %s", poll, a, b)
		}
		different[a] = true
	}
	if len(different) < 20 {
		t.Errorf("%d different times in 50 polls", len(different))
	}
}

func TestSkipHoursAndDays(t *testing.T) {
	hours := func(hs ...int) (m uint32) {
		for _, h := range hs {
			m |= 1 << h
		}
		return m
	}
	for name, c := range map[string]struct {
		hours uint32
		days  uint8
		want  time.Time
	}{
		"nothing":      {0, 0, noon},
		"this hour":    {hours(12, 13), 0, noon.Add(2 * time.Hour)},
		"other hours":  {hours(3, 4), 0, noon},
		"this day":     {0, 1 << time.Sunday, noon.Add(12 * time.Hour)},
		"over two":     {hours(0), 1<<time.Sunday | 1<<time.Monday, noon.Add(37 * time.Hour)},
		"all hours":    {1<<24 - 1, 0, noon},
		"all days":     {0, 1<<7 - 1, noon},
		"all of both":  {1<<24 - 1, 1<<7 - 1, noon},
		"all but this": {1<<24 - 1 ^ 1<<11, 0, noon.Add(23 * time.Hour)},
	} {
		if got := skip(noon, c.hours, c.days); !got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	w := Wishes{}
	doc := `<rss version="2.0"><channel><title>t</title><ttl>90</ttl><skipHours><hour>24</hour><hour>7</hour><hour>99</hour></skipHours><skipDays><day>sunday</day><day>Funday</day></skipDays></channel></rss>`
	res, err := Parse(Document{Body: []byte(doc)})
	if w = res.Wishes; err != nil || w.SkipHours != hours(0, 7) || w.SkipDays != 1 || w.TTL != 90*time.Minute {
		t.Errorf("wishes %+v, %v", w, err)
	}
	doc = `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"><channel><title>t</title><sy:updatePeriod>daily</sy:updatePeriod><sy:updateFrequency>4</sy:updateFrequency></channel></rdf:RDF>`
	if res, err = Parse(Document{Body: []byte(doc)}); err != nil || res.Wishes.Period != 6*time.Hour {
		t.Errorf("period %s, %v", res.Wishes.Period, err)
	}
}

func TestFreshness(t *testing.T) {
	for name, c := range map[string]struct {
		headers map[string]string
		want    time.Duration
	}{
		"none":          {nil, 0},
		"max-age":       {map[string]string{"Cache-Control": "public, max-age=1800"}, 30 * time.Minute},
		"less age":      {map[string]string{"Cache-Control": "max-age=1800", "Age": "600"}, 20 * time.Minute},
		"older":         {map[string]string{"Cache-Control": "max-age=60", "Age": "600"}, 0},
		"zero":          {map[string]string{"Cache-Control": "max-age=0", "Expires": "Sun, 22 Nov 2026 13:00:00 GMT", "Date": "Sun, 22 Nov 2026 12:00:00 GMT"}, 0},
		"no-cache":      {map[string]string{"Cache-Control": "no-cache, s-maxage=900"}, 0},
		"a year":        {map[string]string{"Cache-Control": "max-age=31536000"}, 24 * time.Hour},
		"overflow":      {map[string]string{"Cache-Control": "max-age=9223372036854775807"}, 24 * time.Hour},
		"unreadable":    {map[string]string{"Cache-Control": "max-age=soon"}, 0},
		"negative":      {map[string]string{"Cache-Control": "max-age=-5"}, 0},
		"expires":       {map[string]string{"Expires": "Sun, 22 Nov 2026 13:00:00 GMT", "Date": "Sun, 22 Nov 2026 12:00:00 GMT"}, time.Hour},
		"expires alone": {map[string]string{"Expires": "Sun, 22 Nov 2026 13:00:00 GMT"}, 0},
		"expired":       {map[string]string{"Expires": "-1", "Date": "Sun, 22 Nov 2026 12:00:00 GMT"}, 0},
	} {
		h := http.Header{}
		for k, v := range c.headers {
			h.Set(k, v)
		}
		if got := freshness(h); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestStatesOfAFeed(t *testing.T) {
	hour := time.Hour
	for name, c := range map[string]struct {
		feed  Feed
		st    state
		want  string
		since time.Duration // before noon
	}{
		"new":              {Feed{}, state{}, StateNew, -1},
		"paused":           {Feed{Paused: true}, state{LastTry: noon}, StatePaused, -1},
		"live":             {Feed{}, state{LastTry: noon, LastSuccess: noon, LastItem: noon.Add(-47 * hour), Interval: hour}, StateLive, 0},
		"late":             {Feed{}, state{LastTry: noon, LastSuccess: noon, LastItem: noon.Add(-49 * hour), Interval: hour}, StateLate, hour},
		"late by expect":   {Feed{Expect: 6 * hour}, state{LastTry: noon, LastSuccess: noon, LastItem: noon.Add(-13 * hour), Interval: hour}, StateLate, hour},
		"dead after late":  {Feed{Expect: 6 * hour}, state{LastTry: noon, LastSuccess: noon, LastItem: noon.Add(-37 * hour), Interval: hour}, StateDead, 25 * hour},
		"one failure":      {Feed{}, state{LastTry: noon, LastSuccess: noon.Add(-2 * hour), LastItem: noon, Interval: hour, Failures: 1, FailingSince: noon.Add(-hour)}, StateLive, 2 * hour},
		"failing":          {Feed{}, state{LastTry: noon, LastSuccess: noon.Add(-4 * hour), LastItem: noon, Interval: hour, Failures: 3, FailingSince: noon.Add(-3 * hour)}, StateFailing, 3 * hour},
		"never reached":    {Feed{}, state{LastTry: noon, Interval: hour, Failures: 1, FailingSince: noon}, StateFailing, 0},
		"dead by failures": {Feed{}, state{LastTry: noon, LastSuccess: noon.Add(-40 * hour), LastItem: noon, Interval: hour, Failures: 30, FailingSince: noon.Add(-39 * hour)}, StateDead, 39 * hour},
		"404 thrice":       {Feed{}, state{LastTry: noon, LastSuccess: noon.Add(-4 * hour), Interval: hour, Failures: 3, NotFoundInRow: 3, FailingSince: noon.Add(-3 * hour)}, StateDead, 3 * hour},
		"gone":             {Feed{}, state{LastTry: noon, Gone: true, FailingSince: noon.Add(-hour)}, StateDead, hour},
		"nobody polled":    {Feed{}, state{LastTry: noon.Add(-60 * hour), LastSuccess: noon.Add(-60 * hour), LastItem: noon, Interval: hour}, StateFailing, 60 * hour},
	} {
		t.Run(name, func(t *testing.T) {
			got, since := c.st.stateAt(&c.feed, noon)
			if got != c.want || c.since >= 0 && !since.Equal(noon.Add(-c.since)) {
				t.Errorf("%s since %s", got, since)
			}
		})
	}
}

func TestExpectedIntervalIsLearnt(t *testing.T) {
	st := state{Gaps: gapsOf(19, time.Minute)}
	if e := st.expected(&Feed{}); e != 24*time.Hour {
		t.Errorf("with 19 gaps: %s", e)
	}
	st.Gaps = append(gapsOf(99, 2*time.Hour), uint32(9*3600))
	if e := st.expected(&Feed{}); e != 9*time.Hour {
		t.Errorf("99th percentile: %s", e)
	}
	st.Gaps = gapsOf(50, time.Minute)
	if e := st.expected(&Feed{}); e != time.Hour {
		t.Errorf("at least an hour: %s", e)
	}
	st.Gaps = gapsOf(50, 300*24*time.Hour)
	if e := st.expected(&Feed{}); e != 14*24*time.Hour {
		t.Errorf("at most 14 days: %s", e)
	}
}
