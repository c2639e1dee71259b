package fetcher

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The limits of a document (fetcher.md section 2 has the measurements behind them). They are judged before gofeed sees a byte, because a stack
// overflow in a recursive parser ends the process and cannot be recovered.
const (
	maxDepth      = 256
	maxScope      = 64        // namespace declarations in scope
	maxAttributes = 256       // of one element
	maxElements   = 250_000   // of a document
	maxPrefixSum  = 5_000_000 // declarations in scope, summed over all elements
	maxCopied     = 4 << 30   // bytes that gofeed copies to join mixed text
	maxEntries    = 10_000    // items kept
	maxNames      = 2_000_000 // bytes of attribute values of one element
	maxText       = 8 << 20   // bytes of text of one element
	maxBase       = 2 << 10   // bytes of a base address
	maxBaseSum    = 64 << 20  // the same, summed over all elements: gofeed resolves against it again and again
)

// scanner reads a document once with its own stack and collects what gofeed does not tell: raw ids, languages, bases.
type scanner struct {
	at       int64 // where the last token ended
	text     string
	stack    []frame
	scope    []binding
	elements int
	prefixes int
	copied   int
	bases    int
	out      outline
	current  *rawEntry
	slim     *slimmer // nil where gofeed gets the document as it is
}

type frame struct {
	tag          xml.Name
	name, prefix string
	space        string // resolved namespace; only for the outer levels
	declared     int    // bindings that this element added
	text         int    // bytes of text so far
	base, lang   string
	start, inner int64 // where its tag and its content begin
	parent       bool  // there are elements in it
	attrs        []xml.Attr
}

type binding struct{ prefix, uri string }

// outline is what the scan learnt.
type outline struct {
	root    string // rss, rdf, feed in lower case
	space   string
	base    string // xml:base of the root and the channel
	lang    string
	feed    rawEntry
	channel []rawEntry // items inside the channel, in order
	outer   []rawEntry // items beside it, in order
	deleted []string   // ids of entries that were taken back (RFC 6721)
	typed   []startTag // start tags whose type makes gofeed parse HTML
	found   int        // start tags of entries at any place
	end     int64      // where the root ended; 0 when it did not
	slim    *slimmer
}

// entries are in the order in which gofeed lists them.
func (o *outline) entries() []rawEntry {
	return append(o.channel[:len(o.channel):len(o.channel)], o.outer...)
}

// rawEntry is an entry as it stands in the document.
type rawEntry struct {
	start, end int64
	id         string // text of id or guid, untouched but for the white space around it
	about      string // rdf:about
	base, lang string
	texts      []rawText
	links      []rawLink
	open       bool   // an element inside was never closed and may have swallowed text
	published  string // what gofeed was not shown: dates,
	updated    string
	permaLink  string // and isPermaLink of an RSS guid
}

// rawText is one text construct: where its markup stands, and how it is to be read.
type rawText struct {
	name, space string
	typ, mode   string
	markup      string
	base        string
}

type rawLink struct{ space, rel, href, typ, text, base string }

// scanPlain is scan for markup that is written plainly, and plans what gofeed need not see. false: only scan can judge it.
func scanPlain(text []byte) (*outline, bool) {
	if !utf8.Valid(text) {
		return nil, false
	}
	l := &lexer{s: string(text), attrs: make([]xml.Attr, 0, 32)}
	s := &scanner{text: l.s, slim: newSlimmer(l.s), stack: make([]frame, 0, 12)}
	s.out.slim = s.slim
	for s.out.end == 0 {
		before := int64(l.at)
		kind := l.next()
		s.at = int64(l.at)
		var err error
		switch kind {
		case lexOdd:
			return nil, false
		case lexOpen, lexEmpty:
			err = s.open(xml.StartElement{Name: l.name, Attr: l.attrs[l.from:]}, before)
			l.attrs = l.attrs[:l.from+len(s.top().attrs)]
			if err == nil && kind == lexEmpty {
				err = s.shut(l, s.at)
			}
		case lexClose:
			err = s.shut(l, before)
		case lexText:
			err = s.chars(l.at - int(before))
		}
		if err != nil {
			return nil, false
		}
	}
	return &s.out, true
}

// top is the innermost open element, an empty one when there is none.
func (s *scanner) top() *frame {
	if len(s.stack) == 0 {
		return &frame{}
	}
	return &s.stack[len(s.stack)-1]
}

var errMismatch = errors.New("an end tag that closes another element")

// shut closes the innermost element, which must be the one that the tag names.
func (s *scanner) shut(l *lexer, before int64) error {
	f := s.top()
	if len(s.stack) == 0 || f.tag != l.name {
		return errMismatch
	}
	l.attrs = l.attrs[:len(l.attrs)-len(f.attrs)]
	return s.close(xml.EndElement{Name: l.name}, before)
}

// scan judges text, which must begin with the root element. The error is a *Fault (refused) or a syntax error of encoding/xml.
func scan(text []byte) (*outline, error) {
	dec := xml.NewDecoder(bytes.NewReader(text))
	dec.Strict = false
	s := &scanner{text: string(text)}
	for {
		before := dec.InputOffset()
		tok, err := dec.RawToken()
		s.at = dec.InputOffset()
		if errors.Is(err, io.EOF) {
			return &s.out, s.atEnd()
		}
		if err != nil {
			return &s.out, err
		}
		switch t := tok.(type) {
		case xml.StartElement:
			err = s.open(t, before)
		case xml.EndElement:
			err = s.close(t, before)
		case xml.CharData:
			err = s.chars(len(t))
		}
		if err != nil {
			return &s.out, err
		}
		if s.out.end > 0 {
			return &s.out, nil
		}
	}
}

func (s *scanner) atEnd() error {
	if len(s.stack) > 0 {
		return fmt.Errorf("the document ends inside <%s>: %w", short(s.stack[len(s.stack)-1].name, 40), io.ErrUnexpectedEOF)
	}
	return nil
}

func (s *scanner) open(t xml.StartElement, before int64) error {
	if s.elements++; s.elements > maxElements {
		return fault(ReasonRefusedSize, "more than %d elements", maxElements)
	}
	if len(s.stack) >= maxDepth {
		return fault(ReasonRefusedNesting, "elements nested deeper than %d", maxDepth)
	}
	if len(t.Attr) > maxAttributes {
		return fault(ReasonRefusedSize, "%d attributes in one element, the limit is %d", len(t.Attr), maxAttributes)
	}
	f := frame{tag: t.Name, name: strings.ToLower(t.Name.Local), prefix: t.Name.Space, start: before, inner: s.at}
	if n := len(s.stack); n > 0 {
		f.base, f.lang = s.stack[n-1].base, s.stack[n-1].lang
		s.stack[n-1].parent = true
	}
	size := 0
	for _, a := range t.Attr {
		size += len(a.Value)
		s.attribute(&f, a)
	}
	if s.bases += len(f.base); len(f.base) > maxBase || s.bases > maxBaseSum {
		return fault(ReasonRefusedSize, "a base address of %d bytes, or too many of them", len(f.base))
	}
	if size > maxNames {
		return fault(ReasonRefusedSize, "%d bytes of attributes in one element", size)
	}
	if len(s.scope) > maxScope {
		return fault(ReasonRefusedNesting, "more than %d namespace declarations in scope", maxScope)
	}
	if s.prefixes += len(s.scope); s.prefixes > maxPrefixSum {
		return fault(ReasonRefusedNesting, "namespace declarations in scope add up to more than %d", maxPrefixSum)
	}
	if len(s.stack) < 6 {
		f.space, f.attrs = s.resolve(f.prefix), t.Attr
	}
	if s.out.root == "feed" {
		s.noteType(t, before)
	}
	s.stack = append(s.stack, f)
	s.begin(before)
	return nil
}

func (s *scanner) attribute(f *frame, a xml.Attr) {
	switch {
	case a.Name.Space == "xmlns":
		s.scope = append(s.scope, binding{a.Name.Local, strings.TrimSpace(a.Value)})
		f.declared++
	case a.Name.Space == "" && a.Name.Local == "xmlns":
		s.scope = append(s.scope, binding{"", strings.TrimSpace(a.Value)})
		f.declared++
	case a.Name.Space == "xml" && a.Name.Local == "base":
		f.base = resolve(f.base, cutBytes(a.Value, maxBase+1))
	case a.Name.Space == "xml" && a.Name.Local == "lang":
		f.lang = a.Value
	}
}

// resolve gives the namespace of a prefix; an undeclared prefix stands for itself, as in encoding/xml.
func (s *scanner) resolve(prefix string) string {
	for i := len(s.scope) - 1; i >= 0; i-- {
		if s.scope[i].prefix == prefix {
			return s.scope[i].uri
		}
	}
	return prefix
}

func (s *scanner) chars(n int) error {
	if len(s.stack) == 0 {
		return nil
	}
	f := &s.stack[len(s.stack)-1]
	f.text += n
	// gofeed joins the pieces of an extension's text one by one and copies all that came before each time.
	if s.copied += f.text; s.copied > maxCopied {
		return fault(ReasonRefusedNesting, "text in more pieces than can be joined")
	}
	if f.text > maxText {
		return fault(ReasonRefusedSize, "more than %d bytes of text in one element", maxText)
	}
	return nil
}

// close ends the elements up to the one that t names, as the parser that does not insist on well-formedness will.
func (s *scanner) close(t xml.EndElement, before int64) error {
	name := strings.ToLower(t.Name.Local)
	for n := len(s.stack); n > 0; n-- {
		f := s.stack[n-1]
		if f.name != name && s.current != nil {
			s.current.open = true
		}
		s.finish(before)
		s.scope = s.scope[:len(s.scope)-f.declared]
		s.stack = s.stack[:n-1]
		if f.name == name {
			if len(s.stack) == 0 {
				s.out.end = s.at
			}
			return nil
		}
	}
	return fmt.Errorf("unexpected end element </%s>", short(t.Name.Local, 40))
}
