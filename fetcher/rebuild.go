package fetcher

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
)

var (
	entryOpen  = regexp.MustCompile(`(?i)<(?:[a-z0-9_.-]{1,30}:)?(?:item|entry)(?:\s[^<>]*)?>`)
	entryClose = regexp.MustCompile(`(?i)</(?:[a-z0-9_.-]{1,30}:)?(?:item|entry)\s*>`)
	rootOpen   = regexp.MustCompile(`(?is)^<((?:[a-z0-9_.-]{1,30}:)?(rss|rdf|feed))(?:\s[^<>]*)?>`)
	comment    = regexp.MustCompile(`(?s)<!--.*?-->`)
	strayOpen  = regexp.MustCompile(`<([^A-Za-z/!?_:]|$)`)
	strayAmp   = regexp.MustCompile(`&([^#A-Za-z]|$)`)
)

// losses are the entries that repair gave up.
type losses struct {
	n     int
	first []byte // the first of them as it stands in the document, at most maxBadEntry bytes
}

const maxBadEntry = 4 << 10

func (l *losses) add(entry []byte) {
	if l.n++; l.first == nil {
		l.first = bytes.Clone(entry[:min(len(entry), maxBadEntry)])
	}
}

// rebuild makes a document of the entries that pass alone. Entries that fail are mended once (stray brackets, comments, open tags) and dropped
// when they still fail. It returns nil where nothing can be saved.
func rebuild(text []byte) (rebuilt []byte, lost losses) {
	m := rootOpen.FindSubmatch(text)
	if m == nil || len(m[0]) > maxRootTag {
		return nil, lost
	}
	root, kind := m[1], bytes.ToLower(m[2])
	frame := wrapper{open: quoteAttributes(m[0]), close: concat("</", root, ">"), atom: string(kind) == "feed"}
	if !frame.passes(nil) {
		return nil, lost
	}
	head, entries := split(text[len(m[0]):])
	var out bytes.Buffer
	out.Write(frame.open)
	if !frame.atom {
		out.WriteString("<channel>")
	}
	out.Write(frame.head(head))
	for i, e := range entries {
		if i >= maxEntries {
			lost.n += len(entries) - i
			break
		}
		mended := frame.mend(e)
		if mended == nil {
			lost.add(e)
			continue
		}
		out.Write(mended)
	}
	if !frame.atom {
		out.WriteString("</channel>")
	}
	out.Write(frame.close)
	return out.Bytes(), lost
}

var bareValue = regexp.MustCompile(`(\s[A-Za-z_:][A-Za-z0-9_:.-]*\s*=\s*)([^\s"'<>]+)`)

// quoteAttributes puts quotes around the attribute values of a start tag that have none.
func quoteAttributes(tag []byte) []byte {
	if bytes.ContainsAny(tag, `"'`) {
		return tag
	}
	return bareValue.ReplaceAll(tag, []byte(`$1"$2"`))
}

func concat(a string, b []byte, c string) []byte { return append(append([]byte(a), b...), c...) }

// split cuts a document at the start tags of its entries. head is what stands before the first; each entry reaches to its end tag, or to the
// next entry.
func split(text []byte) (head []byte, entries [][]byte) {
	starts := entryOpen.FindAllIndex(text, maxElements)
	if len(starts) == 0 {
		return text, nil
	}
	for i, s := range starts {
		end := len(text)
		if i+1 < len(starts) {
			end = starts[i+1][0]
		}
		part := text[s[0]:end]
		if c := entryClose.FindIndex(part); c != nil {
			part = part[:c[1]]
		}
		entries = append(entries, part)
	}
	return text[:starts[0][0]], entries
}

// wrapper is what an entry needs around it to be judged alone.
type wrapper struct {
	open, close []byte
	atom        bool
	spent       int // bytes judged so far
}

const (
	maxRootTag = 4 << 10
	maxJudged  = 40 << 20
)

// passes tells whether markup is fine between the root's tags, within all limits.
func (w *wrapper) passes(markup []byte) bool {
	doc := make([]byte, 0, len(w.open)+len(markup)+len(w.close)+20)
	doc = append(doc, w.open...)
	doc = append(append(append(doc, "<channel>"...), markup...), "</channel>"...)
	doc = append(doc, w.close...)
	if w.spent += len(doc); w.spent > maxJudged {
		return false
	}
	if _, ok := scanPlain(doc); ok {
		return true
	}
	if _, err := scan(doc); err != nil {
		return false
	}
	// scan uses raw tokens; what gofeed uses checks a little more.
	d := xml.NewDecoder(bytes.NewReader(doc))
	d.Strict = false
	for {
		if _, err := d.Token(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}

// mend gives the entry in a form that passes, or nil.
func (w *wrapper) mend(e []byte) []byte {
	if c := entryClose.Find(e); c != nil && w.passes(e) {
		return e
	}
	for _, f := range []func([]byte) []byte{escapeStray, func(e []byte) []byte { return closeOpen(escapeStray(e)) }} {
		if m := f(e); m != nil && entryClose.Match(m) && w.passes(m) {
			return m
		}
	}
	return nil
}

// escapeStray escapes brackets and ampersands that begin nothing, and drops comments.
func escapeStray(e []byte) []byte {
	e = comment.ReplaceAll(e, nil)
	e = strayOpen.ReplaceAll(e, []byte("&lt;$1"))
	e = strayAmp.ReplaceAll(e, []byte("&amp;$1"))
	return outsideCDATA(e)
}

// outsideCDATA escapes "]]>" where no CDATA section is open.
func outsideCDATA(e []byte) []byte {
	var out []byte
	for {
		end := bytes.Index(e, []byte("]]>"))
		if end < 0 {
			return append(out, e...)
		}
		open := bytes.Index(e, []byte("<![CDATA["))
		if open >= 0 && open < end {
			out = append(out, e[:end+3]...)
		} else {
			out = append(append(out, e[:end]...), "]]&gt;"...)
		}
		e = e[end+3:]
	}
}

// closeOpen cuts an unfinished tag or CDATA section at the end, drops end tags that close nothing, and closes the elements that are open. It is nil
// where nothing useful is left.
func closeOpen(e []byte) []byte {
	if open := bytes.LastIndex(e, []byte("<![CDATA[")); open >= 0 && !bytes.Contains(e[open:], []byte("]]>")) {
		e = append(e[:len(e):len(e)], "]]>"...)
	} else if lt := bytes.LastIndexByte(e, '<'); lt >= 0 && bytes.IndexByte(e[lt:], '>') < 0 {
		e = e[:lt]
	}
	d := xml.NewDecoder(bytes.NewReader(e))
	d.Strict = false
	var stack [][]byte
	out := make([]byte, 0, len(e)+64)
	for len(stack) < maxDepth {
		before := d.InputOffset()
		tok, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil
		}
		keep := true
		switch t := tok.(type) {
		case xml.StartElement:
			stack = append(stack, tagName(t.Name))
		case xml.EndElement:
			var as []byte
			name := tagName(t.Name)
			stack, as = closed(stack, name)
			if keep = bytes.Equal(as, name); as != nil && !keep {
				out = append(out, concat("</", as, ">")...) // in another case it would close all that is open
			}
		}
		if keep {
			out = append(out, e[before:d.InputOffset()]...)
		}
	}
	for n := len(stack); n > 0; n-- {
		out = append(out, concat("</", stack[n-1], ">")...)
	}
	return out
}

func tagName(n xml.Name) []byte {
	if n.Space != "" {
		return []byte(n.Space + ":" + n.Local)
	}
	return []byte(n.Local)
}

// head keeps of the feed's own elements what passes: all, what is left when open ends are closed, or nothing.
func (w *wrapper) head(h []byte) []byte {
	if i := bytes.Index(bytes.ToLower(h), []byte("<channel")); i >= 0 && !w.atom {
		if end := bytes.IndexByte(h[i:], '>'); end >= 0 {
			h = h[i+end+1:]
		}
	}
	for _, cut := range [][]byte{[]byte("</channel>"), w.close} {
		if i := bytes.Index(h, cut); i >= 0 {
			h = h[:i]
		}
	}
	// An element of the head that stays open would swallow every entry.
	for _, f := range []func([]byte) []byte{closeOpen, func(h []byte) []byte { return closeOpen(escapeStray(h)) }} {
		if m := f(h); m != nil && w.passes(m) {
			return m
		}
	}
	return nil
}

// closed takes the elements off that an end tag closes, and gives the name as the start tag spells it; nil when it closes none.
func closed(stack [][]byte, name []byte) (rest [][]byte, as []byte) {
	for n := len(stack); n > 0; n-- {
		if bytes.EqualFold(stack[n-1], name) {
			return stack[:n-1], stack[n-1]
		}
	}
	return stack, nil
}
