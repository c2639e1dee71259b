package email

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

const password = "p4ssCANARYword"

// server is a real SMTP server that does what a fault says.
type server struct {
	mu    sync.Mutex
	fault notifiertest.Fault
	rcpt  *smtp.SMTPError // answer to RCPT, when not nil
	from  *smtp.SMTPError
	data  *smtp.SMTPError
	got   []notifiertest.Received
	to    []string
	tls   []bool
	users []string
	mechs []string // PLAIN and LOGIN when nil
	stop  chan struct{}
	addr  string
	ca    string // file with the certificate
}

type session struct {
	s      *server
	c      *smtp.Conn
	authed bool
	to     string
}

func (s *session) AuthMechanisms() []string {
	if s.s.mechs != nil {
		return s.s.mechs
	}
	return []string{sasl.Plain, sasl.Login}
}

func (s *session) Auth(mech string) (sasl.Server, error) {
	check := func(user, pass string) error {
		s.s.mu.Lock()
		defer s.s.mu.Unlock()
		s.s.users = append(s.s.users, mech+" "+user)
		if s.s.fault == notifiertest.Login || pass != password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "no such pair " + user + "/" + pass}
		}
		s.authed = true
		return nil
	}
	if mech == sasl.Login {
		return &loginServer{check: check}, nil
	}
	return sasl.NewPlainServer(func(_, user, pass string) error { return check(user, pass) }), nil
}

// loginServer is the LOGIN dialogue, which the library has for clients only.
type loginServer struct {
	check func(user, pass string) error
	user  string
	step  int
}

func (l *loginServer) Next(in []byte) (challenge []byte, done bool, err error) {
	l.step++
	switch {
	case l.step == 1 && in == nil:
		return []byte("Username:"), false, nil
	case l.user == "":
		l.user = string(in)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(in))
}

func (s *session) Mail(string, *smtp.MailOptions) error {
	if !s.authed {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "log in first"}
	}
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	if s.s.fault == notifiertest.Broken {
		s.c.Conn().Close()
		return errors.New("closed")
	}
	if s.s.from != nil {
		return s.s.from
	}
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	s.to = to
	switch s.s.fault {
	case notifiertest.Nobody:
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox; your password is " + password}
	case notifiertest.Busy:
		return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted, come back"}
	}
	if s.s.rcpt != nil {
		return s.s.rcpt
	}
	return nil
}

func (s *session) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.s.mu.Lock()
	fault := s.s.fault
	if fault == "" || fault == notifiertest.Lost || fault == notifiertest.Hangs {
		s.s.keep(s.c, s.to, b)
	}
	s.s.mu.Unlock()
	switch fault {
	case notifiertest.Lost:
		s.c.Conn().Close()
		return errors.New("closed")
	case notifiertest.Hangs:
		<-s.s.stop
	case notifiertest.Content:
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "content refused"}
	}
	s.s.mu.Lock()
	defer s.s.mu.Unlock()
	if s.s.data != nil {
		return s.s.data
	}
	return nil
}

func (s *server) keep(c *smtp.Conn, to string, raw []byte) {
	_, encrypted := c.TLSConnectionState()
	s.tls = append(s.tls, encrypted)
	s.to = append(s.to, to)
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	id := ""
	if err == nil {
		id, _, _ = strings.Cut(strings.Trim(m.Header.Get("Message-ID"), "<>"), "@")
	}
	s.got = append(s.got, notifiertest.Received{ID: id, Body: raw})
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (s *server) set(f notifiertest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

func (s *server) received() []notifiertest.Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]notifiertest.Received(nil), s.got...)
}

// serve starts a server; with starttls it offers TLS, with implicit it begins with it.
func serve(t testing.TB, starttls, implicit bool) *server {
	t.Helper()
	s := &server{stop: make(chan struct{})}
	cert, ca := certificate(t)
	s.ca = ca
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &session{s: s, c: c}, nil }))
	srv.Domain, srv.AllowInsecureAuth = "mx.test", true
	srv.ErrorLog = quiet{}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	if starttls {
		srv.TLSConfig = conf
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	if implicit {
		l = tls.NewListener(l, conf)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { close(s.stop); srv.Close(); <-done })
	return s
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func certificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, write(t, "ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, addr)
}

// channel is a channel to s; more is further YAML.
func channel(t testing.TB, s *server, more string) notifier.Channel {
	t.Helper()
	yaml := "server: " + s.addr + "\nfrom: Tocsin <alerts@example.org>\nto: [analyst@example.net]\nusername: tocsin\npassword_file: " +
		write(t, "password", []byte(password+"\n")) + "\n"
	if !strings.Contains(more, "ca_file") {
		yaml += "ca_file: " + s.ca + "\n"
	}
	ch, err := New(config(t, yaml+strings.ReplaceAll(more, "ca_file: none\n", "")), Options{ID: "mail", Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		s := serve(t, true, false)
		return &notifiertest.Peer{
			Channel: channel(t, s, ""), Set: s.set, Received: s.received,
			Secrets: []string{password, base64.StdEncoding.EncodeToString([]byte("\x00tocsin\x00" + password)), base64.StdEncoding.EncodeToString([]byte(password))},
			Verdicts: map[notifiertest.Fault]notifier.Verdict{
				notifiertest.Busy: notifier.Retry, notifiertest.Broken: notifier.Retry, notifiertest.Lost: notifier.Retry,
				notifiertest.Hangs: notifier.Retry, notifiertest.Nobody: notifier.Permanent, notifiertest.Content: notifier.Refused,
				notifiertest.Login: notifier.Misconfigured,
			},
			Checks: map[notifiertest.Fault]func(notifier.Result){
				notifiertest.Busy: func(r notifier.Result) {
					if !r.Alive {
						t.Error("a greylisted mail must not count against the server")
					}
				},
			},
		}
	})
}

func sendOne(t testing.TB, ch notifier.Channel) notifier.Result {
	t.Helper()
	return ch.Send(t.Context(), notifiertest.Plan(t, &ch, &notifiertest.Samples()[1].Alert))
}

func TestTheLineIsEncrypted(t *testing.T) {
	t.Run("starttls", func(t *testing.T) {
		s := serve(t, true, false)
		if r := sendOne(t, channel(t, s, "")); r.Verdict != notifier.Delivered || !s.tls[0] {
			t.Errorf("%+v, encrypted %v", r, s.tls)
		}
	})
	t.Run("from the beginning", func(t *testing.T) {
		s := serve(t, false, true)
		if r := sendOne(t, channel(t, s, "tls: tls\n")); r.Verdict != notifier.Delivered {
			t.Errorf("%+v", r)
		}
	})
	t.Run("not offered", func(t *testing.T) {
		s := serve(t, false, false)
		r := sendOne(t, channel(t, s, ""))
		if r.Verdict != notifier.Misconfigured || len(s.users) > 0 || len(s.got) > 0 {
			t.Errorf("%+v: users %v, %d mails", r, s.users, len(s.got))
		}
	})
	t.Run("untrusted", func(t *testing.T) {
		for _, mode := range []string{"starttls", "tls"} {
			s := serve(t, true, mode == "tls")
			r := sendOne(t, channel(t, s, "ca_file: none\ntls: "+mode+"\n"))
			if r.Verdict != notifier.Misconfigured || len(s.users) > 0 {
				t.Errorf("%s: %+v, users %v", mode, r, s.users)
			}
		}
	})
	t.Run("none, allowed to loopback", func(t *testing.T) {
		s := serve(t, false, false)
		if r := sendOne(t, channel(t, s, "tls: none\n")); r.Verdict != notifier.Delivered || s.tls[0] {
			t.Errorf("%+v", r)
		}
	})
}

func TestAnswersAtEachStep(t *testing.T) {
	type reply = smtp.SMTPError
	e := func(code int, a, b, c int) *reply {
		return &reply{Code: code, EnhancedCode: smtp.EnhancedCode{a, b, c}, Message: "because"}
	}
	for _, c := range []struct {
		name             string
		from, rcpt, data *reply
		want             notifier.Verdict
		alive            bool
	}{
		{"sender refused", e(550, 5, 7, 1), nil, nil, notifier.Misconfigured, false},
		{"too large by SIZE", e(552, 5, 3, 4), nil, nil, notifier.Refused, false},
		{"server busy", e(421, 4, 3, 2), nil, nil, notifier.Retry, false},
		{"no such user", nil, e(550, 5, 1, 1), nil, notifier.Permanent, false},
		{"mailbox moved", nil, e(551, 5, 1, 6), nil, notifier.Permanent, false},
		{"relaying denied", nil, e(554, 5, 7, 1), nil, notifier.Misconfigured, false},
		{"mailbox full", nil, e(552, 5, 2, 2), nil, notifier.Retry, true},
		{"mailbox busy", nil, e(450, 4, 2, 1), nil, notifier.Retry, true},
		{"content refused", nil, nil, e(550, 5, 7, 1), notifier.Refused, true},
		{"message too big", nil, nil, e(552, 5, 3, 4), notifier.Refused, true},
		{"try later", nil, nil, e(452, 4, 3, 1), notifier.Retry, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, true, false)
			s.from, s.rcpt, s.data = c.from, c.rcpt, c.data
			r := sendOne(t, channel(t, s, ""))
			if r.Verdict != c.want || r.Alive != c.alive || r.Ambiguous {
				t.Errorf("got %+v", r)
			}
			if !strings.Contains(r.Status, "because") {
				t.Errorf("status %q does not say what the server said", r.Status)
			}
		})
	}
}

func TestTheWaitForTheLastAnswerIsItsOwn(t *testing.T) {
	s := serve(t, true, false)
	s.set(notifiertest.Hangs)
	c := config(t, "server: "+s.addr+"\nca_file: "+s.ca+"\nfrom: a@example.org\nto: [b@example.net]\nusername: u\npassword_file: "+write(t, "p", []byte(password)))
	ch, err := New(c, Options{ID: "mail", Dial: dial, CommandTimeout: 20 * time.Second, DataTimeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r := sendOne(t, ch); r.Verdict != notifier.Retry || !r.Ambiguous {
		t.Errorf("got %+v", r)
	}
	snd, err := newSender(&c, &Options{Dial: dial})
	if err != nil || snd.data != 10*time.Minute || snd.command != 5*time.Minute {
		t.Errorf("waits %v and %v, RFC 5321 asks for 5 and 10 minutes (%v)", snd.command, snd.data, err)
	}
}

func TestLogins(t *testing.T) {
	for mech, want := range map[string]notifier.Verdict{
		sasl.Plain: notifier.Delivered, sasl.Login: notifier.Delivered, "XOAUTH2": notifier.Misconfigured,
	} {
		s := serve(t, true, false)
		s.mechs = []string{mech}
		if r := sendOne(t, channel(t, s, "")); r.Verdict != want {
			t.Errorf("%s: %+v", mech, r)
		}
		if want == notifier.Delivered && (len(s.users) != 1 || s.users[0] != mech+" tocsin") {
			t.Errorf("%s: logins %v", mech, s.users)
		}
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	c := config(t, "server: "+addr+"\nfrom: a@example.org\nto: [b@example.net]\n")
	dead, err := New(c, Options{ID: "mail", Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	if r := sendOne(t, dead); r.Verdict != notifier.Retry || r.Ambiguous {
		t.Errorf("got %+v", r)
	}
	guarded, err := New(c, Options{ID: "mail", Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.Join(errors.New("address not allowed"), notifier.ErrMisconfigured)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r := sendOne(t, guarded); r.Verdict != notifier.Misconfigured {
		t.Errorf("a refusing guard: %+v", r)
	}
}

func TestEachRecipientGetsAMailOfTheirOwn(t *testing.T) {
	s := serve(t, true, false)
	c := config(t, "server: "+s.addr+"\nca_file: "+s.ca+"\nfrom: a@example.org\nto: [one@example.net, \"Zwei <two@example.net>\"]\nusername: u\npassword_file: "+write(t, "p", []byte(password)))
	ch, err := New(c, Options{ID: "mail", Dial: dial})
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range ch.Recipients {
		d := delivery(t, ch.Render, &notifiertest.Samples()[0].Alert, to)
		if r := ch.Send(t.Context(), d); r.Verdict != notifier.Delivered {
			t.Fatal(r)
		}
	}
	if s.got[0].ID == s.got[1].ID || s.to[0] != "one@example.net" || s.to[1] != "two@example.net" {
		t.Errorf("ids %s %s, recipients %v", s.got[0].ID, s.got[1].ID, s.to)
	}
	if strings.Contains(string(s.got[0].Body), "two@example.net") || strings.Contains(string(s.got[1].Body), "one@example.net") {
		t.Error("a mail names another recipient")
	}
}

func TestSignaturesVerify(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edDER, err := x509.MarshalPKCS8PrivateKey(edKey)
	if err != nil {
		t.Fatal(err)
	}
	rsaPub, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ pem, record string }{
		"rsa": {
			string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})),
			"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPub),
		},
		"ed25519": {
			string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: edDER})),
			"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edKey.Public().(ed25519.PublicKey)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, true, false)
			ch := channel(t, s, "unsubscribe_mailto: leave@example.org\ndkim: {selector: s1, key_file: "+write(t, "key.pem", []byte(c.pem))+"}\n")
			for i, x := range notifiertest.Samples() {
				d := notifiertest.Plan(t, &ch, &x.Alert)
				if r := ch.Send(t.Context(), d); r.Verdict != notifier.Delivered {
					t.Fatal(r)
				}
				got := s.got[i].Body
				if strings.Contains(strings.SplitN(string(got), "\r\n\r\n", 2)[0], " x=") {
					t.Error("the signature has an end")
				}
				relayed := append([]byte("Received: from a by b; Tue, 4 Mar 2025 05:06:09 +0000\r\n"), got...)
				v, err := dkim.VerifyWithOptions(bytes.NewReader(relayed), &dkim.VerifyOptions{
					LookupTXT: func(domain string) ([]string, error) {
						if domain != "s1._domainkey.example.org" {
							return nil, errors.New("unexpected " + domain)
						}
						return []string{c.record}, nil
					},
				})
				if err != nil || len(v) != 1 || v[0].Err != nil {
					t.Errorf("%s: %v %+v", x.Name, err, v)
				}
			}
		})
	}
}

func TestPostfixStyleQueueIDs(t *testing.T) {
	for said, want := range map[string]string{
		"2.0.0 Ok: queued as 4Z9qXk2L9Kz1": "4Z9qXk2L9Kz1", "2.0.0 OK  1741064769 abc - gsmtp": "", "OK queued as <x.y@z>": "x.y@z", "": "",
	} {
		if got := queueID(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}
