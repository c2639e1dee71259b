// Package alertmanager is the channel that hands alerts to a Prometheus Alertmanager through its API v2. Labels name the story, so that
// revisions of one alert are one there; endsAt is always set, because Alertmanager would else report a false "resolved" after its
// resolve_timeout. It promises that no secret is stored or shown. The HTTP client is handed in.
package alertmanager

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file.
type Config struct {
	strict.Pos
	URL       strict.Text        `yaml:"url"`        // https://alertmanager.example.org, without /api/v2
	TokenFile strict.Text        `yaml:"token_file"` // bearer token, where a proxy asks for one
	Token     notifier.SecretRef `yaml:"token"`
	Labels    map[string]string  `yaml:"labels"`     // added to every alert
	EndsAfter time.Duration      `yaml:"ends_after"` // how long an alert stands there, 24 h when not stated
	AllowHTTP bool               `yaml:"allow_http"` // http:// addresses, for a server in the house
	Timeout   time.Duration      `yaml:"timeout"`    // of one attempt, 15 s when not stated, at most 60 s
}

// defaultEnd is a day: a story is news for about as long. A delivery that is retried for longer shows there as resolved at once.
const defaultEnd = 24 * time.Hour

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	if c.URL.Value == "" {
		fs.Add(c.Pos, "write url: https://alertmanager.example.org", "channel of type alertmanager has no url")
	} else if err := notifier.CheckURL(c.URL.Value, c.AllowHTTP); err != nil {
		fs.Add(c.URL.Pos, "write url: https://alertmanager.example.org", "%s", err)
	}
	notifier.CheckEither(&fs, c.Pos, c.TokenFile, c.Token, "token", "")
	for _, k := range news.SortedKeys(c.Labels) {
		if !labelName.MatchString(k) {
			fs.Add(c.Pos, "write letters, digits and _", "label %q cannot be the name of a label", k)
		}
		if ours := labels(&news.Alert{}); ours[k] != "" || k == "entity" || k == "severity" {
			fs.Add(c.Pos, "choose another name", "label %q is set by the program", k)
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

// New reads the token and returns the channel.
func New(c Config, o Options) (notifier.Channel, error) {
	fail := func(err error) (notifier.Channel, error) {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	if err := c.Check().Err(); err != nil {
		return fail(err)
	}
	p := notifier.PostOptions{Client: o.Client, URL: strings.TrimRight(c.URL.Value, "/") + "/api/v2/alerts", Timeout: c.Timeout}
	if t := notifier.EitherRef(c.TokenFile, c.Token); !t.IsZero() {
		s, err := t.Read()
		if err != nil {
			return fail(err)
		}
		p.Header = map[string]string{"Authorization": "Bearer " + s.Reveal()}
	}
	post, err := notifier.NewPost(p)
	if err != nil {
		return fail(err)
	}
	m := maker{labels: c.Labels, ends: c.EndsAfter}
	if m.ends == 0 {
		m.ends = defaultEnd
	}
	return notifier.Channel{ID: o.ID, Type: "alertmanager", Recipients: []string{""}, Concurrency: 4, Render: m.render, RenderDigest: m.digest, Short: m.short, Send: post.Send}, nil
}

// alert is one of the list that POST /api/v2/alerts takes.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Generator   string            `json:"generatorURL,omitempty"`
}

type maker struct {
	labels map[string]string
	ends   time.Duration
}

func text(s string) string { return notifier.LimitOf("alertmanager", "annotation").Fit(s, nil) }

// labels are what makes two alerts one for Alertmanager. An empty value is as good as no label, so that there is none.
func labels(a *news.Alert) map[string]string {
	out := map[string]string{"alertname": "TocsinAlert", "watchlist": a.Watchlist, "story": a.Story}
	if a.Watchlist == "" {
		out["watchlist"] = "none"
	}
	if a.Story == "" {
		out["story"] = "none"
	}
	if a.Severity != news.SeverityNone {
		out["severity"] = a.Severity.String()
	}
	if len(a.Match.Entities) > 0 {
		out["entity"] = a.Match.Entities[0].ID
	}
	return out
}

func (m *maker) render(a *news.Alert, d *news.Delivery) error {
	v := notifier.NewView(a, nil)
	d.Subject = v.Subject()
	return m.fill(d, m.one(a, v, d))
}

// digest is a list of alerts: Alertmanager takes many at once and groups them itself.
func (m *maker) digest(entries []news.Alert, d *news.Delivery) error {
	var all []alert
	for i := range entries {
		all = append(all, m.one(&entries[i], notifier.NewView(&entries[i], nil), d))
	}
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	return m.fill(d, all...)
}

func (m *maker) one(a *news.Alert, v *notifier.View, d *news.Delivery) alert {
	x := alert{Labels: labels(a), StartsAt: a.OpenedAt.UTC(), EndsAt: a.At.Add(m.ends).UTC(), Generator: v.Link}
	x.Annotations = map[string]string{
		"summary": text(v.Subject()), "delivery": d.ID, "title": text(v.Title()), "description": text(notifier.Plain(v.Snippets)),
		"outlet": text(v.Outlet), "why": text(strings.Join(v.Reasons(), "\n")), "new": text(strings.Join(v.News(), "\n")), "link": v.Link,
	}
	maps.DeleteFunc(x.Annotations, func(_, v string) bool { return v == "" })
	return x
}

func (m *maker) short(d *news.Delivery) error {
	a := news.Alert{Watchlist: d.Watchlist, Story: d.Story, Severity: d.Severity}
	return m.fill(d, alert{
		Labels: labels(&a), StartsAt: d.PlannedAt.UTC(), EndsAt: d.PlannedAt.Add(m.ends).UTC(),
		Annotations: map[string]string{"summary": text(notifier.Clean(d.Subject)), "delivery": d.ID},
	})
}

func (m *maker) fill(d *news.Delivery, all ...alert) error {
	for _, x := range all {
		maps.Copy(x.Labels, m.labels)
	}
	b, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("write alert: %w", err)
	}
	d.Body = b
	return nil
}
