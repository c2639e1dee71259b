// Package mattermost is the channel that posts alerts to a Mattermost incoming webhook, as one post in Markdown. It promises that no text of an
// item can call people or become markup, that the post keeps Mattermost's limit, and that the webhook's address is shown nowhere. The HTTP client
// is handed in.
package mattermost

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file: where the webhook's address stands.
type Config notifier.HookConfig

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults { return (*notifier.HookConfig)(c).Check("mattermost") }

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
	p, err := (*notifier.HookConfig)(&c).Open(notifier.PostOptions{Client: o.Client}, nil)
	if err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	return notifier.Channel{ID: o.ID, Type: "mattermost", Recipients: []string{""}, Concurrency: 1, Render: render, RenderText: own, RenderDigest: digest, Short: short, Send: p.Send}, nil
}

// message is the body of a post to an incoming webhook.
type message struct {
	Text  string `json:"text"`
	Props props  `json:"props"`
}

// props are kept with the post and not shown.
type props struct {
	Delivery string `json:"tocsin_delivery"`
}

func limit(field string) notifier.Limit { return notifier.LimitOf("mattermost", field) }

func render(a *news.Alert, d *news.Delivery) error {
	v, line := notifier.NewView(a, nil), limit("line")
	d.Subject = v.Subject()
	parts := []string{
		v.Lamp() + line.Join(v.Top(), 400, notifier.Markdown),
		"**" + line.Isolated(v.Title(), notifier.Markdown) + "**",
		line.Join(v.Facts(), 400, notifier.Markdown),
		line.Lines("new: ", v.News(), 600, notifier.Markdown),
		line.Body(v, "**", notifier.Markdown),
		line.Lines("why: ", v.Reasons(), 600, notifier.Markdown),
		link(v),
	}
	parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
	return fill(d, strings.Join(parts, "\n"))
}

// own shows the operator's text.
func own(_ *notifier.View, text string, d *news.Delivery) error {
	return fill(d, limit("text").Fit(text, notifier.Markdown))
}

// digest names as many alerts as a post holds, the most severe first; the ledger names them all.
func digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	title := "**" + limit("line").Isolated(d.Subject, notifier.Markdown) + "**\n"
	return fill(d, title+limit("text").Less(limit("line").Max+5).Lines("- ", notifier.DigestLines(entries), 400, notifier.Markdown))
}

// link leaves out what does not fit, because a link that is cut leads elsewhere.
func link(v *notifier.View) string {
	l := notifier.MarkdownLink(v.Link, v.Host)
	if limit("line").Unit.Count(l) > limit("line").Max {
		return ""
	}
	return l
}

func short(d *news.Delivery) error {
	return fill(d, limit("line").Isolated(notifier.Clean(d.Subject), notifier.Markdown))
}

func fill(d *news.Delivery, text string) error {
	b, err := json.Marshal(message{text, props{d.ID}})
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	d.Body = b
	return nil
}
