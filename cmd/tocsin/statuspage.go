package main

import (
	"bytes"
	"embed"
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
