package fetcher

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"tocsin/news"
)

func oneItem(n int) string {
	return rssOf(fmt.Sprintf("Item %d|https://herald.example/%d|g%d", n, n, n))
}

func TestRequestIsPolite(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL + "/rss?section=asia"})
	r.poll(0)
	q := s.last()
	if q.Method != "GET" || q.URL.RawQuery != "section=asia" || q.Header.Get("User-Agent") != "Tocsin/test (+https://example.org/contact)" {
		t.Errorf("request %s %s, %q", q.Method, q.URL, q.Header.Get("User-Agent"))
	}
	for _, h := range []string{"Cookie", "Referer", "A-Im", "If-None-Match", "If-Modified-Since", "Range"} {
		if v := q.Header.Get(h); v != "" {
			t.Errorf("%s: %s was sent", h, v)
		}
	}
	if a := q.Header.Get("Accept"); !strings.HasPrefix(a, "application/atom+xml") || !strings.HasSuffix(a, "*/*;q=0.1") {
		t.Errorf("Accept: %s", a)
	}
	if e := q.Header.Get("Accept-Encoding"); e != "gzip, br" {
		t.Errorf("Accept-Encoding: %s", e)
	}
	if len(s.requests()) != 1 {
		t.Errorf("%d requests for the first poll", len(s.requests()))
	}
}

func TestValidatorsStayWithTheAddressThatGaveThem(t *testing.T) {
	s, other := newSite(t, oneItem(1)), newSite(t, oneItem(2))
	s.headers = map[string]string{"ETag": `"a"`, "Set-Cookie": "id=1"}
	world := map[string]*site{"one.example:80": s, "two.example:80": other}
	r := newRig(t, worldClient(world), Feed{URL: "http://one.example/rss"})
	r.poll(0)
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("If-None-Match") != `"a"` {
			t.Errorf("own address got %q", q.Header.Get("If-None-Match"))
		}
		http.Redirect(w, q, "http://two.example/x", http.StatusFound)
	})
	r.poll(0)
	if q := other.last(); q.Header.Get("If-None-Match") != "" || q.Header.Get("Cookie") != "" || q.Header.Get("Referer") != "" {
		t.Errorf("the target of the redirect got %v", q.Header)
	}
	if st := r.state(0); st.ValidatorURL != "" || st.Adopted != "" {
		t.Errorf("after a 302: validators of %q, adopted %q", st.ValidatorURL, st.Adopted)
	}
}

func TestValidatorsAreRenewedAndDropped(t *testing.T) {
	s := newSite(t, oneItem(1))
	s.headers = map[string]string{"ETag": `"a"`}
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"b"`)
		w.WriteHeader(304)
	})
	r.poll(0)
	if st := r.state(0); string(st.ETag) != `"b"` || st.LastSuccess != r.clock {
		t.Fatalf("after 304: ETag %s, success %s", st.ETag, st.LastSuccess)
	}
	s.set(oneItem(2), nil)
	r.poll(0)
	if got := s.last().Header.Get("If-None-Match"); got != `"b"` {
		t.Errorf("sent %q", got)
	}
	if st := r.state(0); len(st.ETag) != 0 || len(st.LastModified) != 0 {
		t.Errorf("a 200 without validators left %s", st.ETag)
	}
	s.set(oneItem(3), map[string]string{"ETag": `"` + strings.Repeat("x", 2000) + `"`})
	r.poll(0)
	if st := r.state(0); len(st.ETag) != 0 {
		t.Errorf("a validator of %d bytes was kept", len(st.ETag))
	}
}

func TestUnchangedBodyIsNotParsed(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	r.poll(0)
	if n := r.counter("tocsin_items_total", "fetch", "unchanged"); n != 1 {
		t.Errorf("unchanged counted %v times", n)
	}
}

func TestPermanentRedirectIsAdoptedAfterTheTargetParsed(t *testing.T) {
	old, moved := newSite(t, ""), newSite(t, "<html><body>soon</body></html>")
	world := map[string]*site{"old.example:80": old, "new.example:80": moved, "cdn.example:80": moved}
	old.handle(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, "http://new.example/rss", http.StatusMovedPermanently)
	})
	r := newRig(t, worldClient(world), Feed{URL: "http://old.example/rss"})
	r.poll(0)
	if st := r.state(0); st.Adopted != "" || st.Reason != ReasonNotFeed {
		t.Fatalf("adopted %q, reason %s", st.Adopted, st.Reason)
	}
	moved.handle(func(w http.ResponseWriter, q *http.Request) {
		if q.Host == "new.example" {
			http.Redirect(w, q, "http://cdn.example/rss", http.StatusFound)
			return
		}
		fmt.Fprint(w, oneItem(1))
	})
	r.poll(0)
	if st := r.state(0); st.Adopted != "http://new.example/rss" || len(r.items) != 1 {
		t.Fatalf("adopted %q (only up to the first temporary hop), %d items", st.Adopted, len(r.items))
	}
	asked := len(old.requests())
	r.poll(0)
	if len(old.requests()) != asked {
		t.Error("the old address was asked again")
	}
	if r.items[0].Feed != news.FeedID("http://old.example/rss") {
		t.Error("the feed id changed with the address")
	}
	moved.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	old.set(oneItem(2), nil)
	r.poll(0)
	if st := r.state(0); st.Adopted != "" || st.Gone || st.Failures != 0 || len(r.items) != 2 {
		t.Errorf("after 410 at the adopted address: adopted %q, gone %v, failures %d, %d items", st.Adopted, st.Gone, st.Failures, len(r.items))
	}
}

func TestNoDowngradeIsAdopted(t *testing.T) {
	plain := newSite(t, oneItem(1))
	secure := &site{Server: httptest.NewTLSServer(http.RedirectHandler("http://plain.example/rss", http.StatusMovedPermanently))}
	t.Cleanup(secure.Close)
	r := newRig(t, worldClient(map[string]*site{"plain.example:80": plain, "secure.example:443": secure}), Feed{URL: "https://secure.example/rss"})
	r.poll(0)
	if st := r.state(0); st.Adopted != "" || len(r.items) != 1 {
		t.Errorf("adopted %q, %d items", st.Adopted, len(r.items))
	}
}

func TestRedirectsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		want   Reason
	}{
		"loop":         {"http://feed.example/rss", ReasonRedirect},
		"many hops":    {"+", ReasonRedirect},
		"file scheme":  {"file:///etc/passwd", ReasonRedirect},
		"no target":    {"", ReasonRedirect},
		"foreign port": {"http://other.example:6379/", ReasonDenied},
		"own host":     {"http://feed.example:8443/", ReasonDenied},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			s.handle(func(w http.ResponseWriter, q *http.Request) {
				to := c.target
				if to == "+" {
					to = q.URL.Path + "x"
				}
				if to != "" {
					w.Header().Set("Location", to)
				}
				w.WriteHeader(302)
			})
			r := newRig(t, worldClient(map[string]*site{"feed.example:80": s}), Feed{URL: "http://feed.example/rss"})
			r.poll(0)
			if st := r.state(0); st.Reason != c.want {
				t.Errorf("reason %s: %s", st.Reason, st.Error)
			}
			if n := len(s.requests()); n > maxHops+1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestOwnPortIsFollowed(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/rss" {
			http.Redirect(w, q, "/feed", http.StatusFound)
			return
		}
		fmt.Fprint(w, oneItem(1))
	})
	r := newRig(t, nil, Feed{URL: s.URL + "/rss"})
	r.poll(0)
	if len(r.items) != 1 {
		t.Errorf("%d items: %s", len(r.items), r.state(0).Error)
	}
}

func TestSecretHeadersGoToTheListedOriginOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	own, other := newSite(t, ""), newSite(t, oneItem(1))
	own.handle(func(w http.ResponseWriter, q *http.Request) {
		http.Redirect(w, q, "http://other.example/", http.StatusMovedPermanently)
	})
	r := newRig(t, worldClient(map[string]*site{"own.example:80": own, "other.example:80": other}), Feed{URL: "http://own.example/rss", Headers: map[string]string{"X-Key": "file:" + file}})
	r.poll(0)
	if own.last().Header.Get("X-Key") != "s3cret" || other.last().Header.Get("X-Key") != "" {
		t.Errorf("own got %q, other got %q", own.last().Header.Get("X-Key"), other.last().Header.Get("X-Key"))
	}
	if strings.Contains(string(r.states[r.id(0)]), "s3cret") {
		t.Error("the secret is in the state")
	}
}

func TestContentCodings(t *testing.T) {
	zip := func(b string) []byte {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		_, _ = z.Write([]byte(b))
		_ = z.Close()
		return buf.Bytes()
	}
	br := func(b []byte) []byte {
		var buf bytes.Buffer
		z := brotli.NewWriter(&buf)
		_, _ = z.Write(b)
		_ = z.Close()
		return buf.Bytes()
	}
	for name, c := range map[string]struct {
		coding string
		body   []byte
		want   Reason
		detail string
	}{
		"gzip":        {"gzip", zip(oneItem(1)), "", ""},
		"br":          {"br", br([]byte(oneItem(1))), "", ""},
		"gzip in br":  {"gzip, br", br(zip(oneItem(1))), "", ""},
		"identity":    {"identity", []byte(oneItem(1)), "", ""},
		"false name":  {"gzip", []byte(oneItem(1)), ReasonCoding, "calls itself gzip"},
		"not offered": {"deflate", []byte("x"), ReasonCoding, `"deflate"`},
		"three":       {"gzip, gzip, gzip", []byte("x"), ReasonCoding, "3 content codings"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, string(c.body))
			s.headers = map[string]string{"Content-Encoding": c.coding}
			r := newRig(t, nil, Feed{URL: s.URL})
			r.poll(0)
			st := r.state(0)
			if st.Reason != c.want || !strings.Contains(st.Error, c.detail) || (c.want == "") != (len(r.items) == 1) {
				t.Errorf("reason %q (%s), %d items", st.Reason, st.Error, len(r.items))
			}
		})
	}
}

func TestCutBodiesPublishWholeItemsAndKeepOldValidators(t *testing.T) {
	s := newSite(t, oneItem(1))
	s.headers = map[string]string{"ETag": `"old"`}
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	full := rssOf("Two|https://herald.example/2|g2", "Three|https://herald.example/3|g3")
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(full)))
		w.Header().Set("ETag", `"new"`)
		_, _ = io.WriteString(w, full[:strings.Index(full, "Three")])
	})
	r.poll(0)
	if got := strings.Join(r.titles(), ","); got != "Item 1,Two" {
		t.Fatalf("published %s", got)
	}
	if string(r.state(0).ETag) != `"old"` {
		t.Errorf("ETag %s", r.state(0).ETag)
	}
	if n := r.counter("tocsin_feed_errors_total", string(ReasonCut)); n != 1 {
		t.Errorf("cut counted %v times", n)
	}
	s.set(full, map[string]string{"ETag": `"new"`})
	r.poll(0)
	if got := strings.Join(r.titles(), ","); got != "Item 1,Two,Three" || string(r.state(0).ETag) != `"new"` {
		t.Errorf("published %s, ETag %s", got, r.state(0).ETag)
	}
}

func TestStatusesAndWhatFollows(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		headers map[string]string
		body    string
		want    Reason
		after   time.Duration // next poll not before
		before  time.Duration // and not after
	}{
		"404":             {404, nil, "", Reason4xx, time.Hour, 70 * time.Minute},
		"404, long":       {404, map[string]string{"Content-Length": "20000000"}, strings.Repeat("sorry ", 1<<20), Reason4xx, time.Hour, 70 * time.Minute},
		"404 in deflate":  {404, map[string]string{"Content-Encoding": "deflate"}, "x", Reason4xx, time.Hour, 70 * time.Minute},
		"418":             {418, nil, "", Reason4xx, time.Hour, 70 * time.Minute},
		"500":             {500, nil, "", Reason5xx, time.Hour, 70 * time.Minute},
		"401":             {401, nil, "", ReasonBlocked, 4 * time.Hour, 5 * time.Hour},
		"403":             {403, nil, "", ReasonBlocked, 4 * time.Hour, 5 * time.Hour},
		"451":             {451, nil, "", ReasonBlocked, 4 * time.Hour, 5 * time.Hour},
		"challenge":       {503, map[string]string{"Cf-Mitigated": "challenge"}, "", ReasonBlocked, 4 * time.Hour, 5 * time.Hour},
		"challenge 200":   {200, nil, "<html><head><title>Just a moment...</title></head></html>", ReasonBlocked, 4 * time.Hour, 5 * time.Hour},
		"503":             {503, nil, "", ReasonThrottled, time.Hour, 70 * time.Minute},
		"503 seconds":     {503, map[string]string{"Retry-After": "7200"}, "", ReasonThrottled, 2 * time.Hour, 2*time.Hour + time.Second},
		"503 far":         {503, map[string]string{"Retry-After": "99999999"}, "", ReasonThrottled, 48 * time.Hour, 48*time.Hour + time.Second},
		"503 negative":    {503, map[string]string{"Retry-After": "-5"}, "", ReasonThrottled, time.Hour, 70 * time.Minute},
		"503 unreadable":  {503, map[string]string{"Retry-After": "soon"}, "", ReasonThrottled, time.Hour, 70 * time.Minute},
		"503 date":        {503, map[string]string{"Retry-After": "Sun, 22 Nov 2026 13:00:00 GMT"}, "", ReasonThrottled, 3 * time.Hour, 3*time.Hour + time.Second},
		"503 past":        {503, map[string]string{"Retry-After": "Sun, 22 Nov 2020 13:00:00 GMT"}, "", ReasonThrottled, time.Hour, 70 * time.Minute},
		"429":             {429, map[string]string{"Retry-After": "600"}, "", ReasonThrottled, time.Hour, 70 * time.Minute},
		"204":             {204, nil, "", ReasonEmpty, time.Hour, 70 * time.Minute},
		"206":             {206, nil, oneItem(1), ReasonEmpty, time.Hour, 70 * time.Minute},
		"203":             {203, nil, oneItem(1), ReasonEmpty, time.Hour, 70 * time.Minute},
		"300":             {300, nil, "", ReasonRedirect, time.Hour, 70 * time.Minute},
		"304 unasked":     {304, nil, "", ReasonEmpty, time.Hour, 70 * time.Minute},
		"empty":           {200, nil, "", ReasonEmpty, time.Hour, 70 * time.Minute},
		"blanks":          {200, nil, " \n ", ReasonEmpty, time.Hour, 70 * time.Minute},
		"web page":        {200, nil, `<!DOCTYPE html><html><head><link rel="alternate" type="application/rss+xml" href="/real.xml"></head></html>`, ReasonNotFeed, time.Hour, 70 * time.Minute},
		"text":            {200, nil, "hello", ReasonNotFeed, time.Hour, 70 * time.Minute},
		"other json":      {200, nil, `{"error":"x"}`, ReasonNotFeed, time.Hour, 70 * time.Minute},
		"broken for good": {200, nil, `<rss><<<<`, ReasonUnparseable, time.Hour, 70 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			s.handle(func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range c.headers {
					w.Header().Set(k, v)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			r := newRig(t, nil, Feed{URL: s.URL + "/rss?key=hidden"})
			start := r.clock
			r.poll(0)
			st := r.state(0)
			wait := r.armed[r.id(0)].Sub(start)
			if st.Reason != c.want || st.Failures != 1 || wait < c.after || wait > c.before {
				t.Errorf("reason %s (%s), %d failures, next in %s", st.Reason, st.Error, st.Failures, wait)
			}
			if strings.Contains(st.Error, "hidden") {
				t.Errorf("the query is in %q", st.Error)
			}
			if name == "web page" && !strings.Contains(st.Error, "/real.xml") {
				t.Errorf("the page's feed is not named: %s", st.Error)
			}
			if n := r.counter("tocsin_feed_errors_total", string(c.want)); n != 1 {
				t.Errorf("counted %v times", n)
			}
			if got := r.status(0); got.State != StateFailing || got.Reason != c.want {
				t.Errorf("status %s, %s", got.State, got.Reason)
			}
		})
	}
}

func TestFeedWithoutItemsIsASuccess(t *testing.T) {
	s := newSite(t, rssOf())
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	if st := r.state(0); st.Failures != 0 || st.Reason != "" {
		t.Errorf("reason %s", st.Reason)
	}
	if got := r.status(0).State; got != StateLive {
		t.Errorf("state %s", got)
	}
}

func TestGoneStopsAndResumes(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) })
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	if _, armed := r.armed[r.id(0)]; armed {
		t.Fatal("a feed that is gone was armed")
	}
	if st := r.status(0); st.State != StateDead || st.Reason != ReasonGone {
		t.Errorf("state %s, %s", st.State, st.Reason)
	}
	r.poll(0)
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	s.set(oneItem(1), nil)
	if err := r.f.Resume(context.Background(), r.id(0)); err != nil {
		t.Fatal(err)
	}
	r.poll(0)
	if len(r.items) != 1 || r.armed[r.id(0)].IsZero() {
		t.Errorf("after the resumption: %d items", len(r.items))
	}
	if err := r.f.Resume(context.Background(), "nobody"); !errors.Is(err, news.ErrNotFound) {
		t.Errorf("unknown feed: %v", err)
	}
}

func TestTooManyRequestsHoldTheHost(t *testing.T) {
	s := newSite(t, oneItem(1))
	world := worldClient(map[string]*site{"host.example:80": s, "else.example:80": s})
	r := newRig(t, world, Feed{URL: "http://host.example/a"}, Feed{URL: "http://host.example/b"}, Feed{URL: "http://else.example/c"})
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(429)
	})
	r.poll(0)
	s.set(oneItem(1), nil)
	asked := len(s.requests())
	if err := r.f.Poll(context.Background(), r.id(1)); err != nil {
		t.Fatal(err)
	}
	if len(s.requests()) != asked {
		t.Error("another feed of the host was asked during the hold")
	}
	if at := r.armed[r.id(1)]; at.Sub(r.clock) != 30*time.Minute {
		t.Errorf("the other feed is armed in %s", at.Sub(r.clock))
	}
	if err := r.f.Poll(context.Background(), r.id(2)); err != nil || len(s.requests()) != asked+1 {
		t.Errorf("a feed of another host was not asked: %v", err)
	}
}

func TestTooManyRequestsAtPrivateAddressesHoldOneFeed(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) })
	r := newRig(t, nil, Feed{URL: s.URL + "/a"}, Feed{URL: s.URL + "/b"})
	r.poll(0)
	r.poll(1)
	if n := len(s.requests()); n != 2 {
		t.Errorf("%d requests: one generator at a private address carries many sites", n)
	}
}

func TestNoSecretOfAnAddressIsStoredOrShown(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		if user, pass, _ := q.BasicAuth(); user != "reader" || pass != "hunter2" {
			w.WriteHeader(401)
			return
		}
		if q.URL.Path == "/rss" {
			http.Redirect(w, q, "/moved", http.StatusPermanentRedirect)
			return
		}
		w.Header().Set("ETag", `"a"`)
		fmt.Fprint(w, oneItem(1))
	})
	r := newRig(t, nil, Feed{URL: strings.Replace(s.URL, "http://", "http://reader:hunter2@", 1) + "/rss?token=abc"})
	r.poll(0)
	r.poll(0)
	st := r.state(0)
	if len(r.items) != 1 || !strings.HasSuffix(st.Adopted, "/moved") || s.last().Header.Get("If-None-Match") != `"a"` || s.last().URL.Path != "/moved" {
		t.Fatalf("%d items, adopted %s, %s", len(r.items), st.Adopted, st.Error)
	}
	s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r.poll(0)
	shown := string(r.states[r.id(0)]) + fmt.Sprint(r.status(0).LastError, r.status(0).Adopted)
	for _, secret := range []string{"hunter2", "abc", "reader"} {
		if strings.Contains(shown, secret) {
			t.Errorf("%s is in %s", secret, shown)
		}
	}
}

func TestStuckCacheIsAskedOnceWithoutValidators(t *testing.T) {
	s := newSite(t, oneItem(1))
	s.headers = map[string]string{"ETag": `"a"`}
	r := newRig(t, nil, Feed{URL: s.URL, Interval: time.Hour})
	r.poll(0)
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("If-None-Match") == "" {
			fmt.Fprint(w, oneItem(2))
			return
		}
		w.WriteHeader(304)
	})
	bare := 0
	for range 10 * 24 {
		r.poll(0)
		if s.last().Header.Get("If-None-Match") == "" {
			bare++
			s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) })
			break
		}
	}
	age := r.clock.Sub(time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC))
	if bare != 1 || len(r.items) != 2 || age < 7*day || age > 8*day {
		t.Errorf("%d bare requests after %s, %d items", bare, age, len(r.items))
	}
}
