package notifier

import (
	"bytes"
	"embed"
	"fmt"
	html "html/template"
	"io"
	"slices"
	"strings"
	text "text/template"

	"tocsin/news"
)

//go:embed templates
var templateFiles embed.FS

var (
	htmlPage   = html.Must(html.New("alert.html.tmpl").Option("missingkey=error").ParseFS(templateFiles, "templates/alert.html.tmpl", "templates/shared.html.tmpl"))
	digestPage = html.Must(html.New("digest.html.tmpl").Option("missingkey=error").ParseFS(templateFiles, "templates/digest.html.tmpl", "templates/shared.html.tmpl"))
	textPage   = text.Must(text.New("alert.txt.tmpl").Option("missingkey=error").Funcs(text.FuncMap{
		"isolate": Isolate, "upper": strings.ToUpper, "parts": marked, "dots": dotted,
	}).ParseFS(templateFiles, "templates/alert.txt.tmpl"))
)

// Page is a View with the route that it goes by: what the page templates see.
type Page struct {
	*View
	Route    string
	Feedback []FeedbackLink // may be none
	Leave    string         // address by which the reader leaves the list; "" when there is none
}

// dotted writes words beside one another with dots between, each isolated.
func dotted(words []string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = Isolate(w)
	}
	return strings.Join(out, " · ")
}

// marked writes parts as one isolated line of plain text, the mentions between asterisks.
func marked(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		if p.Mark {
			b.WriteString("*" + p.Text + "*")
			continue
		}
		b.WriteString(p.Text)
	}
	return Isolate(strings.TrimSpace(b.String()))
}

// Preview is the line that mail programs show beside the subject: who, where, when, and how the text begins.
func (p *Page) Preview() string { return dotted(p.preview()) }

func (v *View) preview() []string {
	words := append([]string{v.Who()}, v.DigestFacts()...)
	if len(v.Snippets) > 0 {
		words = append(words, Plain(v.Snippets))
	} else {
		words = append(words, v.Title())
	}
	return slices.DeleteFunc(words, func(s string) bool { return s == "" })
}

// HTML writes the alert as a page for mail programs: no script, no remote content, light and dark, readable on a phone.
func (p *Page) HTML() ([]byte, error) { return execute(htmlPage, p) }

// Text writes the alert as plain text, each foreign piece between isolates.
func (p *Page) Text() ([]byte, error) { return execute(textPage, p) }

func execute(t interface{ Execute(io.Writer, any) error }, p *Page) ([]byte, error) {
	w := &bounded{left: news.MaxDelivery}
	if err := t.Execute(w, p); err != nil {
		return nil, fmt.Errorf("render alert %s: %w", p.Alert.ID, err)
	}
	return w.b.Bytes(), nil
}

// bounded ends a template that writes too much: a Go template cannot be interrupted otherwise.
type bounded struct {
	b    bytes.Buffer
	left int
}

func (w *bounded) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, fmt.Errorf("more than %d bytes: %w", news.MaxDelivery, ErrTooLarge)
	}
	return w.b.Write(p)
}
