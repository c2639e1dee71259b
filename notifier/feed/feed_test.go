package feed

import (
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mmcdole/gofeed"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

func alerts() []news.Alert {
	var out []news.Alert
	for _, s := range notifiertest.Samples() {
		out = append(out, s.Alert)
	}
	return out
}

func serve(t testing.TB, c Config, all []news.Alert) *httptest.Server {
	t.Helper()
	f, err := New(c, Options{Began: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), Alerts: func(n int, keep func(*news.Alert) bool) (out []news.Alert) {
		for i := range all {
			if len(out) < n && keep(&all[i]) {
				out = append(out, all[i])
			}
		}
		return out
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	s := serve(t, Config{}, alerts())
	for _, name := range []string{"alerts.atom", "alerts.rss", "alerts.json"} {
		_, body := get(t, s, "/"+name)
		body = strings.ReplaceAll(strings.ReplaceAll(body, s.URL, "https://tocsin.example"), "><", ">\n<")
		notifiertest.Compare(t, "testdata/"+name, []byte(body), *update)
	}
}

func get(t testing.TB, s *httptest.Server, path string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	buf := make([]byte, 32<<10)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	return resp, b.String()
}

// TestReadBack: another program's parser finds every alert in every form, with its id, title, link, time and tags.
func TestReadBack(t *testing.T) {
	all := alerts()
	s := serve(t, Config{}, all)
	for _, path := range []string{"/alerts.atom", "/alerts.rss", "/alerts.json"} {
		resp, body := get(t, s, path)
		f, err := gofeed.NewParser().ParseString(body)
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, body)
		}
		if len(f.Items) != len(all) || f.Title != "Tocsin alerts" || resp.StatusCode != 200 {
			t.Fatalf("%s: %d entries of %d, title %q", path, len(f.Items), len(all), f.Title)
		}
		for i, it := range f.Items {
			a := &all[i]
			v := notifier.NewView(a, nil)
			if it.GUID != "tag:tocsin,2026:alert:"+a.Key() || strings.TrimSpace(it.Title) != strings.TrimSpace(v.Title()) || it.Link != v.Link {
				t.Errorf("%s: entry %q %q %q, want %q %q", path, it.GUID, it.Title, it.Link, v.Title(), v.Link)
			}
			if len(it.Categories) < 2 || it.Categories[0] != a.Watchlist || it.PublishedParsed == nil || it.PublishedParsed.Sub(a.At).Abs() > time.Second {
				t.Errorf("%s: tags %v, published %v", path, it.Categories, it.PublishedParsed)
			}
		}
	}
}

// TestAtomHasWhatTheStandardAsksFor: RFC 4287 4.1.1 and 4.1.2, and nothing that XML forbids.
func TestAtomHasWhatTheStandardAsksFor(t *testing.T) {
	for _, all := range [][]news.Alert{nil, alerts(), {*notifiertest.Huge()}} {
		s := serve(t, Config{}, all)
		_, body := get(t, s, "/alerts.atom?watchlist=corridor-security&token=CANARY")
		var f atomFeed
		if err := xml.Unmarshal([]byte(body), &f); err != nil {
			t.Fatal(err)
		}
		if f.ID != "tag:tocsin,2026:alerts:corridor-security" || f.Title == "" || f.Author.Name == "" || len(f.Links) != 1 || f.Links[0].Rel != "self" {
			t.Errorf("feed %+v", f)
		}
		if strings.Contains(body, "CANARY") {
			t.Error("the feed repeats its token")
		}
		if _, err := time.Parse(time.RFC3339, f.Updated); err != nil {
			t.Error(err)
		}
		ids := map[string]bool{}
		for _, e := range f.Entries {
			if e.ID == "" || ids[e.ID] || e.Title == "" || e.Summary == "" {
				t.Errorf("entry %+v", e)
			}
			ids[e.ID] = true
			for _, at := range []string{e.Updated, e.Published} {
				if _, err := time.Parse(time.RFC3339, at); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestChoosing(t *testing.T) {
	all := alerts()
	for i := range all {
		all[i].Watchlist = "corridor-security"
	}
	all[0].Watchlist, all[1].Match.Entities[0].ID = "other", "pick"
	s := serve(t, Config{}, all)
	for path, want := range map[string]int{
		"/alerts.json?watchlist=other": 1, "/alerts.json?watchlist=corridor-security": len(all) - 1, "/alerts.json?entity=pick": 1, "/alerts.json?watchlist=other&entity=pick": 0,
	} {
		_, body := get(t, s, path)
		var f jsonFeed
		if err := json.Unmarshal([]byte(body), &f); err != nil || len(f.Items) != want || f.Items == nil {
			t.Errorf("%s: %d entries, want %d (%v)", path, len(f.Items), want, err)
		}
	}
	if resp, _ := get(t, s, "/alerts.txt"); resp.StatusCode != 404 {
		t.Errorf("an unknown form: %d", resp.StatusCode)
	}
}

func TestTheNewestOfMany(t *testing.T) {
	var all []news.Alert
	for i := range 300 {
		a := alerts()[0]
		a.ID = fmt.Sprintf("a%d", i)
		all = append(all, a)
	}
	_, body := get(t, serve(t, Config{}, all), "/alerts.rss")
	if n := strings.Count(body, "<item>"); n != MaxEntries {
		t.Errorf("%d entries", n)
	}
}

func TestETag(t *testing.T) {
	s := serve(t, Config{}, alerts())
	resp, _ := get(t, s, "/alerts.atom")
	tag := resp.Header.Get("ETag")
	if tag == "" {
		t.Fatal("no ETag")
	}
	for _, same := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		if resp, body := get(t, s, "/alerts.atom", "If-None-Match", same); resp.StatusCode != 304 || body != "" || resp.Header.Get("ETag") != tag {
			t.Errorf("%s: %d, %d bytes", same, resp.StatusCode, len(body))
		}
	}
	if resp, body := get(t, s, "/alerts.atom?watchlist=x", "If-None-Match", tag); resp.StatusCode != 200 || body == "" {
		t.Errorf("another feed: %d", resp.StatusCode)
	}
}

func TestTokenAndOrigins(t *testing.T) {
	const token = "CANARY-0123456789"
	var c Config
	yaml := "token_file: " + notifiertest.Secret(t, token) + "\norigins: [\"https://desk.example.org\"]"
	if fs := append(strict.Decode("t.yaml", []byte(yaml), 1<<10, &c), c.Check()...); len(fs) > 0 {
		t.Fatal(fs)
	}
	s := serve(t, c, alerts())
	for path, want := range map[string]int{
		"/alerts.atom": 403, "/alerts.atom?token=": 403, "/alerts.atom?token=CANARY": 403, "/alerts.atom?token=" + token + "x": 403, "/alerts.atom?token=" + token: 200,
	} {
		if resp, body := get(t, s, path); resp.StatusCode != want || strings.Contains(body, token) {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	for origin, want := range map[string]string{"https://desk.example.org": "https://desk.example.org", "https://evil.example": "", "null": ""} {
		resp, _ := get(t, s, "/alerts.json?token="+token, "Origin", origin)
		if got := resp.Header.Get("Access-Control-Allow-Origin"); got != want || resp.Header.Get("Vary") != "Origin" {
			t.Errorf("origin %s: allowed %q, vary %q", origin, got, resp.Header.Get("Vary"))
		}
	}
}

func TestFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"origins: [\"*\"]": "is not an origin", "origins: [\"https://a.example/x\"]": "is not an origin", "origin: [x]": `did you mean "origins"?`,
	} {
		var c Config
		fs := append(strict.Decode("t.yaml", []byte(yaml), 1<<10, &c), c.Check()...)
		if !strings.Contains(fs.Error(), want) {
			t.Errorf("%s: %q, want %q", yaml, fs.Error(), want)
		}
	}
	c := Config{TokenFile: strict.Text{Value: notifiertest.Secret(t, "CANARY")}}
	if _, err := New(c, Options{Alerts: func(int, func(*news.Alert) bool) []news.Alert { return nil }}); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("a short token: %v", err)
	}
}
