package fetcher

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	xhtml "golang.org/x/net/html"
)

// title reads the entry's own title construct (RFC 4287 3.1.1; Atom 0.3 has mode instead); other is what gofeed made of it, for when the
// document has none of its own. isText tells that the title is plain text and not markup.
func (f *filler) title(texts []rawText, other string) (title string, isText bool) {
	own := -1
	for i, t := range texts {
		if native(t.space, f.out.space) && (own < 0 || f.feed.FeedType != "atom") {
			own = i
		}
	}
	if own < 0 {
		return other, false
	}
	t := texts[own]
	if f.feed.FeedType == "atom" {
		title, isText = atomText(t)
	} else {
		title = strings.TrimSpace(plainMarkup(t.markup))
	}
	if !isText && strings.Contains(title, "<") {
		title = absoluteMarkup(f.from(t.base), title)
	}
	return first(title, other), isText
}

// feedTitle does the same for the feed's title.
func (f *filler) feedTitle(res *Result) {
	if len(f.out.feed.texts) > 0 {
		res.Title, _ = f.title(f.out.feed.texts, res.Title)
	}
}

// atomText reads a text construct of Atom 1.0 or 0.3.
func atomText(t rawText) (string, bool) {
	typ, mode := strings.ToLower(strings.TrimSpace(t.typ)), strings.ToLower(strings.TrimSpace(t.mode))
	decoded := strings.TrimSpace(plainMarkup(t.markup))
	inline := strings.Contains(t.markup, "<") && !strings.Contains(t.markup, "<![CDATA[")
	switch {
	case mode == "base64" || t.space != atom03 && binaryType(typ):
		if b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(decoded), "")); err == nil {
			return strings.TrimSpace(string(b)), false
		}
		return decoded, false
	case typ == "xhtml" || strings.HasSuffix(typ, "xhtml+xml") && mode != "escaped":
		s := tidy(strings.TrimSpace(t.markup), true)
		if t.space != atom03 {
			s = stripDiv(s)
		}
		return s, false
	case inline && mode != "escaped":
		return tidy(strings.TrimSpace(t.markup), true), false
	case typ == "html" && t.space != atom03:
		return tidy(decoded, false), false
	case typ == "html" || typ == "text/html" || strings.HasSuffix(typ, "xhtml+xml") || mode == "escaped" && typ != "text/plain" && typ != "text":
		return decoded, false
	case t.space == atom03:
		return decoded, !markupTag.MatchString(decoded)
	}
	return decoded, true
}

func binaryType(typ string) bool {
	return strings.Contains(typ, "/") && !strings.HasPrefix(typ, "text/") && !strings.HasSuffix(typ, "+xml") && !strings.HasSuffix(typ, "/xml")
}

var wrappingDiv = regexp.MustCompile(`(?is)^<(?:[a-z0-9]+:)?div(?:\s[^>]*)?>(.*)</(?:[a-z0-9]+:)?div\s*>$`)

// stripDiv takes the div away that an XHTML construct must have (RFC 4287 3.1.1.3).
func stripDiv(s string) string {
	if m := wrappingDiv.FindStringSubmatch(s); m != nil && !strings.Contains(strings.ToLower(m[1]), "</div") {
		return strings.TrimSpace(m[1])
	}
	return s
}

var uriAttribute = regexp.MustCompile(`(?i)\b(?:href|src|cite|action|longdesc|background|poster)\s*=`)

// absoluteMarkup resolves the relative addresses in a piece of markup; markup without any is returned as it is.
func absoluteMarkup(base, markup string) string {
	if base == "" || !strings.Contains(markup, "<") || !uriAttribute.MatchString(markup) {
		return markup
	}
	var b strings.Builder
	z := xhtml.NewTokenizer(strings.NewReader(markup))
	for {
		kind := z.Next()
		if kind == xhtml.ErrorToken {
			return b.String()
		}
		raw := string(z.Raw())
		if kind != xhtml.StartTagToken && kind != xhtml.SelfClosingTagToken {
			b.WriteString(raw)
			continue
		}
		b.WriteString(absoluteTag(base, z.Token(), raw, kind == xhtml.SelfClosingTagToken))
	}
}

func absoluteTag(base string, t xhtml.Token, raw string, closed bool) string {
	changed := false
	for i, a := range t.Attr {
		switch a.Key {
		case "href", "src", "cite", "action", "longdesc", "background", "poster":
			if v := resolve(base, a.Val); v != a.Val {
				t.Attr[i].Val, changed = v, true
			}
		}
	}
	if !changed {
		return raw
	}
	return writeTag(t, closed)
}

func writeTag(t xhtml.Token, closed bool) string {
	var b strings.Builder
	b.WriteString("<" + t.Data)
	for _, a := range t.Attr {
		b.WriteString(" " + a.Key + `="` + attributeText.Replace(a.Val) + `"`)
	}
	if closed {
		b.WriteString(" /")
	}
	b.WriteString(">")
	return b.String()
}

var (
	attributeText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")
	elementText   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	cleanTag      = regexp.MustCompile(`^<[a-z0-9]+(?:\s+[a-z-]+="[^"<>]*")*\s*/?>$`)
	bareAmpersand = regexp.MustCompile(`&(?:#[0-9]+;|#[xX][0-9A-Fa-f]+;|[A-Za-z][A-Za-z0-9]*;)?`)
)

// tidy writes markup with quoted attributes, closed void elements and no namespace declarations. inline markup was XML: its references are
// resolved and written anew, as an XML parser would see them.
func tidy(markup string, inline bool) string {
	var b strings.Builder
	z := xhtml.NewTokenizer(strings.NewReader(markup))
	for {
		switch kind := z.Next(); kind {
		case xhtml.ErrorToken:
			return b.String()
		case xhtml.TextToken:
			raw := string(z.Raw())
			if inline {
				raw = elementText.Replace(unescape(raw))
			} else {
				raw = bareAmpersand.ReplaceAllStringFunc(raw, func(s string) string {
					if s == "&" {
						return "&amp;"
					}
					return s
				})
			}
			b.WriteString(raw)
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken:
			raw := string(z.Raw())
			b.WriteString(tidyTag(z.Token(), raw, inline, kind == xhtml.SelfClosingTagToken))
		default:
			b.Write(z.Raw())
		}
	}
}

func tidyTag(t xhtml.Token, raw string, inline, closed bool) string {
	void := t.Data == "br" || t.Data == "img" || t.Data == "hr" || t.Data == "input"
	if !inline && cleanTag.MatchString(raw) && (!void || closed) {
		return raw
	}
	t.Attr = slices.DeleteFunc(t.Attr, func(a xhtml.Attribute) bool { return strings.HasPrefix(a.Key, "xmlns") })
	slices.SortStableFunc(t.Attr, func(a, b xhtml.Attribute) int { return strings.Compare(a.Key, b.Key) })
	return writeTag(t, closed || void)
}
