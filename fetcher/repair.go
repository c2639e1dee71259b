package fetcher

import (
	"bytes"
	"regexp"
	"strconv"
	"unicode/utf8"
)

// dropDeclarations takes every XML declaration out, wherever it stands: encoding/xml switches the charset at each of them.
func dropDeclarations(text []byte) []byte {
	if !bytes.Contains(text, []byte("<?xml")) {
		return text
	}
	out := make([]byte, 0, len(text))
	for {
		i := bytes.Index(text, []byte("<?xml"))
		if i < 0 {
			return append(out, text...)
		}
		out = append(out, text[:i]...)
		rest := text[i+len("<?xml"):]
		if len(rest) > 0 && !isSpace(rest[0]) && rest[0] != '?' {
			out = append(out, text[i:i+len("<?xml")]...) // <?xml-stylesheet and the like
			text = rest
			continue
		}
		end := bytes.IndexByte(rest, '>')
		if end < 0 {
			return out
		}
		text = rest[end+1:]
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// dropIllegal drops the characters and character references that XML 1.0 section 2.2 forbids.
func dropIllegal(text []byte) []byte {
	first := nextIllegal(text, 0)
	if first < 0 {
		return text
	}
	out := append(make([]byte, 0, len(text)), text[:first]...)
	for i := first; i < len(text); {
		if n := illegal(text[i:]); n > 0 {
			i += n
			continue
		}
		next := nextIllegal(text, i+1)
		if next < 0 {
			return append(out, text[i:]...)
		}
		out = append(out, text[i:next]...)
		i = next
	}
	return out
}

func nextIllegal(text []byte, from int) int {
	for i := from; i < len(text); i++ {
		b := text[i]
		if b >= 0x20 && b != '&' && b != 0xEF && b != 0x7F {
			continue
		}
		if illegal(text[i:]) > 0 {
			return i
		}
	}
	return -1
}

// illegal gives the length of the forbidden character or reference at the start of s, 0 when it is fine.
func illegal(s []byte) int {
	switch b := s[0]; {
	case b < 0x20 && !isSpace(b):
		return 1
	case b == 0xEF && (bytes.HasPrefix(s, []byte("\uFFFE")) || bytes.HasPrefix(s, []byte("\uFFFF"))):
		return 3
	case b == '&' && len(s) > 3 && s[1] == '#':
		return illegalReference(s)
	}
	return 0
}

func illegalReference(s []byte) int {
	end := bytes.IndexByte(s[:min(len(s), 16)], ';')
	if end < 3 {
		return 0
	}
	digits, base := s[2:end], 10
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(string(digits), base, 64)
	if err != nil {
		return 0
	}
	if n > utf8.MaxRune || n >= 0xD800 && n < 0xE000 || n == 0xFFFE || n == 0xFFFF || n < 0x20 && n != '\t' && n != '\n' && n != '\r' {
		return end + 1
	}
	return 0
}

var (
	rootTag   = regexp.MustCompile(`(?i)<(?:[a-z0-9_.-]{1,30}:)?(?:rss|rdf|feed)(?:[\s>/])`)
	rootClose = regexp.MustCompile(`(?i)</(?:[a-z0-9_.-]{1,30}:)?(?:rss|rdf|feed)\s*>`)
	htmlTag   = regexp.MustCompile(`(?i)<(?:html|head|body)(?:[\s>])`)
)

// maxPrologue bounds the search for the root element.
const maxPrologue = 256 << 10

// cutToRoot drops what stands before the root element of a feed: junk, prolog, comments, DOCTYPE. It is false where no root is found.
func cutToRoot(text []byte) ([]byte, bool) {
	head := text[:min(len(text), maxPrologue)]
	pos := 0
	for pos < len(head) {
		loc := rootTag.FindIndex(head[pos:])
		if loc == nil {
			return nil, false
		}
		at := pos + loc[0]
		if page := htmlTag.FindIndex(head[:at]); page != nil && !insideComment(head, page[0]) {
			return nil, false
		}
		if end := commentEnd(head, at); end > at {
			pos = end
			continue
		}
		return text[at:], true
	}
	return nil, false
}

func insideComment(s []byte, at int) bool { return commentEnd(s, at) > at }

// commentEnd gives the end of the comment that at stands in, 0 when it stands in none.
func commentEnd(s []byte, at int) int {
	open := bytes.LastIndex(s[:at], []byte("<!--"))
	if open < 0 || bytes.Contains(s[open:at], []byte("-->")) {
		return 0
	}
	end := bytes.Index(s[at:], []byte("-->"))
	if end < 0 {
		return 0
	}
	return at + end + 3
}

var (
	entityDecl = regexp.MustCompile(`<!ENTITY\s+([A-Za-z][A-Za-z0-9._-]{0,31})\s+(?:"([^"&<%]{0,256})"|'([^'&<%]{0,256})')\s*>`)
	uriValue   = regexp.MustCompile(`xmlns(?::[A-Za-z0-9._-]{1,30})?\s*=\s*["']([^"']{0,200})["']`)
)

const (
	maxDeclared = 32
	maxGrowth   = 64 << 10
)

// expand replaces the entities that the document type declares as plain short text. Entities within entities, and external ones, stay as they
// are: they become nothing but their names, whatever they promise.
func expand(prologue, text []byte) []byte {
	grown := 0
	for _, m := range entityDecl.FindAllSubmatch(prologue, maxDeclared) {
		ref, value := concat("&", m[1], ";"), append(m[2], m[3]...)
		grown += bytes.Count(text, ref) * max(len(value)-len(ref), 0)
		if grown > maxGrowth {
			return text
		}
		text = bytes.ReplaceAll(text, ref, value)
	}
	return text
}

var lastTag = regexp.MustCompile(`(?i)</(?:[a-z0-9_.-]{1,30}:)?(?:rss|rdf|feed)\s*$`)

// closeLast adds the bracket that the last tag of a document lacks.
func closeLast(text []byte) []byte {
	if lastTag.Match(text[max(0, len(text)-64):]) {
		return append(text[:len(text):len(text)], '>')
	}
	return text
}

// knownNamespace gives an Atom feed in a namespace that nobody knows that of Atom 1.0: gofeed would read it as empty.
func knownNamespace(text []byte) []byte {
	m := rootOpen.FindSubmatch(text)
	if m == nil || !bytes.EqualFold(m[2], []byte("feed")) {
		return text
	}
	prefix, _, prefixed := bytes.Cut(m[1], []byte(":"))
	for _, u := range uriValue.FindAllSubmatch(m[0], maxScope) {
		name, _, _ := bytes.Cut(u[0], []byte("="))
		_, declared, ok := bytes.Cut(bytes.TrimSpace(name), []byte(":"))
		if ok != prefixed || ok && !bytes.Equal(declared, prefix) {
			continue
		}
		if uri := string(bytes.TrimSpace(u[1])); uri != "" && !native(uri, "") {
			root := bytes.Replace(m[0], u[1], []byte(atom10), 1)
			return append(root[:len(root):len(root)], text[len(m[0]):]...)
		}
	}
	return text
}
