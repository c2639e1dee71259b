package fetcher

import (
	"bytes"
	"encoding/xml"
	"slices"
	"strings"
)

// startTag is a start tag and where it stands.
type startTag struct {
	from, to int64
	tag      xml.StartElement
}

// noteType remembers a start tag whose type says HTML.
func (s *scanner) noteType(t xml.StartElement, before int64) {
	for _, a := range t.Attr {
		if a.Name.Local == "type" && strings.Contains(strings.ToLower(a.Value), "html") {
			s.out.typed = append(s.out.typed, startTag{before, s.at, xml.StartElement{Name: t.Name, Attr: slices.Clone(t.Attr)}})
			return
		}
	}
}

// neutral writes the types of HTML text so that gofeed leaves the text alone. It would parse each as an HTML document, and a few hundred open
// formatting elements before a million paragraphs make that a tree of tens of gigabytes. We turn markup into text by tokens, which is linear.
func neutral(text []byte, tags []startTag) []byte {
	if len(tags) == 0 {
		return text
	}
	var out bytes.Buffer
	out.Grow(len(text) + 16*len(tags))
	at := int64(0)
	for _, t := range tags {
		out.Write(text[at:t.from])
		writeStart(&out, t.tag, bytes.HasSuffix(text[t.from:t.to], []byte("/>")))
		at = t.to
	}
	out.Write(text[at:])
	return out.Bytes()
}

func writeStart(out *bytes.Buffer, t xml.StartElement, closed bool) {
	out.WriteByte('<')
	writeName(out, t.Name)
	for _, a := range t.Attr {
		v := a.Value
		if low := strings.ToLower(v); a.Name.Local == "type" && strings.Contains(low, "xhtml") {
			v = "application/xml" // taken as it stands
		} else if a.Name.Local == "type" && strings.Contains(low, "html") {
			v = "text/html" // entities are decoded, nothing more
		}
		out.WriteByte(' ')
		writeName(out, a.Name)
		out.WriteString(`="`)
		_ = xml.EscapeText(out, []byte(v)) // a bytes.Buffer never fails
		out.WriteByte('"')
	}
	if closed {
		out.WriteByte('/')
	}
	out.WriteByte('>')
}

func writeName(out *bytes.Buffer, n xml.Name) {
	if n.Space != "" {
		out.WriteString(n.Space + ":")
	}
	out.WriteString(n.Local)
}
