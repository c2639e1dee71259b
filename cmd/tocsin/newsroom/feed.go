package newsroom

import (
	"encoding/json"
	"fmt"
	"html"
	"strings"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

// feed is one document before it has a format.
type feed struct {
	outlet            *outlet
	title, link, self string
	updated           time.Time
	entries           []entry
}

type entry struct {
	id, title, text, link string
	published, updated    time.Time
}

// charset finds an encoding by the name that stands in an XML declaration; nil means UTF-8.
func charset(name string) (encoding.Encoding, error) {
	switch name {
	case "", "utf-8":
		return nil, nil
	case "utf-16":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), nil
	case "iso-8859-1":
		// The index would give its superset windows-1252, whose extra letters are not what the label says.
		return charmap.ISO8859_1, nil
	}
	e, err := htmlindex.Get(name)
	if err != nil {
		return nil, fmt.Errorf("encoding %q: %w", name, err)
	}
	return e, nil
}

// bytes writes the document in the outlet's format and encoding. Letters that the encoding lacks become character references.
func (f *feed) bytes() []byte {
	if f.outlet.Format == "json" {
		return f.json()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<?xml version=\"1.0\" encoding=%q?>\n", f.outlet.Encoding)
	switch f.outlet.Format {
	case "atom":
		f.atom(&b)
	case "rss1":
		f.rss1(&b)
	default:
		f.rss2(&b)
	}
	e, err := charset(f.outlet.Encoding)
	if err != nil || e == nil {
		return []byte(b.String())
	}
	out, err := encoding.HTMLEscapeUnsupported(e.NewEncoder()).String(b.String())
	if err != nil {
		return []byte(b.String())
	}
	return []byte(out)
}

func esc(s string) string { return html.EscapeString(s) }

func (f *feed) markup(text string) string {
	if f.outlet.has("html") {
		return "<p>" + strings.ReplaceAll(esc(text), ". ", ".</p> <p>") + "</p>"
	}
	return text
}

// date writes t as RSS 2.0 asks, with the outlet's own zone abbreviation where it has one.
func (f *feed) date(t time.Time) string {
	abbr, offset, ok := strings.Cut(f.outlet.Zone, " ")
	if !ok {
		return t.UTC().Format(time.RFC1123Z)
	}
	z, err := time.Parse("-0700", offset)
	if err != nil {
		return t.UTC().Format(time.RFC1123Z)
	}
	_, sec := z.Zone()
	return t.In(time.FixedZone(abbr, sec)).Format("Mon, 02 Jan 2006 15:04:05 ") + abbr
}

func (f *feed) rss2(b *strings.Builder) {
	old, broken := f.outlet.Format == "rss091", f.outlet.has("broken")
	if old {
		b.WriteString("<!DOCTYPE rss PUBLIC \"-//Netscape Communications//DTD RSS 0.91//EN\" \"http://www.rssboard.org/rss-0.91.dtd\">\n<rss version=\"0.91\">\n")
	} else {
		b.WriteString("<rss version=\"2.0\" xmlns:atom=\"http://www.w3.org/2005/Atom\">\n")
	}
	fmt.Fprintf(b, "<channel>\n<title>%s</title>\n<link>%s</link>\n<description>%[1]s</description>\n<language>%s</language>\n", esc(f.title), esc(f.link), f.outlet.Lang)
	if broken {
		b.WriteString("<copyright>All rights reserved &nbsp; & no liability &bogus;</copyright>\n")
	}
	if !old {
		fmt.Fprintf(b, "<atom:link href=\"%s\" rel=\"self\" type=\"application/rss+xml\"/>\n", esc(f.self))
	}
	for _, e := range f.entries {
		fmt.Fprintf(b, "<item>\n<title>%s</title>\n<link>%s</link>\n<description>%s</description>\n", esc(e.title), esc(e.link), esc(f.markup(e.text)))
		if !old && !f.outlet.has("no-guid") {
			fmt.Fprintf(b, "<guid isPermaLink=\"false\">%s:%s</guid>\n", f.outlet.ID, esc(e.id))
		}
		if !old && !f.outlet.has("no-date") {
			fmt.Fprintf(b, "<pubDate>%s</pubDate>\n", f.date(e.published))
		}
		b.WriteString("</item>\n")
	}
	if broken {
		fmt.Fprintf(b, "<item>\n<title>%s</title>\n<link>%sarchive/1</link>\n<description>", esc(f.title), esc(f.link))
		return
	}
	b.WriteString("</channel>\n</rss>\n")
}

func (f *feed) rss1(b *strings.Builder) {
	b.WriteString("<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\" xmlns=\"http://purl.org/rss/1.0/\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n")
	fmt.Fprintf(b, "<channel rdf:about=\"%s\">\n<title>%s</title>\n<link>%s</link>\n<description>%[2]s</description>\n<dc:language>%s</dc:language>\n<items><rdf:Seq>\n",
		esc(f.self), esc(f.title), esc(f.link), f.outlet.Lang)
	for _, e := range f.entries {
		fmt.Fprintf(b, "<rdf:li rdf:resource=\"%s\"/>\n", esc(e.link))
	}
	b.WriteString("</rdf:Seq></items>\n</channel>\n")
	for _, e := range f.entries {
		fmt.Fprintf(b, "<item rdf:about=\"%s\">\n<title>%s</title>\n<link>%[1]s</link>\n<description>%[3]s</description>\n", esc(e.link), esc(e.title), esc(f.markup(e.text)))
		if !f.outlet.has("no-date") {
			fmt.Fprintf(b, "<dc:date>%s</dc:date>\n", e.published.UTC().Format(time.RFC3339))
		}
		b.WriteString("</item>\n")
	}
	b.WriteString("</rdf:RDF>\n")
}

func (f *feed) atom(b *strings.Builder) {
	base := ""
	if f.outlet.has("base") {
		base = fmt.Sprintf(" xml:base=\"%s\"", esc(f.link))
	}
	fmt.Fprintf(b, "<feed xmlns=\"http://www.w3.org/2005/Atom\" xml:lang=\"%s\"%s>\n<title>%s</title>\n<id>tag:%s.example,2026:feed</id>\n<updated>%s</updated>\n<link rel=\"self\" href=\"%s\"/>\n<author><name>%[3]s</name></author>\n",
		f.outlet.Lang, base, esc(f.title), f.outlet.ID, f.updated.UTC().Format(time.RFC3339), esc(f.self))
	for _, e := range f.entries {
		link := e.link
		if base != "" {
			link = strings.TrimPrefix(link, f.link)
		}
		kind := "text"
		if f.outlet.has("html") {
			kind = "html"
		}
		fmt.Fprintf(b, "<entry>\n<title>%s</title>\n<id>tag:%s.example,2026:%s</id>\n<link rel=\"alternate\" href=\"%s\"/>\n<published>%s</published>\n<updated>%s</updated>\n<summary type=\"%s\">%s</summary>\n</entry>\n",
			esc(e.title), f.outlet.ID, esc(e.id), esc(link), e.published.UTC().Format(time.RFC3339), e.updated.UTC().Format(time.RFC3339), kind, esc(f.markup(e.text)))
	}
	b.WriteString("</feed>\n")
}

func (f *feed) json() []byte {
	type jsonItem struct {
		ID        string `json:"id"`
		URL       string `json:"url"`
		Title     string `json:"title"`
		Text      string `json:"content_text"`
		Published string `json:"date_published"`
		Modified  string `json:"date_modified,omitempty"`
	}
	doc := struct {
		Version  string     `json:"version"`
		Title    string     `json:"title"`
		Home     string     `json:"home_page_url"`
		Self     string     `json:"feed_url"`
		Language string     `json:"language"`
		Items    []jsonItem `json:"items"`
	}{"https://jsonfeed.org/version/1.1", f.title, f.link, f.self, f.outlet.Lang, []jsonItem{}}
	for _, e := range f.entries {
		j := jsonItem{ID: f.outlet.ID + ":" + e.id, URL: e.link, Title: e.title, Text: e.text, Published: e.published.UTC().Format(time.RFC3339)}
		if e.updated != e.published {
			j.Modified = e.updated.UTC().Format(time.RFC3339)
		}
		doc.Items = append(doc.Items, j)
	}
	b, _ := json.MarshalIndent(doc, "", " ") // strings cannot fail
	return b
}
