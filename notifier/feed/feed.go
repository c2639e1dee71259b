// Package feed serves alerts as RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1, for readers that poll: all of them, those of one watchlist, or those
// of one entity. It promises ids that never change (tag URIs, RFC 4151), the newest 200 entries, an ETag, and that with a token configured nobody
// reads without it. It keeps nothing: the alerts come from a function.
package feed

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// MaxEntries is how many alerts a feed holds, the newest.
const MaxEntries = 200

// Config is the part of the operator's file.
type Config struct {
	strict.Pos
	TokenFile strict.Text   `yaml:"token_file"` // readers then add ?token=...; without it whoever reaches the address reads
	Origins   []strict.Text `yaml:"origins"`    // web pages whose scripts may read (CORS), as https://desk.example.org
}

// Check gives every fault of the configuration.
func (c *Config) Check() strict.Faults {
	var fs strict.Faults
	for _, o := range c.Origins {
		u, err := url.Parse(o.Value)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.Scheme+"://"+u.Host != o.Value {
			fs.Add(o.Pos, "write it as https://desk.example.org, without a path", "%q is not an origin", o.Value)
		}
	}
	return fs.Sort()
}

// Options are what a Feed needs.
type Options struct {
	// Alerts gives up to n alerts for which keep says yes, newest first.
	Alerts func(n int, keep func(*news.Alert) bool) []news.Alert
	Began  time.Time // stands for the time of change while there is no alert
}

// Feed is an http.Handler; the form follows the address's end: .rss, .atom or .json.
type Feed struct {
	o       Options
	token   string
	origins []string
}

// minToken is the shortest token in bytes.
const minToken = 16

// New reads the token.
func New(c Config, o Options) (*Feed, error) {
	if err := c.Check().Err(); err != nil {
		return nil, fmt.Errorf("feeds: %w", err)
	}
	if o.Alerts == nil {
		return nil, errors.New("feeds: no function that gives alerts")
	}
	f := &Feed{o: o}
	for _, x := range c.Origins {
		f.origins = append(f.origins, x.Value)
	}
	if c.TokenFile.Value == "" {
		return f, nil
	}
	s, err := notifier.FileRef(c.TokenFile).Read()
	if err != nil {
		return nil, fmt.Errorf("feeds: %w", err)
	}
	if len(s.Reveal()) < minToken {
		return nil, fmt.Errorf("feeds: %s: the token has %d bytes: write at least %d random ones", c.TokenFile.Pos, len(s.Reveal()), minToken)
	}
	f.token = s.Reveal()
	return f, nil
}

// ServeHTTP answers GET and HEAD: ?watchlist=ID and ?entity=ID choose alerts, ?token= is the token.
func (f *Feed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q, h := r.URL.Query(), w.Header()
	h.Add("Vary", "Origin")
	if o := r.Header.Get("Origin"); slices.Contains(f.origins, o) {
		h.Set("Access-Control-Allow-Origin", o)
		h.Set("Access-Control-Expose-Headers", "ETag")
	}
	if f.token != "" && subtle.ConstantTimeCompare([]byte(q.Get("token")), []byte(f.token)) != 1 {
		http.Error(w, "this feed needs its token: add ?token=... as the operator gave it to you", http.StatusForbidden)
		return
	}
	p := f.page(r, q)
	body, kind, err := p.write(r.URL.Path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
	h.Set("ETag", tag)
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Content-Type", kind)
	if match(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the reader went away
	}
}

// match reads If-None-Match (RFC 9110, 13.1.2); weak tags count as strong ones.
func match(header, tag string) bool {
	for _, t := range strings.Split(header, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

// page is what every form shows.
type page struct {
	id, title, self string
	updated         time.Time
	entries         []entry
}

type entry struct {
	id, title, link, text, outlet, lang string
	opened, at                          time.Time
	tags                                []string
}

func (f *Feed) page(r *http.Request, q url.Values) *page {
	list, entity := q.Get("watchlist"), q.Get("entity")
	alerts := f.o.Alerts(MaxEntries, func(a *news.Alert) bool {
		return (list == "" || a.Watchlist == list) && (entity == "" || slices.ContainsFunc(a.Match.Entities, func(e news.EntityHit) bool { return e.ID == entity }))
	})
	p := &page{id: "tag:tocsin,2026:alerts:" + url.QueryEscape(list), title: "Tocsin alerts", updated: f.o.Began.UTC(), self: self(r, q)}
	for _, s := range []string{list, entity} {
		if s != "" {
			p.title += ": " + notifier.Clean(s)
		}
	}
	if entity != "" {
		p.id += ":entity:" + url.QueryEscape(entity)
	}
	for i := range alerts {
		p.entries = append(p.entries, newEntry(&alerts[i]))
	}
	if len(alerts) > 0 {
		p.updated = alerts[0].At.UTC()
	}
	return p
}

// self is the address of the feed without its token.
func self(r *http.Request, q url.Values) string {
	q.Del("token")
	u := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawQuery: q.Encode()}
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		u.Scheme = "https"
	}
	return u.String()
}

func newEntry(a *news.Alert) entry {
	v := notifier.NewView(a, nil)
	e := entry{
		id: "tag:tocsin,2026:alert:" + a.Key(), title: v.Title(), link: v.Link, outlet: v.Outlet, lang: v.Lang, opened: a.OpenedAt.UTC(), at: a.At.UTC(),
	}
	lines := []string{strings.Join(v.Top(), " · ") + " · " + strings.Join(v.Facts(), " · ")}
	if s := notifier.Plain(v.Snippets); s != "" {
		lines = append(lines, notifier.Isolate(s))
	}
	for _, s := range v.News() {
		lines = append(lines, "new: "+notifier.Isolate(s))
	}
	for _, s := range v.Reasons() {
		lines = append(lines, "why: "+notifier.Isolate(s))
	}
	e.text = strings.Join(lines, "\n")
	for _, t := range append([]string{a.Watchlist, a.Severity.String()}, a.Match.IDs()...) {
		if t != "" {
			e.tags = append(e.tags, notifier.Clean(t))
		}
	}
	return e
}

func (p *page) write(path string) (body []byte, kind string, err error) {
	switch {
	case strings.HasSuffix(path, ".atom"):
		body, err = markup(p.atom())
		return body, "application/atom+xml; charset=utf-8", err
	case strings.HasSuffix(path, ".rss"):
		body, err = markup(p.rss())
		return body, "application/rss+xml; charset=utf-8", err
	case strings.HasSuffix(path, ".json"):
		body, err = p.json()
		return body, "application/feed+json; charset=utf-8", err
	}
	return nil, "", errors.New("feeds end in .atom, .rss or .json")
}

func markup(v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if err := xml.NewEncoder(&b).Encode(v); err != nil {
		return nil, fmt.Errorf("write feed: %w", err)
	}
	return b.Bytes(), nil
}
