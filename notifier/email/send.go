package email

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"regexp"
	"strconv"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"tocsin/news"
	"tocsin/notifier"
)

// sender makes one connection for each mail.
type sender struct {
	dial          func(ctx context.Context, network, addr string) (net.Conn, error)
	addr          string
	mode          string // "", starttls, tls, none
	tls           *tls.Config
	hello, from   string
	user          string
	password      notifier.Secret
	secrets       []string
	command, data time.Duration
	people        People
}

const (
	dialTimeout = 30 * time.Second
	quitTimeout = 5 * time.Second
)

// failure is an error with the verdict that its place in the dialogue gives it.
type failure struct {
	err       error
	verdict   notifier.Verdict
	ambiguous bool
	alive     bool
}

func (s *sender) send(ctx context.Context, d *news.Delivery) notifier.Result {
	ctx, stop := context.WithTimeout(ctx, dialTimeout+6*s.command+s.data)
	defer stop()
	if r, away := s.away(ctx, d); away {
		return r
	}
	said, f := s.deliver(ctx, d)
	if f == nil {
		return notifier.Result{Verdict: notifier.Delivered, Status: "250 " + notifier.Redact(said, s.secrets...), ProviderID: queueID(said)}
	}
	status := f.err.Error()
	if e := (*smtp.SMTPError)(nil); errors.As(f.err, &e) {
		status = reply(e)
		if f.verdict == notifier.Permanent && e.Code == 550 && e.EnhancedCode == (smtp.EnhancedCode{5, 1, 1}) {
			status += s.bounced(ctx, d.Recipient, notifier.Redact(status, s.secrets...))
		}
	}
	return notifier.Result{
		Verdict: f.verdict, Status: notifier.Redact(status, s.secrets...), Ambiguous: f.ambiguous, Alive: f.alive,
	}
}

// away stops a delivery that was planned before its recipient left. When the list cannot be read the delivery waits.
func (s *sender) away(ctx context.Context, d *news.Delivery) (notifier.Result, bool) {
	if s.people.Away == nil {
		return notifier.Result{}, false
	}
	reason, err := s.people.Away(ctx, d.Recipient, d.Watchlist)
	switch {
	case err != nil:
		return notifier.Result{Status: "the list of who wants no mail cannot be read: " + err.Error(), Alive: true}, true
	case reason != "":
		return notifier.Result{Verdict: notifier.Permanent, Status: "not sent: " + reason}, true
	}
	return notifier.Result{}, false
}

// bounced notes an address that does not exist, and says so in the status.
func (s *sender) bounced(ctx context.Context, address, status string) string {
	if s.people.Bounced == nil {
		return ""
	}
	if err := s.people.Bounced(ctx, address, status); err != nil {
		return " (the address could not be put on the suppression list: " + err.Error() + ")"
	}
	return " (the address is on the suppression list now)"
}

func (s *sender) deliver(ctx context.Context, d *news.Delivery) (said string, f *failure) {
	dctx, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	conn, err := s.dial(dctx, "tcp", s.addr)
	if err != nil {
		return "", connecting(err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c, err := s.open(ctx, conn)
	if err != nil {
		return "", connecting(err)
	}
	if f := s.login(c); f != nil {
		return "", f
	}
	said, f = s.transfer(c, d)
	if f == nil {
		c.CommandTimeout = quitTimeout
		_ = c.Quit() // the mail is accepted; how the server says goodbye changes nothing
	}
	return said, f
}

// open greets the server, over TLS unless the operator allowed otherwise.
func (s *sender) open(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	var c *smtp.Client
	switch s.mode {
	case "none":
		c = smtp.NewClient(conn)
	case "tls":
		t := tls.Client(conn, s.tls)
		hctx, stop := context.WithTimeout(ctx, dialTimeout)
		defer stop()
		if err := t.HandshakeContext(hctx); err != nil {
			return nil, err
		}
		c = smtp.NewClient(t)
	default:
		if err := conn.SetDeadline(time.Now().Add(s.command)); err != nil {
			return nil, err
		}
		var err error
		if c, err = smtp.NewClientStartTLS(conn, s.tls); err != nil {
			return nil, err
		}
	}
	c.CommandTimeout, c.SubmissionTimeout = s.command, s.data
	return c, c.Hello(s.hello)
}

// connecting judges what went wrong before the server knew what we want.
func connecting(err error) *failure {
	f := &failure{err: err}
	cert, auth, name := (*tls.CertificateVerificationError)(nil), x509.UnknownAuthorityError{}, x509.HostnameError{}
	reply := (*smtp.SMTPError)(nil)
	switch {
	case errors.As(err, &cert), errors.As(err, &auth), errors.As(err, &name), errors.Is(err, notifier.ErrMisconfigured):
		f.verdict = notifier.Misconfigured
	case err.Error() == "smtp: server doesn't support STARTTLS":
		f.err = errors.New("the server does not offer STARTTLS: use another port, or tls: tls")
		f.verdict = notifier.Misconfigured
	case errors.As(err, &reply) && !reply.Temporary():
		f.verdict = notifier.Misconfigured
	}
	return f
}

func (s *sender) login(c *smtp.Client) *failure {
	if s.user == "" {
		return nil
	}
	var auth sasl.Client
	switch {
	case c.SupportsAuth(sasl.Plain):
		auth = sasl.NewPlainClient("", s.user, s.password.Reveal())
	case c.SupportsAuth(sasl.Login):
		auth = sasl.NewLoginClient(s.user, s.password.Reveal())
	default:
		return &failure{err: errors.New("the server offers no login with PLAIN or LOGIN"), verdict: notifier.Misconfigured}
	}
	err := c.Auth(auth)
	if err == nil {
		return nil
	}
	f := &failure{err: err}
	if e := (*smtp.SMTPError)(nil); errors.As(err, &e) && !e.Temporary() {
		f.verdict = notifier.Misconfigured
	}
	return f
}

// transfer is the mail transaction: one sender, one recipient, one text.
func (s *sender) transfer(c *smtp.Client, d *news.Delivery) (said string, f *failure) {
	if err := c.Mail(s.from, &smtp.MailOptions{Size: int64(len(d.Body))}); err != nil {
		return "", atMail(err)
	}
	if err := c.Rcpt(d.Recipient, nil); err != nil {
		return "", atRecipient(err)
	}
	w, err := c.Data()
	if err != nil {
		return "", atData(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(d.Body)); err != nil {
		return "", &failure{err: err}
	}
	r, err := w.CloseWithResponse()
	if err == nil {
		return r.StatusText, nil
	}
	f = atData(err)
	f.ambiguous = !errors.As(err, new(*smtp.SMTPError)) // the text has left, and no answer came
	return "", f
}

func atMail(err error) *failure {
	f := &failure{err: err}
	if e := (*smtp.SMTPError)(nil); errors.As(err, &e) && !e.Temporary() {
		f.verdict = notifier.Misconfigured // the server does not take mail from this sender
		if e.Code == 552 || e.EnhancedCode[1] == 3 {
			f.verdict = notifier.Refused // too large
		}
	}
	return f
}

func atRecipient(err error) *failure {
	f := &failure{err: err}
	e := (*smtp.SMTPError)(nil)
	if !errors.As(err, &e) {
		return f
	}
	switch {
	case e.Temporary(), e.Code == 552: // RFC 5321 4.5.3.1.10: "mailbox full" counts as temporary
		f.alive = true
	case e.Code == 530, e.Code == 535, e.EnhancedCode[1] == 7: // login wanted, relaying denied
		f.verdict = notifier.Misconfigured
	default:
		f.verdict = notifier.Permanent
	}
	return f
}

func atData(err error) *failure {
	f := &failure{err: err}
	if e := (*smtp.SMTPError)(nil); errors.As(err, &e) {
		f.alive = true
		if !e.Temporary() {
			f.verdict = notifier.Refused
		}
	}
	return f
}

var queued = regexp.MustCompile(`(?i)queued as\s+<?([A-Za-z0-9.@_-]+)`)

// queueID finds the server's own id of the mail in its answer, as most servers give it.
func queueID(said string) string {
	if m := queued.FindStringSubmatch(said); m != nil {
		return m[1]
	}
	return ""
}

// reply writes a server's answer with its codes.
func reply(e *smtp.SMTPError) string {
	s := strconv.Itoa(e.Code)
	if e.EnhancedCode[0] > 0 {
		s += " " + strconv.Itoa(e.EnhancedCode[0]) + "." + strconv.Itoa(e.EnhancedCode[1]) + "." + strconv.Itoa(e.EnhancedCode[2])
	}
	return s + " " + e.Message
}
