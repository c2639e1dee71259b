package discord

import (
	"encoding/json"
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const path = "/api/webhooks/1/CANARYTOKEN"

// id finds the delivery's id behind the last dot of the footer, or alone in it.
func id(body []byte) string {
	s := notifiertest.Find(`"footer":{"text":"`, `"`)(body)
	return s[strings.LastIndex(s, " ")+1:]
}

func open(t testing.TB) (*notifiertest.Web, notifier.Channel) {
	t.Helper()
	w := notifiertest.Serve(t, id)
	w.Repeat = path
	var c Config
	if fs := strict.Decode("t.yaml", []byte("url_file: "+notifiertest.Secret(t, w.URL+path)), 1<<10, &c); len(fs) > 0 {
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
		w.Check = func(r *http.Request, _ []byte) {
			if r.URL.Query().Get("wait") != "true" {
				t.Errorf("the address asks for no answer: %s", r.URL)
			}
		}
		return w.Peer(t, ch, path)
	})
}

func TestGolden(t *testing.T) {
	_, ch := open(t)
	notifiertest.Golden(t, &ch, *update)
}

func decode(t testing.TB, a *news.Alert) message {
	t.Helper()
	_, ch := open(t)
	var m message
	if err := json.Unmarshal(notifiertest.Plan(t, &ch, a).Body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLimits(t *testing.T) {
	notifiertest.Whole(t, limit("description"), decode(t, notifiertest.HugeHeartbeat()).Embeds[0].Description)
	e := decode(t, notifiertest.Huge()).Embeds[0]
	texts := map[string]string{"author": e.Author.Name, "title": e.Title, "description": e.Description, "footer": e.Footer.Text}
	all := ""
	for name, s := range texts {
		notifiertest.Whole(t, limit(name), s)
		all += s
	}
	if len(e.Fields) != 2 {
		t.Errorf("%d fields", len(e.Fields))
	}
	for _, f := range e.Fields {
		notifiertest.Whole(t, limit("field"), f.Value)
		all += f.Name + f.Value
	}
	notifiertest.Whole(t, limit("embed"), all)
	sum := 2 * limit("field").Max
	for _, name := range []string{"author", "title", "description", "footer"} {
		sum += limit(name).Max
	}
	if sum > limit("embed").Max {
		t.Errorf("the limits of the parts sum to %d, Discord takes %d", sum, limit("embed").Max)
	}
}

func TestNobodyIsCalled(t *testing.T) {
	m := decode(t, notifiertest.Caller())
	if m.Mentions.Parse == nil {
		t.Error("allowed_mentions.parse must be an empty list")
	}
	e := m.Embeds[0]
	for _, s := range []string{e.Author.Name, e.Title, e.Description, e.Footer.Text} {
		notifiertest.Calls(t, s)
	}
	if strings.Contains(e.Title, "[x](") || strings.Contains(e.Description, "*b*") && !strings.Contains(e.Description, `\*b\*`) {
		t.Errorf("markup of an item came through: %q", e.Title)
	}
}

func TestAnswers(t *testing.T) {
	w, ch := open(t)
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	answer := func(status int, body string) notifier.Result {
		w.Answer = func(w http.ResponseWriter) {
			w.WriteHeader(status)
			w.Write([]byte(body))
		}
		return ch.Send(t.Context(), d)
	}
	if r := answer(200, `{"id":"987654321"}`); r.Verdict != notifier.Delivered || r.ProviderID != "987654321" {
		t.Errorf("%+v", r)
	}
	if r := answer(429, `{"message":"You are being rate limited.","retry_after":64.57,"global":false}`); r.Verdict != notifier.Retry || r.RetryAfter.Round(time.Second) != 65*time.Second {
		t.Errorf("%+v", r)
	}
	if r := answer(429, `{"retry_after":1e99}`); r.RetryAfter != 0 {
		t.Errorf("a foolish wait: %+v", r)
	}
	if r := answer(404, `{"message":"Unknown Webhook","code":10015}`); r.Verdict != notifier.Misconfigured || !strings.Contains(r.Status, "Unknown Webhook") {
		t.Errorf("%+v", r)
	}
	if r := answer(400, `{"embeds":["0"]}`); r.Verdict != notifier.Refused {
		t.Errorf("%+v", r)
	}
}

func TestDigestKeepsLimits(t *testing.T) {
	_, ch := open(t)
	var m message
	if err := json.Unmarshal(notifiertest.Digest(t, &ch, 200).Body, &m); err != nil {
		t.Fatal(err)
	}
	notifiertest.Whole(t, limit("title"), m.Embeds[0].Title)
	notifiertest.Whole(t, limit("description"), m.Embeds[0].Description)
	notifiertest.Calls(t, m.Embeds[0].Description)
	if s := m.Embeds[0].Description; strings.Count(s, "\n") < 6 || !strings.Contains(s, " more") {
		t.Errorf("the digest names too few: %q", s)
	}
}
