// Package teams is the channel that posts alerts to a Microsoft Teams workflow ("when a Teams webhook request is received"), as an Adaptive Card
// 1.5. It promises that texts of an item stand in runs of text, where there is no markup and no mention, that the card keeps Teams' limit of
// 28 KB, and that the workflow's address is shown nowhere. The HTTP client is handed in.
package teams

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file: where the workflow's address stands.
type Config notifier.HookConfig

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults { return (*notifier.HookConfig)(c).Check("teams") }

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
	p, err := (*notifier.HookConfig)(&c).Open(notifier.PostOptions{Client: o.Client, Judge: judge}, nil)
	if err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	return notifier.Channel{ID: o.ID, Type: "teams", Recipients: []string{""}, Concurrency: 1, Render: render, RenderText: own, RenderDigest: digest, Short: short, Send: p.Send}, nil
}

// judge reads what the door of Teams says inside an answer of 200: "... Microsoft Teams endpoint returned HTTP error 429 ...".
func judge(_ int, body []byte, r *notifier.Result) {
	_, code, found := strings.Cut(string(body), "endpoint returned HTTP error ")
	if r.Verdict != notifier.Delivered || !found || len(code) < 3 {
		return
	}
	switch code[:3] {
	case "413":
		r.Verdict = notifier.Refused
	case "401", "403", "404":
		r.Verdict = notifier.Misconfigured
	default:
		r.Verdict = notifier.Retry
	}
	r.Status = "the workflow answers that Teams returned " + code[:3]
}

// message is what a workflow's trigger takes.
type message struct {
	Type        string       `json:"type"`
	Attachments []attachment `json:"attachments"`
}

type attachment struct {
	ContentType string `json:"contentType"`
	Content     card   `json:"content"`
}

type card struct {
	Schema  string    `json:"$schema"`
	Type    string    `json:"type"`
	Version string    `json:"version"`
	Lang    string    `json:"lang,omitempty"`
	MSTeams width     `json:"msteams"`
	Body    []element `json:"body"`
	Actions []action  `json:"actions,omitempty"`
}

type width struct {
	Width string `json:"width"`
}

// element is a RichTextBlock, whose runs know no Markdown, or a Container that turns those in it from right to left.
type element struct {
	Type    string    `json:"type"`
	ID      string    `json:"id,omitempty"`
	Spacing string    `json:"spacing,omitempty"`
	RTL     bool      `json:"rtl,omitempty"`
	Items   []element `json:"items,omitempty"`
	Inlines []run     `json:"inlines,omitempty"`
}

type run struct {
	Type      string `json:"type"`
	Text      string `json:"text"`
	Size      string `json:"size,omitempty"`
	Weight    string `json:"weight,omitempty"`
	Color     string `json:"color,omitempty"`
	Subtle    bool   `json:"isSubtle,omitempty"`
	Highlight bool   `json:"highlight,omitempty"`
}

type action struct {
	Type  string `json:"type"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

// maxLink is how long an address may be that the card carries; a longer one is left out, never cut.
const maxLink = 2000

func limit(field string) notifier.Limit { return notifier.LimitOf("teams", field) }

func render(a *news.Alert, d *news.Delivery) error {
	v, text := notifier.NewView(a, nil), limit("text")
	d.Subject = v.Subject()
	c := newCard()
	c.Lang = v.Lang
	c.line(run{Text: text.Join(v.Top(), 300, notifier.NoMentions), Weight: "Bolder", Color: color(v.Severity)})
	c.Body[0].ID = d.ID
	c.turn(v.Dir(), runs(v.Headline, run{Size: "Large", Weight: "Bolder"}))
	c.line(run{Text: text.Join(v.Facts(), 300, notifier.NoMentions), Subtle: true})
	for _, f := range v.News() {
		c.line(run{Text: "new: " + text.Isolated(f, notifier.NoMentions)})
	}
	if len(v.Lines) > 0 {
		for s := range strings.SplitSeq(limit("news").Lines("", v.Lines, text.Max, notifier.NoMentions), "\n") {
			c.line(run{Text: s})
		}
	}
	if len(v.Lines) == 0 {
		c.turn(v.SnippetDir(), runs(v.Snippets, run{}))
	}
	for _, w := range v.Reasons() {
		c.line(run{Text: "why: " + text.Isolated(w, notifier.NoMentions), Subtle: true})
	}
	if v.Link != "" && len(v.Link) <= maxLink {
		c.Actions = []action{{"Action.OpenUrl", text.Less(20).Fit(v.Host, notifier.NoMentions), v.Link}}
	}
	return fill(d, c)
}

// own shows the operator's text, a line below the other.
func own(v *notifier.View, s string, d *news.Delivery) error {
	c := newCard()
	for line := range strings.SplitSeq(limit("news").Fit(s, notifier.NoMentions), "\n") {
		if line != "" {
			c.turn(notifier.Direction("", line), []run{{Type: "TextRun", Text: line}})
		}
	}
	c.Body[0].ID = d.ID
	if v.Link != "" && len(v.Link) <= maxLink {
		c.Actions = []action{{"Action.OpenUrl", limit("text").Less(20).Fit(v.Host, notifier.NoMentions), v.Link}}
	}
	return fill(d, c)
}

// maxLines is how many alerts of a digest the card names; the ledger names them all.
const maxLines = 50

func digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	c, text := newCard(), limit("text")
	text.Max = 250
	c.line(run{Text: limit("text").Isolated(d.Subject, notifier.NoMentions), Weight: "Bolder", Size: "Large"})
	c.Body[0].ID = d.ID
	for i, s := range notifier.DigestLines(entries) {
		if i == maxLines {
			c.line(run{Text: fmt.Sprintf("and %d more", len(entries)-maxLines)})
			break
		}
		c.line(run{Text: text.Isolated(s, notifier.NoMentions)})
	}
	return fill(d, c)
}

func short(d *news.Delivery) error {
	c := newCard()
	c.line(run{Text: limit("text").Isolated(notifier.Clean(d.Subject), notifier.NoMentions), Weight: "Bolder"})
	c.Body[0].ID = d.ID
	return fill(d, c)
}

func newCard() *card {
	return &card{
		Schema: "http://adaptivecards.io/schemas/adaptive-card.json", Type: "AdaptiveCard", Version: "1.5", MSTeams: width{"Full"}, Body: []element{},
	}
}

func (c *card) add(rs []run) {
	if len(rs) > 0 {
		c.Body = append(c.Body, element{Type: "RichTextBlock", Inlines: rs})
	}
}

// turn adds text that runs in a direction.
func (c *card) turn(dir string, rs []run) {
	at := len(c.Body)
	c.add(rs)
	if dir == "rtl" && len(rs) > 0 {
		c.Body[at] = element{Type: "Container", RTL: true, Items: []element{c.Body[at]}}
	}
}

func (c *card) line(r run) {
	if r.Text != "" {
		r.Type = "TextRun"
		c.add([]run{r})
	}
}

// runs are the parts of a text in the style of like, those that were looked for highlighted. All together keep the limit of one text.
func runs(parts []notifier.Part, like run) []run {
	var out []run
	l := limit("text")
	for _, p := range parts {
		r := like
		r.Type, r.Highlight = "TextRun", p.Mark
		r.Text = l.Fit(p.Text, notifier.NoMentions)
		l = l.Less(len(r.Text))
		if r.Text != "" {
			out = append(out, r)
		}
	}
	return out
}

func color(severity string) string {
	switch severity {
	case "critical", "high":
		return "Attention"
	case "medium":
		return "Warning"
	case "low":
		return "Accent"
	}
	return "Default"
}

func fill(d *news.Delivery, c *card) error {
	b, err := json.Marshal(message{"message", []attachment{{"application/vnd.microsoft.card.adaptive", *c}}})
	if err != nil {
		return fmt.Errorf("write card: %w", err)
	}
	if n := len(b); n > limit("payload").Max {
		return fmt.Errorf("write card: %d bytes, Teams takes %d", n, limit("payload").Max)
	}
	d.Body = b
	return nil
}
