package email

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"net/url"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

const leaveKey = "CANARY-0123456789abcdef0123456789abcdef"

func leaver(t testing.TB, key string) *Leaver {
	t.Helper()
	l, err := NewLeaver(notifier.NewSecret(key))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTokens(t *testing.T) {
	l := leaver(t, leaveKey)
	token := l.Token("desk@example.org", "corridors")
	if a, w, err := l.Read(token); err != nil || a != "desk@example.org" || w != "corridors" {
		t.Errorf("%q %q %v", a, w, err)
	}
	other := leaver(t, leaveKey+"x")
	for _, bad := range []string{
		"", ".", "x.y", token + "x", token[:len(token)-1], "A" + token[1:], other.Token("desk@example.org", "corridors"),
		strings.Split(l.Token("other@example.org", "corridors"), ".")[0] + "." + strings.Split(token, ".")[1],
	} {
		if _, _, err := l.Read(bad); err == nil {
			t.Errorf("token %q is accepted", bad)
		}
	}
	if _, err := NewLeaver(notifier.NewSecret("short CANARY")); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a short key: %v", err)
	}
}

func FuzzToken(f *testing.F) {
	l := leaver(f, leaveKey)
	f.Add("a@b.c", "list", "x.y")
	f.Fuzz(func(t *testing.T, a, w, bad string) {
		a = strings.ReplaceAll(a, "\n", "")
		if len(a)+len(w) < 900 {
			if x, y, err := l.Read(l.Token(a, w)); err != nil || x != a || y != w {
				t.Fatalf("%q %q gives %q %q %v", a, w, x, y, err)
			}
		}
		if x, y, err := l.Read(bad); err == nil && l.Token(x, y) != bad {
			t.Fatalf("%q is accepted for %q %q", bad, x, y)
		}
	})
}

func TestTheDoor(t *testing.T) {
	l := leaver(t, leaveKey)
	var left []string
	fail := false
	s := httptest.NewServer(Unsubscribe{Leavers: []*Leaver{leaver(t, strings.Repeat("o", 32)), l}, Leave: func(_ context.Context, a, w string) error {
		if fail {
			return errors.New("disk full CANARY")
		}
		left = append(left, a+" "+w)
		return nil
	}})
	t.Cleanup(s.Close)
	good := s.URL + "/unsubscribe?t=" + l.Token("desk@example.org", "<b>list")
	ask := func(method, address string, form url.Values) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b := make([]byte, 4096)
		n, _ := resp.Body.Read(b)
		return resp.StatusCode, string(b[:n])
	}
	oneClick := url.Values{"List-Unsubscribe": {"One-Click"}}
	if code, page := ask("GET", good, nil); code != 200 || !strings.Contains(page, "<form") || strings.Contains(page, "<b>list") || len(left) > 0 {
		t.Errorf("GET: %d %s, left %v", code, page, left)
	}
	if code, _ := ask("POST", good, nil); code != 400 || len(left) > 0 {
		t.Errorf("POST without the word: %d, left %v", code, left)
	}
	if code, _ := ask("POST", s.URL+"/unsubscribe?t=x.y", oneClick); code != 403 || len(left) > 0 {
		t.Errorf("POST with a false token: %d, left %v", code, left)
	}
	if code, _ := ask("PUT", good, oneClick); code != 405 || len(left) > 0 {
		t.Errorf("PUT: %d, left %v", code, left)
	}
	if code, _ := ask("POST", good, oneClick); code != 200 || len(left) != 1 || left[0] != "desk@example.org <b>list" {
		t.Errorf("POST: %d, left %v", code, left)
	}
	if _, page := ask("GET", s.URL+"/unsubscribe?t="+l.Token("desk@example.org", ""), nil); !strings.Contains(page, "Leave all lists?") {
		t.Errorf("no list is all lists: %s", page)
	}
	fail = true
	if code, page := ask("POST", good, oneClick); code != 503 || strings.Contains(page, "CANARY") {
		t.Errorf("POST that cannot be kept: %d %s", code, page)
	}
}

// TestOneClickHeaders: both headers stand in the mail, the token names recipient and list, and the key is nowhere.
func TestOneClickHeaders(t *testing.T) {
	s := serve(t, true, false)
	ch := channel(t, s, "unsubscribe_mailto: leave@example.org\nunsubscribe_url: https://tocsin.example.org/unsubscribe\nunsubscribe_key_file: "+write(t, "leave.key", []byte(leaveKey))+"\n")
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	if r := ch.Send(t.Context(), d); r.Verdict != notifier.Delivered {
		t.Fatal(r)
	}
	msg, err := mail.ReadMessage(strings.NewReader(string(s.got[0].Body)))
	if err != nil {
		t.Fatal(err)
	}
	ways := strings.Split(msg.Header.Get("List-Unsubscribe"), ", ")
	if len(ways) != 2 || msg.Header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" || !strings.HasPrefix(ways[1], "<mailto:leave@example.org?") {
		t.Fatalf("headers %v", msg.Header)
	}
	u, err := url.Parse(strings.Trim(ways[0], "<>"))
	if err != nil || u.Host != "tocsin.example.org" || u.Scheme != "https" {
		t.Fatalf("%v %v", u, err)
	}
	if a, w, err := leaver(t, leaveKey).Read(u.Query().Get("t")); err != nil || a != d.Recipient || w != d.Watchlist {
		t.Errorf("the token names %q %q %v", a, w, err)
	}
	if strings.Contains(string(d.Body), "CANARY") {
		t.Error("the key stands in the mail")
	}
}

func TestSuppression(t *testing.T) {
	s := serve(t, true, false)
	away, bounced := map[string]string{}, []string{}
	var broken error
	c := config(t, "server: "+s.addr+"\nca_file: "+s.ca+"\nfrom: a@example.org\nto: [b@example.net]\nusername: u\npassword_file: "+write(t, "p", []byte(password)))
	ch, err := New(c, Options{ID: "mail", Dial: dial, People: People{
		Away: func(_ context.Context, address, list string) (string, error) { return away[address+" "+list], broken },
		Bounced: func(_ context.Context, address, status string) error {
			bounced = append(bounced, address+": "+status)
			return nil
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d := delivery(t, ch.Render, &notifiertest.Samples()[0].Alert, "b@example.net")
	s.rcpt = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	if r := ch.Send(t.Context(), d); r.Verdict != notifier.Permanent || !strings.Contains(r.Status, "suppression list now") || len(bounced) != 1 || !strings.HasPrefix(bounced[0], "b@example.net: 550 5.1.1") {
		t.Errorf("%+v, bounced %v", r, bounced)
	}
	s.rcpt = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 2, 1}, Message: "mailbox disabled"}
	if r := ch.Send(t.Context(), d); r.Verdict != notifier.Permanent || len(bounced) != 1 {
		t.Errorf("5.2.1 is not 5.1.1: %+v, bounced %v", r, bounced)
	}
	s.rcpt = nil
	away["b@example.net "+d.Watchlist] = "unsubscribed"
	if r := ch.Send(t.Context(), d); r.Verdict != notifier.Permanent || len(s.got) != 0 || !strings.Contains(r.Status, "unsubscribed") {
		t.Errorf("%+v, %d mails", r, len(s.got))
	}
	broken = errors.New("no store")
	if r := ch.Send(t.Context(), d); r.Verdict != notifier.Retry || !r.Alive || len(s.got) != 0 {
		t.Errorf("a list that cannot be read: %+v", r)
	}
}
