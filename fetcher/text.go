package fetcher

import (
	"html"
	"regexp"
	"strings"
	"unicode/utf8"

	xhtml "golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxMarkup bounds the markup of one field that is turned into text; what follows is left out.
const maxMarkup = 1 << 20

// plain turns markup into plain text: no tags, no scripts, entities decoded, blocks apart, white space folded within lines.
func plain(markup string) string {
	if len(markup) > maxMarkup {
		markup = cutBytes(markup, maxMarkup)
	}
	if !strings.ContainsAny(markup, "<&") {
		return fold(markup)
	}
	var b strings.Builder
	b.Grow(len(markup))
	z := xhtml.NewTokenizer(strings.NewReader(markup))
	z.SetMaxBuf(maxMarkup + 4096)
	hidden := atom.Atom(0)
	for {
		switch z.Next() {
		case xhtml.ErrorToken:
			return fold(b.String())
		case xhtml.TextToken:
			if hidden == 0 {
				b.Write(z.Text())
			}
		case xhtml.StartTagToken, xhtml.SelfClosingTagToken:
			name, _ := z.TagName()
			a := atom.Lookup(name)
			if hides(a) && hidden == 0 {
				hidden = a
			}
			b.WriteString(gap(a))
		case xhtml.EndTagToken:
			name, _ := z.TagName()
			a := atom.Lookup(name)
			if a == hidden {
				hidden = 0
			}
			b.WriteString(gap(a))
		}
	}
}

func hides(a atom.Atom) bool {
	switch a {
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Iframe, atom.Textarea, atom.Select, atom.Svg:
		return true
	}
	return false
}

// gap is what an element puts between the words around it.
func gap(a atom.Atom) string {
	switch a {
	case atom.P, atom.Div, atom.Br, atom.Hr, atom.Li, atom.Ul, atom.Ol, atom.Dl, atom.Dt, atom.Dd, atom.Table, atom.Tr, atom.Blockquote, atom.Pre,
		atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Figure, atom.Figcaption,
		atom.Aside, atom.Main, atom.Nav, atom.Form, atom.Address, atom.Video, atom.Audio:
		return "\n"
	case atom.Td, atom.Th, atom.Img, atom.Button, atom.Option, atom.Input:
		return " "
	}
	return ""
}

// fold makes one space of white space within a line and one line end of several, and drops what cannot be published.
func fold(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space, line := false, false
	for i := 0; i < len(s); {
		end := i
		for end < len(s) && graphic[s[end]] {
			end++
		}
		if end > i {
			separate(&b, space, line)
			space, line = false, false
			b.WriteString(s[i:end])
			i = end
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			line = true
		case r == ' ' || r == '\t' || r == '\u00a0' || r == '\f' || r == '\v' || r == '\u0085':
			space = true
		case r < ' ' || r == 0x7f || r == '\uFFFD' || r == '\uFEFF' || r >= 0xFFFE && r <= 0xFFFF:
		default:
			separate(&b, space, line)
			space, line = false, false
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

// separate writes what stands between two words.
func separate(b *strings.Builder, space, line bool) {
	switch {
	case b.Len() == 0:
	case line:
		b.WriteByte('\n')
	case space:
		b.WriteByte(' ')
	}
}

// graphic are the bytes of visible ASCII: text that folds to itself.
var graphic = func() (t [256]bool) {
	for b := '!'; b <= '~'; b++ {
		t[b] = true
	}
	return t
}()

// oneLine is fold for titles: no line ends.
func oneLine(s string) string {
	s = fold(s)
	if plainLine(s) {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// plainLine tells whether folded text holds no white space but single spaces of ASCII.
func plainLine(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '\n' || s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

var markupTag = regexp.MustCompile(`</?[A-Za-z][A-Za-z0-9:]*(?:\s[^<>]*)?/?>|<!--`)

// titleText is a title as one line of plain text. Text that holds no tag keeps its angle brackets.
func titleText(title string, isText bool) string {
	if isText {
		return oneLine(title)
	}
	if !strings.Contains(title, "<") || !markupTag.MatchString(title) {
		return oneLine(html.UnescapeString(title))
	}
	return oneLine(plain(title))
}

// cutWord cuts s to at most n bytes, at a word where one ends in the last fifth.
func cutWord(s string, n int) (string, bool) {
	if len(s) <= n {
		return s, false
	}
	c := cutBytes(s, n)
	if i := strings.LastIndexAny(c, " \n\t"); i > n*4/5 {
		c = c[:i]
	}
	return strings.TrimRight(c, " \n\t"), true
}

// cutBytes cuts s to at most n bytes at a letter.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// plainMarkup is the text of an element that holds only text, CDATA and entities, such as an id.
func plainMarkup(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	var b strings.Builder
	for s != "" {
		i := strings.Index(s, "<![CDATA[")
		if i < 0 {
			b.WriteString(unescape(s))
			break
		}
		b.WriteString(unescape(s[:i]))
		s = s[i+len("<![CDATA["):]
		end := strings.Index(s, "]]>")
		if end < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:end])
		s = s[end+len("]]>"):]
	}
	return b.String()
}

var entity = regexp.MustCompile(`&(?:#[0-9]{1,8}|#[xX][0-9A-Fa-f]{1,8}|[A-Za-z][A-Za-z0-9]{1,31});`)

// unescape decodes whole entities only: "&copy=2" in an address stays what it is.
func unescape(s string) string {
	if !strings.ContainsRune(s, '&') {
		return s
	}
	return entity.ReplaceAllStringFunc(html4.Replace(s), html.UnescapeString)
}

// html4 holds the two entities that HTML 5 moved to other letters. Feeds mean those of HTML 4 and XHTML.
var html4 = strings.NewReplacer("&lang;", "\u2329", "&rang;", "\u232a")
