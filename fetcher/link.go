package fetcher

import (
	"net/url"
	"strings"

	"github.com/mmcdole/gofeed"
	jsonfeed "github.com/mmcdole/gofeed/json"
	"github.com/mmcdole/gofeed/rss"
)

// resolve gives ref as an absolute address (RFC 3986 section 5). Where base or ref cannot be read, ref stays as it is.
func resolve(base, ref string) string {
	ref = strings.TrimSpace(ref)
	if base == "" || hasWebScheme(ref) { // what is absolute stays as it is, readable or not
		return ref
	}
	b, err := url.Parse(strings.TrimSpace(base))
	if err != nil {
		return ref
	}
	r, err := url.Parse(ref)
	if err != nil || r.IsAbs() {
		return ref
	}
	return b.ResolveReference(r).String()
}

// absolute resolves against the element's base, which itself is relative to the document's.
func (f *filler) absolute(base, ref string) string {
	if ref = strings.TrimSpace(ref); ref == "" {
		return ""
	}
	return resolve(f.from(base), ref)
}

// from is the full address that relative references inside an element with this base count from.
func (f *filler) from(base string) string {
	if f.full == "" || base != f.given {
		f.given, f.full = base, resolve(f.base, base)
	}
	return f.full
}

// documentBase is the address that relative references of a document count from.
func documentBase(doc *Document) string {
	if doc.ContentLocation == "" {
		return doc.URL
	}
	u := resolve(doc.URL, doc.ContentLocation)
	if p, err := url.Parse(u); err == nil && (p.Scheme == "http" || p.Scheme == "https") && p.Host != "" {
		return u
	}
	return doc.URL
}

// link fills the entry's link: link, else guid when it is an address meant as link, else the first of the links, else the enclosure.
func (f *filler) link(e *Entry, it *gofeed.Item, raw *rawEntry, i int, base string) {
	perma := f.permaLink(e, raw, i)
	e.PermaLink = perma
	candidates := []string{e.Link}
	if raw != nil && f.feed.FeedType == "atom" {
		candidates[0] = f.alternate(raw.links, e.Link)
	} else if raw != nil {
		candidates = append([]string{rssLink(raw.links)}, candidates...)
	}
	if perma {
		candidates = append(candidates, e.ID)
	}
	candidates = append(candidates, it.Links...)
	for _, l := range extLinks(it.Extensions) {
		if rel := l["rel"]; rel == "" || strings.EqualFold(rel, "alternate") {
			candidates = append(candidates, l["href"])
		}
	}
	for _, en := range it.Enclosures {
		if en != nil {
			candidates = append(candidates, en.URL)
		}
	}
	if raw != nil && webAddress(strings.TrimSpace(raw.about)) {
		candidates = append(candidates, raw.about) // RSS 1.0 wants it to be the link
	}
	for _, c := range candidates {
		if c = strings.TrimSpace(c); c != "" {
			e.Link = f.absolute(base, c)
			return
		}
	}
}

// rssLink is the text of an RSS item's own link element, untouched: gofeed takes xml:base for a folder.
func rssLink(links []rawLink) string {
	for _, l := range links {
		if l.space != atom10 && l.space != atom03 {
			if v := first(l.text, l.href); v != "" {
				return v
			}
		}
	}
	return ""
}

func hasWebScheme(s string) bool {
	_, ok := cutPrefixFold(s, "http://")
	if !ok {
		_, ok = cutPrefixFold(s, "https://")
	}
	return ok
}

// webAddress tells whether s is an absolute address of the web, and nothing else.
func webAddress(s string) bool {
	rest, ok := cutPrefixFold(s, "http://")
	if !ok {
		rest, ok = cutPrefixFold(s, "https://")
	}
	return ok && rest != "" && !strings.ContainsAny(rest, " \t\r\n")
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

func (f *filler) permaLink(e *Entry, raw *rawEntry, i int) bool {
	switch o := f.feed.OriginalFeed().(type) {
	case *rss.Feed:
		means := ""
		if i < len(o.Items) && o.Items[i].GUID != nil {
			means = o.Items[i].GUID.IsPermalink
		}
		if raw != nil && raw.permaLink != "" {
			means = raw.permaLink
		}
		return means != "" && !strings.EqualFold(strings.TrimSpace(means), "false") && (webAddress(e.ID) || strings.HasPrefix(e.ID, "/"))
	case *jsonfeed.Feed:
		return webAddress(e.ID)
	}
	return webAddress(e.ID)
}

// alternate picks the link of an Atom element: rel alternate, HTML before other types, else what gofeed took.
func (f *filler) alternate(links []rawLink, other string) string {
	best := ""
	for _, l := range links {
		if l.href == "" {
			l.href = l.text
		}
		if l.href == "" || l.rel != "" && !strings.EqualFold(l.rel, "alternate") && !strings.HasSuffix(l.rel, "/alternate") {
			continue
		}
		if best == "" || strings.Contains(strings.ToLower(l.typ), "html") && !f.htmlType(links, best) {
			best = l.href
		}
	}
	return first(best, other)
}

func (f *filler) htmlType(links []rawLink, href string) bool {
	for _, l := range links {
		if l.href == href {
			return l.typ == "" || strings.Contains(strings.ToLower(l.typ), "html")
		}
	}
	return false
}
