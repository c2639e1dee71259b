// Package webhook is the channel that posts alerts to a web address: Standard Webhooks 1.0 headers and signatures around a CloudEvents 1.0 body.
// It promises that webhook-id and body are the same for every attempt, that redirects are not followed, and that neither keys nor a secret
// address reach a log, the ledger or an error. The HTTP client, which decides what may be dialled, is handed in.
package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
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

// Limits and defaults of the configuration, and of what is read from an answer in bytes.
const (
	defaultTimeout = 15 * time.Second
	maxTimeout     = 60 * time.Second
	defaultFlight  = 4
	maxFlight      = 32
	maxAnswer      = 64 << 10
	maxShown       = 4 << 10
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
		if err := checkURL(c.URL.Value, c.AllowHTTP); err != nil {
			fs.Add(c.URL.Pos, "write url: https://host/path", "%s", err)
		}
	}
	if len(c.refs()) == 0 {
		fs.AddWarning(c.Pos, "add secret_file", "webhook without a key: the receiver cannot tell who sends")
	}
	if c.Timeout > maxTimeout {
		fs.Add(c.Pos, "write at most 60s", "timeout %s is too long", c.Timeout)
	}
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

// checkURL words its errors without the address, which may be secret.
func checkURL(raw string, http bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return errors.New("the url is not a web address")
	case u.User != nil:
		return errors.New("the url holds a password: receivers of Standard Webhooks need none")
	case u.Scheme == "http" && !http:
		return errors.New("the url is http, and allow_http is not set")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the url is neither https nor http")
	}
	return nil
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
	if o.Client == nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: no HTTP client", o.ID)
	}
	p := &poster{now: o.Now, timeout: c.Timeout, source: c.Source, url: c.URL.Value}
	own := *o.Client // the caller's stays as it is
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.client = &own
	if p.now == nil {
		p.now = time.Now
	}
	if p.timeout == 0 {
		p.timeout = defaultTimeout
	}
	if p.source == "" {
		p.source = "/tocsin"
	}
	if err := p.readSecrets(&c); err != nil {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	flight := c.Concurrency
	if flight == 0 {
		flight = defaultFlight
	}
	return notifier.Channel{
		ID: o.ID, Type: "webhook", Recipients: []string{""}, Concurrency: flight, Render: p.render, RenderDigest: p.digest, Short: p.short, Send: p.send,
	}, nil
}

type poster struct {
	client  *http.Client
	url     string
	source  string
	timeout time.Duration
	keys    []signer
	secrets []string
	now     func() time.Time
}

func (p *poster) readSecrets(c *Config) error {
	if c.URLFile.Value != "" {
		s, err := notifier.FileRef(c.URLFile).Read()
		if err != nil {
			return err
		}
		if err := checkURL(s.Reveal(), c.AllowHTTP); err != nil {
			return fmt.Errorf("%s: %w", c.URLFile.Pos, err)
		}
		p.url = s.Reveal()
		p.secrets = append(p.secrets, p.url)
		if u, err := url.Parse(p.url); err == nil && len(u.RequestURI()) > 4 {
			p.secrets = append(p.secrets, u.RequestURI())
		}
	}
	for _, r := range c.refs() {
		s, err := r.Read()
		if err != nil {
			return err
		}
		key, err := newSigner(s.Reveal())
		if err != nil {
			return fmt.Errorf("%s: %w", r.Pos, err)
		}
		p.keys = append(p.keys, key)
		_, bare, _ := strings.Cut(s.Reveal(), "_")
		p.secrets = append(p.secrets, s.Reveal(), bare)
	}
	return nil
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

func (p *poster) send(ctx context.Context, d *news.Delivery) notifier.Result {
	ctx, stop := context.WithTimeout(ctx, p.timeout)
	defer stop()
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				wrote.Store(true)
			}
		},
	})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(d.Body))
	if err != nil {
		return notifier.Result{Verdict: notifier.Misconfigured, Status: "the url cannot be used"}
	}
	at := p.now()
	h := req.Header
	h.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	h.Set("User-Agent", "tocsin")
	h.Set("webhook-id", d.ID)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	if len(p.keys) > 0 {
		h.Set("webhook-signature", signatures(p.keys, d.ID, at, d.Body))
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return p.failed(err, wrote.Load())
	}
	defer resp.Body.Close()
	return p.answered(resp)
}

// failed words an error without the address that net/http puts into it.
func (p *poster) failed(err error, wrote bool) notifier.Result {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	r := notifier.Result{Verdict: notifier.Retry, Ambiguous: wrote, Status: notifier.Redact(err.Error(), p.secrets...)}
	cert, auth, name := (*tls.CertificateVerificationError)(nil), x509.UnknownAuthorityError{}, x509.HostnameError{}
	if errors.As(err, &cert) || errors.As(err, &auth) || errors.As(err, &name) || errors.Is(err, notifier.ErrMisconfigured) {
		r.Verdict = notifier.Misconfigured
	}
	return r
}

func (p *poster) answered(resp *http.Response) notifier.Result {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status has come; a body that breaks off changes nothing
	shown := notifier.Redact(strings.ToValidUTF8(string(body[:min(len(body), maxShown)]), ""), p.secrets...)
	r := notifier.Result{Verdict: verdict(resp.StatusCode), Status: resp.Status, Response: shown}
	switch {
	case r.Verdict == notifier.Delivered:
		return r
	case resp.StatusCode/100 == 3:
		r.Status += ", not followed"
		if u, err := resp.Location(); err == nil {
			r.Status += ": the new place is on host " + u.Hostname()
		}
	case r.Verdict == notifier.Retry:
		r.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), p.now())
	}
	if resp.StatusCode/100 != 3 && shown != "" {
		r.Status += ": " + notifier.Shorten(shown, 200)
	}
	r.Status = notifier.Redact(r.Status, p.secrets...)
	return r
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

// retryAfter reads seconds or a date (RFC 9110, 10.2.3), between 1 s and 24 h; garbage gives 0.
func retryAfter(v string, now time.Time) time.Duration {
	if v == "" {
		return 0
	}
	const day = 24 * time.Hour
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return min(max(time.Duration(n)*time.Second, time.Second), day)
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(t.Sub(now), time.Second), day)
}
