package fetcher

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/mmcdole/gofeed"
	"github.com/mmcdole/gofeed/atom"
	ext "github.com/mmcdole/gofeed/extensions"
	jsonfeed "github.com/mmcdole/gofeed/json"
	"github.com/mmcdole/gofeed/rss"
)

// filler turns what gofeed read, and what the scan kept beside it, into a Result.
type filler struct {
	doc  *Document
	feed *gofeed.Feed
	out  *outline
	base string
	date dateReader

	given, full string // the last base of an element, as it stands and resolved
}

func (f *filler) result() Result {
	f.base = documentBase(f.doc)
	res := Result{Title: f.feed.Title, Link: f.feed.Link, Lang: f.feed.Language}
	if f.out.lang != "" {
		res.Lang = f.out.lang
	}
	f.date = dateReader{zone: f.doc.Feed.zone(), lang: primary(f.doc.Feed.Lang, res.Lang), country: f.doc.Feed.Country}
	raw := f.out.entries()
	aligned := len(raw) == len(f.feed.Items)
	if n := min(len(f.feed.Items), maxEntries); n > 0 {
		res.Entries = make([]Entry, 0, n)
	}
	for i, it := range f.feed.Items {
		if i == maxEntries {
			res.Dropped = len(f.feed.Items) - maxEntries
			res.Refused = fault(ReasonRefusedSize, "%d entries, the first %d are kept", len(f.feed.Items), maxEntries)
			break
		}
		var r *rawEntry
		if aligned {
			r = &raw[i]
		}
		res.Entries = append(res.Entries, f.entry(it, r, i, &res))
	}
	switch o := f.feed.OriginalFeed().(type) {
	case *rss.Feed:
		f.rssFeed(&res, o)
	case *atom.Feed:
		f.atomFeed(&res, o)
	case *jsonfeed.Feed:
		res.Kind = "json" + o.Version[strings.LastIndexByte(o.Version, '/')+1:]
		res.Next, res.Self = f.absolute("", o.NextURL), f.absolute("", o.FeedURL)
	}
	f.feedTitle(&res)
	// What is remembered for long must not keep the document in memory.
	for _, kept := range []*string{&res.Title, &res.ID, &res.Link, &res.Lang, &res.Self, &res.Hub, &res.Next} {
		*kept = strings.Clone(*kept)
	}
	return res
}

func (f *filler) rssFeed(res *Result, o *rss.Feed) {
	res.Kind = "rss" + o.Version
	if f.out.root == "rdf" && o.Version == "" {
		res.Kind = "rss1.0"
	}
	res.Wishes = wishes(o)
	res.Issued, _ = f.date.read(first(f.out.feed.published, o.PubDate, extValue(o.Extensions, "dcterms", "issued"), extValue(o.Extensions, "dcterms", "created")))
	res.Updated, _ = f.date.read(first(f.out.feed.updated, o.LastBuildDate,
		extValue(o.Extensions, "dcterms", "modified"), extValue(o.Extensions, "dc", "date"), f.out.feed.published, o.PubDate))
	res.Link = f.absolute(f.out.base, res.Link)
	for _, l := range extLinks(o.Extensions) {
		f.feedLink(res, l["rel"], l["href"])
	}
}

func (f *filler) atomFeed(res *Result, o *atom.Feed) {
	res.Kind = "atom" + o.Version
	res.ID, res.Deleted = o.ID, f.out.deleted
	if f.out.feed.id != "" {
		res.ID = f.absolute(f.out.base, f.out.feed.id)
	}
	res.Updated, _ = f.date.read(cmp.Or(f.out.feed.updated, o.Updated))
	for _, l := range f.out.feed.links {
		f.feedLink(res, l.rel, l.href)
	}
	res.Link = f.absolute(f.out.base, f.alternate(f.out.feed.links, res.Link))
}

func (f *filler) feedLink(res *Result, rel, href string) {
	href = f.absolute(f.out.base, href)
	switch strings.ToLower(rel) {
	case "hub":
		setIfZero(&res.Hub, href)
	case "self":
		setIfZero(&res.Self, href)
	case "prev-archive", "next", "previous":
		setIfZero(&res.Next, href)
	}
}

// wishes reads ttl, skipHours, skipDays and the syndication module.
func wishes(o *rss.Feed) Wishes {
	var w Wishes
	if n, err := strconv.Atoi(strings.TrimSpace(o.TTL)); err == nil && n > 0 && n < 1<<20 {
		w.TTL = time.Duration(n) * time.Minute
	}
	for _, h := range o.SkipHours {
		if n, err := strconv.Atoi(strings.TrimSpace(h)); err == nil && n >= 0 && n <= 24 {
			w.SkipHours |= 1 << (n % 24)
		}
	}
	for _, d := range o.SkipDays {
		for day := time.Sunday; day <= time.Saturday; day++ {
			if strings.EqualFold(strings.TrimSpace(d), day.String()) {
				w.SkipDays |= 1 << day
			}
		}
	}
	periods := map[string]time.Duration{
		"hourly": time.Hour, "daily": 24 * time.Hour, "weekly": 7 * 24 * time.Hour, "monthly": 30 * 24 * time.Hour, "yearly": 365 * 24 * time.Hour,
	}
	w.Period = periods[strings.ToLower(strings.TrimSpace(extValue(o.Extensions, "sy", "updatePeriod")))]
	if n, err := strconv.Atoi(strings.TrimSpace(extValue(o.Extensions, "sy", "updateFrequency"))); err == nil && n > 0 {
		w.Period /= time.Duration(n)
	}
	return w
}

// entry fills one entry; raw is nil where the scan and gofeed do not agree on the number of entries.
func (f *filler) entry(it *gofeed.Item, raw *rawEntry, i int, res *Result) Entry {
	e := Entry{ID: strings.TrimSpace(it.GUID), Link: strings.TrimSpace(it.Link), Title: it.Title}
	e.Summary, e.Content = f.out.slim.restore(it.Description), f.out.slim.restore(it.Content)
	base := f.out.base
	if raw != nil {
		base, e.Lang, e.Degraded = raw.base, raw.lang, raw.open
		if raw.id != "" {
			e.ID = raw.id
		}
		e.Title, e.TitleText = f.title(raw.texts, it.Title)
	}
	e.Title = first(e.Title, extValue(it.Extensions, "media", "title"), extNested(it.Extensions, "media", "group", "title"))
	e.Base = f.from(base)
	f.link(&e, it, raw, i, base)
	if e.ID == "" && raw != nil {
		e.ID = strings.TrimSpace(raw.about)
	}
	for _, a := range it.Authors {
		if a != nil && first(a.Name, a.Email) != "" {
			e.Authors = append(e.Authors, first(a.Name, a.Email))
		}
	}
	e.Categories = it.Categories
	f.dates(&e, it, raw, i)
	described := first(extValue(it.Extensions, "media", "description"), extNested(it.Extensions, "media", "group", "description"))
	e.Summary = first(e.Summary, f.out.slim.restore(described))
	e.Lang = strings.Clone(primary(f.doc.Feed.Lang, e.Lang, f.itemLang(i), extValue(it.Extensions, "dc", "language"), res.Lang, "und"))
	return e
}

func (f *filler) itemLang(i int) string {
	if o, ok := f.feed.OriginalFeed().(*jsonfeed.Feed); ok {
		return o.Items[i].Language
	}
	return ""
}

// dates takes the first readable of pubDate, published, dc:date, dcterms, updated.
func (f *filler) dates(e *Entry, it *gofeed.Item, raw *rawEntry, i int) {
	updated := first(it.Updated, extValue(it.Extensions, "dcterms", "modified"), it.Custom["modified"])
	published := []string{it.Published, extValue(it.Extensions, "dcterms", "issued"), extValue(it.Extensions, "dcterms", "created"), extValue(it.Extensions, "dcterms", "date"), it.Custom["pubdate"], it.Custom["date"]}
	if o, ok := f.feed.OriginalFeed().(*atom.Feed); ok {
		published[0] = o.Entries[i].Published
		updated = first(o.Entries[i].Updated, updated)
	}
	if raw != nil {
		published[0], updated = first(raw.published, published[0]), first(raw.updated, updated)
	}
	for _, p := range append(published, updated) {
		if p = strings.TrimSpace(p); p == "" {
			continue
		}
		setIfZero(&e.Claimed, short(p, 100))
		if t, ok := f.date.read(p); ok {
			e.Published, e.Claimed = t, short(p, 100)
			break
		}
	}
	e.Updated, _ = f.date.read(updated)
}

// extValue gives the text of the first extension element prefix:name.
func extValue(e ext.Extensions, prefix, name string) string {
	if v := e[prefix][name]; len(v) > 0 {
		return strings.TrimSpace(v[0].Value)
	}
	return ""
}

func extNested(e ext.Extensions, prefix, parent, name string) string {
	for _, p := range e[prefix][parent] {
		if v := p.Children[name]; len(v) > 0 {
			return strings.TrimSpace(v[0].Value)
		}
	}
	return ""
}

// extLinks gives the attributes of Atom links inside another kind of feed.
func extLinks(e ext.Extensions) []map[string]string {
	var out []map[string]string
	for _, prefix := range []string{"atom", "atom10", "atom03"} {
		for _, l := range e[prefix]["link"] {
			out = append(out, l.Attrs)
		}
	}
	return out
}

// first gives the first text that holds more than white space, trimmed.
func first(texts ...string) string {
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			return t
		}
	}
	return ""
}

// primary gives the primary subtag of the first usable language tag (BCP 47), in lower case.
func primary(tags ...string) string {
	for _, t := range tags {
		t, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(t)), "-")
		t, _, _ = strings.Cut(t, "_")
		if (len(t) == 2 || len(t) == 3) && strings.Trim(t, "abcdefghijklmnopqrstuvwxyz") == "" {
			return t
		}
	}
	return ""
}
