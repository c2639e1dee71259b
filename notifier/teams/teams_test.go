package teams

import (
	"encoding/json"
	"flag"
	"net/http"
	"testing"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const path = "/workflows/abc/triggers/manual/paths/invoke"

func open(t testing.TB) (*notifiertest.Web, notifier.Channel) {
	t.Helper()
	w := notifiertest.Serve(t, notifiertest.Find(`"id":"`, `"`))
	w.Repeat = path + "?sig=CANARYTOKEN"
	w.Answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusAccepted) }
	var c Config
	if fs := strict.Decode("t.yaml", []byte("url_file: "+notifiertest.Secret(t, w.URL+path+"?sig=CANARYTOKEN")), 1<<10, &c); len(fs) > 0 {
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
		return w.Peer(t, ch, path+"?sig=CANARYTOKEN")
	})
}

func TestGolden(t *testing.T) {
	_, ch := open(t)
	notifiertest.Golden(t, &ch, *update)
}

func decode(t testing.TB, a *news.Alert) (message, []byte) {
	t.Helper()
	_, ch := open(t)
	body := notifiertest.Plan(t, &ch, a).Body
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m, body
}

func TestLimits(t *testing.T) {
	m, body := decode(t, notifiertest.Huge())
	notifiertest.Whole(t, limit("payload"), string(body))
	if len(m.Attachments[0].Content.Body) < 10 {
		t.Errorf("the card was given up: %s", body)
	}
	for _, e := range m.Attachments[0].Content.Body {
		all := ""
		for _, r := range e.Inlines {
			all += r.Text
		}
		notifiertest.Whole(t, notifier.Limit{Channel: "teams", Field: "text", Max: limit("text").Max + len("why: "), Unit: notifier.Bytes}, all)
	}
}

func TestNobodyIsCalled(t *testing.T) {
	m, _ := decode(t, notifiertest.Caller())
	for _, e := range m.Attachments[0].Content.Body {
		if e.Type != "RichTextBlock" {
			t.Errorf("%s may know markup", e.Type)
		}
		for _, r := range e.Inlines {
			notifiertest.Calls(t, r.Text)
		}
	}
}

func TestErrorsInsideAnAnswerOf200(t *testing.T) {
	w, ch := open(t)
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	for code, want := range map[string]notifier.Verdict{
		"429": notifier.Retry, "413": notifier.Refused, "403": notifier.Misconfigured, "500": notifier.Retry,
	} {
		w.Answer = func(w http.ResponseWriter) {
			w.Write([]byte("Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error " + code + " with ContextId x"))
		}
		if r := ch.Send(t.Context(), d); r.Verdict != want {
			t.Errorf("%s: %+v", code, r)
		}
	}
}

func TestDigestKeepsLimits(t *testing.T) {
	_, ch := open(t)
	body := notifiertest.Digest(t, &ch, 200).Body
	notifiertest.Whole(t, limit("payload"), string(body))
	notifiertest.Calls(t, string(body))
	var m message
	if err := json.Unmarshal(body, &m); err != nil || len(m.Attachments[0].Content.Body) != maxLines+2 {
		t.Errorf("%v, %d lines", err, len(m.Attachments[0].Content.Body))
	}
}
