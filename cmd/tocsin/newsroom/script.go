package newsroom

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tocsin/news/strict"
)

//go:embed script/*.yaml
var scriptFiles embed.FS

const maxScript = 1 << 20

// Kinds of an Item.
const (
	Planted = "planted" // must be flagged
	Decoy   = "decoy"   // looks like a mention and must not be flagged
	Noise   = "noise"   // background
)

// Item is one piece of the script with its truth.
type Item struct {
	ID     string // unique in the world; last part of the URL
	Kind   string // Planted, Decoy, Noise
	Outlet string
	Lang   string
	Story  string // items with the same story tell one event; "" stands alone
	Title  string
	Text   string
	Expect []string // ids of entities and rules that must be flagged
	Allow  []string // ids that may be flagged as well, because the text truly names them
	URL    string
}

// script is everything under script/: outlets.yaml and one file a language.
type script struct {
	Lists   map[string][]string `yaml:"lists"` // watchlist -> ids of entities and rules that it holds
	Outlets []outletSpec        `yaml:"outlets"`
	Items   []itemSpec          `yaml:"items"`
	Noise   noiseSpec           `yaml:"noise"`
	noise   map[string]noiseSpec
}

type outletSpec struct {
	strict.Pos
	ID       string   `yaml:"id"`
	Name     string   `yaml:"name"`
	Lang     string   `yaml:"lang"`
	Country  string   `yaml:"country"`
	Tier     int      `yaml:"tier"`
	Format   string   `yaml:"format"`   // rss2 rss1 rss091 atom json
	Encoding string   `yaml:"encoding"` // name as in the XML declaration; utf-8 when left out
	Traits   []string `yaml:"traits"`   // see traits
	Zone     string   `yaml:"zone"`     // zone abbreviation that stands in its dates, with its offset: "PKT +0500"
}

type itemSpec struct {
	strict.Pos
	ID     string     `yaml:"id"`
	Outlet string     `yaml:"outlet"`
	Story  string     `yaml:"story"`
	Start  bool       `yaml:"start"` // published from the beginning
	Title  string     `yaml:"title"`
	Text   string     `yaml:"text"`
	Expect []string   `yaml:"expect"`
	Allow  []string   `yaml:"allow"`
	Decoy  string     `yaml:"decoy"` // what it tempts the matcher to say; marks a decoy
	GUID   string     `yaml:"guid"`  // in place of its own
	Twice  bool       `yaml:"twice"` // stands twice in the document, as some publishers do
	Edits  []editSpec `yaml:"edits"`
}

type editSpec struct {
	After float64 `yaml:"after"` // share of the span after the item appeared
	Title string  `yaml:"title"` // "" = unchanged
	Text  string  `yaml:"text"`
}

type noiseSpec struct {
	Cities []string    `yaml:"cities"`
	Teams  []string    `yaml:"teams"`
	Lines  []noiseLine `yaml:"lines"`
}

type noiseLine struct {
	Title string `yaml:"title"` // with {city} {city2} {team} {team2} {n} {m}
	Text  string `yaml:"text"`
}

// traits are the ways in which an outlet differs from a well-behaved one.
var traits = []string{
	"gzip",      // compresses for clients that accept it
	"html",      // the text is markup
	"no-guid",   // entries have no id
	"no-date",   // entries have no date
	"no-etag",   // Last-Modified only
	"base",      // relative links under xml:base
	"slow",      // answers after Options.Slow
	"broken",    // bad entity, and cut in the middle of the last entry
	"error",     // answers 500 always
	"dies",      // answers 410 from the middle of the span
	"redirects", // the listed address answers 301 to the new one
}

var formats = []string{"rss2", "rss1", "rss091", "atom", "json"}

// item is one entry at run time.
type item struct {
	Item
	outlet  *outlet
	url     string
	guid    string
	twice   bool
	at      time.Duration // release, after the world's start
	edits   []edit        // in the order of their time
	servedN atomic.Int64  // when it was first served, Unix nanoseconds
}

type edit struct {
	at          time.Duration
	title, text string
}

func (it *item) served() time.Time {
	n := it.servedN.Load()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// text gives title and text as they stand at time d after the start, and when they last changed.
func (it *item) current(d time.Duration) (title, text string, changed time.Duration) {
	title, text, changed = it.Title, it.Text, it.at
	for _, e := range it.edits {
		if e.at <= d {
			title, text, changed = orElse(e.title, title), orElse(e.text, text), e.at
		}
	}
	return title, text, changed
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func loadScript() (*script, error) {
	all := &script{noise: map[string]noiseSpec{}}
	entries, err := scriptFiles.ReadDir("script")
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	var faults strict.Faults
	for _, e := range entries {
		data, err := scriptFiles.ReadFile("script/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("read script: %w", err)
		}
		var one script
		faults = append(faults, strict.Decode(e.Name(), data, maxScript, &one)...)
		if one.Lists != nil {
			all.Lists = one.Lists
		}
		all.Outlets = append(all.Outlets, one.Outlets...)
		all.Items = append(all.Items, one.Items...)
		all.noise[strings.TrimSuffix(e.Name(), ".yaml")] = one.Noise
	}
	all.check(&faults)
	if err := faults.Err(); err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	return all, nil
}

// check adds what the shape of the files cannot say.
func (s *script) check(fs *strict.Faults) {
	outlets := map[string]outletSpec{}
	for _, o := range s.Outlets {
		if _, twice := outlets[o.ID]; twice || o.ID == "" {
			fs.Add(o.Pos, "", "outlet id %q is missing or stands twice", o.ID)
		}
		outlets[o.ID] = o
		if !slices.Contains(formats, o.Format) {
			fs.Add(o.Pos, "known: "+strings.Join(formats, " "), "unknown format %q", o.Format)
		}
		for _, t := range o.Traits {
			if !slices.Contains(traits, t) {
				fs.Add(o.Pos, "known: "+strings.Join(traits, " "), "unknown trait %q", t)
			}
		}
		if _, err := charset(o.Encoding); err != nil {
			fs.Add(o.Pos, "", "%v", err)
		}
	}
	known := s.listOf()
	ids := map[string]bool{}
	for _, it := range s.Items {
		o, ok := outlets[it.Outlet]
		switch {
		case it.ID == "" || ids[it.ID]:
			fs.Add(it.Pos, "", "item id %q is missing or stands twice", it.ID)
		case !ok:
			fs.Add(it.Pos, "", "item %s: no outlet %q", it.ID, it.Outlet)
		case slices.Contains(o.Traits, "error"):
			fs.Add(it.Pos, "", "item %s: outlet %q never answers", it.ID, it.Outlet)
		case (it.Decoy == "") == (len(it.Expect) == 0):
			fs.Add(it.Pos, "write one of expect and decoy", "item %s is neither planted nor a decoy, or both", it.ID)
		}
		ids[it.ID] = true
		for _, id := range append(slices.Clone(it.Expect), it.Allow...) {
			if known[id] == "" {
				fs.Add(it.Pos, "add it to lists in outlets.yaml", "item %s: no watchlist is known for %q", it.ID, id)
			}
		}
	}
}

func (s *script) listOf() map[string]string {
	m := map[string]string{}
	for list, ids := range s.Lists {
		for _, id := range ids {
			m[id] = list
		}
	}
	return m
}
