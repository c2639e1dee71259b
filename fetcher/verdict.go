package fetcher

import (
	"context"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"tocsin/news"
)

// Show gives one listed feed by its id. The error is news.ErrNotFound for a feed that is not listed.
func (f *Fetcher) Show(ctx context.Context, feedID string) (FeedStatus, error) {
	f.mu.Lock()
	fd := f.feeds[feedID]
	f.mu.Unlock()
	if fd == nil {
		return FeedStatus{}, fmt.Errorf("feed %s: %w", feedID, news.ErrNotFound)
	}
	st, _, err := f.load(ctx, fd)
	if err != nil {
		return FeedStatus{}, err
	}
	return statusOf(fd, st, f.o.Now()), nil
}

// notes are the remarks of the last document, and what holds for the feed at all times.
func (s *state) notes(f *Feed) []string {
	var out []string
	if f.Insecure {
		out = append(out, "certificates are not verified (insecure: true): anyone on the way can change what it says")
	}
	if z := s.Zone.fault(); z != "" {
		out = append(out, z)
	}
	if bits.OnesCount32(s.SkipHours) >= 24 || bits.OnesCount8(s.SkipDays) >= 7 {
		out = append(out, "it asks for no polls at any hour or day, which is ignored")
	}
	return append(out, s.Notes...)
}

// Verdict explains the state of the feed at a moment: what it is, why, and what to do where something can be done.
func (s *FeedStatus) Verdict(now time.Time) string {
	switch {
	case s.State == StatePaused:
		return "paused in the list: it is not polled"
	case s.State == StateNew:
		return "never polled yet"
	case s.Reason == ReasonGone:
		return "dead: the server says 410, gone for good, since " + when(s.Since, now) + "; polling stopped: remove it, or poll it if you know better"
	case s.State == StateDead && s.LastStatus == 404:
		return "dead: 404 since " + when(s.Since, now) + ", last reached " + when(s.LastSuccess, now) + "; polls go on at least daily: look for a new address"
	case s.State == StateFailing, s.State == StateDead && s.Failures > 0:
		return fmt.Sprintf("%s: %d polls in a row failed, since %s: %s: %s", s.State, s.Failures, when(s.Since, now), s.Reason, s.LastError)
	case s.State == StateLate, s.State == StateDead:
		return s.silence(now)
	}
	text := fmt.Sprintf("live: reached %s, newest item %s, at most %s of silence are usual", when(s.LastSuccess, now), when(s.LastItem, now), span(s.Expected))
	if s.Failures > 0 {
		text += fmt.Sprintf("; the last %d polls failed: %s", s.Failures, s.LastError)
	}
	return text
}

func (s *FeedStatus) silence(now time.Time) string {
	word := "late"
	if s.State == StateDead {
		word = "dead"
	}
	if s.LastItem.IsZero() {
		return word + ": the server answers, and no item ever came"
	}
	return fmt.Sprintf("%s: the server answers, and no item came for %s; more than twice the usual %s: look at the outlet's page, or set expect: if it is quiet by nature",
		word, span(now.Sub(s.LastItem)), span(s.Expected))
}

// Rhythm explains how often the feed is polled and who wants it so.
func (s *FeedStatus) Rhythm() string {
	parts := []string{"polls about every " + span(s.Interval)}
	if s.Feed.Interval > 0 {
		parts = append(parts, "interval: of the list")
	}
	for _, w := range []struct {
		name string
		d    time.Duration
	}{{"its headers", s.Fresh}, {"its ttl", s.Wishes.TTL}, {"its update period", s.Wishes.Period}} {
		if w.d > 0 {
			parts = append(parts, w.name+" "+verb(w.name)+" for "+span(w.d))
		}
	}
	if n := bits.OnesCount32(s.Wishes.SkipHours); n > 0 {
		parts = append(parts, fmt.Sprintf("not in %d hours of the day", n))
	}
	if n := bits.OnesCount8(s.Wishes.SkipDays); n > 0 {
		parts = append(parts, fmt.Sprintf("not on %d days of the week", n))
	}
	if !s.PushUntil.IsZero() {
		parts = append(parts, fmt.Sprintf("a hub brings news at once (%d deliveries), the polls are the backup", s.Pushed))
	}
	return strings.Join(parts, "; ")
}

func verb(name string) string {
	if strings.HasSuffix(name, "headers") {
		return "ask"
	}
	return "asks"
}

func when(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04") + " (" + span(now.Sub(t)) + " ago)"
}

// span words a time for people.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d/day))
}
