package fetcher

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"

	"tocsin/news"
)

// Page is one page of the web as plain text.
type Page struct {
	URL   string // where it came from in the end, redacted
	Title string
	Lang  string // BCP 47 primary subtag, "und" when the page does not say
	Text  string // of the article where the page marks one, at most news.MaxBody bytes
	Cut   bool   // the page was longer, or ended too early
}

const (
	maxPage     = 4 << 20
	pageTimeout = 20 * time.Second
	pageAccept  = "text/html, application/xhtml+xml, text/plain;q=0.8, */*;q=0.1"
)

// ReadPage makes one polite GET of a page and gives its text, that of the article where it holds one: redirects are followed as for feeds, at most 4 MiB and 20 s are spent. Of o only
// Client, UserAgent, Denied and Now are used. When the page or its server is to blame, the error is a *Fault.
func ReadPage(ctx context.Context, o Options, address string) (Page, error) {
	o.defaults()
	f := newFetcher(o)
	feed := &Feed{URL: address, MaxBytes: maxPage, Timeout: pageTimeout}
	client, err := f.client(feed)
	if err != nil {
		return Page{}, err
	}
	asking := *client
	asking.Transport = pageTransport{client.Transport}
	a, err := f.get.get(ctx, &asking, feed, address, validators{})
	if err != nil {
		return Page{}, err
	}
	defer a.release()
	if fl := statusFault(a, o.Now()); fl != nil {
		return Page{}, fl
	}
	p, err := pageOf(a.body, a.header.Get("Content-Type"))
	if article, artErr := articleText(a.body, a.header.Get("Content-Type"), a.url); err == nil && artErr == nil && article != "" {
		p.Cut = false
		p.setText(article) // what the item would get as its full text
	}
	p.URL, p.Cut = redactURL(a.url), p.Cut || a.cut
	return p, err
}

// pageTransport asks for pages where feeds would be asked for.
type pageTransport struct{ next http.RoundTripper }

// RoundTrip sends the request with another Accept header.
func (t pageTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept", pageAccept)
	if t.next == nil {
		return nil, errors.New("the client has no transport")
	}
	return t.next.RoundTrip(r)
}

// pageOf turns the bytes of a page into text.
func pageOf(body []byte, contentType string) (Page, error) {
	p := Page{Lang: "und"}
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || kind == "" {
		kind, _, _ = mime.ParseMediaType(http.DetectContentType(body)) // always well formed
	}
	e, _, _ := charset.DetermineEncoding(body, contentType)
	text, err := io.ReadAll(e.NewDecoder().Reader(bytes.NewReader(body)))
	if err != nil {
		return p, fault(ReasonEncoding, "the letters of the page cannot be read")
	}
	switch kind {
	case "text/plain":
		p.setText(fold(string(text)))
		return p, nil
	case "text/html", "application/xhtml+xml", "text/xml", "application/xml":
	default:
		return p, fault(ReasonEmpty, "it is %s: only HTML and plain text can be read", short(kind, 60))
	}
	doc, err := xhtml.Parse(bytes.NewReader(text))
	if err != nil {
		return p, fault(ReasonRefusedNesting, "the page is nested too deeply")
	}
	p.read(doc)
	return p, nil
}

func (p *Page) setText(s string) {
	p.Text = cutBytes(s, news.MaxBody)
	p.Cut = p.Cut || len(p.Text) < len(s)
}

// pageParts are the places of a page that may hold what it is about.
type pageParts struct {
	title, ogTitle, heading string
	body                    *xhtml.Node
	articles, mains         []*xhtml.Node
}

const (
	minArticle = 200 // bytes of text from which an article or main element is believed to be the article
	maxParts   = 20  // such elements that are looked at
)

func (p *Page) read(doc *xhtml.Node) {
	var parts pageParts
	walk(doc, func(n *xhtml.Node) bool { return p.look(n, &parts) })
	for _, t := range []string{parts.ogTitle, parts.heading, parts.title} {
		if t = strings.ReplaceAll(fold(t), "\n", " "); t != "" {
			p.Title = cutBytes(t, news.MaxTitle)
			break
		}
	}
	text := longestText(parts.articles)
	if len(text) < minArticle {
		text = longer(text, longestText(parts.mains))
	}
	if len(text) < minArticle && parts.body != nil {
		text = longer(text, nodeText(parts.body))
	}
	p.setText(text)
}

func longer(a, b string) string {
	if len(b) > len(a) {
		return b
	}
	return a
}

func longestText(nodes []*xhtml.Node) (best string) {
	for _, n := range nodes {
		best = longer(best, nodeText(n))
	}
	return best
}

func (p *Page) look(n *xhtml.Node, parts *pageParts) bool {
	switch n.DataAtom {
	case atom.Html:
		if l := primary(pageAttr(n, "lang"), pageAttr(n, "xml:lang")); l != "" {
			p.Lang = l
		}
	case atom.Title:
		if parts.title == "" {
			parts.title = nodeText(n)
		}
		return false
	case atom.Meta:
		if pageAttr(n, "property") == "og:title" && parts.ogTitle == "" {
			parts.ogTitle = pageAttr(n, "content")
		}
	case atom.H1:
		if parts.heading == "" {
			parts.heading = nodeText(n)
		}
	case atom.Body:
		parts.body = n
	case atom.Article:
		if len(parts.articles) < maxParts {
			parts.articles = append(parts.articles, n)
		}
	case atom.Main:
		if len(parts.mains) < maxParts {
			parts.mains = append(parts.mains, n)
		}
	}
	return !hides(n.DataAtom)
}

func pageAttr(n *xhtml.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// nodeText is the text below a node, without what surrounds an article on a page.
func nodeText(root *xhtml.Node) string {
	var b strings.Builder
	walk(root, func(n *xhtml.Node) bool {
		switch n.Type {
		case xhtml.TextNode:
			b.WriteString(n.Data)
			return true
		case xhtml.ElementNode:
			if n != root && (hides(n.DataAtom) || surrounds(n.DataAtom)) {
				return false
			}
			b.WriteString(gap(n.DataAtom))
		}
		return n.Type != xhtml.CommentNode
	}, func(n *xhtml.Node) { b.WriteString(gap(n.DataAtom)) })
	return fold(b.String())
}

func surrounds(a atom.Atom) bool {
	switch a {
	case atom.Nav, atom.Aside, atom.Footer, atom.Form, atom.Button, atom.Dialog, atom.Menu:
		return true
	}
	return false
}

// walk visits the nodes in the order of the page without recursion; enter tells whether to go below a node, leave is called behind each entered one.
func walk(root *xhtml.Node, enter func(*xhtml.Node) bool, leave ...func(*xhtml.Node)) {
	for n := root; n != nil; {
		if enter(n) && n.FirstChild != nil {
			n = n.FirstChild
			continue
		}
		for n != root && n.NextSibling == nil {
			n = n.Parent
			for _, f := range leave {
				f(n)
			}
		}
		if n == root {
			return
		}
		n = n.NextSibling
	}
}
