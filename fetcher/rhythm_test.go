package fetcher

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"math/rand/v2"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// falseLates plays the times of a feed's items and counts the silences that would have been called late although the feed lived.
func falseLates(whens []time.Time) (n int, expected time.Duration) {
	s := &state{}
	for _, t := range whens {
		if !s.LastItem.IsZero() && t.Sub(s.LastItem) > 2*s.expected(&Feed{}) {
			n++
		}
		s.addGaps([]time.Time{t})
	}
	return n, s.expected(&Feed{})
}

// outlet makes the times of a simulated outlet's items: so many a day, hardly any at night or at weekends.
func outletTimes(perDay float64, night, weekend bool, days int, seed uint64) (out []time.Time) {
	r := rand.New(rand.NewPCG(seed, 1))
	t := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for end := t.AddDate(0, 0, days); t.Before(end); {
		t = t.Add(time.Duration(r.ExpFloat64() / perDay * float64(day)))
		share := 1.0
		if night && (t.Hour() < 6 || t.Hour() >= 23) {
			share *= 0.01
		}
		if weekend && (t.Weekday() == time.Saturday || t.Weekday() == time.Sunday) {
			share *= 0.05
		}
		if r.Float64() < share {
			out = append(out, t)
		}
	}
	return out
}

// TestFalseLatesOfSimulatedOutlets: at most one a feed and month, over 20 kinds of habits and 60 to 120 days each.
func TestFalseLatesOfSimulatedOutlets(t *testing.T) {
	total, months := 0, 0.0
	for _, perDay := range []float64{3, 10, 50, 300, 1000} {
		for i := range uint64(4) {
			night, weekend := i&1 > 0, i&2 > 0
			days := 120
			if perDay > 100 {
				days = 60
			}
			n, expected := falseLates(outletTimes(perDay, night, weekend, days, i))
			t.Logf("%5.0f a day, night %-5v weekend %-5v: %d false in %d days, expected every %s", perDay, night, weekend, n, days, expected)
			if n > days/30 {
				t.Errorf("%.0f a day, night %v, weekend %v: %d false lates in %d days", perDay, night, weekend, n, days)
			}
			if expected < time.Hour || expected > 4*day {
				t.Errorf("%.0f a day, night %v, weekend %v: expected every %s", perDay, night, weekend, expected)
			}
			total, months = total+n, months+float64(days)/30
		}
	}
	t.Logf("%d false lates in %.0f feed months: %.2f a feed and month", total, months, float64(total)/months)
}

// TestFalseLatesOfRealOutlets plays the dates of real outlets. What was gathered of them has holes, so that some silences are not the outlet's.
func TestFalseLatesOfRealOutlets(t *testing.T) {
	root := os.Getenv("TOCSIN_DATA")
	if root == "" {
		t.Skip("data test left out: TOCSIN_DATA is not set")
	}
	for _, c := range []struct{ file, source string }{
		{"en", "feeds.bloomberg.com"}, {"en", "www.ft.com"}, {"en", "feeds.bbci.co.uk"}, {"fa", "tabnak"}, {"fa", "asriran"}, {"fa", "roozno"},
	} {
		whens := outletDates(t, filepath.Join(root, "items", c.file+".jsonl.gz"), c.source)
		if len(whens) < 100 {
			t.Errorf("%s: %d dates", c.source, len(whens))
			continue
		}
		months := whens[len(whens)-1].Sub(whens[0]).Hours() / 24 / 30
		n, expected := falseLates(whens)
		t.Logf("%-20s %5d items in %.1f months: %d false lates, %.2f a month; expected every %s", c.source, len(whens), months, n, float64(n)/months, expected)
		if float64(n) > months {
			t.Errorf("%s: %.2f false lates a month", c.source, float64(n)/months)
		}
	}
}

func outletDates(t *testing.T, file, source string) (out []time.Time) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(z)
	in.Buffer(nil, 4<<20)
	for in.Scan() {
		var it struct{ Source, Date string }
		if err := json.Unmarshal(in.Bytes(), &it); err != nil {
			t.Fatal(err)
		}
		if it.Source != source {
			continue
		}
		at, err := mail.ParseDate(it.Date)
		if err != nil {
			at, err = time.Parse(time.DateTime, it.Date)
		}
		if err == nil {
			out = append(out, at)
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}

// TestStoppedFeedIsLate: a feed that goes on answering and stops publishing is late two expected intervals after its last item, whatever the rhythm,
// and not before; after a time without polls it is late only when a poll has looked.
func TestStoppedFeedIsLate(t *testing.T) {
	for _, perDay := range []float64{5, 100} {
		s := &state{Interval: 30 * time.Minute, FirstTry: time.Unix(0, 0), LastTry: time.Unix(1, 0)}
		s.addGaps(outletTimes(perDay, true, false, 40, 9))
		last, expected := s.LastItem, s.expected(&Feed{})
		for _, c := range []struct {
			after, reached time.Duration
			want           string
		}{
			{2*expected - time.Second, 2*expected - time.Minute, StateLive},
			{2*expected + time.Second, 2*expected - time.Minute, StateLate},
			{2*expected + 5*time.Minute, 2*expected + 4*time.Minute, StateLate},
			{2*expected + day + time.Second, 2*expected + day, StateDead},
			{30 * day, 2*expected - time.Hour, StateFailing},
			{2*expected + 5*time.Hour, 2*expected - time.Hour, StateLive}, // nobody polled since: nobody knows
		} {
			s.LastSuccess = last.Add(c.reached)
			if got, since := s.stateAt(&Feed{}, last.Add(c.after)); got != c.want || got == StateLate && !since.Equal(last.Add(2*expected)) {
				t.Errorf("%.0f a day, expected every %s, %s after the last item, reached %s after it: %s since %s, want %s", perDay, expected, c.after, c.reached, got, since, c.want)
			}
		}
		if got, _ := s.stateAt(&Feed{Expect: 400 * day}, last.Add(3*expected)); got == StateLate {
			t.Error("expect: of the list does not count")
		}
	}
}

// TestRhythmForgets: what is older than 28 days, and days without items, leave no trace.
func TestRhythmForgets(t *testing.T) {
	s := &state{}
	s.addGaps(outletTimes(48, false, false, 60, 3))
	if len(s.Days) > 28 || len(s.Days) < 27 {
		t.Errorf("%d days are kept", len(s.Days))
	}
	if got := s.expected(&Feed{}); got > 6*time.Hour {
		t.Errorf("expected every %s", got)
	}
	s.addGaps([]time.Time{s.LastItem.Add(100 * day)})
	if len(s.Days) != 1 {
		t.Errorf("after 100 days of silence: %v", s.Days)
	}
}
