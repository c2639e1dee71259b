package fetcher

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"html"
	"slices"
	"strconv"
	"strings"
)

// slimmer makes the document that gofeed gets smaller, where it is written plainly: long texts travel beside it, dates that gofeed would try in a
// hundred forms are taken from the scan, and extensions that nobody reads are left out. gofeed's answer, with the texts put back, is the same.
type slimmer struct {
	edits []change
	texts []string // those that travel beside gofeed
}

// change replaces a part of the document.
type change struct {
	from, to int64
	with     string
}

const (
	liftedMark = "~tocsin-lifted-" // and the number of the text
	worthLift  = 64                // bytes of text below which gofeed is as fast
)

// newSlimmer is nil for a document that holds the mark itself.
func newSlimmer(text string) *slimmer {
	if strings.Contains(text, liftedMark) {
		return nil
	}
	return &slimmer{}
}

// restore gives the text that a mark stands for, and any other text as it is.
func (p *slimmer) restore(s string) string {
	digits, ok := strings.CutPrefix(s, liftedMark)
	if p == nil || !ok {
		return s
	}
	if n, err := strconv.Atoi(digits); err == nil && n >= 0 && n < len(p.texts) {
		return p.texts[n]
	}
	return s
}

// ended plans for an element of the entry being read: f, whose content ends at before.
func (p *slimmer) ended(s *scanner, f *frame, before int64) {
	n := len(s.stack)
	switch {
	case n >= 2 && s.stack[n-2].start == s.current.start:
		if s.unread(f) || s.date(s.current, f, before) || s.known(f, before) {
			p.drop(s, f)
		} else {
			p.lift(s, f, before)
		}
	case n >= 3 && s.stack[n-3].start == s.current.start:
		if s.unreadWithin(&s.stack[n-2], f) {
			p.drop(s, f)
		} else if s.isMedia(&s.stack[n-2]) {
			p.lift(s, f, before)
		}
	}
}

// drop leaves the element out, with all that was planned inside it.
func (p *slimmer) drop(s *scanner, f *frame) {
	for len(p.edits) > 0 && p.edits[len(p.edits)-1].from >= f.start {
		p.edits = p.edits[:len(p.edits)-1]
	}
	for typed := &s.out.typed; len(*typed) > 0 && (*typed)[len(*typed)-1].from >= f.start; {
		*typed = (*typed)[:len(*typed)-1]
	}
	p.edits = append(p.edits, change{f.start, s.at, ""})
}

// lift replaces a long text by a mark where it is known what gofeed would make of it.
func (p *slimmer) lift(s *scanner, f *frame, before int64) {
	if f.parent || before-f.inner < worthLift || before-f.inner > maxText {
		return
	}
	inner := s.text[f.inner:before]
	text, ok := "", false
	switch {
	case s.isMedia(f) && f.name == "description":
		text, ok = extensionText(inner)
	case s.ownText(f):
		text, ok = loneText(inner)
	}
	if !ok || text == "" {
		return
	}
	p.edits = append(p.edits, change{f.inner, before, liftedMark + strconv.Itoa(len(p.texts))})
	p.texts = append(p.texts, text)
}

// ownText tells whether f is a text of the entry that gofeed takes as text, whatever its type says.
func (s *scanner) ownText(f *frame) bool {
	if s.out.root != "feed" {
		return f.name == "description" && s.plainlyOwn(f) || f.name == "encoded" && f.prefix == "content" && f.space == contentSpace
	}
	typ := attr(f.attrs, "type")
	return (f.name == "summary" || f.name == "content") && s.plainlyOwn(f) && attr(f.attrs, "mode") == "" &&
		(typ == "" || typ == "text" || typ == "html" || typ == "text/html")
}

// plainlyOwn tells whether an element belongs to the feed's own vocabulary without any doubt.
func (s *scanner) plainlyOwn(f *frame) bool {
	if s.out.root == "feed" {
		return f.prefix == "" && (f.space == "" || f.space == atom10 || f.space == atom03)
	}
	return f.prefix == "" && (f.space == "" || f.space == "http://purl.org/rss/1.0/")
}

// date keeps the text of a date of the entry's or the feed's own vocabulary. false: gofeed has to read it.
func (s *scanner) date(e *rawEntry, f *frame, before int64) bool {
	kept := &e.published
	switch atom := s.out.root == "feed"; {
	case atom && (f.name == "updated" || f.name == "modified"), !atom && f.name == "lastbuilddate" && e == &s.out.feed:
		kept = &e.updated
	case atom && (f.name == "published" || f.name == "issued"), !atom && f.name == "pubdate":
	default:
		return false
	}
	if !native(f.space, s.out.space) {
		return false
	}
	*kept = ""
	text, ok := loneText(s.text[f.inner:before])
	if !ok || f.parent || text == "" || !s.plainlyOwn(f) || len(f.attrs) > 0 {
		return false
	}
	*kept = text
	return true
}

const (
	mediaSpace   = "http://search.yahoo.com/mrss/"
	contentSpace = "http://purl.org/rss/1.0/modules/content/"
)

func (s *scanner) isMedia(f *frame) bool { return f.prefix == "media" && f.space == mediaSpace }

// readSpaces are the extensions of which the translators of gofeed or our own code read something, by what gofeed may call them.
var readSpaces = []string{
	"atom", "atom03", "atom10", "content", "dc", "dcterms", "itunes", "media", "sy", "rdf", "rss", "xml", "xmlns", atom10, atom03, contentSpace, mediaSpace,
	"http://search.yahoo.com/mrss", "http://purl.org/dc/elements/1.1/", "http://purl.org/dc/terms/", "http://purl.org/rss/1.0/modules/syndication/",
	"http://www.itunes.com/dtds/podcast-1.0.dtd", "http://example.com/dtds/podcast-1.0.dtd",
}

// unread tells whether nobody reads this child of an entry.
func (s *scanner) unread(f *frame) bool {
	if s.isMedia(f) {
		return f.name != "title" && f.name != "description" && f.name != "group"
	}
	if f.prefix == "" || native(f.space, s.out.space) || read(f.prefix) || read(f.space) {
		return false
	}
	for _, b := range s.scope { // another prefix may stand for it too, and gofeed goes by that
		if b.uri == f.space && (b.prefix == "" || read(b.prefix)) {
			return false
		}
	}
	return true
}

// unreadWithin tells the same for what is inside such a child.
func (s *scanner) unreadWithin(parent, f *frame) bool {
	switch {
	case parent.name == "group" && s.isMedia(parent):
		return s.isMedia(f) && f.name != "title" && f.name != "description"
	case parent.name == "author" && s.out.root == "feed" && s.plainlyOwn(parent):
		return f.name == "uri" && s.plainlyOwn(f)
	}
	return false
}

// known tells whether the scan has read the element itself and what gofeed would make of it counts for nothing.
func (s *scanner) known(f *frame, before int64) bool {
	if f.name == "guid" && native(f.space, s.out.space) {
		s.current.permaLink = "" // of several the last one counts
	}
	if f.parent || !s.plainlyOwn(f) {
		return false
	}
	atom := s.out.root == "feed"
	switch f.name {
	case "title":
		typ := attr(f.attrs, "type")
		if len(s.current.texts) > 1 || atom && (attr(f.attrs, "mode") != "" || typ != "" && typ != "text" && typ != "html") {
			return false
		}
	case "link":
		if rel := attr(f.attrs, "rel"); atom {
			return (rel == "" || rel == "alternate") && strings.TrimSpace(attr(f.attrs, "href")) != ""
		}
	case "guid":
		if atom || s.current.id == "" || slices.ContainsFunc(f.attrs, func(a xml.Attr) bool { return a.Name.Space != "" }) {
			return false
		}
		s.current.permaLink = cmp.Or(plainAttr(f.attrs, "isPermaLink"), plainAttr(f.attrs, "isPermalink"), "true")
		return true
	case "id":
		return atom && s.current.id != ""
	default:
		return false
	}
	text, ok := loneText(s.text[f.inner:before])
	return ok && strings.TrimSpace(text) != "" && strings.IndexByte(text, '<') < 0
}

func plainAttr(attrs []xml.Attr, name string) string {
	for _, a := range attrs {
		if a.Name == (xml.Name{Local: name}) {
			return a.Value
		}
	}
	return ""
}

func read(space string) bool { return slices.Contains(readSpaces, strings.ToLower(space)) }

// loneText is what gofeed makes of an element that holds one text or one CDATA section. false: that is for gofeed to say.
func loneText(inner string) (string, bool) {
	s := strings.TrimSpace(inner)
	if body, ok := strings.CutPrefix(s, "<![CDATA["); ok {
		body, ok = strings.CutSuffix(body, "]]>")
		return body, ok && !strings.Contains(body, "]]>")
	}
	if strings.IndexByte(s, '<') >= 0 {
		return "", false
	}
	return entityText(s)
}

// entityText decodes text in which each ampersand begins a reference that HTML knows.
func entityText(s string) (string, bool) {
	if strings.IndexByte(s, '&') < 0 {
		return s, true
	}
	var b strings.Builder
	b.Grow(len(s))
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			b.WriteString(s)
			return b.String(), true
		}
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexByte(s[:min(len(s), 40)], ';')
		if end < 2 || strings.ContainsAny(s[1:end], " \t\r\n&") {
			return "", false
		}
		if r, ok := reference(s[:end]); ok && s[1] != '#' {
			b.WriteByte(byte(r))
		} else if decoded := html.UnescapeString(s[:end+1]); !strings.HasSuffix(decoded, ";") {
			b.WriteString(decoded)
		} else {
			return "", false
		}
		s = s[end+1:]
	}
}

// extensionText is what gofeed makes of an extension that holds one text or one CDATA section.
func extensionText(inner string) (string, bool) {
	s := strings.TrimSpace(inner)
	if strings.IndexByte(s, '\r') >= 0 {
		return "", false
	}
	if body, ok := strings.CutPrefix(s, "<![CDATA["); ok {
		body, ok = strings.CutSuffix(body, "]]>")
		return strings.TrimSpace(body), ok && !strings.Contains(body, "]]>")
	}
	return strings.TrimSpace(plainValue(s)), strings.IndexByte(s, '<') < 0
}

// forParser is the document as gofeed gets it.
func (o *outline) forParser(text []byte) []byte {
	if o.slim == nil {
		return neutral(text, o.typed)
	}
	edits := o.slim.edits
	for _, t := range o.typed {
		var b bytes.Buffer
		writeStart(&b, t.tag, bytes.HasSuffix(text[t.from:t.to], []byte("/>")))
		edits = append(edits, change{t.from, t.to, b.String()})
	}
	slices.SortFunc(edits, func(a, b change) int { return int(a.from - b.from) })
	size := int64(len(text))
	for _, e := range edits {
		size += int64(len(e.with)) - (e.to - e.from)
	}
	out := make([]byte, 0, size)
	at := int64(0)
	for _, e := range edits {
		out = append(append(out, text[at:e.from]...), e.with...)
		at = e.to
	}
	return append(out, text[at:]...)
}
