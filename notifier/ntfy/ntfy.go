// Package ntfy is the channel that sends alerts to phones through an ntfy server, as JSON. It promises that a message keeps the server's 4,096
// bytes, and that neither the topic, which is as good as a password, nor the token is stored or shown. The HTTP client is handed in.
package ntfy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file.
type Config struct {
	strict.Pos
	Server    strict.Text        `yaml:"server"`     // https://ntfy.sh when not stated
	TopicFile strict.Text        `yaml:"topic_file"` // file that holds the topic's name
	Topic     notifier.SecretRef `yaml:"topic"`      // env:NAME or file:PATH
	TokenFile strict.Text        `yaml:"token_file"` // access token, where the server asks for one
	Token     notifier.SecretRef `yaml:"token"`
	AllowHTTP bool               `yaml:"allow_http"`
	Timeout   time.Duration      `yaml:"timeout"` // of one attempt, 15 s when not stated, at most 60 s
}

var topicForm = regexp.MustCompile(`^[-_A-Za-z0-9]{1,64}$`)

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	notifier.CheckEither(&fs, c.Pos, c.TopicFile, c.Topic, "topic", "write topic_file: /path, and put the topic's name there: who knows it can read along")
	notifier.CheckEither(&fs, c.Pos, c.TokenFile, c.Token, "token", "")
	if c.Server.Value != "" {
		if err := notifier.CheckURL(c.Server.Value, c.AllowHTTP); err != nil {
			fs.Add(c.Server.Pos, "write server: https://host", "%s", err)
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

// New reads the secrets and returns the channel.
func New(c Config, o Options) (notifier.Channel, error) {
	fail := func(err error) (notifier.Channel, error) {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	if err := c.Check().Err(); err != nil {
		return fail(err)
	}
	ref := notifier.EitherRef(c.TopicFile, c.Topic)
	topic, err := ref.Read()
	if err != nil {
		return fail(err)
	}
	if !topicForm.MatchString(topic.Reveal()) {
		return fail(fmt.Errorf("%s: the topic is not of letters, digits, - and _, at most 64", ref.Pos))
	}
	p := notifier.PostOptions{
		Client: o.Client, URL: c.Server.Value, Secrets: []string{topic.Reveal()}, Timeout: c.Timeout, Judge: judge,
		Wrap: func(d *news.Delivery) ([]byte, error) { return notifier.AddMember(d.Body, "topic", topic.Reveal()) },
	}
	if p.URL == "" {
		p.URL = "https://ntfy.sh"
	}
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
	return notifier.Channel{ID: o.ID, Type: "ntfy", Recipients: []string{""}, Concurrency: 1, Render: render, RenderText: own, RenderDigest: digest, Short: short, Send: post.Send}, nil
}

func judge(_ int, body []byte, r *notifier.Result) {
	var said struct {
		ID string `json:"id"`
	}
	if r.Verdict == notifier.Delivered && json.Unmarshal(body, &said) == nil {
		r.ProviderID = said.ID
	}
}

// message is what is stored; the topic is added at the attempt.
type message struct {
	Title    string   `json:"title"`
	Message  string   `json:"message"`
	Priority int      `json:"priority"` // 1 to 5, 3 is the middle
	Tags     []string `json:"tags,omitempty"`
	Click    string   `json:"click,omitempty"`
}

// maxLink is how long an address may be that a tap opens; a longer one is left out, never cut.
const maxLink = 2000

func limit(field string) notifier.Limit { return notifier.LimitOf("ntfy", field) }

func render(a *news.Alert, d *news.Delivery) error {
	v, line := notifier.NewView(a, nil), limit("line")
	d.Subject = v.Subject()
	body := line
	if len(v.Lines) > 0 {
		body = limit("text")
	}
	m := message{Title: limit("title").Isolated(v.Title(), nil), Priority: priority(a.Severity), Tags: tags(a.Severity)}
	if len(v.Link) <= maxLink {
		m.Click = v.Link
	}
	parts := []string{
		line.Join(v.Top(), 140, nil), line.Join(v.Facts(), 140, nil), line.Lines("new: ", v.News(), 250, nil), body.Body(v, "", nil),
		line.Lines("why: ", v.Reasons(), 250, nil), line.Fit(v.Host, nil), d.ID,
	}
	m.Message = strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n")
	return fill(d, m)
}

// own shows the operator's text under the headline.
func own(v *notifier.View, text string, d *news.Delivery) error {
	m := message{Title: limit("title").Isolated(v.Title(), nil), Priority: priority(d.Severity), Tags: tags(d.Severity)}
	if len(v.Link) <= maxLink {
		m.Click = v.Link
	}
	m.Message = limit("message").Less(len(d.ID)+1).Fit(text, nil) + "\n" + d.ID
	return fill(d, m)
}

// digest names as many alerts as a message holds, the most severe first; the ledger names them all.
func digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	lines := limit("message").Less(40).Lines("", notifier.DigestLines(entries), 250, nil)
	return fill(d, message{
		Title: limit("title").Isolated(d.Subject, nil), Message: lines + "\n" + d.ID, Priority: priority(d.Severity), Tags: tags(d.Severity),
	})
}

func short(d *news.Delivery) error {
	return fill(d, message{Title: limit("title").Isolated(notifier.Clean(d.Subject), nil), Message: d.ID, Priority: priority(d.Severity)})
}

func priority(s news.Severity) int {
	switch s {
	case news.SeverityCritical:
		return 5
	case news.SeverityHigh:
		return 4
	case news.SeverityLow:
		return 2
	case news.SeverityInfo:
		return 1
	}
	return 3
}

// tags are names of pictures that ntfy shows before the title.
func tags(s news.Severity) []string {
	switch s {
	case news.SeverityCritical:
		return []string{"rotating_light"}
	case news.SeverityHigh:
		return []string{"warning"}
	}
	return nil
}

func fill(d *news.Delivery, m message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	d.Body = b
	return nil
}
