package fetcher

import (
	"encoding/xml"
	"strings"
)

const (
	atom10     = "http://www.w3.org/2005/Atom"
	atom03     = "http://purl.org/atom/ns#"
	tombstones = "http://purl.org/atompub/tombstones/1.0"
	maxDeleted = 1000
	rdfSpace   = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
)

// begin notes what the element just opened is.
func (s *scanner) begin(before int64) {
	n := len(s.stack)
	f := &s.stack[n-1]
	if f.name == "item" && s.out.root != "feed" || f.name == "entry" && s.out.root == "feed" {
		s.out.found++
	}
	if n == 2 && f.name == "deleted-entry" && f.space == tombstones && len(s.out.deleted) < maxDeleted {
		s.out.deleted = append(s.out.deleted, strings.Clone(strings.TrimSpace(attr(f.attrs, "ref"))))
	}
	switch {
	case n == 1:
		s.out.root, s.out.space, s.out.base, s.out.lang = f.name, f.space, f.base, f.lang
	case n > 5:
	case s.isChannel(n):
		s.out.base, s.out.lang = f.base, f.lang
		s.out.feed.published, s.out.feed.updated = "", "" // of several channels the last one counts
	case s.current == nil && s.isEntry(n):
		s.current = &rawEntry{start: before, base: f.base, lang: f.lang, about: attr(f.attrs, "about")}
	}
}

func (s *scanner) isChannel(n int) bool {
	return n == 2 && s.stack[1].name == "channel" && s.out.root != "feed"
}

// isEntry tells whether the element on top is an entry of the feed.
func (s *scanner) isEntry(n int) bool {
	f, parent := s.stack[n-1], s.stack[n-2]
	switch f.name {
	case "entry":
		return n == 2 && s.out.root == "feed" && native(f.space, s.out.space)
	case "item":
		return s.out.root != "feed" && native(f.space, s.out.space) && (n == 2 || n == 3 && parent.name == "channel")
	}
	return false
}

// native tells whether a namespace belongs to the feed itself and not to an extension.
func native(space, root string) bool {
	switch space {
	case "", atom10, atom03, rdfSpace, "rss", "rdf", "http://purl.org/rss/1.0/", "http://channel.netscape.com/rdf/simple/0.9/", "http://my.netscape.com/rdf/simple/0.9/":
		return true
	}
	return space == root
}

// finish takes what the element that ends now was: a part of an entry or of the feed.
func (s *scanner) finish(before int64) {
	n := len(s.stack)
	f := &s.stack[n-1]
	if n > 5 || n < 2 {
		return
	}
	if s.current != nil && s.current.start < f.inner && s.isEntryEnd(n) {
		s.current.end = s.at
		if n == 3 {
			s.out.channel = append(s.out.channel, *s.current)
		} else if s.out.root == "feed" {
			s.out.channel = append(s.out.channel, *s.current)
		} else {
			s.out.outer = append(s.out.outer, *s.current)
		}
		s.current = nil
		return
	}
	parent := &s.stack[n-2]
	switch {
	case s.current != nil && s.isEntry(n-1) && parent.inner > s.current.start:
		s.part(s.current, f, before)
	case s.current == nil && (n == 2 && s.out.root == "feed" || n == 3 && s.isChannel(2)):
		s.part(&s.out.feed, f, before)
		if s.slim != nil && s.date(&s.out.feed, f, before) {
			s.slim.drop(s, f)
		}
	}
	if s.current != nil && s.slim != nil {
		s.slim.ended(s, f, before)
	}
}

func (s *scanner) isEntryEnd(n int) bool { return s.isEntry(n) }

// part takes one child of an entry or of the feed.
func (s *scanner) part(e *rawEntry, f *frame, before int64) {
	switch f.name {
	case "id", "guid":
		if e.id == "" || native(f.space, s.out.space) {
			e.id = strings.TrimSpace(plainMarkup(s.inner(f, before)))
		}
	case "title":
		e.texts = append(e.texts, rawText{
			name: f.name, space: f.space, typ: attr(f.attrs, "type"), mode: attr(f.attrs, "mode"),
			markup: s.inner(f, before), base: f.base,
		})
	case "link":
		e.links = append(e.links, rawLink{
			space: f.space, rel: attr(f.attrs, "rel"), href: attr(f.attrs, "href"), typ: attr(f.attrs, "type"),
			text: strings.TrimSpace(plainMarkup(s.inner(f, before))), base: f.base,
		})
	}
}

// inner is the markup between an element's tags. Titles and links are short; a longer one is an attack or a broken tag, and is cut.
func (s *scanner) inner(f *frame, before int64) string {
	if before <= f.inner {
		return ""
	}
	return s.text[f.inner:min(before, f.inner+64<<10)]
}

func attr(attrs []xml.Attr, name string) string {
	for _, a := range attrs {
		if strings.EqualFold(a.Name.Local, name) && a.Name.Space != "xmlns" {
			return a.Value
		}
	}
	return ""
}
