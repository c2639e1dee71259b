package newsroom

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/fnv"
	"html"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// outlet serves one feed and the articles that it links to.
type outlet struct {
	outletSpec
	base  string // http://127.0.0.1:port
	items []*item

	mu       sync.Mutex
	opts     Options
	start    time.Time
	version  int // events (releases and edits) that doc knows; -1 before the first document
	doc      document
	modified time.Time
}

// document is one state of a feed, ready to be sent.
type document struct {
	body []byte
	etag string
	show []*item // entries that stand in it whole
}

func newOutlet(spec outletSpec) *outlet {
	if spec.Encoding == "" {
		spec.Encoding = "utf-8"
	}
	return &outlet{outletSpec: spec, version: -1}
}

func (o *outlet) has(trait string) bool { return slices.Contains(o.Traits, trait) }

func (o *outlet) begin(opts Options, start time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opts, o.start, o.version = opts, start, -1
	o.modified = later(o.modified, start.Add(-time.Hour).Truncate(time.Second))
}

// clock gives the options and the time since the script's beginning.
func (o *outlet) clock() (Options, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.opts, time.Since(o.start)
}

// path is where the feed lives; listed is the address in the feed list, which differs for an outlet that has moved.
func (o *outlet) path() string {
	switch o.Format {
	case "json":
		return "/feed.json"
	case "atom":
		return "/atom.xml"
	case "rss1":
		return "/index.rdf"
	}
	return "/rss.xml"
}

func (o *outlet) listed() string {
	if o.has("redirects") {
		return o.base + "/old/feed"
	}
	return o.base + o.path()
}

func (o *outlet) published(d time.Duration) int {
	n := 0
	for _, it := range o.items {
		if it.at <= d {
			n++
		}
	}
	return n
}

// ServeHTTP answers for the feed, its old address and the article pages.
func (o *outlet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	opts, d := o.clock()
	switch {
	case r.URL.Path == "/old/feed" && o.has("redirects"):
		http.Redirect(w, r, o.path(), http.StatusMovedPermanently)
	case r.URL.Path == o.path():
		o.serveFeed(w, r, opts, d)
	case strings.HasPrefix(r.URL.Path, "/news/"):
		o.serveArticle(w, r, d)
	case r.URL.Path == "/":
		fmt.Fprintf(w, "<!doctype html><html lang=%q><head><meta charset=utf-8><title>%s</title><link rel=alternate type=%q href=%q></head><body><h1>%[2]s</h1></body></html>",
			o.Lang, html.EscapeString(o.Name), mediaType(o.Format), o.path())
	default:
		http.NotFound(w, r)
	}
}

func (o *outlet) serveFeed(w http.ResponseWriter, r *http.Request, opts Options, d time.Duration) {
	switch {
	case o.has("error"):
		http.Error(w, "database connection lost", http.StatusInternalServerError)
		return
	case o.has("dies") && d > opts.Span/2:
		http.Error(w, "this feed was closed", http.StatusGone)
		return
	case o.has("slow"):
		select {
		case <-time.After(opts.Slow):
		case <-r.Context().Done():
			return
		}
		_, d = o.clock()
	}
	doc, modified := o.document(d)
	h := w.Header()
	h.Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
	if !o.has("no-etag") {
		h.Set("ETag", doc.etag)
	}
	if o.unchanged(r, doc, modified) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", mediaType(o.Format))
	body := doc.body
	if o.has("gzip") && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		body = compress(body)
		h.Set("Content-Encoding", "gzip")
		h.Set("Vary", "Accept-Encoding")
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	now := time.Now()
	if n, err := w.Write(body); err != nil || n != len(body) || r.Method != http.MethodGet {
		return
	}
	for _, it := range doc.show {
		it.servedN.CompareAndSwap(0, now.UnixNano())
	}
}

func (o *outlet) unchanged(r *http.Request, doc document, modified time.Time) bool {
	if tag := r.Header.Get("If-None-Match"); tag != "" && !o.has("no-etag") {
		return tag == doc.etag
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	return err == nil && !modified.After(since)
}

// document gives the feed as it stands d after the start. Last-Modified has whole seconds, so each change moves it by at least one.
func (o *outlet) document(d time.Duration) (document, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := o.events(d)
	if v == o.version {
		return o.doc, o.modified
	}
	o.version = v
	o.modified = later(o.start.Add(d).Truncate(time.Second), o.modified.Add(time.Second))
	o.doc = o.render(d)
	return o.doc, o.modified
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (o *outlet) events(d time.Duration) int {
	n := 0
	for _, it := range o.items {
		if it.at > d {
			break
		}
		n++
		for _, e := range it.edits {
			if e.at <= d {
				n++
			}
		}
	}
	return n
}

func (o *outlet) render(d time.Duration) document {
	f := feed{outlet: o, title: o.Name, link: o.base + "/", self: o.base + o.path(), updated: o.start.Add(d)}
	var show []*item
	now := time.Now()
	for i := o.published(d) - 1; i >= 0; i-- {
		it := o.items[i]
		s := it.served()
		if len(show) >= o.opts.Window && !s.IsZero() && now.Sub(s) > o.opts.Keep {
			continue
		}
		show = append(show, it)
		title, text, changed := it.current(d)
		e := entry{id: it.guid, title: title, text: text, link: it.url, published: o.start.Add(it.at), updated: o.start.Add(changed)}
		f.entries = append(f.entries, e)
		if it.twice {
			f.entries = append(f.entries, e)
		}
	}
	body := f.bytes()
	h := fnv.New64a()
	h.Write(body)
	return document{body: body, etag: fmt.Sprintf(`"%x"`, h.Sum64()), show: show}
}

func (o *outlet) serveArticle(w http.ResponseWriter, r *http.Request, d time.Duration) {
	id := strings.TrimPrefix(r.URL.Path, "/news/")
	for _, it := range o.items {
		if it.ID != id || it.at > d {
			continue
		}
		title, text, _ := it.current(d)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html>\n<html lang=%q><head><meta charset=utf-8><title>%s</title></head>\n<body dir=auto><nav><a href=/>%s</a></nav><article><h1>%[2]s</h1><p>%s</p></article></body></html>\n",
			o.Lang, html.EscapeString(title), html.EscapeString(o.Name), html.EscapeString(text))
		return
	}
	http.NotFound(w, r)
}

func compress(b []byte) []byte {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	_, _ = z.Write(b) // a bytes.Buffer takes everything
	_ = z.Close()
	return buf.Bytes()
}

func mediaType(format string) string {
	switch format {
	case "json":
		return "application/feed+json"
	case "atom":
		return "application/atom+xml"
	case "rss1":
		return "application/rdf+xml"
	}
	return "application/rss+xml"
}
