// Package pagerduty is the channel that raises incidents through PagerDuty's Events API v2. The alert's id is the dedup_key, so that updates join
// one incident. It promises that every field keeps PagerDuty's limits, and that the routing key is neither stored nor shown: it is added at the
// attempt. The HTTP client is handed in.
package pagerduty

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file.
type Config struct {
	strict.Pos
	KeyFile   strict.Text        `yaml:"routing_key_file"` // file that holds the integration key of a service
	Key       notifier.SecretRef `yaml:"routing_key"`      // env:NAME or file:PATH
	URL       strict.Text        `yaml:"url"`              // https://events.pagerduty.com/v2/enqueue when not stated; the EU has its own
	AllowHTTP bool               `yaml:"allow_http"`
	Timeout   time.Duration      `yaml:"timeout"` // of one attempt, 15 s when not stated, at most 60 s
}

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	notifier.CheckEither(&fs, c.Pos, c.KeyFile, c.Key, "routing_key", "write routing_key_file: /path, and put the integration key there")
	if c.URL.Value != "" {
		if err := notifier.CheckURL(c.URL.Value, c.AllowHTTP); err != nil {
			fs.Add(c.URL.Pos, "write url: https://events.pagerduty.com/v2/enqueue", "%s", err)
		}
	}
	notifier.CheckTimeout(&fs, c.Pos, c.Timeout)
	return fs.Sort()
}

// Options are what the channel needs beside its configuration.
type Options struct {
	ID     string
	Client *http.Client // guarded
}

// New reads the routing key and returns the channel.
func New(c Config, o Options) (notifier.Channel, error) {
	fail := func(err error) (notifier.Channel, error) {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	if err := c.Check().Err(); err != nil {
		return fail(err)
	}
	key, err := notifier.EitherRef(c.KeyFile, c.Key).Read()
	if err != nil {
		return fail(err)
	}
	address := c.URL.Value
	if address == "" {
		address = "https://events.pagerduty.com/v2/enqueue"
	}
	p, err := notifier.NewPost(notifier.PostOptions{
		Client: o.Client, URL: address, Secrets: []string{key.Reveal()}, Timeout: c.Timeout, Judge: judge,
		Wrap: func(d *news.Delivery) ([]byte, error) { return notifier.AddMember(d.Body, "routing_key", key.Reveal()) },
	})
	if err != nil {
		return fail(err)
	}
	return notifier.Channel{ID: o.ID, Type: "pagerduty", Recipients: []string{""}, Concurrency: 2, Render: render, RenderDigest: digest, Short: short, Send: p.Send}, nil
}

// judge keeps the key under which PagerDuty has the incident.
func judge(_ int, body []byte, r *notifier.Result) {
	var said struct {
		Key string `json:"dedup_key"`
	}
	if r.Verdict == notifier.Delivered && json.Unmarshal(body, &said) == nil {
		r.ProviderID = said.Key
	}
}

// event is what is stored; the routing key is added at the attempt.
type event struct {
	Action  string  `json:"event_action"`
	Key     string  `json:"dedup_key"`
	Client  string  `json:"client"`
	Payload payload `json:"payload"`
	Links   []link  `json:"links,omitempty"`
}

type payload struct {
	Summary   string    `json:"summary"`
	Source    string    `json:"source"`
	Severity  string    `json:"severity"`
	Timestamp time.Time `json:"timestamp"`
	Component string    `json:"component,omitempty"`
	Group     string    `json:"group,omitempty"`
	Class     string    `json:"class,omitempty"`
	Details   details   `json:"custom_details"`
}

type details struct {
	Delivery string   `json:"delivery"`
	Revision int      `json:"revision,omitempty"`
	Outlet   string   `json:"outlet,omitempty"`
	Language string   `json:"language,omitempty"`
	Text     string   `json:"text,omitempty"`
	New      []string `json:"new,omitempty"`
	Why      []string `json:"why,omitempty"`
	Alerts   []string `json:"alerts,omitempty"` // of a digest
}

type link struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

// maxLink is how long an address may be; a longer one is left out, never cut.
const maxLink = 2000

func limit(field string) notifier.Limit { return notifier.LimitOf("pagerduty", field) }

func render(a *news.Alert, d *news.Delivery) error {
	v, text := notifier.NewView(a, nil), limit("text")
	d.Subject = v.Subject()
	e := newEvent(d, a.ID, a.Severity, a.At)
	e.Payload.Group = text.Fit(v.Watchlist, nil)
	if len(a.Match.Entities) > 0 {
		e.Payload.Component = text.Fit(a.Match.Entities[0].ID, nil)
	}
	e.Payload.Class = a.Kind
	e.Payload.Details = details{
		Delivery: d.ID, Revision: a.Revision, Outlet: text.Isolated(v.Outlet, nil), Language: v.Language, Text: text.Isolated(notifier.Plain(v.Snippets), nil),
		New: isolated(v.News()), Why: isolated(v.Reasons()),
	}
	if v.Link != "" && len(v.Link) <= maxLink {
		e.Links = []link{{v.Link, v.Host}}
	}
	return fill(d, e)
}

// maxLines is how many alerts of a digest the event names; the ledger names them all.
const maxLines = 100

// digest is an incident of its own.
func digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	e := newEvent(d, d.ID, d.Severity, d.PlannedAt)
	lines := notifier.DigestLines(entries)
	if n := len(lines); n > maxLines {
		lines = append(lines[:maxLines:maxLines], fmt.Sprintf("and %d more", n-maxLines))
	}
	e.Payload.Details.Alerts = isolated(lines)
	return fill(d, e)
}

func isolated(lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, limit("text").Isolated(l, nil))
	}
	return out
}

func short(d *news.Delivery) error {
	id := d.ID
	if len(d.Alerts) > 0 {
		id = d.Alerts[0].ID
	}
	return fill(d, newEvent(d, id, d.Severity, d.PlannedAt))
}

func newEvent(d *news.Delivery, alert string, s news.Severity, at time.Time) event {
	return event{
		Action: "trigger", Key: limit("dedup_key").Fit(alert, nil), Client: "Tocsin",
		Payload: payload{
			Summary: limit("summary").Isolated(notifier.Clean(d.Subject), nil), Source: "tocsin", Severity: severity(s), Timestamp: at.UTC(),
			Details: details{Delivery: d.ID},
		},
	}
}

func severity(s news.Severity) string {
	switch s {
	case news.SeverityCritical:
		return "critical"
	case news.SeverityHigh:
		return "error"
	case news.SeverityMedium:
		return "warning"
	}
	return "info"
}

func fill(d *news.Delivery, e event) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if n := len(b); n > limit("event").Max/2 { // the outbox itself takes half of what PagerDuty does
		return fmt.Errorf("write event: %d bytes", n)
	}
	d.Body = b
	return nil
}
