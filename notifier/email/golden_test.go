package email

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func config(t testing.TB, yaml string) Config {
	t.Helper()
	var c Config
	if fs := strict.Decode("tocsin.yaml", []byte(yaml), 1<<20, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	return c
}

const plain = `
server: mail.example.org
from: Tocsin <alerts@example.org>
to: [analyst@example.net]
location: Asia/Karachi
unsubscribe_mailto: leave@example.org
`

// delivery is a sample rendered as it would be sent.
func delivery(t testing.TB, render func(*news.Alert, *news.Delivery) error, a *news.Alert, to string) *news.Delivery {
	t.Helper()
	d := &news.Delivery{
		ID: news.DeliveryID(a.ID, a.Revision, "root", "mail", to), Alerts: []news.AlertRef{{ID: a.ID, Revision: a.Revision}}, Story: a.Story,
		Watchlist: a.Watchlist, Severity: a.Severity, Route: `severity="high"`, Channel: "mail", Recipient: to, Reason: news.SendFirst,
		FirstSeen: a.Match.Item.FirstSeen, PlannedAt: a.At, Expires: a.At.Add(80 * time.Hour),
	}
	if err := render(a, d); err != nil {
		t.Fatal(err)
	}
	return d
}

func maker0(t testing.TB, yaml string) *maker {
	t.Helper()
	c := config(t, yaml)
	if err := c.Check().Err(); err != nil {
		t.Fatal(err)
	}
	m, err := newMaker(&c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGoldenMails shows the decoded parts of each mail, so that a change of wording can be read in a difference: all headers and texts in
// mails.txt, all pages in mails.html, their common head once.
func TestGoldenMails(t *testing.T) {
	m := maker0(t, plain)
	var texts, pages bytes.Buffer
	add := func(name string, d *news.Delivery) {
		lines(t, d.Body)
		head, text, html := open(t, d.Body)
		fmt.Fprintf(&texts, "==== %s\n%s\n%s\n", name, head, text)
		top, body, ok := strings.Cut(html, "<body>")
		if pages.Len() == 0 {
			pages.WriteString(top)
		}
		if html != "" && !ok {
			t.Errorf("%s: the page has no body", name)
		}
		fmt.Fprintf(&pages, "\n<!-- ==== %s -->%s", name, body)
	}
	for _, s := range notifiertest.Samples() {
		d, again := delivery(t, m.render, &s.Alert, "analyst@example.net"), delivery(t, m.render, &s.Alert, "analyst@example.net")
		if !bytes.Equal(d.Body, again.Body) {
			t.Errorf("%s: the same alert gave other bytes the second time", s.Name)
		}
		add(s.Name, d)
	}
	first := notifiertest.Samples()[0].Alert
	d := delivery(t, func(*news.Alert, *news.Delivery) error { return nil }, &first, "analyst@example.net")
	d.Story, d.Watchlist, d.Reason = "", "", news.SendDigest
	if err := m.digest(notifiertest.Entries(), d); err != nil {
		t.Fatal(err)
	}
	add("digest", d)
	d.Subject = "[high] Corridor security: BLA claims attack"
	if err := m.short(d); err != nil {
		t.Fatal(err)
	}
	add("short", d)
	notifiertest.Compare(t, "testdata/mails.txt", texts.Bytes(), *update)
	notifiertest.Compare(t, "testdata/mails.html", pages.Bytes(), *update)
}

// open decodes a mail as a mail program does: its headers in readable form, its text, its page.
func open(t testing.TB, raw []byte) (head, text, html string) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var dec mime.WordDecoder
	for _, k := range news.SortedKeys(m.Header) {
		for _, v := range m.Header[k] {
			plain, err := dec.DecodeHeader(v)
			if err != nil {
				t.Fatalf("header %s: %v", k, err)
			}
			head += k + ": " + plain + "\n"
		}
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind == "text/plain" {
		return head, decode(t, m.Header.Get("Content-Transfer-Encoding"), m.Body), ""
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	for i := 0; ; i++ {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return head, text, html
		}
		if err != nil {
			t.Fatal(err)
		}
		body := decode(t, p.Header.Get("Content-Transfer-Encoding"), p)
		switch kind := p.Header.Get("Content-Type"); {
		case i == 0 && strings.HasPrefix(kind, "text/plain"):
			text = body
		case i == 1 && strings.HasPrefix(kind, "text/html"):
			html = body
		default:
			t.Fatalf("part %d is %s", i, kind)
		}
	}
}

func decode(t testing.TB, how string, r io.Reader) string {
	t.Helper()
	switch how {
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// lines checks what every server may ask of a mail: lines of at most 998 octets that end in CRLF, and no bare CR or LF.
func lines(t testing.TB, raw []byte) {
	t.Helper()
	for i, l := range strings.SplitAfter(string(raw), "\r\n") {
		if len(l) > 1000 {
			t.Errorf("line %d has %d octets", i+1, len(l))
		}
		if strings.ContainsAny(strings.TrimSuffix(l, "\r\n"), "\r\n") {
			t.Errorf("line %d holds a bare CR or LF: %q", i+1, l)
		}
		for k := range len(l) {
			if l[k] >= 0x80 || l[k] == 0 {
				t.Fatalf("line %d is not ASCII: %q", i+1, l)
			}
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	m := maker0(t, plain)
	s := notifiertest.Hostile()
	d := delivery(t, m.render, &s.Alert, "analyst@example.net")
	head, text, html := open(t, d.Body)
	for _, bad := range []string{"\nBcc", "\nSubject: other", "\x1b", "\u202E"} {
		if strings.Contains(head, bad) || strings.Contains(text, bad) || strings.Contains(html, bad) {
			t.Errorf("%q came through", bad)
		}
	}
	for _, bad := range []string{"<script>", "<img", "<b>Lib", "javascript:", "onerror=alert(1)>"} {
		if strings.Contains(html, bad) {
			t.Errorf("%q stands in the page", bad)
		}
	}
	if n := strings.Count(text, "\u2068") - strings.Count(text, "\u2069"); n != 0 {
		t.Errorf("isolates are not balanced: %d", n)
	}
}

func TestHeadersThatHoldALineBreakAreRefused(t *testing.T) {
	m := maker0(t, plain)
	d := &news.Delivery{ID: "x", Story: "s\r\nBcc: a@b", Watchlist: "w", Recipient: "analyst@example.net", Subject: "s", PlannedAt: time.Now()}
	if err := m.fill(d, "text", ""); err == nil || !strings.Contains(err.Error(), "line break") {
		t.Fatalf("got %v", err)
	}
	d.Story, d.Subject = "s", "a\nb"
	if err := m.fill(d, "text", ""); err == nil {
		t.Fatal("a subject of two lines was accepted")
	}
}

func TestViewIsBounded(t *testing.T) {
	s := notifiertest.Hostile()
	for range 500 {
		s.Alert.Match.Entities = append(s.Alert.Match.Entities, news.EntityHit{ID: "e", Name: strings.Repeat("long name ", 500)})
	}
	d := delivery(t, maker0(t, plain).render, &s.Alert, "analyst@example.net")
	if len(d.Body) > 64<<10 {
		t.Errorf("mail of %d bytes", len(d.Body))
	}
}
