package fetcher

import (
	"bytes"
	"regexp"
	"strings"

	xhtml "golang.org/x/net/html"
)

var challenge = regexp.MustCompile(`(?i)(<title>\s*(?:just a moment|attention required|ddos-guard|access denied|are you a robot|security check)|cf-chl-|_Incapsula_Resource|challenge-platform)`)

const maxNamed = 5

// feedsOf words the feeds that a web page names, for people: they are shown, never followed.
func feedsOf(page []byte) string {
	var found []string
	z := xhtml.NewTokenizer(bytes.NewReader(page[:min(len(page), 256<<10)]))
	for len(found) < maxNamed {
		kind := z.Next()
		if kind == xhtml.ErrorToken {
			break
		}
		if kind != xhtml.StartTagToken && kind != xhtml.SelfClosingTagToken {
			continue
		}
		t := z.Token()
		if t.Data == "body" {
			break
		}
		if href := feedHref(t); href != "" {
			found = append(found, redact(href))
		}
	}
	if len(found) == 0 {
		return ""
	}
	return "; it names " + strings.Join(found, ", ")
}

func feedHref(t xhtml.Token) string {
	if t.Data != "link" {
		return ""
	}
	var rel, typ, href string
	for _, a := range t.Attr {
		switch a.Key {
		case "rel":
			rel = strings.ToLower(a.Val)
		case "type":
			typ = strings.ToLower(a.Val)
		case "href":
			href = strings.TrimSpace(a.Val)
		}
	}
	switch {
	case !strings.Contains(" "+rel+" ", " alternate "):
		return ""
	case strings.Contains(typ, "rss"), strings.Contains(typ, "atom"), strings.Contains(typ, "feed+json"), strings.Contains(typ, "rdf+xml"):
		return href
	}
	return ""
}
