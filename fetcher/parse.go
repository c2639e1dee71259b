package fetcher

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"github.com/mmcdole/gofeed"

	"tocsin/news"
)

// Document is one body with what the outside says about it.
type Document struct {
	Body            []byte
	ContentType     string    // header of the answer, "" when unknown
	ContentLocation string    // header of the answer, "" when absent
	URL             string    // address of the last hop, "" when unknown: base of relative links
	Feed            Feed      // defaults of the items
	FirstSeen       time.Time // our clock when the headers came
}

// Result is what a document held. Entries are in the order of the document.
type Result struct {
	Kind     string // rss2.0, rss0.91, rss1.0, atom1.0, atom0.3, json1.1 and the like
	Title    string // of the feed, markup as it stands
	ID       string
	Link     string
	Lang     string
	Self     string // the feed's own address as it says
	Hub      string // WebSub hub
	Next     string // older entries: prev-archive, next, next_url
	Updated  time.Time
	Issued   time.Time
	Wishes   Wishes
	Entries  []Entry
	Degraded []string // what was mended, for people
	Dropped  int      // entries that were broken beyond repair or empty
	Cut      bool     // the root element never ends
	BadEntry []byte   // the first entry that was beyond repair as it stands there, at most 4 KiB
	Deleted  []string // ids of entries that the feed says were taken back (RFC 6721)
	Ended    bool     // the feed says that nothing more will come (expired of JSON Feed)
	Refused  *Fault   // why parts were refused, when others were read
}

// Wishes are what a publisher asks of pollers.
type Wishes struct {
	TTL       time.Duration // ttl of RSS 2.0
	Period    time.Duration // updatePeriod over updateFrequency of RSS 1.0 syndication
	SkipHours uint32        // bit h: not in hour h GMT
	SkipDays  uint8         // bit d: not on time.Weekday d GMT
}

// Entry is one entry, still without identity.
type Entry struct {
	ID         string // as the feed gave it, "" when it gave none
	PermaLink  bool   // the guid is meant as a link
	Link       string
	Title      string // markup or text as the feed means it
	TitleText  bool   // Title is plain text
	Summary    string // markup
	Content    string // markup
	Lang       string
	Base       string // address that relative references of the entry count from
	Authors    []string
	Categories []string
	Published  time.Time
	Updated    time.Time
	Claimed    string // the date as the feed wrote it
	Degraded   bool
}

// Parse reads a document: bytes in, entries out; it asks nothing of the outside. The error is always a *Fault.
func Parse(doc Document) (Result, error) {
	return guard(func() (Result, error) { return parse(&doc) })
}

// guard turns a panic into a fault of the document.
func guard(f func() (Result, error)) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			res, err = Result{}, &panicFault{Fault: fault(ReasonUnparseable, "the parser failed: %s", short(fmt.Sprint(p), 120)), stack: debug.Stack()}
		}
	}()
	return f()
}

func parse(doc *Document) (Result, error) {
	if len(bytes.TrimSpace(doc.Body)) == 0 {
		return Result{}, fault(ReasonEmpty, "an empty body")
	}
	text, degraded, err := toUTF8(doc.Body, charsetHints{doc.Feed.Charset, doc.ContentType, doc.Feed.Lang})
	if err != nil {
		return Result{}, err
	}
	var res Result
	if first := bytes.TrimLeft(text, " \t\r\n\x00\ufeff"); len(first) > 0 && first[0] == '{' {
		res, err = parseJSON(first, doc)
	} else {
		res, err = parseXML(text, doc)
	}
	if err == nil && degraded {
		res.Degraded = append(res.Degraded, "letters that the stated encoding does not explain")
	}
	return res, err
}

// panicFault is a fault of our own: the parser failed. The program goes on and the log gets the stack.
type panicFault struct {
	*Fault
	stack []byte
}

func (p *panicFault) Unwrap() error { return p.Fault }

func asPanic(err error, p **panicFault) bool { return errors.As(err, p) }

func parseXML(text []byte, doc *Document) (Result, error) {
	root, ok := cutToRoot(text)
	if !ok {
		return Result{}, notFeed(text)
	}
	cleaned := clean(text, root)
	p, err := parseOnce(cleaned)
	if err == nil && p.out.found <= len(p.feed.Items) {
		return p.result(doc), nil
	}
	again, lost := rebuild(cleaned)
	var q *parsed
	var second error
	if again != nil {
		q, second = parseOnce(again)
	}
	switch {
	case err == nil && (q == nil || second != nil || len(q.feed.Items) <= len(p.feed.Items)):
		return p.result(doc), nil // start tags of entries inside other things, such as CDATA
	case q == nil || second != nil || len(q.feed.Items) == 0 && (lost.n > 0 || q.feed.Title+q.feed.Link == ""):
		return Result{}, beyondRepair(err)
	}
	res := q.result(doc)
	res.Dropped, res.BadEntry = res.Dropped+lost.n, lost.first
	if err != nil {
		errors.As(err, &res.Refused)
		res.Cut = res.Refused == nil && !rootEnds(cleaned)
	}
	res.Degraded = append(res.Degraded, fmt.Sprintf("broken markup: %d of %d entries dropped", lost.n, lost.n+len(res.Entries)))
	return res, nil
}

// clean is the root element in a form that encoding/xml reads; text is the whole document, for what is declared before the root.
func clean(text, root []byte) []byte {
	return closeLast(knownNamespace(dropIllegal(dropDeclarations(expand(text[:len(text)-len(root)], root)))))
}

// parsed is what one pass through the scan and gofeed gave.
type parsed struct {
	feed *gofeed.Feed
	out  *outline
}

func (p *parsed) result(doc *Document) Result {
	f := filler{doc: doc, feed: p.feed, out: p.out}
	return f.result()
}

// parseOnce scans and, when the limits allow it, lets gofeed parse.
func parseOnce(text []byte) (*parsed, error) {
	if p := parsePlain(text); p != nil {
		return p, nil
	}
	return parseAny(text)
}

// parsePlain reads a document that is written plainly; nil when parseAny has to.
func parsePlain(text []byte) *parsed {
	out, ok := scanPlain(text)
	if !ok {
		return nil
	}
	feed, err := newParser().Parse(bytes.NewReader(out.forParser(text[:out.end])))
	if err != nil || len(feed.Items) != len(out.entries()) {
		return nil // what was read beside gofeed would have no place
	}
	out.typed = nil
	return &parsed{feed, out}
}

func parseAny(text []byte) (*parsed, error) {
	out, err := scan(text)
	if err != nil {
		return nil, err
	}
	if out.end > 0 {
		text = text[:out.end]
	}
	feed, err := newParser().Parse(bytes.NewReader(neutral(text, out.typed)))
	if err != nil {
		return nil, err
	}
	out.typed = nil
	return &parsed{feed, out}, nil
}

// rootEnds tells whether the end tag of the root stands somewhere in the last part of the document.
func rootEnds(text []byte) bool {
	return rootClose.Match(text[max(0, len(text)-64<<10):])
}

func newParser() *gofeed.Parser {
	p := gofeed.NewParser()
	p.KeepOriginalFeed = true
	// The scan for images parses all HTML once more, and nothing here uses images.
	p.RSSTranslator = &gofeed.DefaultRSSTranslator{DisableContentImageScan: true}
	return p
}

func beyondRepair(err error) error {
	var f *Fault
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault(ReasonCut, "the document ends too early, and no whole entry is in it")
	case errors.Is(err, gofeed.ErrFeedTypeNotDetected):
		return fault(ReasonNotFeed, "no feed begins in the first 4 KiB")
	}
	return fault(ReasonUnparseable, "%s", short(err.Error(), 160))
}

// notFeed names what came instead.
func notFeed(text []byte) *Fault {
	head := bytes.TrimSpace(text[:min(len(text), 4096)])
	if htmlTag.Match(head) {
		if challenge.Match(head) {
			return fault(ReasonBlocked, "a page that wants to tell people from programs stands in place of the feed")
		}
		return fault(ReasonNotFeed, "a web page stands in place of the feed%s", feedsOf(text))
	}
	return fault(ReasonNotFeed, "no rss, rdf or feed element; it begins with %q", short(string(head[:min(len(head), 40)]), 40))
}

// Items turns the entries of a result into items of today's form, without looking at what was seen before.
func (r *Result) Items(doc *Document) []news.Item {
	var out []news.Item
	if len(r.Entries) > 0 {
		out = make([]news.Item, 0, len(r.Entries))
	}
	for i := range r.Entries {
		if it, ok := toItem(&r.Entries[i], r, doc); ok {
			out = append(out, it)
		}
	}
	return out
}
