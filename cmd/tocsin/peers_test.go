//go:build peers

package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tocsin/news"
)

// These tests need other people's programs: aiosmtpd, dkimpy, openssl and Alertmanager of Debian. `.ci/peers` installs them and runs the tests.

// peer starts a program that runs until the test ends; it must then answer at addr.
func peer(t *testing.T, addr, name string, args ...string) {
	t.Helper()
	var log bytes.Buffer
	c := exec.Command(name, args...)
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("%s says:\n%s", name, tail(log.String(), 3000))
		}
	})
	waitFor(t, 30*time.Second, name+" to listen", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// tool runs a program to its end and gives what it printed.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "peer"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &c, &c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	return pemText("CERTIFICATE", der), pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k))
}

// dkimScript verifies each file of a folder with dkimpy, and shows what Python's own mail reader makes of it.
const dkimScript = `
import sys, os, dkim
from email import policy, message_from_bytes
record = sys.argv[2].encode()
for name in sorted(os.listdir(sys.argv[1])):
    raw = open(os.path.join(sys.argv[1], name), 'rb').read()
    at = raw.index(b'\nDKIM-Signature:') + 1 if b'\nDKIM-Signature:' in raw else 0
    ok = dkim.verify(raw, dnsfunc=lambda name, timeout=5: record if name == b's1._domainkey.example.org.' else None)
    bad = dkim.verify(raw.replace(b'Subject: ', b'Subject: x'), dnsfunc=lambda name, timeout=5: record)
    m = message_from_bytes(raw, policy=policy.default)
    body = m.get_body(('plain',)).get_content()
    print('mail', 'dkim', ok, 'changed', bad, 'defects', len(m.defects), 'parts', len(list(m.walk())), 'subject', m['subject'], 'text', 'Subject' in m and m['subject'] != '' and len(body) > 40)
`

// TestPeerMail sends alerts of two stories to Debian's aiosmtpd over STARTTLS: it takes them, dkimpy verifies their signatures, Python's mail reader
// reads them, and the mails of one story are one thread.
func TestPeerMail(t *testing.T) {
	for name, k := range map[string]func() (pemKey, record string){
		"rsa": func() (string, string) {
			k, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				t.Fatal(err)
			}
			pub, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
			if err != nil {
				t.Fatal(err)
			}
			return pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)), "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(pub)
		},
		"ed25519": func() (string, string) {
			pub, k, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			der, err := x509.MarshalPKCS8PrivateKey(k)
			if err != nil {
				t.Fatal(err)
			}
			return pemText("PRIVATE KEY", der), "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub)
		},
	} {
		t.Run(name, func(t *testing.T) {
			key, record := k()
			mails := peerMails(t, key)
			out := tool(t, "/usr/bin/python3", "-c", dkimScript, mails, record)
			t.Log(out)
			if n := strings.Count(out, "mail dkim True changed False defects 0 parts 3 "); n != 3 {
				t.Errorf("%d of 3 mails verify and read well:\n%s", n, out)
			}
			if !strings.Contains(out, "سوات میں دھماکہ") {
				t.Errorf("the Urdu subject did not survive:\n%s", out)
			}
			peerThreads(t, mails)
		})
	}
}

// peerMails gives the folder where aiosmtpd put three mails: first and update of one story, and another story.
func peerMails(t *testing.T, dkimKey string) string {
	t.Helper()
	dir, addr := t.TempDir(), freeAddr(t)
	cert, key := certificate(t)
	box := filepath.Join(dir, "box")
	peer(t, addr, "/usr/bin/python3", "-m", "aiosmtpd", "-n", "-l", addr, "-c", "aiosmtpd.handlers.Mailbox", "--tlscert", write(t, dir, "cert.pem", cert), "--tlskey", write(t, dir, "key.pem", key), box)
	write(t, dir, "dkim.pem", dkimKey)
	in := openInstance(t, dir, fmt.Sprintf(`channels:
  - id: mail
    email: {server: %q, ca_file: cert.pem, from: "Tocsin <tocsin@example.org>", to: [desk@example.org], unsubscribe_mailto: leave@example.org, dkim: {selector: s1, key_file: dkim.pem}}
`, addr))
	in.runStages(t, "router", "channel")
	first, other := newsAlert(1), newsAlert(2)
	update := first
	update.Revision, update.Kind, update.New = 2, news.KindUpdate, []string{"another outlet"}
	other.Match.Item.Title, other.Match.Item.Lang = "سوات میں دھماکہ، پانچ افراد ہلاک", "ur"
	for _, a := range []news.Alert{first, update, other} {
		in.publish(t, a)
	}
	waitFor(t, time.Minute, "three mails", func() bool { l, _ := os.ReadDir(filepath.Join(box, "new")); return len(l) == 3 })
	return filepath.Join(box, "new")
}

// peerThreads groups mails by their references, as mail readers do (the first step of Jamie Zawinski's algorithm), and looks at their subjects,
// which some readers compare as well.
func peerThreads(t *testing.T, folder string) {
	t.Helper()
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	parent, subjects := map[string]string{}, map[string][]string{}
	root := func(id string) string {
		for parent[id] != "" {
			id = parent[id]
		}
		return id
	}
	var ids []string
	for _, f := range files {
		raw, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		id := m.Header.Get("Message-Id")
		ids = append(ids, id)
		chain := append(strings.Fields(m.Header.Get("References")), id)
		for i := 1; i < len(chain); i++ {
			parent[chain[i]] = chain[i-1]
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil {
			t.Error(err)
		}
		subjects[root(id)] = append(subjects[root(id)], strings.TrimPrefix(subject, "Re: "))
	}
	if len(subjects) != 2 {
		t.Errorf("%d mails are %d threads, want 2: %v", len(ids), len(subjects), subjects)
	}
	for r, s := range subjects {
		if len(s) == 2 && s[0] != s[1] {
			t.Errorf("thread %s has two subjects: %q", r, s)
		}
	}
}

// TestPeerAlertmanager sends first and update of one alert, and another, to Debian's Alertmanager: they show there, the two as one, with our labels,
// over its API and in amtool.
// The shipped Alertmanager configuration is one, and sends each severity where it belongs.
func TestPeerAlertmanagerRoutes(t *testing.T) {
	const file = "../../deploy/prometheus/alertmanager.yml"
	if out := tool(t, "amtool", "check-config", file); !strings.Contains(out, "SUCCESS") {
		t.Errorf("amtool says:\n%s", out)
	}
	for labels, receiver := range map[string]string{
		"alertname=Watchdog severity=none": "watchdog", "alertname=BusDown severity=critical": "pager", "alertname=FeedDead severity=warning": "operators",
	} {
		tool(t, "amtool", append([]string{"config", "routes", "test", "--config.file=" + file, "--verify.receivers=" + receiver}, strings.Fields(labels)...)...)
	}
}

func TestPeerAlertmanager(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	config := write(t, dir, "alertmanager.yml", "route: {receiver: none, group_by: [watchlist, story]}\nreceivers: [{name: none}]\n")
	peer(t, addr, "prometheus-alertmanager", "--config.file="+config, "--storage.path="+dir+"/am", "--web.listen-address="+addr, "--cluster.listen-address=")
	in := openInstance(t, dir, fmt.Sprintf("channels:\n  - id: am\n    alertmanager: {url: \"http://%s\", allow_http: true, labels: {desk: south}}\n", addr))
	in.runStages(t, "router", "channel")
	first, other := newsAlert(1), newsAlert(2)
	update := first
	update.Revision, update.Kind, update.New = 2, news.KindUpdate, []string{"another outlet"}
	other.Match.Item.Title = "喀布尔发生爆炸"
	for _, a := range []news.Alert{first, update, other} {
		in.publish(t, a)
		waitFor(t, time.Minute, "the delivery", func() bool { c := in.notify.Ledger()["am"]; return c.Accepted > 0 && c.Pending == 0 })
	}
	waitFor(t, time.Minute, "three deliveries", func() bool { return in.notify.Ledger()["am"].Delivered == 3 })
	var shown []struct {
		Labels, Annotations map[string]string
		Status              struct{ State string }
	}
	waitFor(t, 30*time.Second, "two alerts at Alertmanager", func() bool {
		resp, err := http.Get("http://" + addr + "/api/v2/alerts")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(&shown); err != nil {
			t.Fatal(err)
		}
		return len(shown) == 2
	})
	for _, a := range shown {
		if a.Labels["alertname"] != "TocsinAlert" || a.Labels["watchlist"] != "test" || a.Labels["desk"] != "south" || a.Labels["story"] == "" || a.Annotations["title"] == "" {
			t.Errorf("%+v", a)
		}
		if a.Labels["story"] == first.Story && a.Annotations["new"] != "another outlet" {
			t.Errorf("the update did not replace the first: %+v", a.Annotations)
		}
	}
	if out := tool(t, "amtool", "--alertmanager.url=http://"+addr, "alert", "query", "-o", "extended"); strings.Count(out, "TocsinAlert") != 2 || !strings.Contains(out, "喀布尔发生爆炸") {
		t.Errorf("amtool shows:\n%s", out)
	}
}

// TestPeerSignatures: what arrives at a receiver verifies with the official library (v1) and with openssl (v1a), and nothing else does.
func TestPeerSignatures(t *testing.T) {
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAA"
	var mu sync.Mutex
	var heads []http.Header
	var bodies [][]byte
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		heads, bodies = append(heads, r.Header.Clone()), append(bodies, body)
	}))
	defer srv.Close()
	dir := t.TempDir()
	write(t, dir, "v1", secret)
	write(t, dir, "v1a", "whsk_"+base64.StdEncoding.EncodeToString(private))
	in := openInstance(t, dir, fmt.Sprintf("channels:\n  - id: hook\n    webhook: {url: %q, allow_http: true, secrets: [\"file:v1\", \"file:v1a\"]}\n", srv.URL))
	in.runStages(t, "router", "channel")
	const n = 20
	for i := range n {
		in.publish(t, newsAlert(i))
	}
	waitFor(t, time.Minute, "all deliveries", func() bool { return in.notify.Ledger()["hook"].Delivered == n })
	wh, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	key := write(t, dir, "public.pem", pemText("PUBLIC KEY", der))
	mu.Lock()
	defer mu.Unlock()
	for i, h := range heads {
		if err := wh.Verify(bodies[i], h); err != nil {
			t.Errorf("the official library says: %v", err)
		}
		if err := wh.Verify(append(bodies[i], ' '), h); err == nil {
			t.Error("the official library takes a changed body")
		}
		_, v1a, _ := strings.Cut(h.Get("webhook-signature"), "v1a,")
		sig, err := base64.StdEncoding.DecodeString(v1a)
		if err != nil {
			t.Fatal(err)
		}
		signed := h.Get("webhook-id") + "." + h.Get("webhook-timestamp") + "." + string(bodies[i])
		out := tool(t, "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", write(t, dir, "signed", signed), "-sigfile", write(t, dir, "sig", string(sig)))
		if !strings.Contains(out, "Verified Successfully") {
			t.Errorf("openssl says %s", out)
		}
	}
}
