package notifier

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
)

func templates(t *testing.T, subject, text, html string) (*UserTemplates, error) {
	t.Helper()
	var f TemplateFiles
	for name, x := range map[string]struct {
		to   *strict.Text
		text string
	}{"subject": {&f.Subject, subject}, "text": {&f.Text, text}, "html": {&f.HTML, html}} {
		if x.text == "" {
			continue
		}
		path := filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(path, []byte(x.text), 0o600))
		*x.to = strict.Text{Value: path}
	}
	return ReadTemplates(f)
}

func samplePage() *Page {
	m := match("i1", func(m *news.Match) { m.Item.Title = "BLA <script>alert(1)</script>" })
	return &Page{View: NewView(&news.Alert{ID: "a1", Revision: 1, Kind: news.KindFirst, Match: m, Watchlist: m.Watchlist, Severity: m.Severity}, nil), Route: "root"}
}

func TestOwnTemplates(t *testing.T) {
	u, err := templates(t, `{{upper .Severity}}: {{.Title}}`, `{{range .Why}}{{isolate .Name}};{{end}} {{.Link}}`, `<p title="{{.Title}}">{{range .Headline}}{{.Text}}{{end}}</p>`)
	must(t, err)
	p := samplePage()
	s, err := u.Subject(p, "built in")
	if err != nil || s != "MEDIUM: BLA <script>alert(1)</script>" {
		t.Errorf("subject %q, %v", s, err)
	}
	b, err := u.Text(p)
	if err != nil || !strings.Contains(string(b), "BLA") || !strings.Contains(string(b), "https://news.example/i1") {
		t.Errorf("text %q, %v", b, err)
	}
	for range 2 { // a template may be used again
		b, err = u.HTML(p)
		if err != nil || strings.Contains(string(b), "<script>") || !strings.HasPrefix(string(b), "<p title=") {
			t.Errorf("html %q, %v", b, err)
		}
	}
	none, err := templates(t, "", "", "")
	must(t, err)
	if s, err := none.Subject(p, "built in"); s != "built in" || err != nil {
		t.Errorf("no template: %q, %v", s, err)
	}
}

// TestTemplatesStopAtTheirBudget: loops that write nothing, loops that write too much, recursion, wide formats: each ends soon, with an error.
func TestTemplatesStopAtTheirBudget(t *testing.T) {
	for name, text := range map[string]string{
		"empty loop":    `{{range 2000000000}}{{end}}`,
		"nested loops":  `{{if true}}{{range 100000}}{{with 1}}{{range 100000}}{{end}}{{end}}{{end}}{{end}}`,
		"else loop":     `{{range 0}}{{else}}{{range 2000000000}}{{end}}{{end}}`,
		"recursion":     `{{define "a"}}{{template "b" .}}{{template "b" .}}{{end}}{{define "b"}}{{template "a" .}}{{end}}{{template "a" .}}`,
		"writes much":   `{{range 1000000}}0123456789012345678901234567890123456789{{end}}`,
		"wide format":   `{{printf "%1000000000d" 1}}`,
		"starred width": `{{printf "%*d" 1000000000 1}}`,
		"missing key":   `{{.NoSuchThing}}`,
		"missing label": `{{.Alert.Match.Labels.nothing}}`,
	} {
		u, err := templates(t, "", text, text)
		must(t, err)
		for form, run := range map[string]func(*Page) ([]byte, error){"text": u.Text, "html": u.HTML} {
			begun := time.Now()
			b, err := run(samplePage())
			if err == nil {
				t.Errorf("%s, %s: %d bytes and no error", name, form, len(b))
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("%s, %s: %s", name, form, took)
			}
			if strings.HasSuffix(name, "loop") && !errors.Is(err, ErrBudget) && !strings.Contains(err.Error(), "more than") {
				t.Errorf("%s, %s: %v", name, form, err)
			}
		}
	}
	for name, subject := range map[string]string{"line break": "a\nBcc: x@y", "empty": "{{if false}}x{{end}}"} {
		u, err := templates(t, subject, "", "")
		must(t, err)
		if s, err := u.Subject(samplePage(), "x"); err == nil {
			t.Errorf("%s: subject %q", name, s)
		}
	}
}

func TestBrokenTemplatesAreRefused(t *testing.T) {
	for name, text := range map[string]string{"not closed": "{{if .Title}}", "unknown function": `{{env "HOME"}}`, "file": `{{readFile "/etc/passwd"}}`} {
		if _, err := templates(t, "", text, ""); err == nil {
			t.Errorf("%s is accepted", name)
		}
		if _, err := templates(t, "", "", text); err == nil {
			t.Errorf("%s is accepted as html", name)
		}
	}
}

// TestATemplateLosesNoAlert: an own template that fails or panics is counted, and the built-in form goes out.
func TestATemplateLosesNoAlert(t *testing.T) {
	for name, custom := range map[string]func(*news.Alert, *news.Delivery) error{
		"error": func(_ *news.Alert, d *news.Delivery) error { d.Body = []byte("half"); return errors.New("broken") },
		"panic": func(*news.Alert, *news.Delivery) error { panic("broken") },
		"large": func(_ *news.Alert, d *news.Delivery) error { d.Body = make([]byte, news.MaxDelivery+1); return nil },
	} {
		m, e := newModel(), &endpoint{}
		ch := e.channel("desk")
		ch.Custom = custom
		n := m.start(t, config(t, oneRoute), ch)
		throughAlerts(t, m, n, match("i1"))
		m.run(t, n)
		if len(e.got) != 1 || !strings.Contains(string(e.got[0].Body), "BLA claims attack") {
			t.Errorf("%s: got %v", name, e.got)
		}
		balanced(t, m, n)
	}
	m, e := newModel(), &endpoint{}
	ch := e.channel("desk")
	ch.Custom = func(_ *news.Alert, d *news.Delivery) error { d.Body = []byte("own"); return nil }
	n := m.start(t, config(t, oneRoute), ch)
	throughAlerts(t, m, n, match("i1"))
	m.run(t, n)
	if len(e.got) != 1 || string(e.got[0].Body) != "own" {
		t.Errorf("got %v", e.got)
	}
}
