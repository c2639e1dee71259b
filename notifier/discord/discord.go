// Package discord is the channel that posts alerts to a Discord webhook, as one embed. It promises that no text of an item can call people
// (allowed_mentions is empty) or become markup, that every field and their sum keep Discord's limits, and that the webhook's address is shown
// nowhere. The HTTP client is handed in.
package discord

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file: where the webhook's address stands.
type Config notifier.HookConfig

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults { return (*notifier.HookConfig)(c).Check("discord") }

// Options are what the channel needs beside its configuration.
type Options struct {
	ID     string
	Client *http.Client // guarded
}

// New reads the address and returns the channel.
func New(c Config, o Options) (notifier.Channel, error) {
	if err := c.Check().Err(); err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	p, err := (*notifier.HookConfig)(&c).Open(notifier.PostOptions{Client: o.Client, Judge: judge}, waits)
	if err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	return notifier.Channel{ID: o.ID, Type: "discord", Recipients: []string{""}, Concurrency: 1, Render: render, RenderText: own, RenderDigest: digest, Short: short, Send: p.Send}, nil
}

// waits asks Discord to answer with the message that it made, and with its id.
func waits(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	q := u.Query()
	q.Set("wait", "true")
	u.RawQuery = q.Encode()
	return u.String()
}

// judge reads the message's id, or how many seconds Discord asks to wait: its answer has them with fractions.
func judge(status int, body []byte, r *notifier.Result) {
	var said struct {
		ID         string  `json:"id"`
		RetryAfter float64 `json:"retry_after"`
	}
	if json.Unmarshal(body, &said) != nil {
		return
	}
	switch {
	case r.Verdict == notifier.Delivered:
		r.ProviderID = said.ID
	case status == http.StatusTooManyRequests && said.RetryAfter > 0 && said.RetryAfter < 86400:
		r.RetryAfter = max(r.RetryAfter, time.Duration(said.RetryAfter*float64(time.Second)), time.Second)
	}
}

// message is the body of Execute Webhook.
type message struct {
	Content  string   `json:"content,omitempty"`
	Embeds   []embed  `json:"embeds"`
	Mentions mentions `json:"allowed_mentions"`
}

type mentions struct {
	Parse []string `json:"parse"` // empty, not missing: nobody is called
}

type embed struct {
	Author      *author   `json:"author,omitempty"`
	Title       string    `json:"title,omitempty"`
	URL         string    `json:"url,omitempty"`
	Description string    `json:"description,omitempty"`
	Color       int       `json:"color"`
	Fields      []field   `json:"fields,omitempty"`
	Footer      footer    `json:"footer"`
	Timestamp   time.Time `json:"timestamp,omitzero"`
}

type author struct {
	Name string `json:"name"`
}

type field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type footer struct {
	Text string `json:"text"`
}

// maxLink is how long an address in an embed may be.
const maxLink = 2000

func limit(name string) notifier.Limit { return notifier.LimitOf("discord", name) }

func render(a *news.Alert, d *news.Delivery) error {
	v := notifier.NewView(a, nil)
	d.Subject = v.Subject()
	e := embed{
		Author:      &author{limit("author").Join(v.Top(), 60, notifier.NoMentions)},
		Title:       limit("title").Isolated(v.Title(), notifier.Markdown),
		Description: limit("description").Body(v, "**", notifier.Markdown),
		Color:       v.Color(), Timestamp: a.Match.Item.Published.UTC(),
	}
	if len(v.Link) <= maxLink {
		e.URL = v.Link
	}
	e.field("New", v.News())
	e.field("Why", v.Reasons())
	e.Footer.Text = limit("footer").Join(v.Facts(), 110, notifier.NoMentions) + " · " + d.ID
	return fill(d, e)
}

// own shows the operator's text in place of the embed's.
func own(v *notifier.View, text string, d *news.Delivery) error {
	return fill(d, embed{Description: limit("description").Fit(text, notifier.Markdown), Color: v.Color(), Footer: footer{d.ID}})
}

// digest names as many alerts as the embed's text holds, the most severe first; the ledger names them all.
func digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	return fill(d, embed{
		Title:       limit("title").Isolated(d.Subject, notifier.Markdown),
		Description: limit("description").Lines("• ", notifier.DigestLines(entries), 400, notifier.Markdown),
		Color:       notifier.Color(d.Severity.String()), Footer: footer{d.ID},
	})
}

func short(d *news.Delivery) error {
	return fill(d, embed{
		Title:  limit("title").Isolated(notifier.Clean(d.Subject), notifier.Markdown),
		Color:  notifier.Color(d.Severity.String()),
		Footer: footer{d.ID},
	})
}

func (e *embed) field(name string, lines []string) {
	if s := limit("field").Lines("", lines, 400, notifier.Markdown); s != "" {
		e.Fields = append(e.Fields, field{name, s})
	}
}

func fill(d *news.Delivery, e embed) error {
	b, err := json.Marshal(message{Embeds: []embed{e}, Mentions: mentions{[]string{}}})
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	d.Body = b
	return nil
}
