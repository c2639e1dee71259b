package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/notifier"
)

//go:embed files
var files embed.FS

// shells are the pages by name, each with the frame and the shared parts.
type shells map[string]*template.Template

func readShells(p *Page) (shells, error) {
	funcs := template.FuncMap{
		"when": p.when, "until": p.until, "span": Span, "utc": utc, "num": num, "mb": mb, "lang": language, "asset": p.assets.path, "link": link, "href": href, "list": list,
		"title": title, "fresh": fresh,
	}
	base, err := template.New("").Funcs(funcs).ParseFS(files, "files/frame.html", "files/parts.html")
	if err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	s := shells{"": base}
	names, err := files.ReadDir("files/pages")
	if err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	for _, n := range names {
		t, err := template.Must(base.Clone()).ParseFS(files, "files/pages/"+n.Name())
		if err != nil {
			return nil, fmt.Errorf("status page: %w", err)
		}
		s[strings.TrimSuffix(n.Name(), ".html")] = t
	}
	return s, nil
}

// part writes one of the shared parts.
func (s shells) part(w io.Writer, name string, v any) error { return s[""].ExecuteTemplate(w, name, v) }

// frame is what every page shows around its own part.
type frame struct {
	Title   string
	Tab     string
	Path    string // where we are, to come back to
	Visitor visitor
	Said    string
	Bad     bool
	Health  strip
	Version string
	Live    string // address of the events, "" for a page that stands still
	Reload  bool   // the page is loaded again after a while, while nobody writes in it
	Body    any
}

// live is what a page adds to its frame.
type live interface{ frame(f *frame) }

// show writes a page.
func (p *Page) show(w http.ResponseWriter, r *http.Request, name, title string, status int, body any) {
	f := frame{
		Title: title, Tab: tabOf(name), Path: r.URL.RequestURI(), Visitor: p.doors.visitor(r), Health: p.health(), Version: p.o.Version, Body: body,
	}
	if q := r.URL.Query(); f.Visitor.In && q.Get("said") != "" {
		f.Said, f.Bad = notifier.Shorten(notifier.Clean(q.Get("said")), 300), q.Get("bad") != ""
		q.Del("said")
		q.Del("bad")
		f.Path = (&url.URL{Path: r.URL.Path, RawQuery: q.Encode()}).String()
	}
	if l, ok := body.(live); ok {
		l.frame(&f)
	}
	var buf bytes.Buffer
	if err := p.shells[name].ExecuteTemplate(&buf, "frame", &f); err != nil {
		p.o.Log.Error("status page failed", "reason", name, "err", err)
		http.Error(w, "the page could not be made: see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = buf.WriteTo(w) // the reader went away
}

// tabOf is the page of the menu that a page belongs to.
func tabOf(name string) string {
	switch name {
	case "alert":
		return "alerts"
	case "feed":
		return "feeds"
	}
	return name
}

// when writes a past time: how long ago, with the moment in UTC to be read on demand. The script keeps it true.
func (p *Page) when(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	return moment(t, Span(p.o.Now().Sub(t))+" ago", "ago")
}

// until writes a time to come.
func (p *Page) until(t time.Time) template.HTML {
	if t.IsZero() {
		return "–"
	}
	d := t.Sub(p.o.Now())
	if d <= 0 {
		return moment(t, "now", "in")
	}
	return moment(t, "in "+Span(d), "in")
}

func moment(t time.Time, text, kind string) template.HTML {
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(time.RFC3339) + `" title="` + utc(t) + `" data-t="` + kind + `">` + text + `</time>`) //nolint:gosec // numbers and our own words
}

func utc(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2 Jan 2006 15:04:05") + " UTC"
}

// Span words a duration in little room, for tables: whole units of the largest that fits.
func Span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d d", int(d.Hours()/24))
}

// num writes a number with thin gaps between thousands.
func num(v any) string {
	s := fmt.Sprint(v)
	if strings.ContainsAny(s, ".-") {
		return s
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

func mb(n uint64) string { return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) }

// language names a language for people.
func language(tag string) string { return notifier.LanguageName(tag) }

// link gives an address that is safe to follow, "" for any other.
func link(raw string) string { l, _ := notifier.SafeLink(raw); return l }

// href is a path with one query value changed: an empty value takes the key out.
func href(at, key, value string) string {
	u, err := url.Parse(at)
	if err != nil {
		return "/"
	}
	q := u.Query()
	for _, k := range []string{"before", "from", "said", "bad", key} {
		q.Del(k)
	}
	if value != "" {
		q.Set(key, value)
	}
	return (&url.URL{Path: u.Path, RawQuery: q.Encode()}).String()
}

// fresh words what is new for people.
func fresh(facts []string) (out []string) {
	for _, f := range facts {
		if tag, ok := strings.CutPrefix(f, "lang "); ok {
			f = "a report in " + language(tag)
		}
		out = append(out, f)
	}
	return out
}

func list(v ...any) []any { return v }

// title begins a word with a capital.
func title(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func severityNames() []string {
	names := slices.Clone(news.Severities())
	slices.Reverse(names)
	return names
}

// assets are the style, the script and the picture, named by their content so that browsers may keep them.
type assets struct {
	byName map[string]asset
	names  map[string]string
}

type asset struct {
	kind string
	data []byte
}

func readAssets() (assets, error) {
	a := assets{byName: map[string]asset{}, names: map[string]string{}}
	for name, kind := range map[string]string{
		"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml",
	} {
		data, err := files.ReadFile("files/" + name)
		if err != nil {
			return a, fmt.Errorf("status page: %w", err)
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(name)
		long := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:5]) + ext
		a.byName[long], a.names[name] = asset{kind, data}, "/page/"+long
	}
	return a, nil
}

func (a assets) path(name string) string { return a.names[name] }

func (p *Page) serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := p.assets.byName[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.data) // the reader went away
}
