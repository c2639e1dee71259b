package fetcher

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dateReader reads dates as feeds write them. It never takes an unknown zone for UTC in silence: zone is what a date without a known zone means.
type dateReader struct {
	zone    *time.Location
	lang    string // primary subtag; Chinese feeds mean China by CST
	country string // the outlet's; American outlets write month/day/year
}

var (
	clockForm  = regexp.MustCompile(`(?i)(\d{1,2}):(\d{1,2})(?::(\d{1,2}))?(?:[.,]\d+)?\s*(a\.?m\b\.?|p\.?m\b\.?)?`)
	compact    = regexp.MustCompile(`^(\d{4})(\d{2})(\d{2})(?:t?(\d{2})(\d{2})(\d{2})?)?`)
	ordinal    = regexp.MustCompile(`^(\d{4})-(\d{3})(?:\D|$)`)
	numeric    = regexp.MustCompile(`(\d{1,4})\s*[./\-]\s*(\d{1,2})(?:\s*[./\-]\s*(\d{1,4}))?`)
	cjk        = regexp.MustCompile(`(\d{4})\s*[年년]\s*(\d{1,2})\s*[月월]\s*(\d{1,2})`)
	offsetForm = regexp.MustCompile(`^(?:gmt|utc?|z)?\s*([+\-\x{2212}])\s*(\d{1,2})(?::?(\d{2}))?(?::\d{2})?`)
	zoneWord   = regexp.MustCompile(`^\(?([a-z]{1,5})\b`)
	word       = regexp.MustCompile(`[\p{L}\p{M}]+`)
	number     = regexp.MustCompile(`\d+`)
	epoch      = regexp.MustCompile(`^\d{10}(?:\d{3})?$`)
)

const maxDate = 100

// read gives the moment a text means; false when it cannot be read or lies before 1990.
func (d *dateReader) read(s string) (time.Time, bool) {
	if t, ok := standard(s); ok {
		return sane(t)
	}
	s = strings.ToLower(strings.TrimSpace(asciiDigits(s)))
	if s == "" || len(s) > maxDate {
		return time.Time{}, false
	}
	if epoch.MatchString(s) {
		n, _ := strconv.ParseInt(s[:10], 10, 64)
		return sane(time.Unix(n, 0).UTC())
	}
	p := dateParts{reader: d}
	rest := p.clock(s)
	if !p.day(rest) {
		return time.Time{}, false
	}
	return p.time()
}

// standard reads the two forms that most feeds use, without any search.
func standard(s string) (time.Time, bool) {
	layout := time.RFC1123Z
	switch {
	case len(s) < len("2006-01-02T15:04:05Z"):
		return time.Time{}, false
	case s[4] == '-':
		layout = time.RFC3339
	case strings.HasSuffix(s, " GMT"):
		layout = time.RFC1123
	}
	t, err := time.Parse(layout, s)
	return t.UTC().Truncate(time.Second), err == nil
}

func sane(t time.Time) (time.Time, bool) { return t, t.Year() >= 1990 && t.Year() < 2200 }

// asciiDigits writes Arabic, Persian and Devanagari digits as 0 to 9.
func asciiDigits(s string) string {
	return strings.Map(func(r rune) rune {
		for _, zero := range []rune{'\u0660', '\u06F0', '\u0966'} {
			if r >= zero && r <= zero+9 {
				return '0' + r - zero
			}
		}
		if r == '\u200f' || r == '\u200e' || r == '\u060c' {
			return ' '
		}
		return r
	}, s)
}

type dateParts struct {
	reader           *dateReader
	year, month, dom int
	hour, min, sec   int
	zone             *time.Location
}

// clock takes the time of day and the zone out of s and gives what is left.
func (p *dateParts) clock(s string) string {
	if m := compact.FindStringSubmatch(s); m != nil {
		p.hour, p.min, p.sec = atoi(m[4]), atoi(m[5]), atoi(m[6])
		p.zone = p.reader.zoneOf(s[len(m[0]):])
		return m[1] + "-" + m[2] + "-" + m[3]
	}
	loc := clockForm.FindStringSubmatchIndex(s)
	if loc == nil {
		if i := strings.IndexByte(s, 't'); i > 0 && i == len("2006-01-02") {
			p.hour, _ = strconv.Atoi(s[i+1 : min(len(s), i+3)])
			return s[:i]
		}
		return s
	}
	group := func(i int) string {
		if loc[2*i] < 0 {
			return ""
		}
		return s[loc[2*i]:loc[2*i+1]]
	}
	p.hour, p.min, p.sec = atoi(group(1)), atoi(group(2)), atoi(group(3))
	if half := group(4); half != "" {
		p.hour %= 12
		if half[0] == 'p' {
			p.hour += 12
		}
	}
	before, after := s[:loc[0]], s[loc[1]:]
	var used int
	p.zone, used = p.reader.zoneAt(after)
	return strings.TrimSuffix(before, "t") + " " + after[used:]
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func (d *dateReader) zoneOf(s string) *time.Location {
	z, _ := d.zoneAt(s)
	return z
}

// zoneAt reads a zone at the start of s and tells how much of s it was; nil when there is none that is known.
func (d *dateReader) zoneAt(s string) (*time.Location, int) {
	t := strings.TrimLeft(s, " \t,:")
	skip := len(s) - len(t)
	if m := offsetForm.FindStringSubmatch(t); m != nil {
		h, mins := atoi(m[2]), atoi(m[3])
		if m[3] == "" && h > 14 {
			return nil, 0
		}
		off := (h*60 + mins) * 60
		if m[1] != "+" {
			off = -off
		}
		if h <= 14 && mins < 60 {
			return fixed(off), skip + len(m[0])
		}
		return nil, skip + len(m[0])
	}
	m := zoneWord.FindStringSubmatch(t)
	if m == nil {
		return nil, 0
	}
	off, known := d.named(m[1])
	if !known {
		return nil, 0
	}
	return fixed(off), skip + len(m[0])
}

func fixed(seconds int) *time.Location {
	if seconds == 0 {
		return time.UTC
	}
	return time.FixedZone("", seconds)
}

// day finds the date in what the clock left.
func (p *dateParts) day(s string) bool {
	s = strings.TrimSpace(s)
	if m := ordinal.FindStringSubmatch(s); m != nil {
		p.year, p.month, p.dom = atoi(m[1]), 1, atoi(m[2])
		return p.dom >= 1 && p.dom <= 366
	}
	if m := cjk.FindStringSubmatch(s); m != nil {
		p.year, p.month, p.dom = atoi(m[1]), atoi(m[2]), atoi(m[3])
		return p.valid()
	}
	for _, w := range word.FindAllString(s, -1) {
		if m := monthOf(w); m > 0 {
			p.month = m
			return p.named(number.FindAllString(s, -1))
		}
	}
	m := numeric.FindStringSubmatch(s)
	if m == nil {
		if n := number.FindString(s); len(n) == 4 {
			p.year, p.month, p.dom = atoi(n), 1, 1
			return true
		}
		return false
	}
	return p.numbers(m[1], m[2], m[3], strings.Contains(m[0], "/"))
}

// named takes day and year around a month that stands as a word.
func (p *dateParts) named(n []string) bool {
	switch {
	case len(n) == 0:
		return false
	case len(n) == 1 && len(n[0]) == 4:
		p.dom, p.year = 1, atoi(n[0])
	case len(n) == 1:
		return false
	case len(n[0]) >= 3:
		p.year, p.dom = atoi(n[0]), atoi(n[1])
	default:
		p.dom, p.year = atoi(n[0]), century(n[1])
	}
	return p.valid()
}

func century(s string) int {
	n := atoi(s)
	switch {
	case len(s) > 2:
		return n
	case n < 70:
		return 2000 + n
	}
	return 1900 + n
}

// numbers takes a date of numbers: year first when it has four digits, else day first but for American outlets.
func (p *dateParts) numbers(a, b, c string, slash bool) bool {
	switch {
	case len(a) >= 3:
		p.year, p.month, p.dom = atoi(a), atoi(b), 1
		if c != "" {
			p.dom = atoi(c)
		}
	case c == "":
		return false
	case atoi(b) > 12, slash && p.reader.country == "US" && atoi(a) <= 12:
		p.month, p.dom, p.year = atoi(a), atoi(b), century(c)
	default:
		p.dom, p.month, p.year = atoi(a), atoi(b), century(c)
	}
	return p.valid()
}

func (p *dateParts) valid() bool {
	return p.month >= 1 && p.month <= 12 && p.dom >= 1 && p.dom <= 31
}

func (p *dateParts) time() (time.Time, bool) {
	if p.hour > 24 || p.min > 59 || p.sec > 60 || p.hour == 24 && p.min+p.sec > 0 {
		return time.Time{}, false
	}
	zone := p.zone
	if zone == nil {
		zone = p.reader.zone
	}
	if zone == nil {
		zone = time.UTC
	}
	return sane(time.Date(p.year, time.Month(p.month), p.dom, p.hour, p.min, min(p.sec, 59), 0, zone).UTC())
}

// parseZone reads the zone: of a feed list: an IANA name or an offset; nil for "".
func parseZone(s string) (*time.Location, error) {
	if s == "" {
		return nil, nil
	}
	d := dateReader{}
	if z, n := d.zoneAt(strings.ToLower(s)); z != nil && n == len(s) {
		return z, nil
	}
	z, err := time.LoadLocation(s)
	if err != nil {
		return nil, fmt.Errorf("zone %q is not known", s)
	}
	return z, nil
}
