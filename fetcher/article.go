package fetcher

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	readability "codeberg.org/readeck/go-readability/v2"
	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"

	"tocsin/news"
)

// Values of Feed.FullText.
const (
	FullTextNever  = "never"
	FullTextShort  = "short" // only where the feed itself brings under 500 characters
	FullTextAlways = "always"
)

const (
	shortText   = 500     // characters from which a feed's own text is enough, and from which articleBody is believed
	leastText   = 200     // characters of an article
	maxNodes    = 200_000 // of a page
	maxArticle  = 5 << 20
	maxJSONLD   = 1 << 20
	maxJSONDeep = 12
)

// wantsPage tells whether the article of an item is fetched.
func (f *Feed) wantsPage(it *news.Item) bool {
	switch f.FullText {
	case FullTextAlways:
		return it.URL != ""
	case FullTextShort:
		return it.URL != "" && utf8.RuneCountInString(it.Summary)+utf8.RuneCountInString(it.Body) < shortText
	}
	return false
}

// articleText gives the main text of a page: articleBody of its JSON-LD where that is long enough, else what the extractor finds. "" when the page
// holds no article.
func articleText(body []byte, contentType string, at *url.URL) (string, error) {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || kind == "" {
		kind, _, _ = mime.ParseMediaType(http.DetectContentType(body)) // always well formed
	}
	if kind != "text/html" && kind != "application/xhtml+xml" {
		return "", fault(ReasonEmpty, "it is %s, no HTML", short(kind, 60))
	}
	if n := bytes.Count(body, []byte("<")); n > 2*maxNodes {
		return "", fault(ReasonRefusedSize, "about %d elements, the limit is %d", n/2, maxNodes)
	}
	e, _, _ := charset.DetermineEncoding(body, contentType)
	text, err := io.ReadAll(e.NewDecoder().Reader(bytes.NewReader(body)))
	if err != nil {
		return "", fault(ReasonEncoding, "the letters of the page cannot be read")
	}
	doc, err := xhtml.Parse(bytes.NewReader(text))
	if err != nil {
		return "", fault(ReasonRefusedNesting, "the page is nested too deeply")
	}
	if s := jsonArticle(doc); utf8.RuneCountInString(s) >= shortText {
		return s, nil
	}
	return extract(doc, at)
}

// extract lets the extractor find the article. What it keeps is read by our own rules, which leave out what surrounds an article.
func extract(doc *xhtml.Node, at *url.URL) (s string, err error) {
	defer func() {
		if p := recover(); p != nil {
			s, err = "", fault(ReasonUnparseable, "the extractor failed")
		}
	}()
	p := readability.NewParser()
	p.MaxElemsToParse, p.CharThresholds, p.DisableJSONLD = maxNodes, leastText, true
	a, err := p.ParseAndMutate(doc, at)
	if err != nil {
		return "", fault(ReasonRefusedSize, "%s", short(err.Error(), 120))
	}
	if a.Node == nil {
		return "", nil
	}
	if s = nodeText(a.Node); utf8.RuneCountInString(s) < leastText {
		return "", nil
	}
	return s, nil
}

// jsonArticle is the longest articleBody of the page's JSON-LD (schema.org), as plain text.
func jsonArticle(doc *xhtml.Node) (best string) {
	walk(doc, func(n *xhtml.Node) bool {
		if n.DataAtom == atom.Script && strings.EqualFold(pageAttr(n, "type"), "application/ld+json") && n.FirstChild != nil && len(n.FirstChild.Data) <= maxJSONLD {
			var v any
			if json.Unmarshal([]byte(n.FirstChild.Data), &v) == nil {
				best = longer(best, articleBody(v, 0))
			}
		}
		return true
	})
	return best
}

func articleBody(v any, depth int) (best string) {
	if depth > maxJSONDeep {
		return ""
	}
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			best = longer(best, articleBody(x, depth+1))
		}
	case map[string]any:
		for k, x := range v {
			if s, ok := x.(string); ok && k == "articleBody" {
				best = longer(best, plain(s))
			} else if !ok {
				best = longer(best, articleBody(x, depth+1))
			}
		}
	}
	return best
}

// sharesWord tells whether a text has at least one word of the title; in scripts without spaces two letters in a row will do. A page that has none
// is another page: a paywall, a consent form, a front page.
func sharesWord(title, text string) bool {
	folded := foldTitle(text)
	words := strings.Fields(foldTitle(title))
	long := false
	for _, w := range words {
		r := []rune(w)
		switch {
		case unicode.In(r[0], unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai):
			long = true
			for i := 0; i+2 <= len(r); i++ {
				if strings.Contains(folded, string(r[i:i+2])) {
					return true
				}
			}
		case len(r) >= 4:
			long = true
			if strings.Contains(folded, w) {
				return true
			}
		}
	}
	return !long // a title without words to go by proves nothing
}
