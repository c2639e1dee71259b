package fetcher

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// hub is a WebSub hub: it verifies each subscription by asking the callback, and delivers with a signature.
type hub struct {
	t        *testing.T
	srv      *httptest.Server
	forms    []url.Values
	lease    int // seconds it grants
	verified []int
	echoed   []string
}

func newHub(t *testing.T) *hub {
	h := &hub{t: t, lease: 3600 * 24 * 9}
	h.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.ParseForm() != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		h.forms = append(h.forms, r.PostForm)
		h.verify(r.PostForm, r.PostForm.Get("hub.topic"), "subscribe")
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(h.srv.Close)
	return h
}

func (h *hub) verify(form url.Values, topic, mode string) (status int, body string) {
	q := url.Values{"hub.mode": {mode}, "hub.topic": {topic}, "hub.challenge": {"c&h<a>"}, "hub.lease_seconds": {strconv.Itoa(h.lease)}}
	resp, err := http.Get(form.Get("hub.callback") + "?" + q.Encode())
	if err != nil {
		h.t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	h.verified, h.echoed = append(h.verified, resp.StatusCode), append(h.echoed, string(b))
	return resp.StatusCode, string(b)
}

func (h *hub) deliver(method string, make func() hash.Hash, secret, body string) int {
	req, err := http.NewRequest(http.MethodPost, h.forms[0].Get("hub.callback"), strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/rss+xml")
	if make != nil {
		m := hmac.New(make, []byte(secret))
		io.WriteString(m, body)
		req.Header.Set("X-Hub-Signature", method+"="+hex.EncodeToString(m.Sum(nil)))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// pushRig is a rig whose callback hubs can reach.
func pushRig(t *testing.T, feeds ...Feed) *rig {
	var r *rig
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.f.WebSub().ServeHTTP(w, q) }))
	t.Cleanup(srv.Close)
	r = newRig(t, func(o *Options) {
		o.WebSub = &WebSub{Callback: srv.URL + "/websub", Key: []byte(strings.Repeat("k", 32))}
		// The hub stands on a port of its own, which strangers may not name: the test lets all names lead to the servers.
		o.Client = func(Feed) (*http.Client, error) {
			return &http.Client{Transport: rewriting{}}, nil
		}
	}, feeds...)
	return r
}

// rewriting takes http://PORT.hub.example/ to the loopback port.
type rewriting struct{}

func (rewriting) RoundTrip(q *http.Request) (*http.Response, error) {
	q = q.Clone(q.Context())
	if name, ok := strings.CutSuffix(q.URL.Host, ".hub.example"); ok {
		q.URL.Host = "127.0.0.1:" + name
	}
	return http.DefaultTransport.RoundTrip(q)
}

func outside(raw string) string {
	u, _ := url.Parse(raw)
	return "http://" + u.Port() + ".hub.example/"
}

func TestWebSubSubscribesVerifiesAndTakesDeliveries(t *testing.T) {
	h := newHub(t)
	s := newSite(t, oneItem(1))
	s.set(oneItem(1), map[string]string{"Link": fmt.Sprintf(`<%s>; rel="hub", <https://herald.example/a,b;c>; rel=self; title="x, y"`, outside(h.srv.URL))})
	r := pushRig(t, Feed{URL: s.URL})
	r.poll(0)
	if len(h.forms) != 1 || len(h.verified) != 1 || h.verified[0] != 200 || h.echoed[0] != "c&h<a>" {
		t.Fatalf("asked %v, verified %v %v", h.forms, h.verified, h.echoed)
	}
	form := h.forms[0]
	if form.Get("hub.topic") != "https://herald.example/a,b;c" || form.Get("hub.mode") != "subscribe" || form.Get("hub.lease_seconds") != "864000" || len(form.Get("hub.secret")) != 64 {
		t.Errorf("form %v", form)
	}
	if strings.Contains(string(r.states[r.id(0)]), form.Get("hub.secret")) {
		t.Error("the secret is stored")
	}
	for i, c := range []struct {
		method string
		make   func() hash.Hash
	}{{"sha1", sha1.New}, {"sha256", sha256.New}, {"SHA384", sha512.New384}, {"sha512", sha512.New}} {
		if code := h.deliver(c.method, c.make, form.Get("hub.secret"), oneItem(10+i)); code != 202 {
			t.Errorf("%s: %d", c.method, code)
		}
	}
	if len(r.items) != 5 || r.items[1].Backfill || r.items[1].Feed != r.id(0) {
		t.Fatalf("published %v", r.titles())
	}
	for _, c := range []struct {
		method, secret string
		make           func() hash.Hash
	}{{"sha256", "guess", sha256.New}, {"md5", form.Get("hub.secret"), sha256.New}, {"", "", nil}} {
		if code := h.deliver(c.method, c.make, c.secret, oneItem(20)); code/100 != 2 {
			t.Errorf("a bad signature was answered %d: the hub would try again", code)
		}
	}
	st := r.state(0)
	if len(r.items) != 5 || st.Push.Bad != 3 || st.Push.Got != 4 || r.counter("tocsin_items_total", "refused_push") != 3 {
		t.Errorf("%d items, %d bad, %d good", len(r.items), st.Push.Bad, st.Push.Got)
	}
	// The document that the polls bring shows the same news: nothing twice, no gap.
	s.set(rssOf("Item 13|https://herald.example/13|g13", "Item 12|https://herald.example/12|g12"), nil)
	r.poll(0)
	if st = r.state(0); len(r.items) != 5 || st.Lost != 0 {
		t.Errorf("published %v, lost %d", r.titles(), st.Lost)
	}
}

func TestWebSubRefusesWhatWeDidNotAskFor(t *testing.T) {
	h := newHub(t)
	s := newSite(t, oneItem(1))
	s.set(oneItem(1), map[string]string{"Link": "<" + outside(h.srv.URL) + ">; rel=hub"})
	r := pushRig(t, Feed{URL: s.URL})
	r.poll(0)
	form := h.forms[0]
	for name, c := range map[string]struct {
		callback, topic, mode string
		want                  int
	}{
		"our topic":        {form.Get("hub.callback"), s.URL, "subscribe", 200},
		"another topic":    {form.Get("hub.callback"), "https://evil.example/", "subscribe", 404},
		"unsubscribe":      {form.Get("hub.callback"), s.URL, "unsubscribe", 404},
		"guessed callback": {form.Get("hub.callback")[:len(form.Get("hub.callback"))-3] + "000", s.URL, "subscribe", 404},
		"no callback":      {strings.Split(form.Get("hub.callback"), "/websub")[0] + "/websub/", s.URL, "subscribe", 404},
	} {
		if code, _ := h.verify(url.Values{"hub.callback": {c.callback}}, c.topic, c.mode); code != c.want {
			t.Errorf("%s: %d, want %d", name, code, c.want)
		}
	}
	until := r.state(0).Push.Until
	if code, _ := h.verify(form, s.URL, "denied"); code != 200 || r.state(0).Push.Denied == "" || !r.state(0).Push.Until.Before(until) {
		t.Errorf("denied: %d %+v", code, r.state(0).Push)
	}
	r.f.SetFeeds(nil)
	if code, _ := h.verify(form, s.URL, "subscribe"); code != 404 {
		t.Errorf("a feed that left the list: %d", code)
	}
}

func TestWebSubPollsSlowlyAndRenewsTheLease(t *testing.T) {
	h := newHub(t)
	s := newSite(t, oneItem(1))
	s.set(oneItem(1), map[string]string{"Link": "<" + outside(h.srv.URL) + ">; rel=hub", "ETag": `"a"`})
	r := pushRig(t, Feed{URL: s.URL})
	r.poll(0)
	r.poll(0)
	if d := r.armed[r.id(0)].Sub(r.clock); d < 4*time.Hour || d > 5*time.Hour {
		t.Errorf("backup poll after %s, want 4 times the interval of an hour", d)
	}
	start := r.clock
	for len(h.forms) < 2 && r.clock.Sub(start) < 12*day {
		r.poll(0)
	}
	if d := r.clock.Sub(start); len(h.forms) != 2 || d < 6*day-time.Hour || d > 6*day+8*time.Hour {
		t.Errorf("%d subscriptions, renewed after %s, want two thirds of 9 days", len(h.forms), d)
	}
}

func TestWebSubDeliveryThatCannotBeReadHasTheFeedPolled(t *testing.T) {
	h := newHub(t)
	s := newSite(t, oneItem(1))
	s.set(oneItem(1), map[string]string{"Link": "<" + outside(h.srv.URL) + ">; rel=hub"})
	r := pushRig(t, Feed{URL: s.URL})
	r.poll(0)
	if code := h.deliver("sha256", sha256.New, h.forms[0].Get("hub.secret"), "ping"); code != 202 {
		t.Errorf("answer %d", code)
	}
	if !r.armed[r.id(0)].Equal(r.clock) {
		t.Errorf("armed at %s, now %s", r.armed[r.id(0)], r.clock)
	}
	r.onSave = func() error { return fmt.Errorf("disk full") }
	if code := h.deliver("sha256", sha256.New, h.forms[0].Get("hub.secret"), oneItem(7)); code != 503 {
		t.Errorf("a delivery that was not stored was answered %d", code)
	}
}

func TestHubsAreFoundInBodiesToo(t *testing.T) {
	atom := `<feed xmlns="http://www.w3.org/2005/Atom"><title>A</title><id>a</id><link rel="hub" href="https://hub.example/"/><link rel="self" href="https://herald.example/atom"/></feed>`
	json := `{"version":"https://jsonfeed.org/version/1.1","title":"A","feed_url":"https://herald.example/j","hubs":[{"type":"WebSub","url":"https://hub.example/"}],"items":[]}`
	for body, self := range map[string]string{atom: "https://herald.example/atom", json: "https://herald.example/j"} {
		s := newSite(t, body)
		r := newRig(t, nil, Feed{URL: s.URL})
		r.poll(0)
		if st := r.state(0); st.Hub != "https://hub.example/" || st.Self != self {
			t.Errorf("hub %q self %q", st.Hub, st.Self)
		}
		s.set(body, map[string]string{"Link": "<https://head.example/hub>; rel=\"hub\""})
		s.body = strings.Replace(body, "\"A\"", "\"B\"", 1)
		s.body = strings.Replace(s.body, ">A<", ">B<", 1)
		r.poll(0)
		if st := r.state(0); st.Hub != "https://head.example/hub" {
			t.Errorf("the header does not go first: %q", st.Hub)
		}
	}
}

func TestWebSubAsksNoForbiddenPort(t *testing.T) {
	h := newHub(t)
	s := newSite(t, oneItem(1))
	s.set(oneItem(1), map[string]string{"Link": "<" + h.srv.URL + ">; rel=hub"})
	r := pushRig(t, Feed{URL: s.URL})
	r.poll(0)
	if len(h.forms) != 0 {
		t.Error("a hub on a port that no stranger may name was asked")
	}
}

func FuzzLinkHeader(f *testing.F) {
	f.Add(`<https://a/>; rel="hub self", <b>; rel=self`)
	f.Add(`<>;;;,"<x>;rel="`)
	base, _ := url.Parse("https://a.example/")
	f.Fuzz(func(t *testing.T, s string) {
		hub, self := linkHeader(http.Header{"Link": {s}}, base)
		if (hub != "" || self != "") && !strings.Contains(strings.ToLower(s), "rel") {
			t.Errorf("%q names %q %q", s, hub, self)
		}
	})
}
