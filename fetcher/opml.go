package fetcher

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"tocsin/news/strict"
)

// opmlSpace names the attributes of ours that OPML lacks, so that a list survives a round trip.
const opmlSpace = "urn:tocsin:feeds"

const maxOPMLDepth = 32

type opmlReader struct {
	file   string
	dec    *xml.Decoder
	faults strict.Faults
	feeds  []Feed
	tags   []string // words of the open outlines; "" for those that are feeds
	depth  int
	opml   bool
}

// readOPML reads OPML 2.0: nested outlines become tags, attribute names count in any case (opml.org/spec2.opml).
func readOPML(name string, data []byte) ([]Feed, strict.Faults) {
	r := &opmlReader{file: name}
	if len(data) > maxListBytes {
		r.faults.Add(strict.Pos{File: name}, "split the file", "%d bytes, the limit is %d", len(data), maxListBytes)
		return nil, r.faults
	}
	text, _, err := toUTF8(data, charsetHints{})
	if err != nil {
		r.faults.Add(strict.Pos{File: name}, "save the file as UTF-8", "%s", err)
		return nil, r.faults
	}
	r.dec = xml.NewDecoder(bytes.NewReader(dropDeclarations(text)))
	r.dec.Strict = false
	r.run()
	if !r.opml && len(r.faults) == 0 {
		r.faults.Add(strict.Pos{File: name, Line: 1}, "export the list as OPML again", "no opml element in the file")
	}
	return r.feeds, r.faults
}

func (r *opmlReader) pos() strict.Pos {
	line, col := r.dec.InputPos()
	return strict.Pos{File: r.file, Line: line, Col: col}
}

func (r *opmlReader) run() {
	for {
		p := r.pos()
		tok, err := r.dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.faults.Add(p, "look for an unclosed or misspelt tag here", "not valid XML (%s)", short(err.Error(), 120))
			return
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if !r.start(p, t) {
				return
			}
		case xml.EndElement:
			r.depth--
			if strings.EqualFold(t.Name.Local, "outline") && len(r.tags) > 0 {
				r.tags = r.tags[:len(r.tags)-1]
			}
		}
	}
}

func (r *opmlReader) start(p strict.Pos, t xml.StartElement) bool {
	if r.depth++; r.depth > maxOPMLDepth {
		r.faults.Add(p, "write the list flatter", "nested deeper than %d", maxOPMLDepth)
		return false
	}
	switch strings.ToLower(t.Name.Local) {
	case "opml":
		r.opml = true
	case "outline":
		r.outline(p, attributes(t.Attr))
	}
	return true
}

// attributes gives attribute values by lower-case name; ours carry the prefix "tocsin:".
func attributes(attrs []xml.Attr) map[string]string {
	m := make(map[string]string, len(attrs))
	for _, a := range attrs {
		name := strings.ToLower(a.Name.Local)
		if a.Name.Space == opmlSpace || a.Name.Space == "tocsin" {
			name = "tocsin:" + name
		}
		m[name] = strings.TrimSpace(a.Value)
	}
	return m
}

func (r *opmlReader) outline(p strict.Pos, a map[string]string) {
	word := a["text"]
	if word == "" {
		word = a["title"]
	}
	address := a["xmlurl"]
	if address == "" && strings.EqualFold(a["type"], "rss") {
		r.faults.Add(p, "write xmlUrl=\"https://...\"", "an outline of type rss without xmlUrl")
	}
	if address == "" {
		r.tags = append(r.tags, word)
		return
	}
	f := Feed{Pos: p, URL: address, Outlet: word, Country: a["tocsin:country"], Was: a["tocsin:was"], Note: a["description"]}
	f.Lang, _, _ = strings.Cut(strings.ToLower(a["language"]), "-")
	if t := a["tocsin:tier"]; t != "" {
		n, err := strconv.Atoi(t)
		if err != nil {
			r.faults.Add(p, "write 1 (highest) to 5", "tier %q", t)
		}
		f.Tier = n
	}
	f.Tags = append(f.Tags, r.openTags()...)
	for _, c := range strings.Split(a["category"], ",") {
		if c = strings.Trim(strings.TrimSpace(c), "/"); c != "" && !slices.Contains(f.Tags, c) {
			f.Tags = append(f.Tags, c)
		}
	}
	r.feeds = append(r.feeds, f)
	r.tags = append(r.tags, "")
}

func (r *opmlReader) openTags() []string {
	var out []string
	for _, t := range r.tags {
		if t != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// WriteOPML writes the list as OPML 2.0. Country, tier and first address travel in attributes of our own namespace; what only this program
// understands (interval, headers, zone and the like) is left out, secrets in any case.
func WriteOPML(w io.Writer, feeds []Feed) error {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<opml version=\"2.0\" xmlns:tocsin=\"" + opmlSpace + "\">\n")
	b.WriteString("  <head><title>Tocsin feeds</title></head>\n  <body>\n")
	for _, f := range feeds {
		title := f.Outlet
		if title == "" {
			title = f.URL
		}
		b.WriteString("    <outline type=\"rss\"")
		attribute(&b, "text", title)
		attribute(&b, "xmlUrl", f.URL)
		attribute(&b, "language", f.Lang)
		attribute(&b, "category", strings.Join(f.Tags, ","))
		attribute(&b, "description", f.Note)
		attribute(&b, "tocsin:country", f.Country)
		attribute(&b, "tocsin:was", f.Was)
		if f.Tier > 0 {
			attribute(&b, "tocsin:tier", strconv.Itoa(f.Tier))
		}
		b.WriteString("/>\n")
	}
	b.WriteString("  </body>\n</opml>\n")
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write opml: %w", err)
	}
	return nil
}

func attribute(b *bytes.Buffer, name, value string) {
	if value == "" {
		return
	}
	b.WriteString(" " + name + "=\"")
	_ = xml.EscapeText(b, []byte(value)) // a bytes.Buffer never fails
	b.WriteString("\"")
}
