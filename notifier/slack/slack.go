// Package slack is the channel that posts alerts to a Slack incoming webhook, as blocks of plain text. It promises that no text of an item can
// call people or become markup, that every field keeps Slack's limits, and that the webhook's address is shown nowhere. The HTTP client is handed in.
package slack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file: where the webhook's address stands.
type Config notifier.HookConfig

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults { return (*notifier.HookConfig)(c).Check("slack") }

// Options are what the channel needs beside its configuration.
type Options struct {
	ID     string
	Client *http.Client // guarded
}

// New reads the address and returns the channel. Slack takes one message a second for a webhook, so that one is in flight at most.
func New(c Config, o Options) (notifier.Channel, error) {
	if err := c.Check().Err(); err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	p, err := (*notifier.HookConfig)(&c).Open(notifier.PostOptions{Client: o.Client}, nil)
	if err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	return notifier.Channel{ID: o.ID, Type: "slack", Recipients: []string{""}, Concurrency: 1, Render: render, RenderText: own, RenderDigest: digest, Short: short, Send: p.Send}, nil
}

// message is the body of a post to an incoming webhook.
type message struct {
	Text   string  `json:"text"` // for notifications and readers of screens
	Blocks []block `json:"blocks"`
	Links  bool    `json:"unfurl_links"`
	Media  bool    `json:"unfurl_media"`
}

type block struct {
	Type     string `json:"type"`
	ID       string `json:"block_id,omitempty"`
	Text     *text  `json:"text,omitempty"`
	Elements []text `json:"elements,omitempty"`
}

type text struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

func limit(field string) notifier.Limit { return notifier.LimitOf("slack", field) }

func render(a *news.Alert, d *news.Delivery) error {
	v := notifier.NewView(a, nil)
	d.Subject = v.Subject()
	m := message{Text: fallback(d.Subject)}
	m.Blocks = append(m.Blocks, block{
		Type: "header", ID: limit("block_id").Fit(d.ID, nil), Text: &text{"plain_text", limit("header").Isolated(v.Title(), notifier.NoMentions)},
	})
	m.context(v.Lamp(), v.Top())
	m.context("", v.Facts())
	m.section(limit("section").Lines("new: ", v.News(), 600, notifier.NoMentions))
	m.section(limit("section").Body(v, "", notifier.NoMentions))
	m.section(limit("section").Lines("why: ", v.Reasons(), 600, notifier.NoMentions))
	if l := link(v.Link, v.Host); l != "" {
		m.Blocks = append(m.Blocks, block{Type: "section", Text: &text{"mrkdwn", l}})
	}
	return m.fill(d)
}

// own shows the operator's text, as much as one section holds.
func own(_ *notifier.View, s string, d *news.Delivery) error {
	m := message{Text: fallback(d.Subject), Blocks: []block{{
		Type: "section", ID: limit("block_id").Fit(d.ID, nil), Text: &text{"plain_text", limit("section").Fit(s, notifier.NoMentions)},
	}}}
	return m.fill(d)
}

// digest names as many alerts as a section holds, the most severe first; the ledger names them all.
func digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	m := message{Text: fallback(d.Subject), Blocks: []block{{
		Type: "header", ID: limit("block_id").Fit(d.ID, nil), Text: &text{"plain_text", limit("header").Isolated(d.Subject, notifier.NoMentions)},
	}}}
	m.section(limit("section").Lines("• ", notifier.DigestLines(entries), 250, notifier.NoMentions))
	return m.fill(d)
}

func short(d *news.Delivery) error {
	m := message{Text: fallback(d.Subject), Blocks: []block{{
		Type: "section", ID: limit("block_id").Fit(d.ID, nil), Text: &text{"plain_text", limit("section").Isolated(notifier.Clean(d.Subject), notifier.NoMentions)},
	}}}
	return m.fill(d)
}

func (m *message) section(s string) {
	if s != "" {
		m.Blocks = append(m.Blocks, block{Type: "section", Text: &text{"plain_text", s}})
	}
}

func (m *message) context(lamp string, words []string) {
	if len(words) > 0 {
		m.Blocks = append(m.Blocks, block{Type: "context", Elements: []text{{"plain_text", lamp + limit("context").Join(words, 400, notifier.NoMentions)}}})
	}
}

func (m *message) fill(d *news.Delivery) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	d.Body = b
	return nil
}

// fallback is text in Slack's markup: its three special characters are escaped, and what calls people is broken.
func fallback(s string) string { return limit("text").Isolated(notifier.Clean(s), escape) }

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "@", "@\u200B").Replace(s)
}

// link is a link in Slack's markup; one that does not fit is left out, because a link that is cut leads elsewhere.
func link(url, host string) string {
	if url == "" {
		return ""
	}
	s := "<" + strings.NewReplacer("&", "&amp;", "<", "%3C", ">", "%3E", "|", "%7C").Replace(url) + "|" + escape(host) + ">"
	if limit("section").Unit.Count(s) > limit("section").Max {
		return ""
	}
	return s
}
