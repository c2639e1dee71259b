package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"encoding/xml"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"tocsin/bus"
	"tocsin/news"
	"tocsin/notifier"
)

//go:embed page/status.html
var pageFiles embed.FS

// pageData is what the status page shows.
type pageData struct {
	Version    string
	Roles      string
	Began      time.Time
	Ready      bool
	Watchlists string
	Alerts     []news.Alert
	Feeds      []feedRow
	Counts     map[string]int
	Channels   []notifier.ChannelStatus
	Bus        bus.Status
	Faults     []string
	Lists      []listStatus
}

func (in *instance) serveStatusPage(w http.ResponseWriter, r *http.Request) {
	d := pageData{
		Version: programVersion(), Roles: in.roles.String(), Began: in.began, Ready: in.ready.Load(),
		Watchlists: in.match.Revision(), Alerts: in.recent.newest(50, nil), Channels: in.notify.Channels(), Counts: map[string]int{},
		Lists: in.reload.status(),
	}
	var err error
	if d.Feeds, err = in.feedRows(r.Context()); err != nil {
		d.Faults = append(d.Faults, "feed states cannot be read: "+err.Error())
	}
	for _, f := range d.Feeds {
		d.Counts[f.State]++
	}
	if d.Bus, err = in.bus.Status(r.Context()); err != nil {
		d.Faults = append(d.Faults, "the bus cannot be read: "+err.Error())
	}
	var buf bytes.Buffer
	if err := in.pageTemplate().Execute(&buf, d); err != nil {
		in.log.Error("status page failed", "err", err)
		http.Error(w, "the page could not be made: see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = buf.WriteTo(w) // the reader went away
}

func (in *instance) pageTemplate() *template.Template {
	return template.Must(template.New("status.html").Funcs(template.FuncMap{
		"ago": ago, "ahead": ahead, "marked": marked, "host": hostOf,
		"utc": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"mb":  func(n uint64) float64 { return float64(n) / 1e6 },
	}).ParseFS(pageFiles, "page/status.html"))
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return u.Host
}

// marked is a field of the alert's item with its mentions in <mark>, escaped.
func marked(a news.Alert, field string) template.HTML {
	var text string
	for _, f := range a.Match.Item.Fields() {
		if f.Name == field {
			text = f.Text
		}
	}
	var b bytes.Buffer
	at := 0
	for _, s := range a.Match.Spans(field) {
		if s.Start < at || s.End > len(text) {
			continue
		}
		template.HTMLEscape(&b, []byte(text[at:s.Start]))
		b.WriteString("<mark>")
		template.HTMLEscape(&b, []byte(text[s.Start:s.End]))
		b.WriteString("</mark>")
		at = s.End
	}
	template.HTMLEscape(&b, []byte(text[at:]))
	return template.HTML(b.String()) //nolint:gosec // every piece was escaped above
}

// feedAlerts are the alerts that the feeds of alerts hold: ?watchlist=ID chooses one list.
func (in *instance) feedAlerts(r *http.Request) []news.Alert {
	list := r.URL.Query().Get("watchlist")
	return in.recent.newest(200, func(a *news.Alert) bool { return list == "" || a.Watchlist == list })
}

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
	ID         string         `xml:"id"`
	Title      string         `xml:"title"`
	Updated    string         `xml:"updated"`
	Published  string         `xml:"published"`
	Links      []atomLink     `xml:"link"`
	Categories []atomCategory `xml:"category"`
	Summary    string         `xml:"summary"`
}

type atomCategory struct {
	Term string `xml:"term,attr"`
}

// serveAtom writes the last alerts as Atom (RFC 4287).
func (in *instance) serveAtom(w http.ResponseWriter, r *http.Request) {
	alerts := in.feedAlerts(r)
	self := "http://" + r.Host + r.URL.RequestURI()
	f := atomFeed{ID: "tag:tocsin,2026:alerts:" + r.URL.Query().Get("watchlist"), Title: "Tocsin alerts", Author: atomAuthor{"Tocsin"}, Links: []atomLink{{"self", self}}}
	f.Updated = in.began.UTC().Format(time.RFC3339)
	if len(alerts) > 0 {
		f.Updated = alerts[0].At.UTC().Format(time.RFC3339)
	}
	for _, a := range alerts {
		e := atomEntry{
			ID: "tag:tocsin,2026:alert:" + a.Key(), Title: headline(&a.Match.Item), Summary: alertSummary(&a),
			Updated: a.At.UTC().Format(time.RFC3339), Published: a.OpenedAt.UTC().Format(time.RFC3339),
		}
		if a.Match.Item.URL != "" {
			e.Links = []atomLink{{Href: a.Match.Item.URL}}
		}
		for _, t := range append([]string{a.Watchlist, a.Severity.String()}, a.Match.IDs()...) {
			e.Categories = append(e.Categories, atomCategory{t})
		}
		f.Entries = append(f.Entries, e)
	}
	w.Header().Set("Content-Type", "application/atom+xml; charset=utf-8")
	_, _ = w.Write([]byte(xml.Header))
	_ = xml.NewEncoder(w).Encode(f) // the reader went away
}

// serveJSONFeed writes the last alerts as JSON Feed 1.1.
func (in *instance) serveJSONFeed(w http.ResponseWriter, r *http.Request) {
	items := []map[string]any{}
	for _, a := range in.feedAlerts(r) {
		items = append(items, map[string]any{
			"id": a.Key(), "url": a.Match.Item.URL, "title": headline(&a.Match.Item), "content_text": alertSummary(&a), "language": a.Match.Item.Lang,
			"date_published": a.OpenedAt.UTC().Format(time.RFC3339), "date_modified": a.At.UTC().Format(time.RFC3339),
			"tags": append([]string{a.Watchlist, a.Severity.String()}, a.Match.IDs()...),
		})
	}
	w.Header().Set("Content-Type", "application/feed+json; charset=utf-8")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(map[string]any{"version": "https://jsonfeed.org/version/1.1", "title": "Tocsin alerts", "items": items}) // the reader went away
}

// alertSummary says in plain words who reported and why it counts.
func alertSummary(a *news.Alert) string {
	s := a.Severity.String() + " · " + a.Watchlist
	if o := a.Match.Item.Outlet; o != "" {
		s += " · " + o
	}
	for _, m := range a.Match.Mentions {
		s += "\n" + m.Entity + ": " + isolate(m.Text) + " (" + m.Why + ")"
	}
	for _, m := range a.Match.Rules {
		s += "\nrule " + m.ID + ": " + m.Why
	}
	return s
}
