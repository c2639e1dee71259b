package fetcher

import (
	"encoding/xml"
	"strconv"
	"strings"
	"unicode/utf8"
)

// lexer cuts markup that is written plainly into tags and texts, as encoding/xml does but many times as fast. It knows what whole feeds are made of:
// quoted attributes, ASCII names, legal characters. At anything else it says lexOdd, and encoding/xml has to decide.
type lexer struct {
	s     string
	at    int
	name  xml.Name   // of the last tag
	attrs []xml.Attr // those of the last start tag come last; who reads takes away what is no longer needed
	from  int        // where they begin
}

type lexKind int

const (
	lexOdd   lexKind = iota // not written plainly, or the end
	lexOpen                 // <a>
	lexEmpty                // <a/>
	lexClose                // </a>
	lexText                 // text or CDATA
	lexAside                // a comment or a processing instruction
)

// next reads one token; what it holds ends at l.at.
func (l *lexer) next() lexKind {
	rest := l.s[l.at:]
	switch {
	case rest == "":
		return lexOdd
	case rest[0] != '<':
		end := strings.IndexByte(rest, '<')
		if end < 0 || !plainText(rest[:end], false) {
			return lexOdd
		}
		l.at += end
		return lexText
	case strings.HasPrefix(rest, "</"):
		return l.close(rest[2:])
	case strings.HasPrefix(rest, "<![CDATA["):
		end := strings.Index(rest, "]]>")
		if end < 0 || !legal(rest[:end]) {
			return lexOdd
		}
		l.at += end + len("]]>")
		return lexText
	case strings.HasPrefix(rest, "<!--"):
		end := strings.Index(rest[len("<!--"):], "--")
		if end < 0 || !strings.HasPrefix(rest[len("<!--")+end:], "-->") {
			return lexOdd
		}
		l.at += len("<!--") + end + len("-->")
		return lexAside
	case strings.HasPrefix(rest, "<?"):
		end := strings.Index(rest, "?>")
		if n := nameEnd(rest, 2); end < 0 || n == 2 || n > end || strings.EqualFold(rest[2:n], "xml") {
			return lexOdd
		}
		l.at += end + len("?>")
		return lexAside
	}
	return l.open(rest)
}

func (l *lexer) close(rest string) lexKind {
	end := nameEnd(rest, 0)
	i := afterSpace(rest, end)
	if i == len(rest) || rest[i] != '>' || !l.setName(rest[:end]) {
		return lexOdd
	}
	l.at += len("</") + i + 1
	return lexClose
}

func (l *lexer) open(rest string) lexKind {
	l.from = len(l.attrs)
	end := nameEnd(rest, 1)
	if !l.setName(rest[1:end]) {
		return lexOdd
	}
	for i := end; ; {
		at := afterSpace(rest, i)
		switch {
		case at == len(rest):
			return lexOdd
		case rest[at] == '>':
			l.at += at + 1
			return lexOpen
		case strings.HasPrefix(rest[at:], "/>"):
			l.at += at + 2
			return lexEmpty
		case at == i:
			return lexOdd // no space before the attribute
		}
		if i = l.attribute(rest, at); i < 0 {
			return lexOdd
		}
	}
}

// attribute reads name="value" at i and gives its end, -1 when it is not written so.
func (l *lexer) attribute(rest string, i int) int {
	end := nameEnd(rest, i)
	name, ok := splitName(rest[i:end])
	eq := afterSpace(rest, end)
	if !ok || eq == len(rest) || rest[eq] != '=' {
		return -1
	}
	from := afterSpace(rest, eq+1)
	if from == len(rest) || rest[from] != '"' && rest[from] != '\'' {
		return -1
	}
	n := strings.IndexByte(rest[from+1:], rest[from])
	if n < 0 || !plainText(rest[from+1:from+1+n], true) {
		return -1
	}
	l.attrs = append(l.attrs, xml.Attr{Name: name, Value: plainValue(rest[from+1 : from+1+n])})
	return from + n + 2
}

func (l *lexer) setName(s string) (ok bool) {
	l.name, ok = splitName(s)
	return ok
}

// splitName cuts a name at its only colon.
func splitName(s string) (n xml.Name, ok bool) {
	prefix, local, prefixed := strings.Cut(s, ":")
	if !prefixed {
		return xml.Name{Local: s}, s != "" && nameStart(s[0])
	}
	return xml.Name{Space: prefix, Local: local}, prefix != "" && local != "" && nameStart(prefix[0]) && strings.IndexByte(local, ':') < 0
}

func nameStart(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '_' }

// nameEnd gives the end of the name of ASCII letters that begins at i. A name that goes on with other letters is followed by one, which fits nowhere.
func nameEnd(s string, i int) int {
	for ; i < len(s); i++ {
		if b := s[i]; !nameStart(b) && (b < '0' || b > '9') && b != ':' && b != '-' && b != '.' {
			break
		}
	}
	return i
}

func afterSpace(s string, i int) int {
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	return i
}

// noteworthy are the bytes at which text may stop being plain.
var noteworthy = func() (t [256]bool) {
	for b := range byte(' ') {
		t[b] = b != '\t' && b != '\n' && b != '\r'
	}
	for _, b := range []byte("&<]\xEF") {
		t[b] = true
	}
	return t
}()

// plainText tells whether encoding/xml takes s as it is, but for references, when it is text or the value of an attribute.
func plainText(s string, value bool) bool {
	for i := 0; i < len(s); i++ {
		b := s[i]
		if !noteworthy[b] {
			if value && b == '\r' {
				return false
			}
			continue
		}
		switch {
		case b == '&' && strings.HasPrefix(s[i:], "&#"):
			end := strings.IndexByte(s[i:min(len(s), i+12)], ';')
			if end < 0 || illegalReference([]byte(s[i:i+end+1])) > 0 {
				return false
			}
		case b == '&':
		case b == ']':
			if strings.HasPrefix(s[i:], "]]>") {
				return false
			}
		case b != 0xEF || nonCharacter(s[i:]):
			return false
		}
	}
	return true
}

// legal tells whether s holds no character that XML forbids.
func legal(s string) bool {
	for i := 0; i < len(s); i++ {
		if b := s[i]; b < ' ' && !isSpace(b) || b == 0xEF && nonCharacter(s[i:]) {
			return false
		}
	}
	return true
}

func nonCharacter(s string) bool {
	return strings.HasPrefix(s, "\uFFFE") || strings.HasPrefix(s, "\uFFFF")
}

// plainValue decodes the references that XML itself knows. Others stay as they are.
func plainValue(s string) string {
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	var b strings.Builder
	for s != "" {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexByte(s[:min(len(s), 12)], ';')
		if r, ok := reference(s[:max(end, 0)]); ok {
			b.WriteRune(r)
			s = s[end+1:]
		} else {
			b.WriteByte('&')
			s = s[1:]
		}
	}
	return b.String()
}

// reference gives the character that "&name" or "&#number" means in XML.
func reference(s string) (rune, bool) {
	switch s {
	case "&lt":
		return '<', true
	case "&gt":
		return '>', true
	case "&amp":
		return '&', true
	case "&quot":
		return '"', true
	case "&apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(s, "&#")
	if !ok {
		return 0, false
	}
	return codePoint(digits)
}

// // codePoint reads the digits of a reference.
func codePoint(digits string) (rune, bool) {
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return rune(n), err == nil && n <= utf8.MaxRune
}
