// Package webhook is the channel that posts alerts to a web address: Standard Webhooks 1.0 headers and signatures around a CloudEvents 1.0 body.
// It promises that webhook-id and body are the same for every attempt, that redirects are not followed, and that neither keys nor a secret
// address reach a log, the ledger or an error. The HTTP client, which decides what may be dialled, is handed in.
package webhook

import (
	"fmt"
	"net/http"
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
	URL         strict.Text          `yaml:"url"`
	URLFile     strict.Text          `yaml:"url_file"`    // for addresses that are secret themselves
	SecretFile  strict.Text          `yaml:"secret_file"` // a key, whsec_... or whsk_...
	Secret      notifier.SecretRef   `yaml:"secret"`      // env:NAME or file:PATH
	Secrets     []notifier.SecretRef `yaml:"secrets"`     // several keys while a receiver changes over
	AllowHTTP   bool                 `yaml:"allow_http"`  // http:// addresses; anybody on the way can read and change what is sent
	Source      string               `yaml:"source"`      // CloudEvents source; "/tocsin" when not stated
	Timeout     time.Duration        `yaml:"timeout"`     // of one attempt, 15 s when not stated, at most 60 s
	Concurrency int                  `yaml:"concurrency"` // attempts at the same time, 4 when not stated, at most 32
}

// Attempts at the same time.
const (
	defaultFlight = 4
	maxFlight     = 32
)

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	switch {
	case c.URL.Value == "" && c.URLFile.Value == "":
		fs.Add(c.Pos, "write url: https://host/path", "channel of type webhook has no url")
	case c.URL.Value != "" && c.URLFile.Value != "":
		fs.Add(c.URLFile.Pos, "keep one of them", "both url and url_file stand here")
	case c.URL.Value != "":
		if err := notifier.CheckURL(c.URL.Value, c.AllowHTTP); err != nil {
			fs.Add(c.URL.Pos, "write url: https://host/path", "%s", err)
		}
	}
	if len(c.refs()) == 0 {
		fs.AddWarning(c.Pos, "add secret_file", "webhook without a key: the receiver cannot tell who sends")
	}
	notifier.CheckTimeout(&fs, c.Pos, c.Timeout)
	if c.Concurrency < 0 || c.Concurrency > maxFlight {
		fs.Add(c.Pos, fmt.Sprintf("write 1 to %d", maxFlight), "concurrency %d is out of range", c.Concurrency)
	}
	return fs.Sort()
}

func (c *Config) refs() []notifier.SecretRef {
	var out []notifier.SecretRef
	for _, r := range append([]notifier.SecretRef{notifier.FileRef(c.SecretFile), c.Secret}, c.Secrets...) {
		if !r.IsZero() {
			out = append(out, r)
		}
	}
	return out
}

// Options are what the channel needs beside its configuration.
type Options struct {
	ID     string
	Client *http.Client     // guarded; a copy of it is used that does not follow redirects
	Now    func() time.Time // time.Now when nil
}

// New reads the keys and returns the channel.
func New(c Config, o Options) (notifier.Channel, error) {
	if err := c.Check().Err(); err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	p := &poster{source: c.Source}
	if p.source == "" {
		p.source = "/tocsin"
	}
	post, err := p.open(&c, o)
	if err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	flight := c.Concurrency
	if flight == 0 {
		flight = defaultFlight
	}
	return notifier.Channel{
		ID: o.ID, Type: "webhook", Recipients: []string{""}, Concurrency: flight, Render: p.render, RenderDigest: p.digest, Short: p.short, Send: post.Send,
	}, nil
}

type poster struct {
	source string
	keys   []signer
}

// open reads the secrets.
func (p *poster) open(c *Config, o Options) (*notifier.Post, error) {
	po := notifier.PostOptions{
		Client: o.Client, URL: c.URL.Value, Timeout: c.Timeout, Now: o.Now, ContentType: "application/cloudevents+json; charset=utf-8",
		Sign: p.sign, Verdict: verdict,
	}
	if c.URLFile.Value != "" {
		s, err := notifier.FileRef(c.URLFile).Read()
		if err != nil {
			return nil, err
		}
		if err := notifier.CheckURL(s.Reveal(), c.AllowHTTP); err != nil {
			return nil, fmt.Errorf("%s: %w", c.URLFile.Pos, err)
		}
		po.URL = s.Reveal()
		po.Secrets = notifier.URLSecrets(po.URL)
	}
	for _, r := range c.refs() {
		s, err := r.Read()
		if err != nil {
			return nil, err
		}
		key, err := newSigner(s.Reveal())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Pos, err)
		}
		p.keys = append(p.keys, key)
		_, bare, _ := strings.Cut(s.Reveal(), "_")
		po.Secrets = append(po.Secrets, s.Reveal(), bare)
	}
	return notifier.NewPost(po)
}

// sign sets the headers of Standard Webhooks: the id stays, time and signature are those of the attempt.
func (p *poster) sign(h http.Header, d *news.Delivery, at time.Time) {
	h.Set("webhook-id", d.ID)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	if len(p.keys) > 0 {
		h.Set("webhook-signature", signatures(p.keys, d.ID, at, d.Body))
	}
}

func (p *poster) render(a *news.Alert, d *news.Delivery) error {
	e := newEvent(p.source, a)
	for _, l := range notifier.FeedbackLinks(d) {
		if e.Data.Feedback == nil {
			e.Data.Feedback = map[string]string{}
		}
		e.Data.Feedback[l.Verdict] = l.URL
	}
	d.Subject = e.Data.Summary
	d.Headers = map[string]string{"kind": a.Kind}
	b, err := encode(e)
	d.Body = b
	return err
}

// digest is the event of a message that stands for many alerts: up to ten items, and the key of every alert.
func (p *poster) digest(entries []news.Alert, d *news.Delivery) error {
	e := digestEvent(p.source, entries, d)
	d.Subject = e.Data.Summary
	if d.Headers == nil {
		d.Headers = map[string]string{}
	}
	d.Headers["kind"] = kindDigest
	b, err := encode(e)
	d.Body = b
	return err
}

// short is the event without the item: what a receiver that answers 413 may still take.
func (p *poster) short(d *news.Delivery) error {
	ref := news.AlertRef{}
	if len(d.Alerts) > 0 {
		ref = d.Alerts[0]
	}
	kind := d.Headers["kind"]
	if kind == "" {
		kind = news.KindFirst
	}
	e := envelope(p.source, kind, ref.ID+"."+strconv.Itoa(ref.Revision), d.Watchlist, d.PlannedAt)
	e.Data = Data{
		Alert: ref.ID, Revision: ref.Revision, Kind: kind, Story: d.Story, Watchlist: Named{ID: d.Watchlist},
		Severity: d.Severity.String(), Summary: d.Subject, Truncated: true,
	}
	b, err := encode(e)
	d.Body = b
	return err
}

// verdict follows Standard Webhooks: all but 2xx is a failure to repeat. Repeating does not help where an operator must act (redirects,
// 401, 403) or where the receiver says that the address is closed (410) or the body too large (413).
func verdict(status int) notifier.Verdict {
	switch {
	case status/100 == 2:
		return notifier.Delivered
	case status/100 == 3, status == http.StatusUnauthorized, status == http.StatusForbidden:
		return notifier.Misconfigured
	case status == http.StatusGone:
		return notifier.Gone
	case status == http.StatusRequestEntityTooLarge:
		return notifier.Refused
	}
	return notifier.Retry
}
