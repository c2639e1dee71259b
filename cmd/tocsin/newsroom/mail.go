package newsroom

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Mail is one message that the mail server took.
type Mail struct {
	At     time.Time
	From   string   // envelope
	To     []string // envelope
	Raw    []byte
	Header mail.Header // empty when Err is set
	Err    error       // why Raw is no readable message
}

// mailSink is a real SMTP server: STARTTLS with a certificate made at start, AUTH PLAIN, and no mail without either.
type mailSink struct {
	addr, user, password string
	pem                  []byte
	server               *smtp.Server
	done                 chan struct{}

	mu    sync.Mutex
	mails []Mail
	fault func(from, to string) error
}

func openMail(host, user, password string) (*mailSink, error) {
	cert, certPEM, err := selfSigned(host, time.Now())
	if err != nil {
		return nil, fmt.Errorf("make mail certificate: %w", err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("open mail server: %w", err)
	}
	m := &mailSink{addr: l.Addr().String(), user: user, password: password, pem: certPEM, done: make(chan struct{})}
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &mailSession{sink: m, conn: c}, nil }))
	s.Domain = "localhost"
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.ErrorLog = log.New(io.Discard, "", 0)
	s.MaxMessageBytes, s.MaxRecipients = 4<<20, 50
	s.ReadTimeout, s.WriteTimeout = time.Minute, time.Minute
	s.EnableSMTPUTF8 = true
	m.server = s
	go func() {
		defer close(m.done)
		_ = s.Serve(l) // ends when close is called
	}()
	return m, nil
}

func (m *mailSink) close() error {
	err := m.server.Close()
	<-m.done
	return err
}

// Mails lists every message that was taken, in the order of arrival.
func (w *World) Mails() []Mail {
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	return slices.Clone(w.mail.mails)
}

// SetMailFault lets f refuse recipients, for example with a *smtp.SMTPError; nil takes everything.
func (w *World) SetMailFault(f func(from, to string) error) {
	w.mail.mu.Lock()
	defer w.mail.mu.Unlock()
	w.mail.fault = f
}

// MailRefusal is the answer of a mail server, as for SetMailFault: its code, its enhanced code (RFC 3463) and its words.
func MailRefusal(code int, enhanced [3]int, words string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: words}
}

type mailSession struct {
	sink *mailSink
	conn *smtp.Conn
	in   bool // authenticated
	from string
	to   []string
}

// AuthMechanisms offers PLAIN, and only under TLS.
func (s *mailSession) AuthMechanisms() []string {
	if _, ok := s.conn.TLSConnectionState(); !ok {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth checks the one account.
func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != s.sink.user || password != s.sink.password {
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	}), nil
}

// Mail begins a message.
func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if _, ok := s.conn.TLSConnectionState(); !ok {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Must issue a STARTTLS command first"}
	}
	if !s.in {
		return smtp.ErrAuthRequired
	}
	s.from = from
	return nil
}

// Rcpt adds a recipient, unless a fault refuses it.
func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.sink.mu.Lock()
	f := s.sink.fault
	s.sink.mu.Unlock()
	if f != nil {
		if err := f(s.from, to); err != nil {
			return err
		}
	}
	s.to = append(s.to, to)
	return nil
}

// Data takes the message in.
func (s *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m := Mail{At: time.Now(), From: s.from, To: slices.Clone(s.to), Raw: raw}
	msg, err := mail.ReadMessage(bytes.NewReader(raw))
	if m.Err = err; err == nil {
		m.Header = msg.Header
	}
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.mails = append(s.sink.mails, m)
	return nil
}

// Reset forgets the message that was begun.
func (s *mailSession) Reset() { s.from, s.to = "", nil }

// Logout has nothing to free.
func (s *mailSession) Logout() error { return nil }

// selfSigned makes a certificate for localhost and an address of this machine that is its own authority, good for a week.
func selfSigned(host string, now time.Time) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Tocsin newsroom"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(7 * 24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.ParseIP(host)},
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if certPEM == nil {
		return tls.Certificate{}, nil, errors.New("encode certificate")
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, certPEM, nil
}
