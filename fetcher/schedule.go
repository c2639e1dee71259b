package fetcher

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Distances of polls that nobody asked for. They shrink in proportion when Options.MinInterval is below a minute (tests, the demo).
const (
	shortest   = 10 * time.Minute
	usual      = 60 * time.Minute
	quietMonth = 4 * time.Hour
	quietYear  = 24 * time.Hour
	longest    = 24 * time.Hour // also the cap of back-off and of a publisher's wish
	maxRetry   = 48 * time.Hour
	day        = 24 * time.Hour
)

// plan is everything that decides when a feed is polled next. next is a pure function of it.
type plan struct {
	id       string
	poll     uint64
	now      time.Time
	interval time.Duration // of the list; 0 = adaptive
	min      time.Duration // Options.MinInterval
	state    *state
	failing  bool
	lastGap  bool // entries may have been missed in the last day: faster than hourly is allowed without validators
}

// scale shortens our own distances for tests and demos.
func (p *plan) scale(d time.Duration) time.Duration {
	if p.min >= time.Minute || p.min <= 0 {
		return d
	}
	return max(time.Duration(float64(d)*float64(p.min)/float64(time.Minute)), p.min)
}

// next gives the time of the next poll and the interval it comes from.
func (p *plan) next() (at time.Time, wanted time.Duration) {
	wanted = p.wanted()
	delay := wanted
	if p.failing {
		delay = p.backoff(wanted)
	}
	delay += time.Duration(float64(delay) * jitter(p.id, p.poll))
	at = p.now.Add(delay)
	if p.state.RetryUntil.After(at) {
		at = p.state.RetryUntil
	}
	if p.interval == 0 {
		if allowed := skip(at, p.state.SkipHours, p.state.SkipDays); !allowed.Equal(at) {
			// Not all feeds that skip the same hours at the same second.
			at = skip(allowed.Add(time.Duration(float64(time.Hour)*jitter(p.id, p.poll))), p.state.SkipHours, p.state.SkipDays)
		}
	}
	return at, wanted
}

// wanted is the distance of polls while all is well.
func (p *plan) wanted() time.Duration {
	if p.interval > 0 {
		return max(p.interval, p.min)
	}
	wanted := max(p.adaptive(), min(p.publisher(), longest), p.min)
	if push := &p.state.Push; push.active(p.now) {
		// A hub brings the news; polls are the backup, and renew the lease.
		backup := max(min(max(4*wanted, p.scale(time.Hour)), p.scale(6*time.Hour)), wanted)
		wanted = max(min(backup, push.Lease*2/3), min(wanted, p.scale(time.Hour)), p.min)
	}
	return wanted
}

// publisher is what the answers ask for: freshness, ttl, update period.
func (p *plan) publisher() time.Duration {
	s := p.state
	return max(s.Fresh, s.TTL, s.Period)
}

// adaptive is half the median distance of new items, between 10 and 60 minutes, slower for those long silent.
func (p *plan) adaptive() time.Duration {
	s := p.state
	d := usual
	if len(s.Gaps) >= 5 {
		d = min(max(quantile(s.Gaps, 0.5)/2, shortest), usual)
	}
	if !s.LastItem.IsZero() {
		switch silent := p.now.Sub(s.LastItem); {
		case silent > 365*day:
			d = quietYear
		case silent > 30*day:
			d = quietMonth
		}
	}
	for range s.Hurry {
		d = max(d/2, shortest)
	}
	if !s.EverVal && !p.lastGap {
		d = max(d, usual)
	}
	return p.scale(d)
}

// backoff doubles from its start and never ends.
func (p *plan) backoff(wanted time.Duration) time.Duration {
	start := max(wanted, p.scale(shortest))
	switch p.state.Reason {
	case ReasonThrottled:
		start = max(start, p.scale(time.Hour))
	case ReasonBlocked:
		start = max(start, p.scale(4*time.Hour))
	}
	n := min(max(p.state.Failures-1, 0), 30)
	for range n {
		if start *= 2; start >= longest {
			return longest
		}
	}
	return min(start, longest)
}

// jitter is between 0 and 0.1 and only adds time, so that no promise breaks. The same poll of the same feed always gets the same.
func jitter(id string, poll uint64) float64 {
	return float64(hash64(id, strconv.FormatUint(poll, 10))%1000) / 10000
}

// quantile gives the q-th quantile of gaps, which are seconds in any order (nearest rank).
func quantile(gaps []uint32, q float64) time.Duration {
	if len(gaps) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(gaps))
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return time.Duration(sorted[i]) * time.Second
}

// skip moves a time out of the hours and days (GMT) in which the publisher wants no polls (RSS 2.0). All hours or all days named: ignored.
func skip(t time.Time, hours uint32, days uint8) time.Time {
	const allHours, allDays = 1<<24 - 1, 1<<7 - 1
	if hours&allHours == allHours {
		hours = 0
	}
	if days&allDays == allDays {
		days = 0
	}
	for range 8 * 24 {
		u := t.UTC()
		if hours&(1<<u.Hour()) == 0 && days&(1<<u.Weekday()) == 0 {
			return t
		}
		t = u.Truncate(time.Hour).Add(time.Hour)
	}
	return t
}

// hurry judges how much of a changed document was known before (row 26): under a third halves the interval, over two thirds ends the hurry.
func (s *state) hurry(percent uint8) {
	s.Overlap = append(s.Overlap, percent)
	if n := len(s.Overlap); n > maxOverlap {
		s.Overlap = s.Overlap[n-maxOverlap:]
	}
	switch {
	case percent < 33:
		s.Hurry = min(s.Hurry+1, 3)
	case percent > 67:
		s.Hurry = 0
	}
}

// freshness is how long the answer stays fresh by the server's own clock: max-age minus Age, else Expires minus Date (RFC 9111 4.2, 5.2, 5.3).
// no-cache, max-age=0 and s-maxage have no effect. At most 24 h.
func freshness(h http.Header) time.Duration {
	for _, v := range h.Values("Cache-Control") {
		for _, d := range strings.Split(v, ",") {
			name, value, _ := strings.Cut(strings.TrimSpace(d), "=")
			if !strings.EqualFold(name, "max-age") {
				continue
			}
			n, err := strconv.ParseInt(strings.Trim(value, `" `), 10, 64)
			if err != nil || n <= 0 {
				return 0
			}
			age, err := strconv.ParseInt(strings.TrimSpace(h.Get("Age")), 10, 64)
			if err != nil || age < 0 {
				age = 0
			}
			return min(time.Duration(max(min(n, 1<<31)-age, 0))*time.Second, longest)
		}
	}
	expires, err := http.ParseTime(h.Get("Expires"))
	if err != nil {
		return 0
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(expires.Sub(date), 0), longest)
}

// retryAfter reads Retry-After in seconds or as a date (RFC 9110 10.2.3), at most 48 h. What is negative, past or unreadable counts as absent: 0.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		if n <= 0 {
			return 0
		}
		return min(time.Duration(min(n, 1<<31))*time.Second, maxRetry)
	}
	t, err := http.ParseTime(v)
	if err != nil || !t.After(now) {
		return 0
	}
	return min(t.Sub(now), maxRetry)
}
