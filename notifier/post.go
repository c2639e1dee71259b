package notifier

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
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
)

// Limits of an attempt over HTTP, and of what is read from an answer in bytes.
const (
	PostTimeout    = 15 * time.Second // when the configuration states none
	MaxPostTimeout = 60 * time.Second
	maxAnswer      = 64 << 10
	maxShown       = 4 << 10
)

// PostOptions are what one endpoint that takes bytes over HTTP needs. Fields that may be nil or zero say so.
type PostOptions struct {
	Client  *http.Client  // guarded; a copy of it is used that does not follow redirects
	URL     string        // may be secret: it is never shown
	Secrets []string      // shown in no status and no answer, beside what URL and Header hold
	Timeout time.Duration // of one attempt; PostTimeout when 0

	ContentType string            // application/json when ""
	Header      map[string]string // sent with every attempt; the values are taken for secrets
	// Sign adds headers of one attempt. May be nil.
	Sign func(h http.Header, d *news.Delivery, at time.Time)
	// Wrap gives the bytes to send; nil sends the delivery's body. It is where a secret enters that stored bytes must not hold.
	Wrap func(d *news.Delivery) ([]byte, error)
	// Verdict judges a status; HTTPVerdict when nil.
	Verdict func(status int) Verdict
	// Judge has the last word on an answer that came: it may read an id, a wait or a fault from the body. May be nil.
	Judge func(status int, body []byte, r *Result)
	Now   func() time.Time // time.Now when nil
}

// Post makes attempts at one HTTP endpoint: it follows no redirect, reads at most 64 KiB of an answer, and shows no secret.
type Post struct {
	o       PostOptions
	secrets []string
}

// NewPost checks the options.
func NewPost(o PostOptions) (*Post, error) {
	if o.Client == nil {
		return nil, errors.New("no HTTP client")
	}
	if o.Timeout > MaxPostTimeout || o.Timeout < 0 {
		return nil, fmt.Errorf("timeout %s is out of range: write at most %s", o.Timeout, MaxPostTimeout)
	}
	own := *o.Client // the caller's stays as it is
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.Client = &own
	if o.Timeout == 0 {
		o.Timeout = PostTimeout
	}
	if o.ContentType == "" {
		o.ContentType = "application/json; charset=utf-8"
	}
	if o.Verdict == nil {
		o.Verdict = HTTPVerdict
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Post{o: o, secrets: append([]string(nil), o.Secrets...)}
	for k, v := range o.Header {
		if strings.ContainsAny(v, "\r\n\x00") {
			return nil, fmt.Errorf("the value for header %s holds a line break: a secret stands on one line", k)
		}
		_, bare, _ := strings.Cut(v, " ")
		p.secrets = append(p.secrets, v, bare)
	}
	return p, nil
}

// Send makes one attempt.
func (p *Post) Send(ctx context.Context, d *news.Delivery) Result {
	ctx, stop := context.WithTimeout(ctx, p.o.Timeout)
	defer stop()
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			if i.Err == nil {
				wrote.Store(true)
			}
		},
	})
	req, err := p.request(ctx, d)
	if err != nil {
		return Result{Verdict: Misconfigured, Status: Redact(err.Error(), p.secrets...)}
	}
	resp, err := p.o.Client.Do(req)
	if err != nil {
		return p.failed(err, wrote.Load())
	}
	defer resp.Body.Close()
	return p.answered(resp)
}

func (p *Post) request(ctx context.Context, d *news.Delivery) (*http.Request, error) {
	body := d.Body
	if p.o.Wrap != nil {
		var err error
		if body, err = p.o.Wrap(d); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.o.URL, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the url cannot be used")
	}
	req.Header.Set("Content-Type", p.o.ContentType)
	req.Header.Set("User-Agent", "tocsin")
	for k, v := range p.o.Header {
		req.Header.Set(k, v)
	}
	if p.o.Sign != nil {
		p.o.Sign(req.Header, d, p.o.Now())
	}
	return req, nil
}

// failed words an error without the address that net/http puts into it.
func (p *Post) failed(err error, wrote bool) Result {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	r := Result{Verdict: Retry, Ambiguous: wrote, Status: Redact(err.Error(), p.secrets...)}
	cert, auth, name := (*tls.CertificateVerificationError)(nil), x509.UnknownAuthorityError{}, x509.HostnameError{}
	if errors.As(err, &cert) || errors.As(err, &auth) || errors.As(err, &name) || errors.Is(err, ErrMisconfigured) {
		r.Verdict = Misconfigured
	}
	return r
}

func (p *Post) answered(resp *http.Response) Result {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // the status has come; a body that breaks off changes nothing
	shown := Redact(strings.ToValidUTF8(string(body[:min(len(body), maxShown)]), ""), p.secrets...)
	r := Result{Verdict: p.o.Verdict(resp.StatusCode), Status: resp.Status, Response: shown}
	if r.Verdict == Retry {
		r.RetryAfter = RetryAfter(resp.Header.Get("Retry-After"), p.o.Now())
	}
	switch {
	case resp.StatusCode/100 == 3:
		r.Status += ", not followed"
		if u, err := resp.Location(); err == nil {
			r.Status += ": the new place is on host " + u.Hostname()
		}
	case r.Verdict != Delivered && shown != "":
		r.Status += ": " + Shorten(shown, 200)
	}
	if p.o.Judge != nil {
		p.o.Judge(resp.StatusCode, body, &r)
	}
	r.Status, r.ProviderID = Redact(r.Status, p.secrets...), Redact(r.ProviderID, p.secrets...)
	return r
}

// HTTPVerdict is what a status means for a message to a service: the table of verdicts. A 4xx that it does not know waits for an operator.
func HTTPVerdict(status int) Verdict {
	switch {
	case status/100 == 2:
		return Delivered
	case status == http.StatusGone:
		return Gone
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge, status == http.StatusUnprocessableEntity:
		return Refused
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status/100 == 5:
		return Retry
	}
	return Misconfigured
}

// RetryAfter reads seconds or a date (RFC 9110, 10.2.3), between 1 s and 24 h; garbage gives 0.
func RetryAfter(v string, now time.Time) time.Duration {
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

// CheckURL tells what is wrong with a web address, without repeating it: it may be secret.
func CheckURL(raw string, allowHTTP bool) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "":
		return errors.New("the url is not a web address")
	case u.User != nil:
		return errors.New("the url holds a password: secrets stand in files of their own")
	case u.Scheme == "http" && !allowHTTP:
		return errors.New("the url is http, and allow_http is not set")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("the url is neither https nor http")
	}
	return nil
}

// URLSecrets are the parts of a secret address that must not be shown: all of it, and its path with the query.
func URLSecrets(raw string) []string {
	out := []string{raw}
	if u, err := url.Parse(raw); err == nil && len(u.RequestURI()) > 4 {
		out = append(out, u.RequestURI(), u.Path)
	}
	return out
}

// HookConfig is the configuration of an incoming webhook, whose address is the secret.
type HookConfig struct {
	strict.Pos
	URLFile   strict.Text   `yaml:"url_file"`   // file that holds the address
	URL       SecretRef     `yaml:"url"`        // env:NAME or file:PATH
	AllowHTTP bool          `yaml:"allow_http"` // http:// addresses, for a server in the house
	Timeout   time.Duration `yaml:"timeout"`    // of one attempt, 15 s when not stated, at most 60 s
}

// Check gives every fault of the configuration of a channel of the given kind.
func (c *HookConfig) Check(kind string) strict.Faults {
	var fs strict.Faults
	switch {
	case c.URLFile.Value == "" && c.URL.IsZero():
		fs.Add(c.Pos, "write url_file: /path, and put the address that "+kind+" gave you there", "channel of type %s has no url_file", kind)
	case c.URLFile.Value != "" && !c.URL.IsZero():
		fs.Add(c.URLFile.Pos, "keep one of them", "both url and url_file stand here")
	}
	CheckTimeout(&fs, c.Pos, c.Timeout)
	return fs.Sort()
}

// CheckTimeout adds a fault when a timeout is longer than an attempt may be.
func CheckTimeout(fs *strict.Faults, at strict.Pos, d time.Duration) {
	if d > MaxPostTimeout {
		fs.Add(at, "write at most 60s", "timeout %s is too long", d)
	}
}

// Open reads the address and makes the Post; o may hold what is special to the service. adapt may change the address, as by a query; nil keeps it.
func (c *HookConfig) Open(o PostOptions, adapt func(string) string) (*Post, error) {
	ref := c.URL
	if c.URLFile.Value != "" {
		ref = FileRef(c.URLFile)
	}
	s, err := ref.Read()
	if err != nil {
		return nil, err
	}
	if err := CheckURL(s.Reveal(), c.AllowHTTP); err != nil {
		return nil, fmt.Errorf("%s: %w", ref.Pos, err)
	}
	o.URL, o.Timeout = s.Reveal(), c.Timeout
	o.Secrets = append(o.Secrets, URLSecrets(o.URL)...)
	if adapt != nil {
		o.URL = adapt(o.URL)
	}
	return NewPost(o)
}

// AddMember puts a member before those of a JSON object: where a secret enters at the attempt that stored bytes must not hold.
func AddMember(object []byte, name, value string) ([]byte, error) {
	if len(object) < 2 || object[0] != '{' {
		return nil, errors.New("the stored body is not a JSON object")
	}
	n, err := json.Marshal(name)
	if err != nil {
		return nil, err
	}
	v, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	out := append(append(append(append([]byte{'{'}, n...), ':'), v...), ',')
	return append(out, object[1:]...), nil
}
