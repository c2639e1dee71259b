package webhook

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

const (
	key1 = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwCANARY=="
	key2 = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

func config(t testing.TB, yaml string) Config {
	t.Helper()
	var c Config
	if fs := strict.Decode("tocsin.yaml", []byte(yaml), 1<<20, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	return c
}

func file(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// receiver is a web server that does what a fault says and keeps what it verified.
type receiver struct {
	mu     sync.Mutex
	fault  notifiertest.Fault
	answer func(w http.ResponseWriter)
	got    []notifiertest.Received
	heads  []http.Header
	verify *standardwebhooks.Webhook
	t      *testing.T
	stop   chan struct{}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return
	}
	if r.verify != nil {
		if err := r.verify.Verify(body, q.Header); err != nil {
			r.t.Errorf("the official library says: %v", err)
		}
	}
	r.mu.Lock()
	fault, answer := r.fault, r.answer
	if fault == "" || fault == notifiertest.Lost || fault == notifiertest.Hangs {
		r.got = append(r.got, notifiertest.Received{ID: q.Header.Get("webhook-id"), Body: body})
	}
	r.heads = append(r.heads, q.Header.Clone())
	r.mu.Unlock()
	switch fault {
	case notifiertest.Busy:
		w.Header().Set("Retry-After", "7")
		http.Error(w, "busy "+key1+q.URL.String(), http.StatusServiceUnavailable)
	case notifiertest.Lost:
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			conn.Close()
		}
	case notifiertest.Hangs:
		select {
		case <-q.Context().Done():
		case <-r.stop:
		}
		panic(http.ErrAbortHandler) // returning would answer 200, which a caller that is just giving up may still read
	case notifiertest.Nobody:
		http.Error(w, "gone "+key1, http.StatusGone)
	case notifiertest.Content:
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	case notifiertest.Login:
		http.Error(w, "who are you? "+q.URL.Path, http.StatusUnauthorized)
	default:
		if answer != nil {
			answer(w)
		}
	}
}

func (r *receiver) set(f notifiertest.Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
}

func (r *receiver) received() []notifiertest.Received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]notifiertest.Received(nil), r.got...)
}

func start(t *testing.T) (*receiver, *httptest.Server) {
	t.Helper()
	r := &receiver{t: t, stop: make(chan struct{})}
	s := httptest.NewTLSServer(r)
	t.Cleanup(func() { close(r.stop); s.Close() })
	return r, s
}

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	ch, err := New(config(t, "url: https://hooks.example.org/x\n"), Options{ID: "hook", Client: &http.Client{}})
	if err != nil {
		t.Fatal(err)
	}
	notifiertest.Golden(t, &ch, *update)
}

const secretPath = "/hooks/T0KENCANARY"

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		r, s := start(t)
		var err error
		if r.verify, err = standardwebhooks.NewWebhook(key1); err != nil {
			t.Fatal(err)
		}
		c := config(t, "url_file: "+file(t, s.URL+secretPath)+"\nsecret_file: "+file(t, key1)+"\nsecrets: [\"file:"+file(t, key2)+"\"]\n")
		ch, err := New(c, Options{ID: "hook", Client: s.Client()})
		if err != nil {
			t.Fatal(err)
		}
		return &notifiertest.Peer{
			Channel: ch, Set: r.set, Received: r.received, Secrets: []string{key1, key1[6:], key2, secretPath, "T0KENCANARY"},
			Verdicts: map[notifiertest.Fault]notifier.Verdict{
				notifiertest.Busy: notifier.Retry, notifiertest.Lost: notifier.Retry, notifiertest.Hangs: notifier.Retry,
				notifiertest.Nobody: notifier.Gone, notifiertest.Content: notifier.Refused, notifiertest.Login: notifier.Misconfigured,
			},
			Checks: map[notifiertest.Fault]func(notifier.Result){
				notifiertest.Busy: func(r notifier.Result) {
					if r.RetryAfter != 7*time.Second {
						t.Errorf("Retry-After 7 was read as %s", r.RetryAfter)
					}
				},
			},
		}
	})
}

func hook(t *testing.T, r *receiver, s *httptest.Server, yaml string) notifier.Channel {
	t.Helper()
	ch, err := New(config(t, "url: "+s.URL+"/x\n"+yaml), Options{ID: "hook", Client: s.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

func TestVerdictsOfAnswers(t *testing.T) {
	r, s := start(t)
	ch := hook(t, r, s, "")
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	for status, want := range map[int]notifier.Verdict{
		200: notifier.Delivered, 202: notifier.Delivered, 204: notifier.Delivered, 301: notifier.Misconfigured, 302: notifier.Misconfigured,
		307: notifier.Misconfigured, 400: notifier.Retry, 401: notifier.Misconfigured, 403: notifier.Misconfigured, 404: notifier.Retry,
		408: notifier.Retry, 410: notifier.Gone, 413: notifier.Refused, 422: notifier.Retry, 425: notifier.Retry, 429: notifier.Retry,
		500: notifier.Retry, 502: notifier.Retry, 503: notifier.Retry, 504: notifier.Retry,
	} {
		r.answer = func(w http.ResponseWriter) {
			if status/100 == 3 {
				w.Header().Set("Location", "https://elsewhere.example/secret/path")
			}
			w.WriteHeader(status)
		}
		before := len(r.received())
		got := ch.Send(t.Context(), d)
		if got.Verdict != want {
			t.Errorf("%d: %s, want %s", status, got.Verdict, want)
		}
		if n := len(r.received()) - before; n != 1 {
			t.Errorf("%d: %d requests", status, n)
		}
		if status/100 == 3 && (!strings.Contains(got.Status, "elsewhere.example") || strings.Contains(got.Status, "secret/path")) {
			t.Errorf("%d: status %q must name the new host and no more", status, got.Status)
		}
	}
}

func TestConnectionsThatFail(t *testing.T) {
	r, s := start(t)
	ch := hook(t, r, s, "")
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	untrusted, err := New(config(t, "url: "+s.URL+"/hidden\n"), Options{ID: "hook", Client: &http.Client{Transport: &http.Transport{}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := untrusted.Send(t.Context(), d); got.Verdict != notifier.Misconfigured || got.Ambiguous {
		t.Errorf("untrusted certificate: %+v", got)
	}
	s.Close()
	got := ch.Send(t.Context(), d)
	if got.Verdict != notifier.Retry || got.Ambiguous || strings.Contains(got.Status, "/x") {
		t.Errorf("nobody listens: %+v", got)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "1.5": 0, "0": time.Second, "120": 2 * time.Minute, "9999999": 24 * time.Hour,
		"99999999999999999999": 0, now.Add(time.Hour).Format(http.TimeFormat): time.Hour, now.Add(-time.Hour).Format(http.TimeFormat): time.Second,
	} {
		if got := notifier.RetryAfter(in, now); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestEd25519SignaturesVerify(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, s := start(t)
	text := "whsk_" + base64.StdEncoding.EncodeToString(private)
	ch := hook(t, r, s, "secrets: [\"file:"+file(t, text)+"\", \"file:"+file(t, key2)+"\"]\n")
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	if got := ch.Send(t.Context(), d); got.Verdict != notifier.Delivered {
		t.Fatal(got)
	}
	h := r.heads[0]
	sigs := strings.Fields(h.Get("webhook-signature"))
	if len(sigs) != 2 || !strings.HasPrefix(sigs[0], "v1a,") || !strings.HasPrefix(sigs[1], "v1,") {
		t.Fatalf("signatures %q", sigs)
	}
	sig, err := base64.StdEncoding.DecodeString(sigs[0][4:])
	if err != nil {
		t.Fatal(err)
	}
	content := d.ID + "." + h.Get("webhook-timestamp") + "." + string(d.Body)
	if !ed25519.Verify(public, []byte(content), sig) {
		t.Error("the v1a signature does not verify")
	}
}

func TestTimestampIsThatOfTheAttempt(t *testing.T) {
	r, s := start(t)
	now := time.Unix(1_700_000_000, 0)
	ch, err := New(config(t, "url: "+s.URL+"\nsecret_file: "+file(t, key1)+"\n"), Options{ID: "hook", Client: s.Client(), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	for range 2 {
		ch.Send(t.Context(), d)
		now = now.Add(75 * time.Hour)
	}
	a, b := r.heads[0], r.heads[1]
	if a.Get("webhook-id") != b.Get("webhook-id") {
		t.Error("the id changed")
	}
	if n, _ := strconv.ParseInt(b.Get("webhook-timestamp"), 10, 64); n != 1_700_000_000+75*3600 {
		t.Errorf("second stamp %d", n)
	}
	if a.Get("webhook-signature") == b.Get("webhook-signature") {
		t.Error("the signature did not change with the stamp")
	}
}

func TestKeysAreChecked(t *testing.T) {
	for name, key := range map[string]string{
		"no prefix": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "short": "whsec_AAAA", "long": "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)),
		"not base64": "whsec_!!!!CANARY", "ed25519 length": "whsk_" + base64.StdEncoding.EncodeToString(make([]byte, 33)), "public": "whpk_AAAA",
	} {
		_, err := New(config(t, "url: https://a.example\nsecret_file: "+file(t, key)+"\n"), Options{ID: "hook", Client: http.DefaultClient})
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if bare := key[6:]; strings.Contains(err.Error(), bare) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"timeout: 5s\n":                        "tocsin.yaml:1:1: channel of type webhook has no url",
		"url: ftp://a\n":                       "neither https nor http",
		"url: http://a/b\n":                    "allow_http is not set",
		"url: https://u:CANARY@a/b\n":          "holds a password",
		"url: https://a\ntimeout: 2m\n":        "timeout 2m0s is too long",
		"url: https://a\nconcurrency: 33\n":    "out of range",
		"url: https://a\nurl_file: /x\n":       "both url and url_file",
		"url: https://a\nsecret: CANARY\n":     "a reference to a secret is expected",
		"url: https://a\nsecret: [CANARY]\n":   "a reference to a secret is expected",
		"url: https://a\nsecrets: [CANARY]\n":  "a reference to a secret is expected",
		"url: https://a\nsecret_fil: CANARY\n": `did you mean "secret_file"?`,
	} {
		var c Config
		fs := strict.Decode("tocsin.yaml", []byte(yaml), 1<<20, &c)
		errs, _ := append(fs, c.Check()...).Split()
		if len(errs) == 0 || !strings.Contains(errs.Error(), want) {
			t.Errorf("%q: got %q, want %q", yaml, errs, want)
		}
		if strings.Contains(errs.Error(), "CANARY") {
			t.Errorf("%q: the fault shows the secret: %s", yaml, errs)
		}
	}
	c := config(t, "url: https://a\n")
	if _, warn := c.Check().Split(); len(warn) != 1 {
		t.Errorf("an unsigned webhook must warn, got %v", warn)
	}
}

func TestBodiesFollowThePublishedSchema(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	k := jsonschema.NewCompiler()
	k.AssertFormat()
	if err := k.AddResource("urn:tocsin:alert:1", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := k.Compile("urn:tocsin:alert:1")
	if err != nil {
		t.Fatal(err)
	}
	p := &poster{source: "/tocsin"}
	check := func(name string, b []byte) {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
		if len(b) > maxBody {
			t.Errorf("%s: %d bytes", name, len(b))
		}
	}
	ch := notifier.Channel{ID: "hook", Recipients: []string{""}, Render: p.render}
	samples := append(notifiertest.Samples(), huge())
	for _, s := range samples {
		d := notifiertest.Plan(t, &ch, &s.Alert)
		check(s.Name, d.Body)
		if err := p.short(d); err != nil {
			t.Fatal(err)
		}
		check(s.Name+" short", d.Body)
	}
	if err := schema.Validate(map[string]any{"specversion": "0.3"}); err == nil {
		t.Error("the schema accepts anything")
	}
}

func huge() notifiertest.Sample {
	s := notifiertest.Samples()[0]
	s.Name = "huge"
	m := &s.Alert.Match
	long := strings.Repeat("ш", 1000)
	m.Labels = map[string]string{}
	for i := range 300 {
		id := strconv.Itoa(i)
		m.Entities = append(m.Entities, news.EntityHit{ID: id, Name: long})
		m.Rules = append(m.Rules, news.RuleHit{ID: id, Title: long, Why: long})
		m.Mentions = append(m.Mentions, news.Mention{Entity: id, Alias: long, Field: "title", Start: 0, End: 3, Text: long, Why: long})
		m.Labels["label"+id] = long
	}
	m.Item.Title, m.Item.Summary = long, long
	return s
}

func TestAnswersAreReadUpToALimit(t *testing.T) {
	r, s := start(t)
	ch := hook(t, r, s, "timeout: 2s\n")
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	r.answer = func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusBadGateway)
		chunk := bytes.Repeat([]byte("x\x1b[2J\n"), 1000)
		for range 10_000 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	got := ch.Send(t.Context(), d)
	if got.Verdict != notifier.Retry || len(got.Response) > 4<<10 || len(got.Status) > 400 {
		t.Errorf("verdict %s, response %d bytes, status %d bytes", got.Verdict, len(got.Response), len(got.Status))
	}
}

func TestTheGoldenEvent(t *testing.T) {
	p := &poster{source: "/tocsin"}
	ch := notifier.Channel{ID: "hook", Recipients: []string{""}, Render: p.render}
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[1].Alert)
	var v map[string]any
	if err := json.Unmarshal(d.Body, &v); err != nil {
		t.Fatal(err)
	}
	a := &notifiertest.Samples()[1].Alert
	want := map[string]any{
		"specversion": "1.0", "id": a.Key(), "source": "/tocsin", "type": "tocsin.alert.created", "subject": "corridor-security",
		"time": "2025-03-04T05:06:09Z", "timestamp": "2025-03-04T05:06:09Z", "datacontenttype": "application/json", "dataschema": "urn:tocsin:alert:1",
	}
	for k, w := range want {
		if v[k] != w {
			t.Errorf("%s is %v, want %v", k, v[k], w)
		}
	}
}

func TestTheClientHandedInIsNotChanged(t *testing.T) {
	client := &http.Client{}
	if _, err := New(config(t, "url: https://a.example\n"), Options{ID: "hook", Client: client}); err != nil {
		t.Fatal(err)
	}
	if client.CheckRedirect != nil {
		t.Error("the shared client lost its redirects")
	}
}
