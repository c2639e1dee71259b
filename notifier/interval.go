package notifier

import (
	"strconv"
	"strings"
	"time"

	"tocsin/news/strict"
)

// NamedInterval gives a name to times, for quiet hours. It holds when one of its intervals does.
type NamedInterval struct {
	strict.Pos
	Name      strict.Text    `yaml:"name"`
	Intervals []TimeInterval `yaml:"time_intervals"`
}

// TimeInterval is a set of minutes in the form of Alertmanager: a minute belongs to it when it lies in one range of every field that is stated.
type TimeInterval struct {
	strict.Pos
	Times    []ClockRange   `yaml:"times"`
	Weekdays []WeekdayRange `yaml:"weekdays"`
	Days     []DayRange     `yaml:"days_of_month"`
	Months   []MonthRange   `yaml:"months"`
	Years    []YearRange    `yaml:"years"`
	Location Zone           `yaml:"location"` // UTC when not stated
}

// Zone is a time zone by its name in the IANA database, as in Asia/Karachi.
type Zone struct {
	strict.Pos
	loc *time.Location
}

// UnmarshalStrict reads the name.
func (z *Zone) UnmarshalStrict(c *strict.Cursor) {
	z.Pos = c.Pos()
	loc, err := time.LoadLocation(c.Scalar())
	if err != nil || !c.IsScalar() || c.Scalar() == "Local" || c.Scalar() == "" {
		c.Fault("write a name such as Asia/Karachi, Europe/Berlin or UTC", "time zone %q is not known", cut(c.Scalar()))
		return
	}
	z.loc = loc
}

// Location is UTC when nothing is stated.
func (z Zone) Location() *time.Location {
	if z.loc == nil {
		return time.UTC
	}
	return z.loc
}

// Contains tells whether t lies in the interval. What counts is the clock on the wall at the interval's place: an hour that exists twice holds twice.
func (i *TimeInterval) Contains(t time.Time) bool {
	t = t.In(i.Location.Location())
	minute := t.Hour()*60 + t.Minute()
	return one(i.Times, func(r ClockRange) bool { return r.From <= minute && minute < r.To }) &&
		one(i.Weekdays, func(r WeekdayRange) bool { return within(int(t.Weekday()), r.From, r.To) }) &&
		one(i.Days, func(r DayRange) bool { return r.holds(t) }) &&
		one(i.Months, func(r MonthRange) bool { return within(int(t.Month()), r.From, r.To) }) &&
		one(i.Years, func(r YearRange) bool { return within(t.Year(), r.From, r.To) })
}

func one[T any](rs []T, holds func(T) bool) bool {
	for _, r := range rs {
		if holds(r) {
			return true
		}
	}
	return len(rs) == 0
}

func within(n, from, to int) bool { return from <= n && n <= to }

// ClockRange is a part of a day in minutes from midnight, its end not included.
type ClockRange struct{ From, To int }

// UnmarshalStrict reads {start_time: HH:MM, end_time: HH:MM}; 24:00 is the end of the day.
func (r *ClockRange) UnmarshalStrict(c *strict.Cursor) {
	var w struct {
		strict.Pos
		Start strict.Text `yaml:"start_time"`
		End   strict.Text `yaml:"end_time"`
	}
	if !c.IsMap() {
		c.Fault(`write {start_time: "22:00", end_time: "24:00"}`, "a range of times is expected here")
		return
	}
	c.Into(&w)
	from, ok1 := clockMinutes(w.Start.Value)
	to, ok2 := clockMinutes(w.End.Value)
	switch {
	case !ok1 || !ok2:
		c.Fault("write both as HH:MM between quotes, 00:00 to 24:00", "times %q and %q", cut(w.Start.Value), cut(w.End.Value))
	case from >= to:
		c.Fault("for a night write two ranges, one to 24:00 and one from 00:00", "the range ends at %s, before it starts at %s", w.End.Value, w.Start.Value)
	}
	r.From, r.To = from, to
}

// clockMinutes reads HH:MM as minutes from midnight.
func clockMinutes(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	h, err1 := strconv.ParseUint(s[:2], 10, 8)
	m, err2 := strconv.ParseUint(s[3:], 10, 8)
	n := int(h)*60 + int(m)
	return n, err1 == nil && err2 == nil && m < 60 && n <= 24*60
}

// WeekdayRange is a range of days of the week, Sunday is 0.
type WeekdayRange struct{ From, To int }

// UnmarshalStrict reads monday or monday:friday. As in Alertmanager a week begins on Sunday.
func (r *WeekdayRange) UnmarshalStrict(c *strict.Cursor) {
	r.From, r.To = readRange(c, "monday:friday", func(s string) (int, bool) {
		return named(s, 7, 0, func(i int) string { return time.Weekday(i).String() })
	})
}

// MonthRange is a range of months, January is 1.
type MonthRange struct{ From, To int }

// UnmarshalStrict reads january, 1, or january:march.
func (r *MonthRange) UnmarshalStrict(c *strict.Cursor) {
	r.From, r.To = readRange(c, "january:march", func(s string) (int, bool) {
		if n, err := strconv.Atoi(s); err == nil {
			return n, 1 <= n && n <= 12
		}
		return named(s, 12, 1, func(i int) string { return time.Month(i).String() })
	})
}

// YearRange is a range of years.
type YearRange struct{ From, To int }

// UnmarshalStrict reads 2026 or 2026:2028.
func (r *YearRange) UnmarshalStrict(c *strict.Cursor) {
	r.From, r.To = readRange(c, "2026:2028", func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && 1970 <= n && n <= 9999
	})
}

// DayRange is a range of days of the month; -1 is the last day.
type DayRange struct{ From, To int }

// UnmarshalStrict reads 1, -1, 1:15 or -7:-1.
func (r *DayRange) UnmarshalStrict(c *strict.Cursor) {
	day := func(s string) (int, bool) {
		n, err := strconv.Atoi(s)
		return n, err == nil && n != 0 && -31 <= n && n <= 31
	}
	from, to, ok := splitRange(c.Scalar(), day)
	switch {
	case !ok || !c.IsScalar():
		c.Fault("write 1, 1:15, or -7:-1 for the last week", "days of month %q", cut(c.Scalar()))
	case (from < 0) == (to < 0) && from > to, from < 0 && to > 0:
		c.Fault("write the earlier day first", "days of month %q end before they start", c.Scalar())
	}
	r.From, r.To = from, to
}

// holds counts negative days from the end of t's month, which is found in UTC: days that are not 24 h long do not matter.
func (r DayRange) holds(t time.Time) bool {
	last := time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	day := func(n int) int {
		if n < 0 {
			return last + 1 + n
		}
		return n
	}
	return within(t.Day(), day(r.From), min(day(r.To), last))
}

func readRange(c *strict.Cursor, example string, value func(string) (int, bool)) (from, to int) {
	from, to, ok := splitRange(c.Scalar(), value)
	switch {
	case !ok || !c.IsScalar():
		c.Fault("write one, or a range as in "+example, "%q is not understood", cut(c.Scalar()))
	case from > to:
		c.Fault("write two ranges", "the range %q ends before it starts", c.Scalar())
	}
	return from, to
}

func splitRange(s string, value func(string) (int, bool)) (from, to int, ok bool) {
	a, b, two := strings.Cut(s, ":")
	if !two {
		b = a
	}
	from, ok1 := value(strings.TrimSpace(a))
	to, ok2 := value(strings.TrimSpace(b))
	return from, to, ok1 && ok2
}

func named(s string, n, first int, name func(int) string) (int, bool) {
	for i := first; i < first+n; i++ {
		if strings.EqualFold(s, name(i)) {
			return i, true
		}
	}
	return 0, false
}

// intervals are the named intervals by name.
type intervals map[string][]TimeInterval

func (c *Config) intervals() intervals {
	out := intervals{}
	for _, n := range c.TimeIntervals {
		out[n.Name.Value] = n.Intervals
	}
	return out
}

func (k *routeCheck) intervals(all []NamedInterval) {
	first := map[string]strict.Pos{}
	for i := range all {
		n := &all[i]
		if p, ok := first[n.Name.Value]; ok {
			k.faults.Add(n.Name.Pos, "give each its own name", "time interval %q stands twice, first at line %d", n.Name.Value, p.Line)
		}
		first[n.Name.Value] = n.Name.Pos
		switch {
		case n.Name.Value == "":
			k.faults.Add(n.Pos, "write name: night", "a time interval without a name")
		case len(n.Intervals) == 0:
			k.faults.Add(n.Pos, `write time_intervals: [{times: [{start_time: "22:00", end_time: "24:00"}], location: Asia/Karachi}]`,
				"time interval %q holds no times", n.Name.Value)
		}
		k.names = append(k.names, n.Name.Value)
	}
}

// maxQuiet is how far ahead the end of a quiet time is looked for; a longer one is looked at again then.
const maxQuiet = 8 * 24 * time.Hour

// until gives the first minute from t on that lies in none of the named intervals, t itself when it does not. The search ends after maxQuiet.
func (all intervals) until(names []string, t time.Time) time.Time {
	inside := func(t time.Time) bool {
		for _, n := range names {
			for i := range all[n] {
				if all[n][i].Contains(t) {
					return true
				}
			}
		}
		return false
	}
	if !inside(t) {
		return t
	}
	limit := t.Add(maxQuiet)
	for at := t.Truncate(time.Minute).Add(time.Minute); at.Before(limit); at = at.Add(time.Minute) {
		if !inside(at) {
			return at
		}
	}
	return limit
}

// wall is the moment when clocks at loc show a minute of a day. A minute that is left out by a change of clocks gives the next valid one; a minute
// that comes twice gives the first.
func wall(year int, month time.Month, day, minute int, loc *time.Location) time.Time {
	naive := time.Date(year, month, day, 0, minute, 0, 0, time.UTC)
	var best time.Time
	for _, near := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := naive.Add(near).In(loc).Zone()
		t := naive.Add(-time.Duration(offset) * time.Second).In(loc)
		if t.Day() == naive.Day() && t.Hour() == naive.Hour() && t.Minute() == naive.Minute() && (best.IsZero() || t.Before(best)) {
			best = t
		}
	}
	if !best.IsZero() {
		return best
	}
	_, change := naive.Add(-24 * time.Hour).In(loc).ZoneBounds()
	return change
}
