package telegram

import (
	"encoding/json"
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const token = "123456:CANARYTOKEN"

// id finds the delivery's id at the end of the text.
func id(body []byte) string {
	s := notifiertest.Find(`"text":"`, `","entities"`)(body)
	return s[strings.LastIndex(s, `\n`)+2:]
}

func open(t testing.TB) (*notifiertest.Web, notifier.Channel) {
	t.Helper()
	w := notifiertest.Serve(t, id)
	w.Repeat = token
	var c Config
	yaml := "token_file: " + notifiertest.Secret(t, token) + "\nchat: \"-1001234567890\"\nsilent: true\nserver: " + w.URL
	if fs := strict.Decode("t.yaml", []byte(yaml), 1<<10, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	ch, err := New(c, Options{ID: "bot", Client: w.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return w, ch
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		w, ch := open(t)
		w.Check = func(r *http.Request, _ []byte) {
			if r.URL.Path != "/bot"+token+"/sendMessage" {
				t.Errorf("path %s", r.URL.Path)
			}
		}
		return w.Peer(t, ch, token, "CANARYTOKEN")
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

// entities checks that every entity lies on whole letters of the text, and that one which begins inside another ends there too and looks
// otherwise.
func entities(t testing.TB, m message) {
	t.Helper()
	units := utf16.Encode([]rune(m.Text))
	last := entity{}
	for _, e := range m.Entities {
		end, outer := e.Offset+e.Length, last.Offset+last.Length
		if e.Offset < last.Offset || e.Length <= 0 || end > len(units) || e.Offset < outer && (end > outer || e.Type == last.Type) {
			t.Fatalf("entity %+v does not lie in %d units within or after %+v", e, len(units), last)
		}
		if e.Offset >= outer {
			last = e
		}
		if s := string(utf16.Decode(units[e.Offset:end])); strings.Contains(s, "\uFFFD") {
			t.Errorf("entity %+v tears a letter: %q", e, s)
		}
	}
	last = m.Entities[len(m.Entities)-1]
	if got := string(utf16.Decode(units[last.Offset:])); last.Type != "code" || len(got) != 26 {
		t.Errorf("the last entity is %+v over %q, the delivery's id is expected", last, got)
	}
}

func TestEntitiesOfEverySample(t *testing.T) {
	for _, s := range notifiertest.Samples() {
		entities(t, decode(t, &s.Alert))
	}
}

func TestLimits(t *testing.T) {
	notifiertest.Whole(t, limit("text"), decode(t, notifiertest.HugeHeartbeat()).Text)
	m := decode(t, notifiertest.Huge())
	notifiertest.Whole(t, limit("text"), m.Text)
	entities(t, m)
	if limit("text").Unit.Count(m.Text) < 1000 {
		t.Errorf("only %d units are used", limit("text").Unit.Count(m.Text))
	}
}

func TestNobodyIsCalled(t *testing.T) {
	m := decode(t, notifiertest.Caller())
	notifiertest.Calls(t, m.Text)
	for _, e := range m.Entities {
		if e.Type != "bold" && e.Type != "underline" && e.Type != "text_link" && e.Type != "code" {
			t.Errorf("entity %+v", e)
		}
	}
}

func TestSoundFollowsSeverity(t *testing.T) {
	for i, want := range map[int]bool{0: false, 1: false, 2: true, 4: true} { // high, critical, medium, low
		if m := decode(t, &notifiertest.Samples()[i].Alert); m.Silent != want {
			t.Errorf("sample %d: silent is %v", i, m.Silent)
		}
	}
}

func TestAnswers(t *testing.T) {
	w, ch := open(t)
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	for _, c := range []struct {
		status int
		body   string
		want   notifier.Verdict
		say    string
	}{
		{200, `{"ok":true,"result":{"message_id":4711}}`, notifier.Delivered, ""},
		{400, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`, notifier.Misconfigured, "chat not found"},
		{400, `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded","parameters":{"migrate_to_chat_id":-100777}}`, notifier.Misconfigured, "-100777"},
		{400, `{"ok":false,"error_code":400,"description":"Bad Request: message is too long"}`, notifier.Refused, "too long"},
		{403, `{"ok":false,"error_code":403,"description":"Forbidden: bot was kicked from the group chat"}`, notifier.Misconfigured, "kicked"},
		{404, `{"ok":false,"error_code":404,"description":"Not Found"}`, notifier.Misconfigured, "Not Found"},
		{502, `bad gateway`, notifier.Retry, "bad gateway"},
	} {
		w.Answer = func(w http.ResponseWriter) {
			w.WriteHeader(c.status)
			w.Write([]byte(c.body))
		}
		r := ch.Send(t.Context(), d)
		if r.Verdict != c.want || !strings.Contains(r.Status, c.say) {
			t.Errorf("%s: %+v", c.body, r)
		}
		if c.status == 200 && r.ProviderID != "4711" {
			t.Errorf("message id %q", r.ProviderID)
		}
	}
	w.Answer = func(w http.ResponseWriter) {
		w.WriteHeader(429)
		w.Write([]byte(`{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}`))
	}
	if r := ch.Send(t.Context(), d); r.Verdict != notifier.Retry || r.RetryAfter != 35*time.Second {
		t.Errorf("%+v", r)
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"{chat: \"@name\"}": "no token_file", "{token_file: /x}": "neither a number nor a name", "{token_file: /x, chat: \"my chat\"}": "neither a number",
		"{token: 123:CANARY, chat: \"1\"}": "a reference to a secret", "{token_file: /x, chat: \"1\", server: \"http://x\"}": "allow_http",
	} {
		var c Config
		fs := append(strict.Decode("t.yaml", []byte(yaml), 1<<10, &c), c.Check()...)
		if !strings.Contains(fs.Error(), want) || strings.Contains(fs.Error(), "CANARY") {
			t.Errorf("%s: %q, want %q", yaml, fs.Error(), want)
		}
	}
	c := Config{TokenFile: strict.Text{Value: notifiertest.Secret(t, "CANARY/../x")}, Chat: strict.Text{Value: "1"}}
	if _, err := New(c, Options{ID: "x", Client: &http.Client{}}); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a token that is none: %v", err)
	}
}

func TestDigestKeepsLimits(t *testing.T) {
	_, ch := open(t)
	var m message
	if err := json.Unmarshal(notifiertest.Digest(t, &ch, 200).Body, &m); err != nil {
		t.Fatal(err)
	}
	notifiertest.Whole(t, limit("text"), m.Text)
	notifiertest.Calls(t, m.Text)
	entities(t, m)
	if strings.Count(m.Text, "\n") < 12 || !strings.Contains(m.Text, " more") {
		t.Errorf("the digest names too few: %q", m.Text)
	}
}
