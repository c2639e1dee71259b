package fetcher

import (
	"fmt"
	"regexp"
	"time"

	"tocsin/news"
)

// zoneRun counts new items in a row whose dates are off by the same whole hours.
type zoneRun struct {
	Hours int  `json:"h"`
	Items int  `json:"n"`
	Zoned bool `json:"z,omitempty"` // their dates name a zone, so that zone: of the list does not help
}

// dated is a date as the feed wrote it and as it was read.
type dated struct {
	at   time.Time
	text string
}

// datesOf gives the dates of a document's entries by link and title.
func datesOf(entries []Entry, items []news.Item) map[string]dated {
	m := make(map[string]dated, len(items))
	for i := range items {
		m[items[i].URL+"|"+items[i].Title] = dated{entries[i].Published, entries[i].Claimed}
	}
	return m
}

// zoneItems in a row make a fault of the feed's clock, not of an article.
const zoneItems = 10

var namesZone = regexp.MustCompile(`(?i)(?:z|gmt|utc|[+-]\d\d:?\d\d|\d\s[a-z]{3,4})$`)

// shifted learns from new items whether the feed's dates lie in the future by the same whole hours: the outlet writes its local time as if it were
// Greenwich time. Only polls at most an hour apart can tell.
func (s *state) shifted(items []news.Item, dates map[string]dated, since time.Duration) {
	if since > time.Hour+10*time.Minute {
		return
	}
	for i := range items {
		it := &items[i]
		d, ok := dates[it.URL+"|"+it.Title]
		if it.Reason != news.ReasonNew || !ok {
			continue
		}
		hours := 0
		if d.at.After(it.FirstSeen) {
			hours = int((d.at.Sub(it.FirstSeen) + time.Hour - time.Second) / time.Hour)
		}
		if hours < 1 || hours > 14 {
			s.Zone = zoneRun{}
			continue
		}
		if s.Zone.Hours != hours {
			s.Zone = zoneRun{Hours: hours}
		}
		s.Zone.Items = min(s.Zone.Items+1, 1000)
		s.Zone.Zoned = namesZone.MatchString(d.text)
	}
}

// fault words a zone fault with the line to write, "" when there is none.
func (z zoneRun) fault() string {
	switch {
	case z.Items < zoneItems:
		return ""
	case z.Zoned:
		return fmt.Sprintf("dates lie %d h in the future, %d items in a row: the outlet writes local time under another zone's name: tell it; items count from when they were seen", z.Hours, z.Items)
	}
	return fmt.Sprintf("dates lie %d h in the future, %d items in a row: write zone: +%02d:00 for this feed", z.Hours, z.Items, z.Hours)
}
