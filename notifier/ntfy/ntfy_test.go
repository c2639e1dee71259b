package ntfy

import (
	"bytes"
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

const (
	topic = "CANARYTOPIC"
	token = "tk_CANARYTOKEN"
)

// id finds the delivery's id at the end of the message.
func id(body []byte) string {
	s := notifiertest.Find(`"message":"`, `","priority"`)(body)
	if i := strings.LastIndex(s, `\n`); i >= 0 {
		s = s[i+2:]
	}
	return s
}

func open(t testing.TB) (*notifiertest.Web, notifier.Channel) {
	t.Helper()
	w := notifiertest.Serve(t, id)
	w.Repeat = topic + token
	w.Strip = func(b []byte) []byte { return bytes.Replace(b, []byte(`"topic":"`+topic+`",`), nil, 1) }
	var c Config
	yaml := "topic_file: " + notifiertest.Secret(t, topic) + "\ntoken_file: " + notifiertest.Secret(t, token) + "\nserver: " + w.URL
	if fs := strict.Decode("t.yaml", []byte(yaml), 1<<10, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	ch, err := New(c, Options{ID: "phone", Client: w.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return w, ch
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		w, ch := open(t)
		w.Check = func(r *http.Request, body []byte) {
			var said struct{ Topic string }
			if json.Unmarshal(body, &said) != nil || said.Topic != topic || r.Header.Get("Authorization") != "Bearer "+token {
				t.Errorf("topic %q, authorization %q", said.Topic, r.Header.Get("Authorization"))
			}
		}
		return w.Peer(t, ch, topic, token)
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
	notifiertest.Whole(t, limit("message"), decode(t, notifiertest.HugeHeartbeat()).Message)
	m := decode(t, notifiertest.Huge())
	notifiertest.Whole(t, limit("message"), m.Message)
	notifiertest.Whole(t, limit("title"), m.Title)
	if len(m.Message) < 1000 {
		t.Errorf("only %d bytes are used", len(m.Message))
	}
}

func TestPriorityFollowsSeverity(t *testing.T) {
	for i, want := range map[int]int{0: 4, 1: 5, 2: 3, 4: 2, 6: 1, 7: 3} {
		if m := decode(t, &notifiertest.Samples()[i].Alert); m.Priority != want {
			t.Errorf("sample %d: priority %d, want %d", i, m.Priority, want)
		}
	}
}

func TestAnswers(t *testing.T) {
	w, ch := open(t)
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	w.Answer = func(w http.ResponseWriter) { w.Write([]byte(`{"id":"xE73Iyuabi","event":"message"}`)) }
	if r := ch.Send(t.Context(), d); r.ProviderID != "xE73Iyuabi" {
		t.Errorf("%+v", r)
	}
	w.Answer = func(w http.ResponseWriter) { w.WriteHeader(507) }
	if r := ch.Send(t.Context(), d); r.Verdict != notifier.Retry {
		t.Errorf("%+v", r)
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"{}": "no topic_file", "topic: CANARY": "a reference to a secret", "{topic_file: /x, server: http://ntfy.example}": "allow_http",
		"{topic_file: /x, token_file: /y, token: env:Z}": "both token and token_file",
	} {
		var c Config
		fs := append(strict.Decode("t.yaml", []byte(yaml), 1<<10, &c), c.Check()...)
		if !strings.Contains(fs.Error(), want) || strings.Contains(fs.Error(), "CANARY") {
			t.Errorf("%s: %q, want %q", yaml, fs.Error(), want)
		}
	}
}

func TestDigestKeepsLimits(t *testing.T) {
	_, ch := open(t)
	var m message
	if err := json.Unmarshal(notifiertest.Digest(t, &ch, 200).Body, &m); err != nil {
		t.Fatal(err)
	}
	notifiertest.Whole(t, limit("message"), m.Message)
	notifiertest.Whole(t, limit("title"), m.Title)
	if strings.Count(m.Message, "\n") < 12 || !strings.Contains(m.Message, " more") {
		t.Errorf("the digest names too few: %q", m.Message)
	}
}
