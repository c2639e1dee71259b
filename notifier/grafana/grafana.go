// Package grafana is the channel that writes alerts as annotations into Grafana, so that they stand on its time lines. It promises that texts of
// an item are escaped, because Grafana shows the text as HTML, and that the token is neither stored nor shown. The HTTP client is handed in.
package grafana

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file.
type Config struct {
	strict.Pos
	URL       strict.Text        `yaml:"url"`        // https://grafana.example.org
	TokenFile strict.Text        `yaml:"token_file"` // file that holds the token of a service account that may write annotations
	Token     notifier.SecretRef `yaml:"token"`      // env:NAME or file:PATH
	Tags      []string           `yaml:"tags"`       // added to every annotation
	Dashboard string             `yaml:"dashboard"`  // uid of one dashboard; on all that ask for the tags when not stated
	AllowHTTP bool               `yaml:"allow_http"` // http:// addresses, for a server in the house
	Timeout   time.Duration      `yaml:"timeout"`    // of one attempt, 15 s when not stated, at most 60 s
}

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	if c.URL.Value == "" {
		fs.Add(c.Pos, "write url: https://grafana.example.org", "channel of type grafana has no url")
	} else if err := notifier.CheckURL(c.URL.Value, c.AllowHTTP); err != nil {
		fs.Add(c.URL.Pos, "write url: https://grafana.example.org", "%s", err)
	}
	notifier.CheckEither(&fs, c.Pos, c.TokenFile, c.Token, "token", "write token_file: /path, and put the token of a service account there")
	notifier.CheckTimeout(&fs, c.Pos, c.Timeout)
	return fs.Sort()
}

// Options are what the channel needs beside its configuration.
type Options struct {
	ID     string
	Client *http.Client // guarded
}

// New reads the token and returns the channel.
func New(c Config, o Options) (notifier.Channel, error) {
	fail := func(err error) (notifier.Channel, error) {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	if err := c.Check().Err(); err != nil {
		return fail(err)
	}
	token, err := notifier.EitherRef(c.TokenFile, c.Token).Read()
	if err != nil {
		return fail(err)
	}
	p, err := notifier.NewPost(notifier.PostOptions{
		Client: o.Client, URL: strings.TrimRight(c.URL.Value, "/") + "/api/annotations", Timeout: c.Timeout, Judge: judge,
		Header: map[string]string{"Authorization": "Bearer " + token.Reveal()},
	})
	if err != nil {
		return fail(err)
	}
	m := maker{tags: c.Tags, dashboard: c.Dashboard}
	return notifier.Channel{ID: o.ID, Type: "grafana", Recipients: []string{""}, Concurrency: 2, Render: m.render, RenderDigest: m.digest, Short: m.short, Send: p.Send}, nil
}

// judge keeps the annotation's number.
func judge(_ int, body []byte, r *notifier.Result) {
	var said struct {
		ID int64 `json:"id"`
	}
	if r.Verdict == notifier.Delivered && json.Unmarshal(body, &said) == nil && said.ID != 0 {
		r.ProviderID = strconv.FormatInt(said.ID, 10)
	}
}

// annotation is the body of POST /api/annotations.
type annotation struct {
	Time      int64    `json:"time"` // milliseconds since 1970
	Dashboard string   `json:"dashboardUID,omitempty"`
	Tags      []string `json:"tags"`
	Text      string   `json:"text"`
}

type maker struct {
	tags      []string
	dashboard string
}

func line(s string) string {
	return notifier.LimitOf("grafana", "line").Isolated(s, html.EscapeString)
}

func (m *maker) render(a *news.Alert, d *news.Delivery) error {
	v := notifier.NewView(a, nil)
	d.Subject = v.Subject()
	lines := []string{line(v.Subject()), line(notifier.Plain(v.Snippets))}
	for _, s := range v.Reasons() {
		lines = append(lines, "why: "+line(s))
	}
	if v.Link != "" {
		lines = append(lines, `<a href="`+html.EscapeString(v.Link)+`" target="_blank" rel="noopener noreferrer">`+html.EscapeString(v.Host)+"</a>")
	}
	lines = slices.DeleteFunc(lines, func(s string) bool { return s == "" })
	tags := m.names(d, a.Severity)
	for i, e := range a.Match.Entities {
		if i == 10 {
			break
		}
		tags = append(tags, tag("entity", e.ID))
	}
	return m.fill(d, annotation{Time: a.At.UnixMilli(), Tags: tags, Text: strings.Join(lines, "<br>\n")})
}

// maxLines is how many alerts of a digest the annotation names; the ledger names them all.
const maxLines = 50

func (m *maker) digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	lines := []string{line(d.Subject)}
	for i, s := range notifier.DigestLines(entries) {
		if i == maxLines {
			lines = append(lines, fmt.Sprintf("and %d more", len(entries)-maxLines))
			break
		}
		lines = append(lines, line(s))
	}
	return m.fill(d, annotation{Time: d.PlannedAt.UnixMilli(), Tags: m.names(d, d.Severity), Text: strings.Join(lines, "<br>\n")})
}

func (m *maker) short(d *news.Delivery) error {
	return m.fill(d, annotation{Time: d.PlannedAt.UnixMilli(), Tags: m.names(d, d.Severity), Text: line(notifier.Clean(d.Subject))})
}

// names are the tags that every annotation has. The delivery's id is one: by it a second annotation of one delivery can be found.
func (m *maker) names(d *news.Delivery, s news.Severity) []string {
	out := []string{"tocsin", "delivery:" + d.ID}
	if d.Watchlist != "" {
		out = append(out, tag("watchlist", d.Watchlist))
	}
	if s != news.SeverityNone {
		out = append(out, "severity:"+s.String())
	}
	return append(out, m.tags...)
}

func tag(name, value string) string {
	return notifier.LimitOf("grafana", "tag").Fit(name+":"+notifier.Clean(value), nil)
}

func (m *maker) fill(d *news.Delivery, x annotation) error {
	x.Dashboard = m.dashboard
	b, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("write annotation: %w", err)
	}
	d.Body = b
	return nil
}
