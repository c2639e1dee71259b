package page

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/fetcher"
	"tocsin/news"
	"tocsin/notifier"
)

const token = "a-token-of-twenty-six-bytes"

// world is a page with everything around it made up.
type world struct {
	*Page
	o     Options
	did   []string
	feeds []fetcher.FeedStatus
	bus   bus.Status
	fails error
}

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	w := &world{}
	w.feeds = []fetcher.FeedStatus{
		{Feed: fetcher.Feed{ID: "f1", URL: "https://a.example/rss", Outlet: "Kabul Courier", Lang: "en"}, State: fetcher.StateLive, Expected: time.Hour},
		{Feed: fetcher.Feed{ID: "f2", URL: "https://b.example/rss", Outlet: "روز هرات", Lang: "fa"}, State: fetcher.StateDead, Reason: fetcher.ReasonGone, Expected: time.Hour},
	}
	note := func(format string, args ...any) error {
		w.did = append(w.did, fmt.Sprintf(format, args...))
		return w.fails
	}
	w.o = Options{
		Version: "test", Roles: "fetcher,matcher,notifier", Began: time.Now(), Ready: func() bool { return true },
		Log:      slog.New(slog.DiscardHandler),
		Bus:      func(context.Context) (bus.Status, error) { return w.bus, nil },
		Feeds:    func(context.Context) ([]fetcher.FeedStatus, error) { return w.feeds, nil },
		Lists:    func() []List { return []List{{What: "watchlists", Revision: "r1", OK: true}} },
		Channels: func() []notifier.ChannelStatus { return []notifier.ChannelStatus{{ID: "desk", Type: "email"}} },
		Counts: func() map[string]notifier.Counts {
			return map[string]notifier.Counts{"desk": {Accepted: 3, Delivered: 3}}
		},
		Silences: func() []notifier.Silence { return nil },
		Dead: func(context.Context) ([]DeadLetter, error) {
			return []DeadLetter{{Number: 7, DeadLetter: news.DeadLetter{Stage: "channel", ID: "d", Summary: "<b>dead</b>", Error: "550", At: time.Now()}}}, nil
		},
		Do: Actions{
			Feedback: func(_ context.Context, a *news.Alert, verdict, by string) error {
				return note("%s %s %s", verdict, a.ID, by)
			},
			Silence: func(_ context.Context, s notifier.Silence) (notifier.Silence, error) {
				return s, note("silence %v %v %s %s", s.Entities, s.Words, s.Author, s.End.Sub(s.Start))
			},
			Expire:    func(_ context.Context, id string) error { return note("expire %s", id) },
			RetryDead: func(_ context.Context, n uint64) error { return note("retry %d", n) },
			DropDead:  func(_ context.Context, n uint64) error { return note("drop %d", n) },
		},
	}
	if change != nil {
		change(&w.o)
	}
	var err error
	if w.Page, err = New(w.o); err != nil {
		t.Fatal(err)
	}
	return w
}

// alertOf makes a record with one mention in the title.
func alertOf(n int, title, word string) *news.Alert {
	start := strings.Index(title, word)
	it := news.Item{ID: fmt.Sprintf("item%d", n), Feed: "f1", Outlet: "Kabul Courier", Lang: "en", Title: title, URL: fmt.Sprintf("https://a.example/%d", n), FirstSeen: time.Now()}
	return &news.Alert{
		ID: fmt.Sprintf("alert%d", n), Revision: 1, Kind: news.KindFirst, Story: fmt.Sprintf("story%d", n), Watchlist: "groups", Severity: news.SeverityHigh,
		Items: 1, OpenedAt: time.Now(), At: time.Now(),
		Match: news.Match{
			Item: it, Watchlist: "groups", Title: "Armed groups", Severity: news.SeverityHigh,
			Entities: []news.EntityHit{{ID: "ttp", Name: "Tehrik"}},
			Mentions: []news.Mention{{Entity: "ttp", Alias: word, Field: "title", Start: start, End: start + len(word), Text: word, Why: "named"}},
		},
	}
}

func (w *world) get(t testing.TB, path string) (int, string, http.Header) {
	t.Helper()
	return w.ask(t, httptest.NewRequest(http.MethodGet, path, nil))
}

func (w *world) ask(t testing.TB, r *http.Request) (int, string, http.Header) {
	t.Helper()
	rec := httptest.NewRecorder()
	w.ServeHTTP(rec, r)
	b, err := io.ReadAll(rec.Body)
	if err != nil {
		t.Fatal(err)
	}
	return rec.Code, string(b), rec.Header()
}

// post sends a form as a browser does from our own page.
func (w *world) post(t testing.TB, path string, form url.Values, cookie *http.Cookie) (int, string, http.Header) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if cookie != nil {
		r.AddCookie(cookie)
	}
	return w.ask(t, r)
}

// signIn gives the cookie and the token of the forms.
func (w *world) signIn(t testing.TB) (*http.Cookie, string) {
	t.Helper()
	code, body, h := w.post(t, "/signin", url.Values{"token": {token}, "name": {"Nadia"}, "back": {"/delivery"}}, nil)
	if code != http.StatusSeeOther || h.Get("Location") != "/delivery" {
		t.Fatalf("sign in gives %d to %q: %s", code, h.Get("Location"), body)
	}
	c, err := http.ParseSetCookie(h.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookie %v is open to scripts or other sites", c)
	}
	r := httptest.NewRequest(http.MethodGet, "/delivery", nil)
	r.AddCookie(c)
	_, page, _ := w.ask(t, r)
	m := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(page)
	if m == nil {
		t.Fatalf("no form token on the page of one who signed in:\n%s", page)
	}
	return c, m[1]
}

func signedWorld(t testing.TB) *world {
	return newWorld(t, func(o *Options) { o.Token = token })
}

func paths() []string {
	return []string{"/", "/alerts/alert1", "/stories", "/search?q=kabul", "/try", "/feeds", "/feeds/f1", "/delivery", "/silences", "/system", "/signin"}
}

// TestPolicy holds every page to the policy: nothing from elsewhere, nothing in place, no caching.
func TestPolicy(t *testing.T) {
	w := newWorld(t, nil)
	w.Alert(alertOf(1, "TTP in Bajaur", "TTP"), 1)
	inPlace := regexp.MustCompile(`(?i)<style|<script>|\sstyle=|\son[a-z]+=|javascript:`)
	for _, p := range paths() {
		code, body, h := w.get(t, p)
		if code != http.StatusOK {
			t.Errorf("%s gives %d", p, code)
		}
		if got := h.Get("Content-Security-Policy"); got != policy || strings.Contains(got, "unsafe") {
			t.Errorf("%s has the policy %q", p, got)
		}
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be kept or guessed: %v", p, h)
		}
		if m := inPlace.FindString(body); m != "" {
			t.Errorf("%s holds %q, which the policy forbids", p, m)
		}
		for _, ref := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
			if !strings.HasPrefix(ref[1], "/") && !strings.HasPrefix(ref[1], "#") && !strings.HasPrefix(ref[1], "https://a.example/") {
				t.Errorf("%s leads to %s", p, ref[1])
			}
		}
	}
}

// TestHostileText shows that no text from outside leaves its place, whatever page shows it.
func TestHostileText(t *testing.T) {
	const bad = `</title><script>alert(1)</script><img src=x onerror=alert(1)>" onload="x`
	w := newWorld(t, func(o *Options) {
		o.Explain = func(it *news.Item) Explanation {
			return Explanation{Matches: []news.Match{{Watchlist: bad, Title: bad, Item: *it}}, Stopped: []Stopped{{Name: bad, Text: bad, Why: bad}}}
		}
		o.Lists = func() []List { return []List{{What: "watchlists", Faults: []string{bad}}} }
	})
	a := alertOf(1, "TTP "+bad, "TTP")
	a.Match.Item.Outlet, a.Match.Item.Lang, a.Match.Item.URL, a.Match.Item.Summary = bad, bad, "javascript:alert(1)", bad
	a.Match.Title, a.Match.Entities[0].Name, a.Match.Entities[0].About, a.New = bad, bad, bad, []string{bad}
	w.Alert(a, 1)
	w.Item(&a.Match.Item)
	w.feeds[0].Feed.Outlet, w.feeds[0].LastError, w.feeds[0].Notes, w.feeds[0].Feed.URL = bad, bad, []string{bad}, "javascript:alert(1)"
	for _, p := range append(paths(), "/search?q=alert", "/?list="+url.QueryEscape(bad), "/feeds?q="+url.QueryEscape(bad), "/signin?back="+url.QueryEscape("//evil.example"+bad), "/try?text="+url.QueryEscape(bad)) {
		_, body, _ := w.get(t, p)
		for _, x := range []string{"<script>", "<img src=x", `" onload=`, `="javascript:`, "evil.example<"} {
			if strings.Contains(body, x) {
				i := strings.Index(body, x)
				t.Errorf("%s holds %q: %s", p, x, body[max(0, i-80):min(len(body), i+80)])
			}
		}
	}
	if _, body, _ := w.get(t, "/"); !strings.Contains(body, "<mark>TTP</mark>") || !strings.Contains(body, "&lt;script&gt;") {
		t.Error("the title or its mention is not shown")
	}
}

// TestReadOnly shows that without a token nothing can be done, and nothing is offered.
func TestReadOnly(t *testing.T) {
	w := newWorld(t, nil)
	w.Alert(alertOf(1, "TTP in Bajaur", "TTP"), 1)
	for _, what := range []string{"ack", "silence", "expire", "retry", "drop", "poll", "reload"} {
		if code, _, _ := w.post(t, "/act/"+what, url.Values{"number": {"7"}, "alert": {"1"}, "form": {""}}, nil); code != http.StatusForbidden {
			t.Errorf("%s gives %d", what, code)
		}
	}
	if code, _, h := w.post(t, "/signin", url.Values{"token": {""}}, nil); code != http.StatusForbidden || h.Get("Set-Cookie") != "" {
		t.Errorf("an empty token signs in: %d", code)
	}
	for _, p := range paths() {
		if _, body, _ := w.get(t, p); strings.Contains(body, `action="/act/`) {
			t.Errorf("%s offers an action", p)
		}
	}
	if len(w.did) > 0 {
		t.Errorf("done without a token: %v", w.did)
	}
}

// TestActions does everything that is offered, then tries it in every wrong way.
func TestActions(t *testing.T) {
	w := signedWorld(t)
	w.Alert(alertOf(1, "TTP in Bajaur", "TTP"), 5)
	cookie, form := w.signIn(t)
	do := func(what string, q url.Values) string {
		q.Set("form", form)
		q.Set("back", "/delivery?x=1")
		code, body, h := w.post(t, "/act/"+what, q, cookie)
		if code != http.StatusSeeOther || !strings.HasPrefix(h.Get("Location"), "/delivery?") {
			t.Errorf("%s gives %d to %s: %s", what, code, h.Get("Location"), body)
		}
		return h.Get("Location")
	}
	do("retry", url.Values{"number": {"7"}})
	do("drop", url.Values{"number": {"7"}})
	do("expire", url.Values{"id": {"s1"}})
	do("ack", url.Values{"alert": {"5"}})
	do("silence", url.Values{"entities": {"ttp, bla"}, "words": {"cricket"}, "for": {"8h"}, "comment": {"exercise"}})
	want := "retry 7|drop 7|expire s1|ack alert1 Nadia|silence [ttp bla] [cricket] Nadia 8h0m0s"
	if got := strings.Join(w.did, "|"); got != want {
		t.Errorf("did %s, want %s", got, want)
	}
	if _, body, _ := w.get(t, "/"); !strings.Contains(body, "<bdi>Nadia</bdi> looks after it") {
		t.Error("the page does not say who looks after the alert")
	}
	w.fails = errors.New("the bus is away")
	if to := do("retry", url.Values{"number": {"8"}}); !strings.Contains(to, "bad=1") || !strings.Contains(to, "the+bus+is+away") {
		t.Errorf("a failure leads to %s", to)
	}
	w.did, w.fails = nil, nil
	for name, f := range map[string]func() int{
		"no session": func() int {
			c, _, _ := w.post(t, "/act/retry", url.Values{"number": {"7"}, "form": {form}}, nil)
			return c - 303 + 403
		},
		"no form token": func() int { c, _, _ := w.post(t, "/act/retry", url.Values{"number": {"7"}}, cookie); return c },
		"wrong token": func() int {
			c, _, _ := w.post(t, "/act/retry", url.Values{"number": {"7"}, "form": {form + "x"}}, cookie)
			return c
		},
		"other site": func() int {
			r := httptest.NewRequest(http.MethodPost, "/act/retry", strings.NewReader(url.Values{"number": {"7"}, "form": {form}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.AddCookie(cookie)
			c, _, _ := w.ask(t, r)
			return c
		},
		"other origin": func() int {
			r := httptest.NewRequest(http.MethodPost, "/act/retry", strings.NewReader(url.Values{"number": {"7"}, "form": {form}}.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Origin", "https://evil.example")
			r.AddCookie(cookie)
			c, _, _ := w.ask(t, r)
			return c
		},
	} {
		if code := f(); code != http.StatusForbidden {
			t.Errorf("%s gives %d", name, code)
		}
	}
	w.post(t, "/signout", url.Values{"form": {form}}, cookie)
	w.post(t, "/act/retry", url.Values{"number": {"7"}, "form": {form}}, cookie)
	if len(w.did) > 0 {
		t.Errorf("done all the same: %v", w.did)
	}
}

// TestWrongTokens shows that guessing is slow, and leads to no other host.
func TestWrongTokens(t *testing.T) {
	w := signedWorld(t)
	last := 0
	for range maxFailures + 1 {
		last, _, _ = w.post(t, "/signin", url.Values{"token": {"guess"}}, nil)
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("guess %d gives %d", maxFailures+1, last)
	}
	if code, _, _ := w.post(t, "/signin", url.Values{"token": {token}}, nil); code != http.StatusTooManyRequests {
		t.Errorf("the right token meanwhile gives %d", code)
	}
	for in, want := range map[string]string{"/feeds?a=b": "/feeds?a=b", "//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "": "/", "/\tx": "/"} {
		if got := ownPath(in); got != want {
			t.Errorf("%q leads back to %q", in, got)
		}
	}
}
