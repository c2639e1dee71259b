package fetcher

import (
	"slices"
	"time"
)

// learnSpan is how far back the rhythm of a feed is learnt from.
const learnSpan = 28 * day

// dayGap is the longest silence that ended on one day: days since 1970 (UTC), and seconds.
type dayGap [2]uint32

// expected is the longest usual silence, between 1 h and 14 d: 24 h until 20 gaps between items are known, then the 99th percentile of the gaps of
// 28 days, and no less than the longest silence of nine days in ten: in a feed with hundreds of items a day the nights are less than a hundredth of
// the gaps, and would all be late.
func (s *state) expected(f *Feed) time.Duration {
	switch {
	case f.Expect > 0:
		return f.Expect
	case s.learnt > 0:
		return s.learnt
	case len(s.Gaps) < 20:
		return day
	}
	return min(max(quantile(s.recentGaps(), 0.99), quantile(s.longestOfDays(), 0.9), time.Hour), 14*day)
}

// recentGaps are those of the last 28 days, 20 at least. Gaps follow one another, so that their sum tells their age.
func (s *state) recentGaps() []uint32 {
	age, from := time.Duration(0), len(s.Gaps)
	for from > 0 && (age < learnSpan || len(s.Gaps)-from < 20) {
		from--
		age += time.Duration(s.Gaps[from]) * time.Second
	}
	return s.Gaps[from:]
}

func (s *state) longestOfDays() (out []uint32) {
	for _, d := range s.Days {
		out = append(out, d[1])
	}
	return out
}

// noteDay keeps the longest silence of each of the last 28 days on which an item came.
func (s *state) noteDay(at time.Time, gap uint32) {
	today := uint32(max(at.Unix(), 0) / 86400)
	if n := len(s.Days); n > 0 && s.Days[n-1][0] == today {
		s.Days[n-1][1] = max(s.Days[n-1][1], gap)
		return
	}
	s.Days = append(s.Days, dayGap{today, gap})
	oldest := today - min(today, uint32(learnSpan/day))
	s.Days = slices.DeleteFunc(s.Days, func(d dayGap) bool { return d[0] <= oldest || d[0] > today })
}
