package feed

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"strings"
	"time"
)

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  atomAuthor  `xml:"author"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomAuthor struct {
	Name string `xml:"name"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	Lang       string         `xml:"http://www.w3.org/XML/1998/namespace lang,attr,omitempty"`
	ID         string         `xml:"id"`
	Title      string         `xml:"title"`
	Updated    string         `xml:"updated"`
	Published  string         `xml:"published"`
	Author     *atomAuthor    `xml:"author"`
	Links      []atomLink     `xml:"link"`
	Categories []atomCategory `xml:"category"`
	Summary    string         `xml:"summary"`
}

type atomCategory struct {
	Term string `xml:"term,attr"`
}

func (p *page) atom() atomFeed {
	f := atomFeed{ID: p.id, Title: p.title, Updated: p.updated.Format(time.RFC3339), Author: atomAuthor{"Tocsin"}, Links: []atomLink{{"self", p.self}}}
	for _, e := range p.entries {
		x := atomEntry{
			Lang: e.lang, ID: e.id, Title: e.title, Updated: e.at.Format(time.RFC3339), Published: e.opened.Format(time.RFC3339), Summary: e.text,
		}
		if e.outlet != "" {
			x.Author = &atomAuthor{e.outlet}
		}
		if e.link != "" {
			x.Links = []atomLink{{"alternate", e.link}}
		}
		for _, t := range e.tags {
			x.Categories = append(x.Categories, atomCategory{t})
		}
		f.Entries = append(f.Entries, x)
	}
	return f
}

type rssFeed struct {
	XMLName xml.Name   `xml:"rss"`
	Version string     `xml:"version,attr"`
	Channel rssChannel `xml:"channel"`
}

type rssChannel struct {
	Title       string    `xml:"title"`
	Link        string    `xml:"link"`
	Description string    `xml:"description"`
	Built       string    `xml:"lastBuildDate"`
	Self        rssSelf   `xml:"http://www.w3.org/2005/Atom link"`
	Items       []rssItem `xml:"item"`
}

type rssSelf struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

type rssItem struct {
	Title       string   `xml:"title"`
	Link        string   `xml:"link,omitempty"`
	Description string   `xml:"description"`
	GUID        rssGUID  `xml:"guid"`
	Date        string   `xml:"pubDate"`
	Categories  []string `xml:"category"`
}

type rssGUID struct {
	Permanent bool   `xml:"isPermaLink,attr"`
	ID        string `xml:",chardata"`
}

func (p *page) rss() rssFeed {
	c := rssChannel{
		Title: p.title, Link: p.self, Description: "News that names what is watched", Built: p.updated.Format(time.RFC1123Z),
		Self: rssSelf{"self", "application/rss+xml", p.self},
	}
	for _, e := range p.entries {
		c.Items = append(c.Items, rssItem{
			Title: e.title, Link: e.link, Description: strings.ReplaceAll(html.EscapeString(e.text), "\n", "<br>"), GUID: rssGUID{ID: e.id}, Date: e.at.Format(time.RFC1123Z), Categories: e.tags,
		})
	}
	return rssFeed{Version: "2.0", Channel: c}
}

type jsonFeed struct {
	Version string     `json:"version"`
	Title   string     `json:"title"`
	FeedURL string     `json:"feed_url"`
	Items   []jsonItem `json:"items"`
}

type jsonItem struct {
	ID        string       `json:"id"`
	URL       string       `json:"url,omitempty"`
	Title     string       `json:"title"`
	Text      string       `json:"content_text"`
	Language  string       `json:"language,omitempty"`
	Published string       `json:"date_published"`
	Modified  string       `json:"date_modified"`
	Authors   []jsonAuthor `json:"authors,omitempty"`
	Tags      []string     `json:"tags,omitempty"`
}

type jsonAuthor struct {
	Name string `json:"name"`
}

func (p *page) json() ([]byte, error) {
	f := jsonFeed{Version: "https://jsonfeed.org/version/1.1", Title: p.title, FeedURL: p.self, Items: []jsonItem{}}
	for _, e := range p.entries {
		x := jsonItem{
			ID: e.id, URL: e.link, Title: e.title, Text: e.text, Language: e.lang,
			Published: e.opened.Format(time.RFC3339), Modified: e.at.Format(time.RFC3339), Tags: e.tags,
		}
		if e.outlet != "" {
			x.Authors = []jsonAuthor{{e.outlet}}
		}
		f.Items = append(f.Items, x)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("write feed: %w", err)
	}
	return b.Bytes(), nil
}
