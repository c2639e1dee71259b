// Package telegram is the channel that sends alerts as a Telegram bot. Bold words and links are entities beside the text and never markup in it,
// so that nothing needs escaping. It promises that no text of an item can call people, that a message keeps Telegram's 4,096 UTF-16 units, and
// that the bot's token is shown nowhere. The HTTP client is handed in.
package telegram

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
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
	TokenFile strict.Text        `yaml:"token_file"` // file that holds the bot's token
	Token     notifier.SecretRef `yaml:"token"`      // env:NAME or file:PATH
	Chat      strict.Text        `yaml:"chat"`       // number of the chat, or @name of a public channel
	Thread    int                `yaml:"thread"`     // topic of a forum; none when 0
	Silent    bool               `yaml:"silent"`     // no sound for alerts below high
	Server    strict.Text        `yaml:"server"`     // a Bot API server of your own; https://api.telegram.org when not stated
	AllowHTTP bool               `yaml:"allow_http"`
	Timeout   time.Duration      `yaml:"timeout"` // of one attempt, 15 s when not stated, at most 60 s
}

var (
	chatName  = regexp.MustCompile(`^(-?[0-9]{1,19}|@[A-Za-z][A-Za-z0-9_]{3,31})$`)
	tokenForm = regexp.MustCompile(`^[0-9]+:[A-Za-z0-9_-]+$`)
)

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	switch {
	case c.TokenFile.Value == "" && c.Token.IsZero():
		fs.Add(c.Pos, "write token_file: /path, and put the bot's token there", "channel of type telegram has no token_file")
	case c.TokenFile.Value != "" && !c.Token.IsZero():
		fs.Add(c.TokenFile.Pos, "keep one of them", "both token and token_file stand here")
	}
	if !chatName.MatchString(c.Chat.Value) {
		fs.Add(pos(c.Chat, c.Pos), `write chat: "-1001234567890", or chat: "@name" for a public channel`, "chat %q is neither a number nor a name", c.Chat.Value)
	}
	if c.Server.Value != "" {
		if err := notifier.CheckURL(c.Server.Value, c.AllowHTTP); err != nil {
			fs.Add(c.Server.Pos, "write server: https://host", "%s", err)
		}
	}
	notifier.CheckTimeout(&fs, c.Pos, c.Timeout)
	return fs.Sort()
}

func pos(t strict.Text, other strict.Pos) strict.Pos {
	if t.Pos == (strict.Pos{}) {
		return other
	}
	return t.Pos
}

// Options are what the channel needs beside its configuration.
type Options struct {
	ID     string
	Client *http.Client // guarded
}

// New reads the token and returns the channel. Telegram takes one message a second for a chat, so that one is in flight at most.
func New(c Config, o Options) (notifier.Channel, error) {
	fail := func(err error) (notifier.Channel, error) {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	if err := c.Check().Err(); err != nil {
		return fail(err)
	}
	ref := c.Token
	if c.TokenFile.Value != "" {
		ref = notifier.FileRef(c.TokenFile)
	}
	token, err := ref.Read()
	if err != nil {
		return fail(err)
	}
	if !tokenForm.MatchString(token.Reveal()) {
		return fail(fmt.Errorf("%s: the token is not of the form that BotFather gives, digits, a colon, letters", ref.Pos))
	}
	server := strings.TrimRight(c.Server.Value, "/")
	if server == "" {
		server = "https://api.telegram.org"
	}
	_, bare, _ := strings.Cut(token.Reveal(), ":")
	p, err := notifier.NewPost(notifier.PostOptions{
		Client: o.Client, URL: server + "/bot" + token.Reveal() + "/sendMessage", Secrets: []string{token.Reveal(), bare}, Timeout: c.Timeout, Judge: judge,
	})
	if err != nil {
		return fail(err)
	}
	m := maker{chat: c.Chat.Value, thread: c.Thread, silent: c.Silent}
	return notifier.Channel{ID: o.ID, Type: "telegram", Recipients: []string{""}, Concurrency: 1, Render: m.render, RenderText: m.own, RenderDigest: m.digest, Short: m.short, Send: p.Send}, nil
}

// judge reads the message's id, how long to wait, and what kind of fault a 400 or 403 is.
func judge(_ int, body []byte, r *notifier.Result) {
	var said struct {
		Result struct {
			ID int64 `json:"message_id"`
		} `json:"result"`
		Description string `json:"description"`
		Parameters  struct {
			RetryAfter int   `json:"retry_after"`
			MigrateTo  int64 `json:"migrate_to_chat_id"`
		} `json:"parameters"`
	}
	if json.Unmarshal(body, &said) != nil {
		return
	}
	if r.Verdict == notifier.Delivered && said.Result.ID != 0 {
		r.ProviderID = strconv.FormatInt(said.Result.ID, 10)
	}
	if w := said.Parameters.RetryAfter; w > 0 && r.Verdict == notifier.Retry {
		r.RetryAfter = max(r.RetryAfter, notifier.RetryAfter(strconv.Itoa(w), time.Time{}))
	}
	if r.Verdict != notifier.Refused {
		return
	}
	what := strings.ToLower(said.Description)
	if said.Parameters.MigrateTo != 0 {
		r.Verdict, r.Status = notifier.Misconfigured, fmt.Sprintf("the group has become the chat %d: write that number", said.Parameters.MigrateTo)
	}
	for _, s := range []string{"chat not found", "not enough rights", "have no rights", "thread not found", "peer_id_invalid"} {
		if strings.Contains(what, s) {
			r.Verdict = notifier.Misconfigured
		}
	}
}

// message is the body of sendMessage.
type message struct {
	Chat     string   `json:"chat_id"`
	Thread   int      `json:"message_thread_id,omitempty"`
	Text     string   `json:"text"`
	Entities []entity `json:"entities,omitempty"`
	Preview  preview  `json:"link_preview_options"`
	Silent   bool     `json:"disable_notification,omitempty"`
}

type preview struct {
	Off bool `json:"is_disabled"`
}

// entity says how a stretch of the text looks; offset and length are in UTF-16 units.
type entity struct {
	Type   string `json:"type"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
	URL    string `json:"url,omitempty"`
}

type maker struct {
	chat   string
	thread int
	silent bool
}

// maxLink is how long the address of an entity may be; a longer one is left out, never cut.
const maxLink = 2000

func limit(field string) notifier.Limit { return notifier.LimitOf("telegram", field) }

func (m *message) add(s string) { m.Text += s }

// style adds text with an entity over it.
func (m *message) style(kind, s, url string) {
	if s == "" {
		return
	}
	u := notifier.UTF16
	m.Entities = append(m.Entities, entity{kind, u.Count(m.Text), u.Count(s), url})
	m.Text += s
}

// parts adds a text whose sought words look like mark, all together within one line's limit.
func (m *message) parts(parts []notifier.Part, mark string) {
	open := notifier.IsolateOpen(notifier.Plain(parts))
	l := limit("line").Less(notifier.UTF16.Count(open + notifier.IsolateEnd))
	m.add(open)
	for _, p := range parts {
		s := l.Fit(p.Text, notifier.NoMentions)
		l = l.Less(l.Unit.Count(s))
		if p.Mark {
			m.style(mark, s, "")
			continue
		}
		m.add(s)
	}
	m.add(notifier.IsolateEnd)
}

// title adds the headline, bold, with the sought words underlined.
func (m *message) title(parts []notifier.Part) {
	from, at := notifier.UTF16.Count(m.Text), len(m.Entities)
	m.Entities = append(m.Entities, entity{Type: "bold", Offset: from})
	m.parts(parts, "underline")
	m.Entities[at].Length = notifier.UTF16.Count(m.Text) - from
	m.add("\n")
}

func (k *maker) render(a *news.Alert, d *news.Delivery) error {
	v, line := notifier.NewView(a, nil), limit("line")
	d.Subject = v.Subject()
	m := k.open(a.Severity)
	m.add(v.Lamp() + line.Join(v.Top(), 140, notifier.NoMentions) + "\n")
	m.title(v.Headline)
	m.add(line.Join(v.Facts(), 140, notifier.NoMentions) + "\n\n")
	m.paragraph(line.Lines("new: ", v.News(), 300, notifier.NoMentions))
	if len(v.Lines) > 0 {
		m.paragraph(limit("news").Lines("", v.Lines, 600, notifier.NoMentions))
	} else if len(v.Snippets) > 0 {
		m.parts(v.Snippets, "bold")
		m.add("\n\n")
	}
	m.paragraph(line.Lines("why: ", v.Reasons(), 300, notifier.NoMentions))
	if v.Link != "" && len(v.Link) <= maxLink {
		m.style("text_link", line.Fit(v.Host, notifier.NoMentions), v.Link)
		m.add("\n")
	}
	return m.fill(d)
}

func (m *message) paragraph(s string) {
	if s != "" {
		m.add(s + "\n\n")
	}
}

// own shows the operator's text.
func (k *maker) own(_ *notifier.View, text string, d *news.Delivery) error {
	m := k.open(d.Severity)
	m.add(limit("text").Less(len(d.ID)+1).Fit(text, notifier.NoMentions) + "\n")
	return m.fill(d)
}

// digest names as many alerts as a message holds, the most severe first; the ledger names them all.
func (k *maker) digest(entries []news.Alert, d *news.Delivery) error {
	d.Subject = notifier.NewDigestView(entries, d, nil).Title
	m, line := k.open(d.Severity), limit("line")
	m.style("bold", line.Isolated(d.Subject, notifier.NoMentions), "")
	m.add("\n" + limit("text").Less(line.Max+40).Lines("• ", notifier.DigestLines(entries), 250, notifier.NoMentions) + "\n")
	return m.fill(d)
}

func (k *maker) short(d *news.Delivery) error {
	m := k.open(d.Severity)
	m.style("bold", limit("line").Isolated(notifier.Clean(d.Subject), notifier.NoMentions), "")
	m.add("\n")
	return m.fill(d)
}

func (k *maker) open(s news.Severity) *message {
	return &message{Chat: k.chat, Thread: k.thread, Preview: preview{true}, Silent: k.silent && s < news.SeverityHigh}
}

// fill ends the message with the delivery's id, by which a person can see that two messages are one.
func (m *message) fill(d *news.Delivery) error {
	m.style("code", d.ID, "")
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write message: %w", err)
	}
	d.Body = b
	return nil
}
