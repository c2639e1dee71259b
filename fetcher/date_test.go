package fetcher

import (
	"testing"
	"time"
)

func TestDates(t *testing.T) {
	at := func(y, mo, d, h, mi, s int) time.Time { return time.Date(y, time.Month(mo), d, h, mi, s, 0, time.UTC) }
	nov := at(2026, 11, 22, 10, 0, 0)
	plain := dateReader{zone: time.UTC}
	for in, want := range map[string]time.Time{
		// as the standards have it
		"Sun, 22 Nov 2026 10:00:00 GMT":       nov,
		"Sun, 22 Nov 2026 15:00:00 +0500":     nov,
		"22 Nov 2026 05:00 EST":               nov,
		"Sunday, 22-Nov-26 10:00:00 GMT":      nov,
		"2026-11-22T10:00:00Z":                nov,
		"2026-11-22T10:00:00.123456Z":         nov,
		"2026-11-22T15:30:00+05:30":           nov,
		"2026-11-22T10:00Z":                   nov,
		"2026-11-22t10:00:00z":                nov,
		"20261122T100000Z":                    nov,
		"2026-11-22":                          at(2026, 11, 22, 0, 0, 0),
		"2026-326":                            at(2026, 11, 22, 0, 0, 0),
		"2026-11":                             at(2026, 11, 1, 0, 0, 0),
		"2026":                                at(2026, 1, 1, 0, 0, 0),
		"Sun Nov 22 10:00:00 2026":            nov,
		"Sun Nov 22 10:00:00 UTC 2026":        nov,
		"Sun Nov 22 15:00:00 +0500 2026":      nov,
		"1795341600":                          nov,
		"1795341600000":                       nov,
		"Sun, 22 Nov 2026 24:00:00 GMT":       at(2026, 11, 23, 0, 0, 0),
		"Sun, 22 Nov 2026 10:00:60 GMT":       at(2026, 11, 22, 10, 0, 59),
		"Sun, 22 November 2026 10:00:00 PM Z": at(2026, 11, 22, 22, 0, 0),
		"November 22, 2026 12:00 a.m.":        at(2026, 11, 22, 0, 0, 0),
		"Nov 22, 2026, 10:00 AM":              nov,
		"2026 November 22":                    at(2026, 11, 22, 0, 0, 0),
		"2026/11/22 10:00":                    nov,
		"22/11/2026 10:00":                    nov,
		"22.11.2026 10:00:00":                 nov,
		"11/22/2026 10:00":                    nov,
		"2026-11-22 at 10:00:00":              nov,
		// zones that gofeed reads as UTC without a word
		"Sun, 22 Nov 2026 15:00:00 PKT":             nov,
		"Sun, 22 Nov 2026 14:30:00 AFT":             nov,
		"Sun, 22 Nov 2026 15:30:00 IST":             nov,
		"Sun, 22 Nov 2026 13:30:00 IRST":            nov,
		"Sun, 22 Nov 2026 13:00:00 MSK":             nov,
		"Sun, 22 Nov 2026 15:00:00 UZT":             nov,
		"Sun, 22 Nov 2026 04:00:00 CST":             nov,
		"Sun, 22 Nov 2026 15:00:00 GMT+5":           nov,
		"Sun, 22 Nov 2026 15:00:00 UTC+05:00 (PKT)": nov,
		"2026-11-22 15:00:00 +05":                   nov,
		// other languages and digits
		"вс, 22 ноября 2026 10:00:00 +0000":  nov,
		"22 нояб. 2026, 13:00 MSK":           nov,
		"۲۲/۱۱/۲۰۲۶ ۱۰:۰۰":                   nov,
		"٢٢ نوفمبر ٢٠٢٦ ١٠:٠٠":               nov,
		"22 نوامبر 2026 10:00":               nov,
		"22 نومبر 2026، 10:00":               nov,
		"२२ नवंबर २०२६ १०:००":                nov,
		"2026年11月22日 10:00":                  nov,
		"So, 22 März 2026 10:00:00 +0000":    at(2026, 3, 22, 10, 0, 0),
		"dim., 22 févr. 2026 10:00:00 +0000": at(2026, 2, 22, 10, 0, 0),
	} {
		if got, ok := plain.read(in); !ok || !got.Equal(want) {
			t.Errorf("%q: %s %v, want %s", in, got, ok, want)
		}
	}
	for _, in := range []string{
		"", "soon", "yesterday at 10:00", "1405-09-01", "1389/03/02 10:00", "0000-00-00", "2026-13-01", "32/13/2026", "Sun, 22 Nov 1985 10:00:00 GMT",
		"25:99:00", "12:00", "22 Nov", "10:00:00 GMT", "٢٢", "2026-11-22T25:00:00Z", "9999-12-31T00:00:00Z",
	} {
		if got, ok := plain.read(in); ok {
			t.Errorf("%q was read as %s", in, got)
		}
	}
	for _, c := range []struct {
		r    dateReader
		in   string
		want time.Time
	}{
		{dateReader{zone: time.FixedZone("", 5*3600)}, "2026-11-22 15:00:00", nov},
		{dateReader{zone: time.FixedZone("", 5*3600)}, "Sun, 22 Nov 2026 10:00:00 GMT", nov},
		{dateReader{zone: time.FixedZone("", 5*3600)}, "Sun, 22 Nov 2026 15:00:00 XYZT", nov},
		{dateReader{lang: "zh"}, "Sun, 22 Nov 2026 18:00:00 CST", nov},
		{dateReader{country: "US"}, "11/10/2026 10:00", at(2026, 11, 10, 10, 0, 0)},
		{dateReader{country: "PK"}, "11/10/2026 10:00", at(2026, 10, 11, 10, 0, 0)},
		{dateReader{country: "IL"}, "Sun, 22 Nov 2026 12:00:00 IST", nov},
	} {
		if got, ok := c.r.read(c.in); !ok || !got.Equal(c.want) {
			t.Errorf("%q for %+v: %s %v", c.in, c.r, got, ok)
		}
	}
}

func TestZonesOfALine(t *testing.T) {
	for in, seconds := range map[string]int{"+05:00": 18000, "-0330": -12600, "Asia/Karachi": 18000, "PKT": 18000, "UTC": 0} {
		z, err := parseZone(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if _, off := noon.In(z).Zone(); off != seconds {
			t.Errorf("%s: %d", in, off)
		}
	}
	for _, in := range []string{"Mars/Base", "+99:00", "5", "../etc/passwd"} {
		if _, err := parseZone(in); err == nil {
			t.Errorf("%s was taken", in)
		}
	}
}
