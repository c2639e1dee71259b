package fetcher

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
)

// Feed is one entry of a feed list: what to poll, and what its items carry.
type Feed struct {
	strict.Pos
	ID       string            `yaml:"-"`         // news.FeedID of Was, else of URL: the same for ever
	URL      string            `yaml:"url"`       // http or https address
	Was      string            `yaml:"was"`       // address under which the feed was first listed, when it moved
	Outlet   string            `yaml:"outlet"`    // name of the outlet, for people and for folding stories
	Lang     string            `yaml:"lang"`      // BCP 47 primary subtag of its items; beats what the document says
	Country  string            `yaml:"country"`   // ISO 3166-1 alpha-2 of the outlet
	Tier     int               `yaml:"tier"`      // 1 is the highest source tier, 0 unknown
	Tags     []string          `yaml:"tags"`      // free words
	Note     string            `yaml:"note"`      // for people
	Paused   bool              `yaml:"paused"`    // not polled
	Interval time.Duration     `yaml:"interval"`  // fixed distance of polls, Options.MinInterval or more; 0 = adaptive
	Expect   time.Duration     `yaml:"expect"`    // longest usual silence; 0 = learnt
	Timeout  time.Duration     `yaml:"timeout"`   // of a whole fetch with all hops and the body; 0 = 30 s
	MaxBytes int64             `yaml:"max_bytes"` // body limit after decompression; 0 = 16 MiB
	Charset  string            `yaml:"charset"`   // beats every label of the document
	Zone     string            `yaml:"zone"`      // for dates without zone: IANA name or +05:00
	CAFile   string            `yaml:"ca_file"`   // PEM with further certificates to trust
	Insecure bool              `yaml:"insecure"`  // certificates are not verified: shown in every report
	FullText string            `yaml:"full_text"` // never (default), short or always: fetch articles and match on their text
	Backfill bool              `yaml:"backfill"`  // true: the items of the first document count as news of today
	Headers  map[string]string `yaml:"headers"`   // request headers; each value is file:/absolute/path, read at each poll
}

// Limits of a feed list.
const (
	maxListBytes = 5 << 20
	maxFeeds     = 200_000
)

type feedDefaults struct {
	Outlet   string        `yaml:"outlet"`
	Lang     string        `yaml:"lang"`
	Country  string        `yaml:"country"`
	Tier     int           `yaml:"tier"`
	Tags     []string      `yaml:"tags"`
	Interval time.Duration `yaml:"interval"`
	Expect   time.Duration `yaml:"expect"`
	Timeout  time.Duration `yaml:"timeout"`
	Zone     string        `yaml:"zone"`
	FullText string        `yaml:"full_text"`
}

type feedFile struct {
	Title    string       `yaml:"title"`
	Note     string       `yaml:"note"`
	Defaults feedDefaults `yaml:"defaults"`
	Feeds    []Feed       `yaml:"feeds"`
}

// LoadFeeds reads feed lists: YAML, or OPML 2.0 where the name ends in .opml. Every fault of every file is returned at once, sorted. Feeds that
// stand twice (by canonical address) are a warning with both places and are returned once. Limits: 5 MiB a file, OPML depth 32.
func LoadFeeds(fsys fs.FS, names ...string) ([]Feed, strict.Faults) {
	var all []Feed
	var faults strict.Faults
	for _, name := range names {
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			faults.Add(strict.Pos{File: name}, "name a file that exists and may be read", "%s", cause(err))
			continue
		}
		var feeds []Feed
		var fs strict.Faults
		if strings.EqualFold(path.Ext(name), ".opml") {
			feeds, fs = readOPML(name, data)
		} else {
			feeds, fs = readYAML(name, data)
		}
		faults = append(faults, fs...)
		for i := range feeds {
			feeds[i].check(&faults)
		}
		all = append(all, feeds...)
	}
	if len(all) > maxFeeds {
		faults.Add(strict.Pos{File: names[0]}, "split the list between several instances", "%d feeds, the limit is %d", len(all), maxFeeds)
	}
	return once(all, &faults), faults.Sort()
}

func readYAML(name string, data []byte) ([]Feed, strict.Faults) {
	var f feedFile
	faults := strict.Decode(name, data, maxListBytes, &f)
	for i := range f.Feeds {
		f.Defaults.fill(&f.Feeds[i])
	}
	return f.Feeds, faults
}

func (d *feedDefaults) fill(f *Feed) {
	setIfZero(&f.Outlet, d.Outlet)
	setIfZero(&f.Lang, d.Lang)
	setIfZero(&f.Country, d.Country)
	setIfZero(&f.Tier, d.Tier)
	setIfZero(&f.Interval, d.Interval)
	setIfZero(&f.Expect, d.Expect)
	setIfZero(&f.Timeout, d.Timeout)
	setIfZero(&f.Zone, d.Zone)
	setIfZero(&f.FullText, d.FullText)
	for _, t := range d.Tags {
		if !slices.Contains(f.Tags, t) {
			f.Tags = append(f.Tags, t)
		}
	}
}

func setIfZero[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

var (
	langForm    = regexp.MustCompile(`^[a-z]{2,3}$`)
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
	headerForm  = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`) // a token of RFC 9110 5.6.2
)

// check judges one feed, adds its faults and sets its id.
func (f *Feed) check(faults *strict.Faults) {
	f.URL, f.Was = strings.TrimSpace(f.URL), strings.TrimSpace(f.Was)
	add := func(next, format string, args ...any) { faults.Add(f.Pos, next, format, args...) }
	if f.URL == "" {
		add("write url: https://...", "a feed without url")
		return
	}
	for _, u := range []string{f.URL, f.Was} {
		if err := checkURL(u); u != "" && err != nil {
			add("write an http or https address", "%s", err)
		}
	}
	if f.Lang != "" && !langForm.MatchString(f.Lang) {
		add("write a language code in lower case, such as en, ur, ps", "lang %q", f.Lang)
	}
	if f.Country != "" && !countryForm.MatchString(f.Country) {
		add("write a country code of two capital letters, such as PK, AF", "country %q", f.Country)
	}
	if f.Tier < 0 || f.Tier > 5 {
		add("write 1 (highest) to 5", "tier %d", f.Tier)
	}
	f.checkLimits(add)
	f.ID = news.FeedID(f.first())
}

func (f *Feed) checkLimits(add func(next, format string, args ...any)) {
	if f.Timeout < 0 || f.Timeout > 5*time.Minute {
		add("write at most 5m", "timeout %s", f.Timeout)
	}
	if f.MaxBytes < 0 || f.MaxBytes > 64<<20 {
		add("write at most 67108864 (64 MiB)", "max_bytes %d", f.MaxBytes)
	}
	if f.Charset != "" && lookupCharset(f.Charset) == nil {
		add("write a name such as utf-8, windows-1251, gb18030", "charset %q is not known", f.Charset)
	}
	if _, err := parseZone(f.Zone); err != nil {
		add("write a zone such as Asia/Karachi or +05:00", "%s", err)
	}
	switch f.FullText {
	case "", FullTextNever, FullTextShort, FullTextAlways:
	default:
		add("write never, short or always", "full_text %q", f.FullText)
	}
	if f.Insecure && strings.HasPrefix(strings.ToLower(f.URL), "http:") {
		add("remove it", "insecure: a feed without TLS has no certificate to verify")
	}
	for _, name := range news.SortedKeys(f.Headers) {
		file, ok := strings.CutPrefix(f.Headers[name], "file:")
		switch {
		case !headerForm.MatchString(name) || ownHeader(name):
			add("remove it", "header %q may not be set", name)
		case !ok || !path.IsAbs(file):
			add("write file: and the absolute path of a file that holds the value", "header %s: the value stands in the list", name)
		}
	}
}

// ownHeader names the request headers that the fetcher sets itself.
func ownHeader(name string) bool {
	switch strings.ToLower(name) {
	case "host", "user-agent", "accept", "accept-encoding", "if-none-match", "if-modified-since", "connection", "content-length", "transfer-encoding", "te", "a-im", "range":
		return true
	}
	return false
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("address %q cannot be read", redact(raw))
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("address %q has the scheme %q", redact(raw), u.Scheme)
	case u.Hostname() == "":
		return fmt.Errorf("address %q has no host", redact(raw))
	}
	return nil
}

// first is the address under which the feed was first listed.
func (f *Feed) first() string {
	if f.Was != "" {
		return f.Was
	}
	return f.URL
}

// once keeps the first of several feeds with one id or one canonical address, and warns with both places.
func once(all []Feed, faults *strict.Faults) []Feed {
	seen := map[string]strict.Pos{}
	out := all[:0]
	for _, f := range all {
		url := news.CanonicalURL(f.URL)
		p, twice := seen[url]
		if q, ok := seen[f.ID]; !twice && ok {
			p, twice = q, true
		}
		if twice {
			faults.AddWarning(f.Pos, "remove one; it is polled once", "feed %s stands already at %s", redact(f.URL), p)
			continue
		}
		seen[url] = f.Pos
		if f.ID != "" {
			seen[f.ID] = f.Pos
		}
		out = append(out, f)
	}
	return out
}

// zone is the place of dates that name none: that of the list, else UTC.
func (f *Feed) zone() *time.Location {
	if loc, err := parseZone(f.Zone); err == nil && loc != nil {
		return loc
	}
	return time.UTC
}

func (f *Feed) timeout() time.Duration {
	if f.Timeout > 0 {
		return f.Timeout
	}
	return 30 * time.Second
}

func (f *Feed) maxBytes() int64 {
	if f.MaxBytes > 0 {
		return f.MaxBytes
	}
	return 16 << 20
}
