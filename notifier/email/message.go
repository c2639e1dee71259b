package email

import (
	"bytes"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	gomail "github.com/wneessen/go-mail"

	"tocsin/news"
	"tocsin/notifier"
)

// maxSubject is the longest subject in bytes before it is encoded.
const maxSubject = 250

// maker makes mails of alerts. Its bytes follow from alert, delivery and configuration alone, but for the time in a DKIM signature.
type maker struct {
	from        *mail.Address
	names       map[string]string // of recipients, by address
	domain      string
	unsubscribe string
	leave       *Leaver // nil: no link
	leaveURL    string
	loc         *time.Location
	dkim        *dkim.SignOptions // nil: not signed
	own         *notifier.UserTemplates
}

func newMaker(c *Config) (*maker, error) {
	m := &maker{names: map[string]string{}, domain: c.Domain.Value, unsubscribe: c.Unsubscribe.Value}
	m.from, _ = mail.ParseAddress(c.From.Value)
	if m.domain == "" {
		m.domain = domainOf(m.from)
	}
	for _, t := range c.To {
		a, _ := mail.ParseAddress(t.Value)
		m.names[a.Address] = a.Name
	}
	if c.Location.Value != "" {
		m.loc, _ = time.LoadLocation(c.Location.Value)
	}
	var err error
	if m.leave, err = c.Leaver(); err != nil {
		return nil, err
	}
	m.leaveURL = c.LeaveURL.Value
	if c.DKIM == nil {
		return m, nil
	}
	key, err := readKey(c.DKIM)
	if err != nil {
		return nil, err
	}
	m.dkim = &dkim.SignOptions{
		Domain: c.DKIM.Domain.Value, Selector: c.DKIM.Selector.Value, Signer: key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{
			"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
			"Auto-Submitted", "MIME-Version", "Content-Type",
		},
	}
	if m.dkim.Domain == "" {
		m.dkim.Domain = domainOf(m.from)
	}
	return m, nil
}

// page is what the templates see.
func (m *maker) page(a *news.Alert, d *news.Delivery) *notifier.Page {
	return &notifier.Page{View: notifier.NewView(a, m.loc), Route: notifier.Clean(d.Route), Feedback: notifier.FeedbackLinks(d), Leave: m.leaveLink(d)}
}

func (m *maker) leaveLink(d *news.Delivery) string {
	if m.leave == nil {
		return ""
	}
	return m.leave.link(m.leaveURL, d.Recipient, d.Watchlist)
}

func (m *maker) render(a *news.Alert, d *news.Delivery) error {
	p := m.page(a, d)
	d.Subject = subject(p.View)
	text, err := p.Text()
	if err != nil {
		return err
	}
	html, err := p.HTML()
	if err != nil {
		return err
	}
	return m.fill(d, string(text), string(html))
}

// custom is render with the operator's templates.
func (m *maker) custom(a *news.Alert, d *news.Delivery) error {
	p := m.page(a, d)
	var err error
	if d.Subject, err = m.own.Subject(p, subject(p.View)); err != nil {
		return err
	}
	d.Subject = notifier.Shorten(d.Subject, maxSubject)
	text, err := m.own.Text(p)
	if err != nil {
		return err
	}
	html, err := m.own.HTML(p)
	if err != nil {
		return err
	}
	return m.fill(d, string(text), string(html))
}

// digest is one mail for many alerts. It is a thread of its own.
func (m *maker) digest(entries []news.Alert, d *news.Delivery) error {
	v := notifier.NewDigestView(entries, d, m.loc)
	v.Leave = m.leaveLink(d)
	d.Subject = notifier.Shorten(strings.Join(strings.Fields(v.Title), " "), maxSubject)
	html, err := v.HTML()
	if err != nil {
		return err
	}
	foot := fmt.Sprintf("\n-- \nSent by Tocsin on route %s. It stands for %d alerts; `tocsin ledger show %s` lists them.\n", notifier.Isolate(v.Route), v.Count, d.ID)
	if v.Leave != "" {
		foot += "Leave this list: " + v.Leave + "\n"
	}
	return m.fill(d, v.Text()+foot, string(html))
}

// short is the least: a mail of one sentence, for servers that refuse the full form.
func (m *maker) short(d *news.Delivery) error {
	text := fmt.Sprintf("%s\n\nThe full alert could not be delivered in this form. Look up delivery %s in the ledger.\n", notifier.Clean(d.Subject), d.ID)
	return m.fill(d, text, "")
}

// subject names list and headline. It says the severity only when it is high: mail programs thread by subject, too, so that what may change
// from update to update is left out where it can be.
func subject(v *notifier.View) string {
	s := v.Watchlist + ": " + v.ThreadTitle()
	if sev := v.ThreadSeverity(); sev == "high" || sev == "critical" {
		s = strings.ToUpper(sev) + " " + s
	}
	if v.Kind == news.KindTest {
		s = "Test: " + s
	}
	return notifier.Shorten(strings.Join(strings.Fields(s), " "), maxSubject)
}

func (m *maker) fill(d *news.Delivery, text, html string) error {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("tocsin-"+d.ID), gomail.WithEncoding(encoding(text)))
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(&mail.Address{Name: m.names[d.Recipient], Address: d.Recipient})
	if err := m.headers(msg, d); err != nil {
		return err
	}
	msg.SetDateWithValue(d.PlannedAt.UTC())
	msg.SetBodyString(gomail.TypeTextPlain, text)
	if html != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, html)
	}
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return fmt.Errorf("write mail: %w", err)
	}
	return m.sign(d, b.Bytes())
}

func (m *maker) headers(msg *gomail.Msg, d *news.Delivery) error {
	h := map[gomail.Header]string{
		gomail.HeaderSubject:               d.Subject,
		gomail.HeaderMessageID:             "<" + d.ID + "@" + m.domain + ">",
		gomail.HeaderXAutoResponseSuppress: "All",
		"Auto-Submitted":                   "auto-generated",
	}
	if d.Watchlist != "" {
		h["List-Id"] = "<" + d.Watchlist + "." + m.domain + ">"
		h["X-Tocsin-Watchlist"] = d.Watchlist
	}
	if d.Severity != news.SeverityNone {
		h["X-Tocsin-Severity"] = d.Severity.String()
	}
	if d.Story != "" {
		root := "<" + d.Story + "." + d.Watchlist + "@" + m.domain + ">"
		h[gomail.HeaderReferences], h[gomail.HeaderInReplyTo] = root, root
	}
	m.leaving(h, d)
	if d.Severity >= news.SeverityHigh {
		h[gomail.HeaderImportance] = "high"
	}
	for k, v := range h {
		if strings.ContainsAny(v, "\r\n\x00") {
			return fmt.Errorf("write mail: header %s holds a line break", k)
		}
		msg.SetGenHeader(k, v)
	}
	return nil
}

// leaving adds the ways to leave the list: one click over https (RFC 8058) and a mail (RFC 2369).
func (m *maker) leaving(h map[gomail.Header]string, d *news.Delivery) {
	var ways []string
	if l := m.leaveLink(d); l != "" {
		ways = append(ways, "<"+l+">")
		h["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
	}
	if m.unsubscribe != "" {
		ways = append(ways, "<mailto:"+m.unsubscribe+"?subject="+url.PathEscape("unsubscribe "+d.Watchlist)+">")
	}
	if len(ways) > 0 {
		h[gomail.HeaderListUnsubscribe] = strings.Join(ways, ", ")
	}
}

// encoding is the shorter of the two for a text.
func encoding(text string) gomail.Encoding {
	wide := 0
	for i := range len(text) {
		if text[i] >= 0x80 {
			wide++
		}
	}
	if wide*6 > len(text) {
		return gomail.EncodingB64
	}
	return gomail.EncodingQP
}

func (m *maker) sign(d *news.Delivery, raw []byte) error {
	d.Body = raw
	if m.dkim == nil {
		return nil
	}
	var b bytes.Buffer
	if err := dkim.Sign(&b, bytes.NewReader(raw), m.dkim); err != nil {
		return fmt.Errorf("sign mail: %w", err)
	}
	d.Body = b.Bytes()
	return nil
}
