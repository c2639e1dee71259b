package slack

import (
	"encoding/json"
	"flag"
	"net/http"
	"strings"
	"testing"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func open(t testing.TB) (*notifiertest.Web, notifier.Channel) {
	t.Helper()
	w := notifiertest.Serve(t, notifiertest.Find(`"block_id":"`, `"`))
	var c Config
	if fs := strict.Decode("t.yaml", []byte("url_file: "+notifiertest.Secret(t, w.URL+"/services/T0/B0/CANARYTOKEN")), 1<<10, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	ch, err := New(c, Options{ID: "desk", Client: w.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return w, ch
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		w, ch := open(t)
		w.Repeat = "CANARYTOKEN /services/T0/B0/CANARYTOKEN"
		return w.Peer(t, ch, "/services/T0/B0/CANARYTOKEN")
	})
}

func TestGolden(t *testing.T) {
	_, ch := open(t)
	notifiertest.Golden(t, &ch, *update)
}

func decode(t testing.TB, ch notifier.Channel, a *news.Alert) message {
	t.Helper()
	var m message
	if err := json.Unmarshal(notifiertest.Plan(t, &ch, a).Body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLimits(t *testing.T) {
	_, ch := open(t)
	for _, b := range decode(t, ch, notifiertest.HugeHeartbeat()).Blocks {
		if b.Type == "section" {
			notifiertest.Whole(t, limit("section"), b.Text.Text)
		}
	}
	m := decode(t, ch, notifiertest.Huge())
	notifiertest.Whole(t, limit("text"), m.Text)
	if len(m.Blocks) > limit("blocks").Max || len(m.Blocks) < 6 {
		t.Errorf("%d blocks", len(m.Blocks))
	}
	for _, b := range m.Blocks {
		if b.Text != nil {
			field := "section"
			if b.Type == "header" {
				field = "header"
			}
			notifiertest.Whole(t, limit(field), b.Text.Text)
		}
		for _, e := range b.Elements {
			notifiertest.Whole(t, limit("context"), e.Text)
		}
	}
}

func TestNobodyIsCalled(t *testing.T) {
	_, ch := open(t)
	m := decode(t, ch, notifiertest.Caller())
	notifiertest.Calls(t, m.Text)
	for _, b := range m.Blocks {
		if b.Text != nil && b.Text.Type == "plain_text" {
			notifiertest.Calls(t, b.Text.Text)
		}
		for _, e := range b.Elements {
			notifiertest.Calls(t, e.Text)
			if e.Type != "plain_text" {
				t.Errorf("text of an item as %s", e.Type)
			}
		}
	}
}

func TestLinksCannotBreakOut(t *testing.T) {
	for in, want := range map[string]string{
		"https://a.example/?x=1&y=2":  "<https://a.example/?x=1&amp;y=2|a.example>",
		"https://a.example/|x><!here": "<https://a.example/%7Cx%3E%3C!here|a.example>",
		"":                            "",
		"https://a.example/" + strings.Repeat("x", 4000): "",
	} {
		if got := link(in, "a.example"); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

func TestSlackSaysWhatIsWrong(t *testing.T) {
	w, ch := open(t)
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	for said, want := range map[string]notifier.Verdict{
		"403 invalid_token": notifier.Misconfigured, "404 no_service": notifier.Misconfigured, "410 channel_is_archived": notifier.Gone,
		"400 invalid_payload": notifier.Refused, "500 rollup_error": notifier.Retry, "429 rate_limited": notifier.Retry, "200 ok": notifier.Delivered,
	} {
		code, word, _ := strings.Cut(said, " ")
		w.Answer = func(w http.ResponseWriter) {
			w.WriteHeader(map[string]int{"403": 403, "404": 404, "410": 410, "400": 400, "500": 500, "429": 429, "200": 200}[code])
			w.Write([]byte(word))
		}
		r := ch.Send(t.Context(), d)
		if r.Verdict != want || want != notifier.Delivered && !strings.Contains(r.Status, word) {
			t.Errorf("%s: %+v, want %s", said, r, want)
		}
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"{}": "no url_file", "url: https://hooks.slack.com/services/CANARY": "a reference to a secret is expected",
		"{url_file: /x, url: env:X}": "both url and url_file", "{url_file: /x, timeout: 2m}": "too long",
	} {
		var c Config
		fs := append(strict.Decode("t.yaml", []byte(yaml), 1<<10, &c), c.Check()...)
		if !strings.Contains(fs.Error(), want) || strings.Contains(fs.Error(), "CANARY") {
			t.Errorf("%s: %q, want %q", yaml, fs.Error(), want)
		}
	}
	c := Config{URLFile: strict.Text{Value: notifiertest.Secret(t, "ftp://CANARY.example")}}
	if _, err := New(c, Options{ID: "x", Client: &http.Client{}}); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("an address that is not https: %v", err)
	}
}

func TestDigestKeepsLimits(t *testing.T) {
	_, ch := open(t)
	var m message
	if err := json.Unmarshal(notifiertest.Digest(t, &ch, 200).Body, &m); err != nil {
		t.Fatal(err)
	}
	notifiertest.Whole(t, limit("header"), m.Blocks[0].Text.Text)
	notifiertest.Whole(t, limit("section"), m.Blocks[1].Text.Text)
	notifiertest.Calls(t, m.Text+m.Blocks[1].Text.Text)
	if s := m.Blocks[1].Text.Text; strings.Count(s, "\n") < 8 || !strings.Contains(s, " more") {
		t.Errorf("the digest names too few, or does not say how many it leaves out: %q", s)
	}
}
