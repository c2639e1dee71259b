// Package email is the channel that sends alerts as mail through an SMTP server. It promises: one mail for each recipient, whose Message-ID,
// Date, body and signature never change from attempt to attempt; no mail and no password in the clear unless the operator allows it; every
// answer of the server as the verdict that it deserves, and "ambiguous" when the connection is lost after the text was sent. The dialler, which
// decides what may be reached, is handed in.
package email

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"net/mail"
	"os"
	"time"

	"tocsin/notifier"
)

// Options are what the channel needs beside its configuration.
type Options struct {
	ID   string
	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // guarded

	People People // who must not be written to; the zero value is nobody

	// Waits for the server, as RFC 5321 4.5.3.2 asks when 0: 5 min for a command, 10 min for the answer to the text. A shorter wait
	// for the latter makes duplicates.
	CommandTimeout, DataTimeout time.Duration
}

// New reads the secrets and returns the channel.
func New(c Config, o Options) (notifier.Channel, error) {
	fail := func(err error) (notifier.Channel, error) {
		return notifier.Channel{}, fmt.Errorf("channel %s: %w", o.ID, err)
	}
	if err := c.Check().Err(); err != nil {
		return fail(err)
	}
	if o.Dial == nil {
		return fail(fmt.Errorf("no dialler"))
	}
	m, err := newMaker(&c)
	if err != nil {
		return fail(err)
	}
	s, err := newSender(&c, &o)
	if err != nil {
		return fail(err)
	}
	ch := notifier.Channel{
		ID: o.ID, Type: "email", Concurrency: c.Concurrency, Render: m.render, RenderDigest: m.digest, Short: m.short, Send: s.send, Schedule: notifier.MailSchedule(),
	}
	if c.Templates != nil {
		if m.own, err = notifier.ReadTemplates(*c.Templates); err != nil {
			return fail(err)
		}
		ch.Custom = m.custom
	}
	if ch.Concurrency == 0 {
		ch.Concurrency = defaultFlight
	}
	if o.People.Away != nil {
		ch.Away = o.People.Away
	}
	for _, t := range c.To {
		a, _ := mail.ParseAddress(t.Value) // checked above
		ch.Recipients = append(ch.Recipients, a.Address)
	}
	return ch, nil
}

func newSender(c *Config, o *Options) (*sender, error) {
	host, port := c.server()
	from, _ := mail.ParseAddress(c.From.Value)
	s := &sender{
		dial: o.Dial, addr: net.JoinHostPort(host, port), mode: c.TLS.Value, hello: c.Hello.Value, from: from.Address, user: c.Username,
		people: o.People, command: o.CommandTimeout, data: o.DataTimeout, tls: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12},
	}
	if s.hello == "" {
		s.hello = domainOf(from)
	}
	if s.command == 0 {
		s.command = 5 * time.Minute
	}
	if s.data == 0 {
		s.data = 10 * time.Minute
	}
	if c.CAFile.Value != "" {
		b, err := os.ReadFile(c.CAFile.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: read ca_file: %w", c.CAFile.Pos, err)
		}
		s.tls.RootCAs = x509.NewCertPool()
		if !s.tls.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s: %s holds no certificate: write them in PEM", c.CAFile.Pos, c.CAFile.Value)
		}
	}
	if ref := c.password(); !ref.IsZero() {
		p, err := ref.Read()
		if err != nil {
			return nil, err
		}
		s.password = p
		plain := base64.StdEncoding.EncodeToString([]byte("\x00" + c.Username + "\x00" + p.Reveal()))
		s.secrets = []string{p.Reveal(), plain}
	}
	return s, nil
}

// readKey reads a private key in PEM. Errors never show its content.
func readKey(d *DKIM) (crypto.Signer, error) {
	s, err := notifier.FileRef(d.KeyFile).Read()
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(s.Reveal()))
	if block == nil {
		return nil, fmt.Errorf("%s: %s is not PEM", d.KeyFile.Pos, d.KeyFile.Value)
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %s holds neither a PKCS #8 nor a PKCS #1 key", d.KeyFile.Pos, d.KeyFile.Value)
	}
	signer, ok := k.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: the key in %s cannot sign", d.KeyFile.Pos, d.KeyFile.Value)
	}
	return signer, nil
}
