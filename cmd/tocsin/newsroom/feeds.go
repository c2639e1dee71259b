package newsroom

import (
	"bytes"
	"fmt"
	"strings"
)

// Feed describes one outlet's feed.
type Feed struct {
	Outlet   string // id
	Name     string
	Lang     string
	Country  string
	Tier     int
	URL      string // as listed
	Format   string // rss2 rss1 rss091 atom json
	Encoding string
	Traits   []string
}

// Feeds lists the outlets.
func (w *World) Feeds() []Feed {
	all := make([]Feed, len(w.outlets))
	for i, o := range w.outlets {
		all[i] = Feed{
			Outlet: o.ID, Name: o.Name, Lang: o.Lang, Country: o.Country, Tier: o.Tier,
			URL: o.listed(), Format: o.Format, Encoding: o.Encoding, Traits: o.Traits,
		}
	}
	return all
}

// FeedCount is how many feeds FeedsYAML lists.
func (w *World) FeedCount() int { return len(w.outlets) }

// FeedsYAML is the feed list of this world in the form of watchlists/feeds: every feed with Options.Interval, and with `backfill: true` so that
// what stands in its first document is news as well.
func (w *World) FeedsYAML() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Feeds of the simulated world, on loopback.\ndefaults: {interval: %s, tags: [demo]}\nfeeds:\n", w.opts.Interval)
	for _, f := range w.Feeds() {
		note := strings.Join(append([]string{f.Format, f.Encoding}, f.Traits...), " ")
		fmt.Fprintf(&b, "  - {url: %q, outlet: %q, lang: %s, country: %s, tier: %d, backfill: true, note: %q}\n", f.URL, f.Name, f.Lang, f.Country, f.Tier, note)
	}
	return b.Bytes()
}

// Items lists every item of the script with its truth, background included. Each call gives a fresh slice.
func (w *World) Items() []Item {
	all := make([]Item, len(w.items))
	for i, it := range w.items {
		all[i] = it.Item
		all[i].URL = it.url
	}
	return all
}

// WatchlistsYAML gives the watchlists that a Flood needs, by file name; nil for a scripted world, which uses the shipped lists.
func (w *World) WatchlistsYAML() map[string][]byte { return w.extra }
