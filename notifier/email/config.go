package email

import (
	"fmt"
	"net"
	"net/mail"
	"slices"
	"strings"
	"time"

	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the channel's part of the operator's file.
type Config struct {
	strict.Pos
	Server       strict.Text             `yaml:"server"` // host or host:port; port 587, or 465 with tls: tls
	TLS          strict.Text             `yaml:"tls"`    // starttls (default), tls, none
	AllowPlain   bool                    `yaml:"allow_plaintext"`
	CAFile       strict.Text             `yaml:"ca_file"` // certificates to trust instead of the system's
	Hello        strict.Text             `yaml:"hello"`   // name given in EHLO; the domain of From when not stated
	Username     string                  `yaml:"username"`
	PasswordFile strict.Text             `yaml:"password_file"`
	Password     notifier.SecretRef      `yaml:"password"` // env:NAME or file:PATH
	From         strict.Text             `yaml:"from"`
	To           []strict.Text           `yaml:"to"`       // each gets a mail of its own
	Domain       strict.Text             `yaml:"domain"`   // in Message-ID, References and List-Id; the domain of From when not stated
	Location     strict.Text             `yaml:"location"` // second time zone in the mail, as Asia/Karachi
	Unsubscribe  strict.Text             `yaml:"unsubscribe_mailto"`
	LeaveURL     strict.Text             `yaml:"unsubscribe_url"`      // public https address of this instance's /unsubscribe
	LeaveKeyFile strict.Text             `yaml:"unsubscribe_key_file"` // at least 32 random bytes that sign the links
	DKIM         *DKIM                   `yaml:"dkim"`
	Templates    *notifier.TemplateFiles `yaml:"templates"`   // the operator's own, instead of the built-in ones
	Concurrency  int                     `yaml:"concurrency"` // connections at the same time, 2 when not stated, at most 16
}

// DKIM signs every mail (RFC 6376), relaxed, without an end of validity: a retry may come days later.
type DKIM struct {
	strict.Pos
	Domain   strict.Text `yaml:"domain"` // the domain of From when not stated
	Selector strict.Text `yaml:"selector"`
	KeyFile  strict.Text `yaml:"key_file"` // PEM: PKCS #8 or PKCS #1, RSA or Ed25519
}

const (
	defaultFlight = 2
	maxFlight     = 16
	maxRecipients = 500
)

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	c.checkServer(&fs)
	c.checkSecrets(&fs)
	from := checkAddress(&fs, c.From, c.Pos, "from")
	if len(c.To) == 0 {
		fs.Add(c.Pos, "write to: [name@example.org]", "channel of type email has no recipient")
	}
	if len(c.To) > maxRecipients {
		fs.Add(c.Pos, "use a mailing list", "%d recipients, the limit is %d", len(c.To), maxRecipients)
	}
	seen := map[string]bool{}
	for _, t := range c.To {
		a := checkAddress(&fs, t, c.Pos, "to")
		if a != nil && seen[a.Address] {
			fs.Add(t.Pos, "remove one of them", "recipient %s stands twice", a.Address)
		}
		if a != nil {
			seen[a.Address] = true
		}
	}
	if c.Unsubscribe.Value != "" {
		checkAddress(&fs, c.Unsubscribe, c.Pos, "unsubscribe_mailto")
	}
	c.checkLeave(&fs)
	if c.Location.Value != "" {
		if _, err := time.LoadLocation(c.Location.Value); err != nil {
			fs.Add(c.Location.Pos, "write a name such as Asia/Karachi", "location %q is not known", c.Location.Value)
		}
	}
	for _, t := range []strict.Text{c.Domain, c.Hello} {
		if t.Value != "" && !hostName(t.Value) {
			fs.Add(t.Pos, "write a domain such as example.org", "%q is not a domain", t.Value)
		}
	}
	if c.DKIM != nil {
		c.DKIM.check(&fs, from)
	}
	if c.Concurrency < 0 || c.Concurrency > maxFlight {
		fs.Add(c.Pos, fmt.Sprintf("write 1 to %d", maxFlight), "concurrency %d is out of range", c.Concurrency)
	}
	return fs.Sort()
}

// checkLeave: RFC 8058 asks for https.
func (c *Config) checkLeave(fs *strict.Faults) {
	switch {
	case c.LeaveURL.Value == "" && c.LeaveKeyFile.Value == "":
		return
	case c.LeaveURL.Value == "" || c.LeaveKeyFile.Value == "":
		fs.Add(c.Pos, "write both, or none", "unsubscribe_url and unsubscribe_key_file belong together")
		return
	}
	if err := notifier.CheckURL(c.LeaveURL.Value, false); err != nil {
		fs.Add(c.LeaveURL.Pos, "write the public address of this instance, https://host/unsubscribe", "%s", err)
	}
}

// Leaver gives what signs the channel's unsubscribe links, nil when it has none.
func (c *Config) Leaver() (*Leaver, error) {
	if c.LeaveURL.Value == "" {
		return nil, nil
	}
	key, err := notifier.FileRef(c.LeaveKeyFile).Read()
	if err != nil {
		return nil, err
	}
	l, err := NewLeaver(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.LeaveKeyFile.Pos, err)
	}
	return l, nil
}

func (c *Config) checkServer(fs *strict.Faults) {
	host, port := c.server()
	if c.Server.Value == "" {
		fs.Add(c.Pos, "write server: mail.example.org:587", "channel of type email has no server")
		return
	}
	if host == "" || !hostName(host) && net.ParseIP(host) == nil {
		fs.Add(c.Server.Pos, "write host:port, as mail.example.org:587", "server %q is not a host", c.Server.Value)
	}
	if !slices.Contains([]string{"", "starttls", "tls", "none"}, c.TLS.Value) {
		fs.Add(c.TLS.Pos, "write starttls, tls or none", "tls %q is not known", c.TLS.Value)
	}
	if c.TLS.Value == "none" && !loopback(host) && !c.AllowPlain {
		fs.Add(c.TLS.Pos, "use starttls; or add allow_plaintext: true, if nobody else is on that network", "without TLS anybody on the way to %s can read and change the mail", host)
	}
	if c.TLS.Value != "tls" && port == "465" {
		fs.AddWarning(c.Server.Pos, "write tls: tls", "port 465 speaks TLS from the beginning")
	}
}

func (c *Config) checkSecrets(fs *strict.Faults) {
	ref := c.password()
	switch {
	case c.PasswordFile.Value != "" && !c.Password.IsZero():
		fs.Add(c.PasswordFile.Pos, "keep one of them", "both password and password_file stand here")
	case c.Username != "" && ref.IsZero():
		fs.Add(c.Pos, "add password_file", "a username without a password")
	case c.Username == "" && !ref.IsZero():
		fs.Add(ref.Pos, "add username", "a password without a username")
	}
}

func (c *Config) password() notifier.SecretRef {
	if c.PasswordFile.Value != "" {
		return notifier.FileRef(c.PasswordFile)
	}
	return c.Password
}

// server gives host and port.
func (c *Config) server() (host, port string) {
	host, port, err := net.SplitHostPort(c.Server.Value)
	if err == nil {
		return host, port
	}
	if c.TLS.Value == "tls" {
		return c.Server.Value, "465"
	}
	return c.Server.Value, "587"
}

func (d *DKIM) check(fs *strict.Faults, from *mail.Address) {
	if d.Selector.Value == "" || !hostName(d.Selector.Value) {
		fs.Add(d.Pos, "write selector: NAME, as in NAME._domainkey.example.org", "dkim has no usable selector")
	}
	if d.KeyFile.Value == "" {
		fs.Add(d.Pos, "write key_file: /path/to/key.pem", "dkim has no key_file")
	}
	if d.Domain.Value != "" && !hostName(d.Domain.Value) {
		fs.Add(d.Domain.Pos, "write a domain such as example.org", "%q is not a domain", d.Domain.Value)
	}
	if own := domainOf(from); d.Domain.Value != "" && own != "" && own != d.Domain.Value && !strings.HasSuffix(own, "."+d.Domain.Value) {
		fs.AddWarning(d.Domain.Pos, "sign with the domain of from", "dkim domain %s is not that of the sender, so DMARC does not accept the signature", d.Domain.Value)
	}
}

func checkAddress(fs *strict.Faults, t strict.Text, p strict.Pos, key string) *mail.Address {
	if t.Value == "" {
		fs.Add(p, "write "+key+": name@example.org", "channel of type email has no %s", key)
		return nil
	}
	a, err := mail.ParseAddress(t.Value)
	if err != nil || strings.ContainsAny(t.Value, "\r\n") {
		fs.Add(t.Pos, `write name@example.org or "Name <name@example.org>"`, "%q is not a mail address", t.Value)
		return nil
	}
	if !ascii(a.Address) {
		fs.Add(t.Pos, "write the domain in its xn-- form", "address %q holds letters beyond ASCII", a.Address)
		return nil
	}
	if !hostName(domainOf(a)) {
		fs.Add(t.Pos, "write name@example.org", "address %q has no usable domain", a.Address)
		return nil
	}
	return a
}

func domainOf(a *mail.Address) string {
	if a == nil {
		return ""
	}
	return strings.ToLower(a.Address[strings.LastIndexByte(a.Address, '@')+1:])
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] < 0x20 {
			return false
		}
	}
	return true
}

// hostName tells whether s can be a host's name in a header or a command without quoting.
func hostName(s string) bool {
	for _, r := range s {
		if r != '.' && r != '-' && r != '_' && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') && !('0' <= r && r <= '9') {
			return false
		}
	}
	return s != "" && len(s) < 254
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
