package newsroom

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// send posts body as the official library signs it.
func send(t *testing.T, w *World, id, body string, at time.Time) int {
	t.Helper()
	wh, err := standardwebhooks.NewWebhook(w.WebhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := wh.Sign(id, at, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.WebhookURL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", fmt.Sprint(at.Unix()))
	req.Header.Set("webhook-signature", sig)
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return 0
	}
	res.Body.Close()
	return res.StatusCode
}

func event(kind, list, url string, ids ...string) string {
	var entities []map[string]string
	for _, id := range ids {
		entities = append(entities, map[string]string{"id": id, "name": strings.ToUpper(id)})
	}
	b, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": "e1", "type": "tocsin.alert.created",
		"data": map[string]any{
			"alert": "a1", "revision": 1, "kind": kind, "watchlist": map[string]string{"id": list}, "severity": "high",
			"items": []any{map[string]string{"url": url, "title": "x"}}, "entities": entities,
		},
	})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestWebhookTakesOnlyGenuineRequests(t *testing.T) {
	w := start(t, Options{Noise: -1})
	body := event("first", "corridors", "http://x/1", "cpec")
	if got := send(t, w, "d1", body, time.Now()); got != http.StatusNoContent {
		t.Fatalf("a good request: %d", got)
	}
	for _, at := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
		if got := send(t, w, "d2", body, time.Now().Add(at)); got != http.StatusUnauthorized {
			t.Errorf("a stamp %s away: %d", at, got)
		}
	}
	other := &World{WebhookURL: w.WebhookURL, WebhookSecret: "whsec_" + strings.Repeat("QUFB", 8)}
	if got := send(t, other, "d3", body, time.Now()); got != http.StatusUnauthorized {
		t.Errorf("a foreign secret: %d", got)
	}
	hits := w.Hits()
	if len(hits) != 1 || w.Forged() != 3 {
		t.Fatalf("%d hits, %d forged", len(hits), w.Forged())
	}
	want := []Alert{{ID: "a1", Revision: 1, Kind: "first", Watchlist: "corridors", Severity: "high", URL: "http://x/1", IDs: []string{"cpec"}}}
	if d := cmp.Diff(want, hits[0].Alerts); d != "" {
		t.Error(d)
	}
}

func TestWebhookFaults(t *testing.T) {
	w := start(t, Options{Noise: -1})
	body := event("first", "corridors", "http://x/1", "cpec")
	for _, c := range []struct {
		name  string
		fault Fault
		want  []int
		kept  int
	}{
		{"500 twice", Fault{Status: 500, Share: 1, Count: 2}, []int{500, 500, 204}, 1},
		{"gone", Fault{Status: 410, Share: 1}, []int{410, 410}, 0},
		{"cut after commit", Fault{Share: 1, Count: 1, Keep: true}, []int{0, 204}, 2},
		{"hangs, then answers", Fault{Share: 1, Count: 1, Hang: 50 * time.Millisecond}, []int{204}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.SetFault(c.fault)
			before := len(w.Hits())
			for i, want := range c.want {
				if got := send(t, w, c.name, body, time.Now()); got != want {
					t.Errorf("request %d: %d, want %d", i, got, want)
				}
			}
			kept := 0
			for _, h := range w.Hits()[before:] {
				if h.Kept {
					kept++
				}
			}
			if kept != c.kept {
				t.Errorf("%d kept, want %d", kept, c.kept)
			}
		})
	}
}

func TestParseEventForms(t *testing.T) {
	want := []Alert{{ID: "a", Kind: "first", Watchlist: "l", URL: "http://x", IDs: []string{"ttp", "r"}}}
	for _, data := range []string{
		`{"alert":"a","kind":"first","watchlist":{"id":"l"},"items":[{"url":"http://x"}],"entities":[{"id":"ttp"}],"rules":[{"id":"r"}]}`,
		`{"id":"a","kind":"first","watchlist":"l","item":{"url":"http://x"},"entities":["ttp"],"rules":["r"]}`,
		`{"id":"a","kind":"first","watchlist":"l","match":{"item":{"url":"http://x"},"entities":[{"id":"ttp"}],"rules":[{"id":"r"}]}}`,
		`{"alerts":[{"id":"a","kind":"first","watchlist":"l","item":{"url":"http://x"},"entities":["ttp"],"rules":["r"]}]}`,
	} {
		got, err := parseEvent([]byte(`{"id":"e","type":"t","data":` + data + `}`))
		if err != nil {
			t.Errorf("%s: %v", data, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", data, d)
		}
	}
	if got, err := parseEvent([]byte(`{"id":"e","type":"tocsin.heartbeat","data":{"feeds":3}}`)); err != nil || len(got) > 0 {
		t.Errorf("a heartbeat gives %v, %v", got, err)
	}
	if _, err := parseEvent([]byte(`{"data":{}}`)); err == nil {
		t.Error("an event without type is read")
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(event("first", "l", "http://x", "a")))
	f.Fuzz(func(t *testing.T, in []byte) {
		alerts, err := parseEvent(in)
		if err != nil && len(alerts) > 0 {
			t.Fatal("alerts beside an error")
		}
		for _, a := range alerts {
			if a.URL == "" {
				t.Fatal("an alert without item")
			}
		}
	})
}

func TestMailServer(t *testing.T) {
	w := start(t, Options{Noise: -1})
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(w.CAPEM) {
		t.Fatal("CAPEM holds no certificate")
	}
	msg := "From: a@example.org\r\nTo: b@example.org\r\nSubject: =?utf-8?q?=D0=AF?=\r\n\r\nhello\r\n"
	if err := plainSend(w.SMTPAddr, msg); err == nil {
		t.Error("mail was taken without TLS")
	}
	dial := func(password string) error {
		c, err := smtp.DialStartTLS(w.SMTPAddr, &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
		if err != nil {
			return err
		}
		defer c.Close()
		if err := c.Auth(sasl.NewPlainClient("", w.SMTPUser, password)); err != nil {
			return err
		}
		return c.SendMail("a@example.org", []string{"b@example.org"}, strings.NewReader(msg))
	}
	var se *smtp.SMTPError
	if err := dial("wrong"); !errors.As(err, &se) || se.Code != 535 {
		t.Errorf("a wrong password: %v", err)
	}
	if err := dial(w.SMTPPassword); err != nil {
		t.Fatal(err)
	}
	w.SetMailFault(func(_, to string) error {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user " + to}
	})
	if err := dial(w.SMTPPassword); !errors.As(err, &se) || se.Code != 550 {
		t.Errorf("a refused recipient: %v", err)
	}
	mails := w.Mails()
	if len(mails) != 1 || mails[0].Err != nil || mails[0].Header.Get("To") != "b@example.org" || !bytes.Contains(mails[0].Raw, []byte("hello")) {
		t.Fatalf("mails: %+v", mails)
	}
}

func plainSend(addr, msg string) error {
	c, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.SendMail("a@example.org", []string{"b@example.org"}, strings.NewReader(msg))
}

// fetchAll gets every feed once, as a fetcher would.
func fetchAll(t *testing.T, w *World) {
	t.Helper()
	for _, f := range w.Feeds() {
		url := f.URL
		if strings.HasSuffix(url, "/old/feed") {
			url = strings.Replace(url, "/old/feed", "/index.rdf", 1)
		}
		get(t, url, nil)
	}
}

func TestReport(t *testing.T) {
	w := start(t, Options{Span: time.Millisecond, Noise: 1, Slow: time.Millisecond, Window: 10_000})
	items := map[string]Item{}
	noise := Item{}
	for _, it := range w.Items() {
		items[it.ID] = it
		if it.Kind == Noise {
			noise = it
		}
	}
	if r := w.Report(nil); r.OK() || r.Waiting != r.Planted || r.Planted < 100 {
		t.Fatalf("before the first fetch: %+v", r.Planted)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	fetchAll(t, w)
	_ = w.WaitServed(ctx) // the dead outlet's items stay unserved at this span
	post := func(id, kind, list, item string, ids ...string) {
		if got := send(t, w, id, event(kind, list, items[item].URL, ids...), time.Now()); got != http.StatusNoContent {
			t.Fatalf("post %s: %d", id, got)
		}
	}
	post("1", "first", "armed-groups", "bannu-post-kohsar", "ttp")
	post("2", "first", "armed-groups", "ttp-talks-kabul", "ttp")                              // lacks afghan-taliban
	post("3", "first", "armed-groups", "khawarij-tank", "ttp", "bla")                         // bla is not there
	post("4", "first", "armed-groups", "phishing-playbook", "ttp")                            // a decoy
	post("5", "first", "corridors", "ml1-cabinet", "cpec")                                    //
	post("6", "first", "corridors", "ml1-cabinet", "cpec")                                    // again under a new id
	post("7", "first", "borders", "ttk-video", "kashmir-escalation")                          // allowed
	post("8", "first", "armed-groups", "ttk-video", "ttk")                                    //
	post("8", "first", "armed-groups", "ttk-video", "ttk")                                    // the same id again
	post("9", "first", "places", "kunar-dam", "kunar")                                        // not judged
	post("10", "update", "armed-groups", "bannu-post-kohsar", "ttp")                          // an edit
	send(t, w, "11", event("first", "armed-groups", noise.URL, "afghan-taliban"), time.Now()) // noise
	r := w.Report(nil)
	states := map[string]string{}
	for _, row := range r.Rows {
		states[row.Item.ID+" "+row.Watchlist] = row.State
	}
	for k, want := range map[string]string{
		"bannu-post-kohsar armed-groups": Alerted, "bannu-post-wire armed-groups": Missed, "ttp-talks-kabul armed-groups": Partial,
		"khawarij-tank armed-groups": False, "phishing-playbook armed-groups": False, "ml1-cabinet corridors": Duplicate,
		"ttk-video borders": Allowed, "ttk-video armed-groups": Alerted, "kunar-dam borders": Missed, "bla-pasni armed-groups": Waiting,
		noise.ID + " armed-groups": False,
	} {
		if states[k] != want {
			t.Errorf("%s is %q, want %q", k, states[k], want)
		}
	}
	if r.False != 3 || r.Duplicates != 1 || r.Repeats != 1 || r.OK() || r.P99 <= 0 || r.P50 > r.P99 {
		t.Errorf("counts: %+v", [...]any{r.False, r.Duplicates, r.Repeats, r.OK(), r.P50, r.P99})
	}
	if r.Planted != r.Alerted+r.Folded+r.Missed+r.Waiting+2 { // one told falsely beside the truth, one twice
		t.Errorf("the counts do not add up: %+v", r.Table())
	}
	table := r.Table()
	for _, want := range []string{"planted", "phishing-playbook", "duplicate"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
}

func TestReportIsGoodWhenAllIsTold(t *testing.T) {
	w, err := Flood(300, 4, Options{Span: time.Millisecond, Slow: time.Millisecond, Window: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	time.Sleep(5 * time.Millisecond)
	fetchAll(t, w)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := w.WaitServed(ctx); err != nil {
		t.Fatal(err)
	}
	urls := map[string]bool{}
	for _, it := range w.Items() {
		urls[it.URL] = true
		send(t, w, it.ID, event("first", "flood-000", it.URL, it.Expect[0]), time.Now())
	}
	r := w.Report(w.Lists())
	if !r.OK() || r.Planted != 300 || r.Alerted != 300 || len(urls) != 300 {
		t.Fatalf("%d urls; %s", len(urls), r.Table())
	}
}
