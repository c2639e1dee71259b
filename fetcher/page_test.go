package fetcher

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tocsin/news"
)

const articlePage = `<!doctype html><html lang="en-GB"><head><title>Pipeline reaches Herat | Desk</title>
<meta property="og:title" content="Pipeline reaches Herat"><script>var TTP = "hidden"</script></head>
<body><nav>Home TTP World</nav><article><h1>Pipeline reaches Herat</h1><p>Work on the TAPI pipeline reached Herat on Monday,
officials said.</p><p>Engineers expect gas to flow in two years, and the province to earn from it.</p><aside>Related: cricket</aside>
<p>The line crosses four countries and follows the ring road for most of its way through the west of the country.</p></article>
<footer>Cookies</footer></body></html>`

func TestPageOf(t *testing.T) {
	for _, c := range []struct{ name, body, kind, title, lang, has, hasNot string }{
		{"article", articlePage, "text/html; charset=utf-8", "Pipeline reaches Herat", "en", "officials said.\nEngineers", "hidden"},
		{"surroundings", articlePage, "", "Pipeline reaches Herat", "en", "ring road", "cricket"},
		{"no article", `<html lang=ur><title>T</title><nav>menu</nav><p>متن یہاں ہے`, "text/html; charset=utf-8", "T", "ur", "متن یہاں ہے", "menu"},
		{"declared charset", "<html><meta charset=windows-1251><title>\xcf\xf0\xe8\xe2\xe5\xf2</title><p>\xe3\xe0\xe7", "text/html", "Привет", "und", "газ", ""},
		{"plain", "one\n\n\ntwo", "text/plain", "", "und", "one\ntwo", ""},
		{"empty", "", "text/html", "", "und", "", ""},
		{"deep", strings.Repeat("<div>", 400) + "deep" + strings.Repeat("</div>", 400), "text/html", "", "und", "deep", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := pageOf([]byte(c.body), c.kind)
			if err != nil {
				t.Fatal(err)
			}
			if p.Title != c.title || p.Lang != c.lang || !strings.Contains(p.Text, c.has) || c.hasNot != "" && strings.Contains(p.Text, c.hasNot) {
				t.Errorf("%+v", p)
			}
		})
	}
	for _, kind := range []string{"application/pdf", "image/png"} {
		var f *Fault
		if _, err := pageOf([]byte("%PDF-1.7"), kind); !errors.As(err, &f) || !strings.Contains(f.Detail, kind) {
			t.Errorf("%s: %v", kind, err)
		}
	}
	long, err := pageOf([]byte("<p>"+strings.Repeat("word ", news.MaxBody)), "text/html")
	if err != nil || !long.Cut || len(long.Text) > news.MaxBody {
		t.Errorf("cut %v, %d bytes, %v", long.Cut, len(long.Text), err)
	}
}

func TestReadPage(t *testing.T) {
	mux := http.NewServeMux()
	asked := 0
	mux.HandleFunc("/old", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/page?key=secret", http.StatusFound)
	})
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		asked++
		if !strings.HasPrefix(r.Header.Get("Accept"), "text/html") || r.UserAgent() != "Tocsin/test" {
			t.Errorf("asked with %v", r.Header)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(articlePage)) // the test reads it
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	o := Options{Client: func(Feed) (*http.Client, error) { return srv.Client(), nil }, UserAgent: "Tocsin/test"}
	p, err := ReadPage(context.Background(), o, srv.URL+"/old")
	if err != nil || p.Title != "Pipeline reaches Herat" || asked != 1 || strings.Contains(p.URL, "secret") {
		t.Errorf("%+v %v, asked %d times", p, err, asked)
	}
	var f *Fault
	if _, err := ReadPage(context.Background(), o, srv.URL+"/none"); !errors.As(err, &f) || f.Status != http.StatusNotFound {
		t.Errorf("404 gives %v", err)
	}
	srv.Close()
	if _, err := ReadPage(context.Background(), o, srv.URL+"/page"); !errors.As(err, &f) || f.Reason != ReasonConnect {
		t.Errorf("a dead server gives %v", err)
	}
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(articlePage), "text/html")
	f.Add([]byte("<html lang=\xff><article><article><p>x<nav>"), "text/html; charset=utf-16")
	f.Fuzz(func(t *testing.T, body []byte, kind string) {
		p, err := pageOf(body, kind)
		if err == nil && (len(p.Text) > news.MaxBody || len(p.Title) > news.MaxTitle) {
			t.Errorf("too long: %d and %d bytes", len(p.Title), len(p.Text))
		}
	})
}
