package notifiertest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"tocsin/news"
	"tocsin/notifier"
)

// Web is a web server under the test's control: it does what a fault says and keeps the messages that it has whole.
type Web struct {
	*httptest.Server
	ID     func(body []byte) string           // finds the delivery's id in a message
	Strip  func(body []byte) []byte           // takes out what the sender added at the attempt; nil: nothing
	Answer func(w http.ResponseWriter)        // of a good message; nil: 200 with nothing
	Check  func(r *http.Request, body []byte) // looks at every message; nil: nothing
	Repeat string                             // a secret that it repeats in its answers

	mu    sync.Mutex
	fault Fault
	got   []Received
	stop  chan struct{}
}

// Serve starts a Web with a certificate that its Client trusts. It ends with the test.
func Serve(t testing.TB, id func(body []byte) string) *Web {
	t.Helper()
	w := &Web{ID: id, stop: make(chan struct{})}
	w.Server = httptest.NewTLSServer(w)
	t.Cleanup(func() { close(w.stop); w.Close() })
	return w
}

// Set chooses what the server does from now on; "" lets it work.
func (s *Web) Set(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Received gives the messages that the server has whole.
func (s *Web) Received() []Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Received(nil), s.got...)
}

// ServeHTTP does what the fault says.
func (s *Web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if s.Check != nil {
		s.Check(r, body)
	}
	if s.Strip != nil {
		body = s.Strip(body)
	}
	s.mu.Lock()
	fault := s.fault
	if fault == "" || fault == Lost || fault == Hangs {
		s.got = append(s.got, Received{ID: s.ID(body), Body: body})
	}
	s.mu.Unlock()
	said := s.Repeat + " " + r.URL.String() + " " + r.Header.Get("Authorization")
	switch fault {
	case Busy:
		w.Header().Set("Retry-After", "7")
		http.Error(w, "busy "+said, http.StatusServiceUnavailable)
	case Lost:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	case Hangs:
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		panic(http.ErrAbortHandler) // returning would answer 200, which a caller that is just giving up may still read
	case Nobody:
		http.Error(w, "gone "+said, http.StatusGone)
	case Content:
		http.Error(w, "too large "+said, http.StatusRequestEntityTooLarge)
	case Login:
		http.Error(w, "who are you? "+said, http.StatusUnauthorized)
	default:
		if s.Answer != nil {
			s.Answer(w)
		}
	}
}

// Peer is the server as the suite wants it, with the verdicts that every service over HTTP has in common.
func (s *Web) Peer(t *testing.T, ch notifier.Channel, secrets ...string) *Peer {
	return &Peer{
		Channel: ch, Set: s.Set, Received: s.Received, Secrets: secrets,
		Verdicts: map[Fault]notifier.Verdict{
			Busy: notifier.Retry, Lost: notifier.Retry, Hangs: notifier.Retry,
			Nobody: notifier.Gone, Content: notifier.Refused, Login: notifier.Misconfigured,
		},
		Checks: map[Fault]func(notifier.Result){
			Busy: func(r notifier.Result) {
				if r.RetryAfter != 7*time.Second {
					t.Errorf("Retry-After 7 was read as %s", r.RetryAfter)
				}
			},
		},
	}
}

// Find gives an ID function for messages in which the delivery's id stands between two texts.
func Find(before, after string) func(body []byte) string {
	return func(body []byte) string {
		_, rest, ok := strings.Cut(string(body), before)
		id, _, found := strings.Cut(rest, after)
		if !ok || !found {
			return ""
		}
		return id
	}
}

// Secret writes a secret into a file of the test and gives its path.
func Secret(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Golden compares what a channel makes of every sample, of a digest of them all and of its short form with testdata/golden.json; update writes
// the file anew. What programs read as it is (file, exec) is not judged as text for people, and stands in one line a sample.
func Golden(t *testing.T, ch *notifier.Channel, update bool) {
	t.Helper()
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	raw := ch.Type == "file" || ch.Type == "exec"
	if !raw {
		enc.SetIndent("", "  ")
	}
	add := func(name string, d *news.Delivery) {
		var v any
		if err := json.Unmarshal(d.Body, &v); err != nil {
			t.Fatalf("%s: the body is not JSON: %v", name, err)
		}
		if !raw {
			sound(t, name, v)
		}
		if err := enc.Encode(map[string]any{name: v}); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range Samples() {
		add(s.Name, Plan(t, ch, &s.Alert))
	}
	all, d := Entries(), draft(ch, &Samples()[0].Alert)
	d.Story, d.Watchlist, d.Reason = "", "", news.SendDigest
	if ch.RenderDigest != nil {
		if err := ch.RenderDigest(all, d); err != nil {
			t.Fatal(err)
		}
		add("digest", d)
	}
	d = draft(ch, &all[0])
	d.Subject = "[high] Corridor security: BLA claims attack"
	if err := ch.Short(d); err != nil {
		t.Fatal(err)
	}
	add("short", d)
	Compare(t, filepath.Join("testdata", "golden.json"), got.Bytes(), update)
}

// sound complains when a text anywhere in a body holds control characters, turns the text around it, or is a link that is not of the web.
func sound(t testing.TB, where string, v any) {
	switch x := v.(type) {
	case map[string]any:
		for k, y := range x {
			sound(t, where+"."+k, y)
		}
	case []any:
		for _, y := range x {
			sound(t, where, y)
		}
	case string:
		if strings.Count(x, "\u2068") != strings.Count(x, "\u2069") || strings.ContainsAny(x, "\u202A\u202B\u202C\u202D\u202E\u2066\u2067\x1b\x00\r") {
			t.Errorf("%s: %q", where, x)
		}
		if strings.HasPrefix(strings.ToLower(strings.TrimSpace(x)), "javascript:") {
			t.Errorf("%s: %q", where, x)
		}
	}
}

// Entries are the alerts of all samples, for a digest.
func Entries() []news.Alert {
	var all []news.Alert
	for _, s := range Samples() {
		all = append(all, s.Alert)
	}
	return all
}

// Compare compares with a golden file; update writes it anew.
func Compare(t *testing.T, path string, got []byte, update bool) {
	t.Helper()
	if update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (write it anew with -update and read the difference):\n%s", path, got)
	}
}

// Huge is an alert whose every text is far beyond every limit, of letters that must not be cut apart.
func Huge() *news.Alert {
	const family, flag, accents = "👩\u200D👩\u200D👧\u200D👦", "🇵🇰", "e\u0301\u0323"
	long := func(n int) string { return strings.Repeat(family+flag+accents+" क्षि <&>* ", n) }
	a := Hostile().Alert
	a.Match.Title, a.Match.Item.Title, a.Match.Item.Summary, a.Match.Item.Outlet = long(90), long(500), long(5000), long(90)
	a.Match.Item.URL = "https://news.example/" + strings.Repeat("a", 1500)
	a.Match.Mentions = nil
	for i := range 40 {
		id := "e" + strings.Repeat("x", i)
		a.Match.Entities = append(a.Match.Entities, news.EntityHit{ID: id, Name: long(200), About: long(200)})
		a.Match.Mentions = append(a.Match.Mentions, news.Mention{Entity: id, Field: "title", Why: long(200)})
		a.New = append(a.New, long(300))
		a.Outlets = append(a.Outlets, long(50))
	}
	return &a
}

// HugeHeartbeat is a heartbeat of a very bad day.
func HugeHeartbeat() *news.Alert {
	s := heartbeat()
	h := s.Alert.Heartbeat
	for range news.MaxHeartbeatList {
		x := news.FeedTrouble{Feed: "f", Outlet: strings.Repeat("روزنامہ @all <!here> ", 20), Reason: strings.Repeat("گیٹ وے ", 90), Since: h.From}
		h.Dead, h.Failing, h.Late = append(h.Dead, x), append(h.Failing, x), append(h.Late, x)
		h.Silences = append(h.Silences, news.SilenceNote{Until: h.To, Comment: strings.Repeat("क्षि ", 200)})
		h.Troubles = append(h.Troubles, news.HealthRemark{Title: strings.Repeat("کچھ غلط ہے ", 50)})
	}
	return &s.Alert
}

// Whole complains when a text is broken: UTF-8 that is not valid, a letter of Huge cut apart, isolates that are not closed, or more than its limit.
func Whole(t testing.TB, l notifier.Limit, s string) {
	t.Helper()
	if n := l.Unit.Count(s); n > l.Max {
		t.Errorf("%s %s has %d %s, the limit is %d", l.Channel, l.Field, n, l.Unit, l.Max)
	}
	if !utf8.ValidString(s) || strings.Contains(s, "\uFFFD") {
		t.Errorf("%s %s is not valid UTF-8: %q", l.Channel, l.Field, s)
	}
	if strings.Count(s, "\u2068") != strings.Count(s, "\u2069") {
		t.Errorf("%s %s: isolates are not closed: %q", l.Channel, l.Field, s)
	}
	for _, torn := range []string{"👩…", "\u200D…", "👧…", "🇵…", "e…", "e\u0301…", "क…", "क्…", "क्ष…"} {
		if strings.Contains(s, torn) {
			t.Errorf("%s %s is cut inside a letter before %q", l.Channel, l.Field, torn)
		}
	}
}

// Calls complains when a text would call people in a chat.
func Calls(t testing.TB, s string) {
	t.Helper()
	for _, x := range []string{"@everyone", "@here", "@all", "@channel", "<!channel", "<!here", "<@U", "<@", "<!"} {
		if strings.Contains(s, x) {
			t.Errorf("the text calls people: %q in %q", x, s)
		}
	}
}

// Caller is an alert whose title and summary try to call everybody.
func Caller() *news.Alert {
	a := Hostile().Alert
	a.Match.Item.Title = "BLA @everyone @here @all @channel <!channel> <!here> <@U123ABC> <!subteam^S1> [x](https://evil.example) *b* _i_ ~s~ `c` |p| <at>Desk</at> @desk"
	a.Match.Item.Summary = a.Match.Item.Title
	a.Match.Item.Outlet = "@everyone <!channel>"
	a.Match.Mentions = nil
	return &a
}

// Digest renders many alerts with long titles that call people as one digest, and gives the delivery.
func Digest(t testing.TB, ch *notifier.Channel, n int) *news.Delivery {
	t.Helper()
	all := []news.Alert{*Caller()}
	for i := 1; i < n; i++ {
		a := Caller()
		a.ID = strings.Repeat("h", i%9) + a.ID
		a.Match.Item.Title = strings.Repeat("👩\u200D👩\u200D👧\u200D👦🇵🇰e\u0301\u0323 क्षि <&>* @all ", 8)
		all = append(all, *a)
	}
	d := draft(ch, &all[0])
	d.Story, d.Watchlist, d.Reason = "", "", news.SendDigest
	if err := ch.RenderDigest(all, d); err != nil {
		t.Fatalf("digest of %d: %v", n, err)
	}
	return d
}
