package notifier

import (
	"slices"
	"time"

	"tocsin/news/strict"
)

// Digest collects the alerts of a route and sends them at set times. `digest: none` ends the digest that a route above states.
type Digest struct {
	strict.Pos
	Every    time.Duration `yaml:"every"`     // since midnight at the location; a whole part of a day, or whole days
	At       []DayTime     `yaml:"at"`        // times of day
	Location Zone          `yaml:"location"`  // UTC when not stated
	Min      int           `yaml:"min"`       // fewer wait for the next time, but no longer than a day; 1 when not stated
	MaxItems int           `yaml:"max_items"` // shown in full; the rest is named in one line each; 50 when not stated
	Bypass   Bypass        `yaml:"bypass"`
	off      bool
}

// UnmarshalStrict reads the mapping, or the word none.
func (d *Digest) UnmarshalStrict(c *strict.Cursor) {
	if d.off = readOff(c); !d.off {
		type plain Digest
		c.Into((*plain)(d))
	}
	d.Pos = c.Pos()
}

// DayTime is a time of day in minutes from midnight.
type DayTime struct{ minute int }

// UnmarshalStrict reads HH:MM.
func (t *DayTime) UnmarshalStrict(c *strict.Cursor) {
	n, ok := clockMinutes(c.Scalar())
	if !ok || n == 24*60 || !c.IsScalar() {
		c.Fault("write it as HH:MM between quotes, 00:00 to 23:59", "time %q", cut(c.Scalar()))
	}
	t.minute = n
}

// maxEntries is how many alerts one message stands for at most.
const maxEntries = 2000

const (
	defaultMaxItems = 50
	maxCarry        = 24 * time.Hour // longest wait for Digest.Min
)

func (d *Digest) maxItems() int {
	if d.MaxItems == 0 {
		return defaultMaxItems
	}
	return d.MaxItems
}

func (k *routeCheck) digest(d *Digest) {
	if d == nil || d.off {
		return
	}
	day := 24 * time.Hour
	switch {
	case d.Every == 0 && len(d.At) == 0:
		k.faults.Add(d.Pos, `write every: 1h or at: ["08:00"]`, "digest states no time")
	case d.Every != 0 && (d.Every < time.Minute || d.Every < day && day%d.Every != 0 || d.Every > day && d.Every%day != 0 || d.Every > 31*day):
		k.faults.Add(d.Pos, "write a whole part of a day, such as 15m, 1h or 6h, or 1d to 31d", "every: %s does not divide a day", d.Every)
	}
	if d.Min < 0 || d.MaxItems < 0 || d.MaxItems > maxEntries {
		k.faults.Add(d.Pos, "write min: 1 and max_items: 50", "min %d and max_items %d: max_items lies between 1 and %d", d.Min, d.MaxItems, maxEntries)
	}
	k.bypass(&d.Bypass)
}

// Next is the first time of the digest after t. A time of day that a change of clocks leaves out gives the next valid minute, one that comes
// twice gives the first; `every` counts real time from midnight, so that an hour that comes twice has two hourly digests.
func (d *Digest) Next(t time.Time) time.Time {
	loc := d.Location.Location()
	here := t.In(loc)
	for offset := -1; offset <= 40; offset++ {
		day := time.Date(here.Year(), here.Month(), here.Day()+offset, 0, 0, 0, 0, time.UTC)
		for _, x := range d.on(day, loc) {
			if x.After(t) {
				return x.UTC()
			}
		}
	}
	return t.Add(24 * time.Hour) // a digest without times, which Check refuses
}

// on gives the times of one civil day, sorted.
func (d *Digest) on(day time.Time, loc *time.Location) []time.Time {
	var out []time.Time
	for _, at := range d.At {
		out = append(out, wall(day.Year(), day.Month(), day.Day(), at.minute, loc))
	}
	begin, end := wall(day.Year(), day.Month(), day.Day(), 0, loc), wall(day.Year(), day.Month(), day.Day()+1, 0, loc)
	switch {
	case d.Every >= 24*time.Hour:
		if days := day.Unix() / 86400; days%int64(d.Every/(24*time.Hour)) == 0 {
			out = append(out, begin)
		}
	case d.Every > 0:
		for x := begin; x.Before(end); x = x.Add(d.Every) {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return out
}

// due tells when entries go out that have waited since `oldest`: now, or at a later digest because they are too few.
func (d *Digest) due(count int, oldest, now time.Time) (later time.Time, ready bool) {
	if count >= d.Min || now.Sub(oldest) >= maxCarry {
		return time.Time{}, true
	}
	return d.Next(now), false
}
