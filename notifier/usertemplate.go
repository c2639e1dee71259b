package notifier

import (
	"errors"
	"fmt"
	html "html/template"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	text "text/template"
	"text/template/parse"
	"time"
	"unicode"

	"tocsin/news"
	"tocsin/news/strict"
)

// TemplateFiles are an operator's own templates for a channel, by file. What is not stated stays as it is built in.
type TemplateFiles struct {
	strict.Pos
	Subject strict.Text `yaml:"subject"` // text/template, one line
	Text    strict.Text `yaml:"text"`    // text/template
	HTML    strict.Text `yaml:"html"`    // html/template
}

// Bounds of an operator's template.
const (
	maxTemplateFile = 64 << 10
	templateTime    = 100 * time.Millisecond
)

// UserTemplates are templates that were read and parsed. They see a Page, and no environment, file, network or program.
type UserTemplates struct {
	subject, body *text.Template
	page          *html.Template
}

// ErrBudget is wrapped by errors of templates that run too long or write too much.
var ErrBudget = errors.New("the template's budget is used up")

var wideVerb = regexp.MustCompile(`%[^a-zA-Z%]*(\d{4,}|\*)`)

// templateFuncs are the functions of templates, a fixed list. tick ends a template that runs too long.
func templateFuncs(tick func() (bool, error)) map[string]any {
	return map[string]any{
		"tick": tick, "isolate": Isolate, "upper": strings.ToUpper, "lower": strings.ToLower, "join": strings.Join, "parts": marked, "plain": Plain,
		"dots": dotted, "direction": Direction,
		"shorten": func(n int, s string) string { return Shorten(s, min(max(n, 1), maxTemplateFile)) },
		"printf": func(format string, args ...any) (string, error) {
			if wideVerb.MatchString(format) {
				return "", errors.New("printf: a width of four digits or *")
			}
			return fmt.Sprintf(format, args...), nil
		},
	}
}

// ReadTemplates reads the files. Errors name the place.
func ReadTemplates(f TemplateFiles) (*UserTemplates, error) {
	u := &UserTemplates{}
	never := templateFuncs(func() (bool, error) { return false, nil })
	for _, x := range []struct {
		file strict.Text
		to   **text.Template
	}{{f.Subject, &u.subject}, {f.Text, &u.body}} {
		s, err := readTemplate(x.file)
		if err != nil || s == "" {
			if err != nil {
				return nil, err
			}
			continue
		}
		t, err := text.New(filepath.Base(x.file.Value)).Option("missingkey=error").Funcs(never).Parse(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.file.Pos, err)
		}
		for _, each := range t.Templates() {
			watch(each.Tree)
		}
		*x.to = t
	}
	s, err := readTemplate(f.HTML)
	if err != nil || s == "" {
		return u, err
	}
	if u.page, err = html.New(filepath.Base(f.HTML.Value)).Option("missingkey=error").Funcs(never).Parse(s); err != nil {
		return nil, fmt.Errorf("%s: %w", f.HTML.Pos, err)
	}
	for _, each := range u.page.Templates() {
		watch(each.Tree)
	}
	return u, nil
}

func readTemplate(f strict.Text) (string, error) {
	if f.Value == "" {
		return "", nil
	}
	b, err := os.ReadFile(f.Value)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: read template: %w", f.Pos, err)
	case len(b) > maxTemplateFile:
		return "", fmt.Errorf("%s: template %s: %d bytes, the limit is %d", f.Pos, f.Value, len(b), maxTemplateFile)
	case len(b) == 0:
		return "", fmt.Errorf("%s: template %s is empty", f.Pos, f.Value)
	}
	return string(b), nil
}

// watch makes a template ask for the time at its beginning and in every round of a loop: a Go template cannot be interrupted otherwise.
func watch(t *parse.Tree) {
	if t == nil || t.Root == nil {
		return
	}
	watchList(t.Root, true)
}

func watchList(l *parse.ListNode, here bool) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch x := n.(type) {
		case *parse.RangeNode:
			watchList(x.List, true)
			watchList(x.ElseList, false)
		case *parse.IfNode:
			watchList(x.List, false)
			watchList(x.ElseList, false)
		case *parse.WithNode:
			watchList(x.List, false)
			watchList(x.ElseList, false)
		}
	}
	if here {
		l.Nodes = append([]parse.Node{ticking()}, l.Nodes...)
	}
}

// ticking is {{if tick}}{{end}}, which writes nothing.
func ticking() parse.Node {
	t, err := parse.Parse("t", "{{if tick}}{{end}}", "", "", map[string]any{"tick": func() bool { return false }})
	if err != nil {
		panic("notifier: its own template does not parse: " + err.Error()) // a constant
	}
	return t["t"].Root.Nodes[0]
}

// Subject gives the operator's subject, or builtin when there is none. A line break in it is an error.
func (u *UserTemplates) Subject(p *Page, builtin string) (string, error) {
	if u.subject == nil {
		return builtin, nil
	}
	b, err := run(u.subject, p)
	if err != nil {
		return "", err
	}
	s := strings.TrimSpace(string(b))
	if s == "" || strings.ContainsAny(s, "\r\n\x00") {
		return "", errors.New("the subject is empty or holds a line break")
	}
	return Clean(s), nil
}

// Text gives the operator's plain text, or the built-in one.
func (u *UserTemplates) Text(p *Page) ([]byte, error) {
	if u.body == nil {
		return p.Text()
	}
	return run(u.body, p)
}

// HTML gives the operator's page, or the built-in one.
func (u *UserTemplates) HTML(p *Page) ([]byte, error) {
	if u.page == nil {
		return p.HTML()
	}
	t, err := u.page.Clone()
	if err != nil {
		return nil, fmt.Errorf("prepare template: %w", err)
	}
	deadline := time.Now().Add(templateTime)
	return spend(t.Funcs(templateFuncs(clockTick(deadline))), deadline, p)
}

func run(t *text.Template, p *Page) ([]byte, error) {
	c, err := t.Clone()
	if err != nil {
		return nil, fmt.Errorf("prepare template: %w", err)
	}
	deadline := time.Now().Add(templateTime)
	return spend(c.Funcs(templateFuncs(clockTick(deadline))), deadline, p)
}

func clockTick(deadline time.Time) func() (bool, error) {
	return func() (bool, error) {
		if time.Now().After(deadline) {
			return false, fmt.Errorf("more than %s: %w", templateTime, ErrBudget)
		}
		return false, nil
	}
}

// budget is a writer with an end.
type budget struct {
	bounded
	tick func() (bool, error)
}

// Write implements io.Writer.
func (w *budget) Write(p []byte) (int, error) {
	if _, err := w.tick(); err != nil {
		return 0, err
	}
	n, err := w.bounded.Write(p)
	if err != nil {
		err = fmt.Errorf("%w: %w", err, ErrBudget)
	}
	return n, err
}

func spend(t interface{ Execute(io.Writer, any) error }, deadline time.Time, p *Page) ([]byte, error) {
	w := &budget{bounded: bounded{left: news.MaxDelivery}, tick: clockTick(deadline)}
	if err := t.Execute(w, p); err != nil {
		return nil, fmt.Errorf("run template: %w", err)
	}
	return w.b.Bytes(), nil
}

// UseText makes a channel send an operator's own text for alerts. Errors name the place.
func UseText(ch *Channel, f TemplateFiles) error {
	switch {
	case ch.RenderText == nil:
		return fmt.Errorf("%s: channels of type %s take no templates here", f.Pos, ch.Type)
	case f.HTML.Value != "" || f.Subject.Value != "":
		return fmt.Errorf("%s: only mails have a subject and a page: write text alone", f.Pos)
	case f.Text.Value == "":
		return fmt.Errorf("%s: templates names no file: write text: my.tmpl", f.Pos)
	}
	u, err := ReadTemplates(f)
	if err != nil {
		return err
	}
	ch.Custom = func(a *news.Alert, d *news.Delivery) error {
		p := &Page{View: NewView(a, nil), Route: Clean(d.Route), Feedback: FeedbackLinks(d)}
		b, err := u.Text(p)
		if err != nil {
			return err
		}
		text := tidy(string(b))
		if text == "" {
			return errors.New("the template writes nothing")
		}
		d.Subject = p.Subject()
		return ch.RenderText(p.View, text, d)
	}
	return nil
}

// tidy makes lines of what a template wrote, each clean but for the isolates that the templates' functions write, which it closes.
func tidy(s string) string {
	var out []string
	for line := range strings.Lines(strings.TrimSpace(s)) {
		line = strings.Map(func(r rune) rune {
			if r == '\u061C' || '\u202A' <= r && r <= '\u202E' || r == '\u2066' || r == '\u2067' || r != '\t' && unicode.IsControl(r) {
				return -1
			}
			return r
		}, strings.ToValidUTF8(line, "\uFFFD"))
		if n := strings.Count(line, fsi) - strings.Count(line, pdi); n > 0 {
			line += strings.Repeat(pdi, n)
		}
		out = append(out, strings.TrimRight(line, " "))
	}
	return strings.Join(out, "\n")
}

// useCustom makes Render try the channel's own templates first. When they fail the built-in form goes out, the failure is counted and told: no
// alert is lost to a template.
func (n *Notifier) useCustom(ch *Channel) {
	custom, builtin := ch.Custom, ch.Render
	if custom == nil {
		return
	}
	ch.Render = func(a *news.Alert, d *news.Delivery) error {
		err := tryCustom(custom, a, d)
		if err == nil {
			return nil
		}
		n.m.template.WithLabelValues(ch.ID).Inc()
		n.o.Log.Error("template failed, the built-in form is sent", "channel", ch.ID, "alert", a.ID, "err", err)
		return builtin(a, d)
	}
}

// tryCustom leaves d as it was when the templates fail.
func tryCustom(custom func(*news.Alert, *news.Delivery) error, a *news.Alert, d *news.Delivery) error {
	headers := maps.Clone(d.Headers)
	err := guarded(func() error { return custom(a, d) })
	if err == nil && len(d.Body) > news.MaxDelivery {
		err = ErrTooLarge
	}
	if err != nil {
		d.Subject, d.Headers, d.Body = "", headers, nil
	}
	return err
}

// Rehearse fills d with what the channel would send for alerts, more than one as a digest, and sends nothing. When the operator's own templates
// fail template says why, and d holds the built-in form, as it would be sent.
func Rehearse(ch *Channel, alerts []news.Alert, d *news.Delivery) (template, err error) {
	if len(alerts) > 1 {
		d.Reason, d.Story = news.SendDigest, ""
		return nil, renderDigest(ch, alerts, d)
	}
	if ch.Custom != nil {
		if template = tryCustom(ch.Custom, &alerts[0], d); template == nil {
			return nil, nil
		}
	}
	return template, ch.Render(&alerts[0], d)
}
