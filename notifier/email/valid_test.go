package email

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"tocsin/news"
	"tocsin/notifier/notifiertest"
)

// every gives one delivery of each form: all samples, alerts beyond every bound, a digest of many, the short form.
func every(t *testing.T, m *maker) map[string]*news.Delivery {
	t.Helper()
	out := map[string]*news.Delivery{}
	for _, s := range notifiertest.Samples() {
		out[s.Name] = delivery(t, m.render, &s.Alert, "analyst@example.net")
	}
	for name, a := range map[string]*news.Alert{"huge": notifiertest.Huge(), "caller": notifiertest.Caller(), "huge heartbeat": notifiertest.HugeHeartbeat()} {
		out[name] = delivery(t, m.render, a, "analyst@example.net")
	}
	var many []news.Alert
	for range 20 {
		many = append(many, notifiertest.Entries()...)
	}
	for name, fill := range map[string]func(*news.Delivery) error{"digest": func(d *news.Delivery) error { return m.digest(many, d) }, "short": m.short} {
		d := delivery(t, func(*news.Alert, *news.Delivery) error { return nil }, &many[0], "analyst@example.net")
		d.Subject, d.Story, d.Watchlist = "[high] Corridor security: BLA claims attack", "", ""
		if err := fill(d); err != nil {
			t.Fatal(err)
		}
		out[name] = d
	}
	return out
}

var (
	encodedWord = regexp.MustCompile(`=\?[^?]+\?[qQbB]\?[^?]*\?=`)
	messageID   = regexp.MustCompile(`^<[^<>@\s]+@[^<>@\s]+>$`)
	listID      = regexp.MustCompile(`^<[^<>@\s]+\.example\.org>$`)
)

// maxShown is how much of a page the strictest big mail program shows before it hides the rest behind a link, in bytes.
const maxShown = 102 << 10

// TestEveryMailIsValid reads each mail as strictly as the standards allow: RFC 5322 (lines, one header of each kind, ids), 2045 and 2047 (encodings,
// encoded words), 2919 and 8058 (List-Id, one click).
func TestEveryMailIsValid(t *testing.T) {
	key := filepath.Join(t.TempDir(), "leave.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 40)), 0o600); err != nil {
		t.Fatal(err)
	}
	m := maker0(t, plain+"unsubscribe_url: https://tocsin.example.org/unsubscribe\nunsubscribe_key_file: "+key+"\n")
	for name, d := range every(t, m) {
		t.Run(name, func(t *testing.T) {
			lines(t, d.Body)
			head, _, _ := bytes.Cut(d.Body, []byte("\r\n\r\n"))
			for _, w := range encodedWord.FindAllString(string(head), -1) {
				if len(w) > 75 {
					t.Errorf("encoded word of %d letters: %s", len(w), w)
				}
			}
			msg, err := mail.ReadMessage(bytes.NewReader(d.Body))
			if err != nil {
				t.Fatal(err)
			}
			checkHead(t, msg, d)
			checkBody(t, msg)
		})
	}
}

func checkHead(t *testing.T, msg *mail.Message, d *news.Delivery) {
	t.Helper()
	for _, k := range []string{"From", "To", "Subject", "Date", "Message-Id", "Mime-Version", "Content-Type", "Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe-Post"} {
		if len(msg.Header[k]) != 1 {
			t.Errorf("%s stands %d times", k, len(msg.Header[k]))
		}
	}
	if to, err := msg.Header.AddressList("To"); err != nil || len(to) != 1 {
		t.Errorf("to %v, %v: one envelope a recipient", to, err)
	}
	if at, err := msg.Header.Date(); err != nil || !at.Equal(d.PlannedAt.Truncate(1e9)) {
		t.Errorf("date %v, %v", at, err)
	}
	ids := []string{msg.Header.Get("Message-Id")}
	if d.Story != "" {
		ids = append(ids, msg.Header.Get("References"), msg.Header.Get("In-Reply-To"))
	}
	for _, id := range ids {
		if !messageID.MatchString(id) {
			t.Errorf("%q is not the id of a mail", id)
		}
	}
	if id := msg.Header.Get("List-Id"); d.Watchlist != "" && !listID.MatchString(id) {
		t.Errorf("List-Id %q", id)
	}
	if ways := msg.Header.Get("List-Unsubscribe"); !strings.HasPrefix(ways, "<https://tocsin.example.org/unsubscribe?t=") || !strings.Contains(ways, ", <mailto:") {
		t.Errorf("List-Unsubscribe %q", ways)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject == "" || !utf8.ValidString(subject) {
		t.Errorf("subject %q, %v", subject, err)
	}
}

// checkBody wants text first, then a page, each in UTF-8 and encoded for seven bits.
func checkBody(t *testing.T, msg *mail.Message) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind == "text/plain" {
		part(t, msg.Header.Get("Content-Type"), msg.Header.Get("Content-Transfer-Encoding"), msg.Body)
		return
	}
	var kinds []string
	for r := multipart.NewReader(msg.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, part(t, p.Header.Get("Content-Type"), p.Header.Get("Content-Transfer-Encoding"), p))
	}
	if kind != "multipart/alternative" || strings.Join(kinds, " ") != "text/plain text/html" {
		t.Errorf("%s of %v", kind, kinds)
	}
}

func part(t *testing.T, media, encoding string, r io.Reader) string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(media)
	if err != nil || !strings.EqualFold(params["charset"], "utf-8") {
		t.Errorf("%q: %v", media, err)
	}
	switch encoding {
	case "7bit", "quoted-printable", "base64":
	default:
		t.Errorf("%s is encoded as %q", kind, encoding)
	}
	s := decode(t, encoding, r)
	if !utf8.ValidString(s) || strings.Count(s, "\u2068") != strings.Count(s, "\u2069") || strings.ContainsAny(s, "\x00\x1b\u202A\u202B\u202C\u202D\u202E\u2066\u2067") {
		t.Errorf("%s holds what a reader must not get", kind)
	}
	if kind == "text/html" && (len(s) > maxShown || !strings.HasPrefix(s, "<!doctype html>") || !strings.Contains(s, `class="pre"`)) {
		t.Errorf("a page of %d bytes", len(s))
	}
	return kind
}
