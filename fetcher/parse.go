package fetcher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
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
	Authors    []string
	Categories []string
	Published  time.Time
	Updated    time.Time
	Claimed    string // the date as the feed wrote it
	Degraded   bool
}

// Parse reads a document: bytes in, entries out; it asks nothing of the outside. The error is always a *Fault.
func Parse(doc Document) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			res, err = Result{}, &panicFault{Fault: fault(ReasonUnparseable, "the parser failed: %s", short(fmt.Sprint(p), 120)), stack: debug.Stack()}
		}
	}()
	if len(bytes.TrimSpace(doc.Body)) == 0 {
		return Result{}, fault(ReasonEmpty, "an empty body")
	}
	text, degraded, err := toUTF8(doc.Body, charsetHints{doc.Feed.Charset, doc.ContentType, doc.Feed.Lang})
	if err != nil {
		return Result{}, err
	}
	if first := bytes.TrimLeft(text, " \t\r\n\x00\ufeff"); len(first) > 0 && first[0] == '{' {
		res, err = parseJSON(first, &doc)
	} else {
		res, err = parseXML(text, &doc)
	}
	if err != nil {
		return Result{}, err
	}
	if degraded {
		res.Degraded = append(res.Degraded, "letters that the stated encoding does not explain")
	}
	return res, allEmpty(&res)
}

// panicFault is a fault of our own: the parser failed. The program goes on and the log gets the stack.
type panicFault struct {
	*Fault
	stack []byte
}

func (p *panicFault) Unwrap() error { return p.Fault }

// allEmpty refuses documents whose entries carry nothing: a feed in a namespace that nobody knows.
func allEmpty(res *Result) error {
	kept := res.Entries[:0]
	for _, e := range res.Entries {
		if e.Title == "" && e.Link == "" && e.Summary == "" && e.Content == "" {
			res.Dropped++
			continue
		}
		kept = append(kept, e)
	}
	if len(kept) == 0 && len(res.Entries) > 0 {
		return fault(ReasonNotFeed, "%d entries without title, link and text", len(res.Entries))
	}
	res.Entries = kept
	return nil
}

func parseXML(text []byte, doc *Document) (Result, error) {
	cleaned, ok := cutToRoot(text)
	if !ok {
		return Result{}, notFeed(text)
	}
	cleaned = dropIllegal(dropDeclarations(cleaned))
	feed, out, err := parseOnce(cleaned)
	var refused *Fault
	dropped, cut := 0, false
	if err != nil {
		errors.As(err, &refused)
		first := err
		cut = refused == nil && !rootEnds(cleaned)
		if cleaned, dropped = rebuild(cleaned); cleaned == nil {
			return Result{}, beyondRepair(first)
		}
		if feed, out, err = parseOnce(cleaned); err != nil {
			return Result{}, beyondRepair(first)
		}
	}
	f := filler{doc: doc, feed: feed, out: out, text: cleaned}
	res := f.result()
	res.Dropped += dropped
	res.Cut = cut
	if refused != nil {
		res.Refused = refused
	}
	if dropped > 0 || refused != nil {
		res.Degraded = append(res.Degraded, fmt.Sprintf("%d of %d entries dropped", dropped, dropped+len(res.Entries)))
	}
	return res, nil
}

// parseOnce scans and, when the limits allow it, lets gofeed parse.
func parseOnce(text []byte) (*gofeed.Feed, *outline, error) {
	out, err := scan(text)
	if err != nil {
		return nil, nil, err
	}
	if out.end > 0 {
		text = text[:out.end]
	}
	feed, err := newParser().Parse(bytes.NewReader(text))
	if err != nil {
		return nil, nil, err
	}
	return feed, out, nil
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

const maxObjects = 250_000

// parseJSON reads JSON Feed 1.0 and 1.1.
func parseJSON(text []byte, doc *Document) (Result, error) {
	if n := jsonObjects(text); n > maxObjects {
		return Result{}, fault(ReasonRefusedSize, "more than %d objects", maxObjects)
	}
	var probe struct {
		Version string            `json:"version"`
		Items   []json.RawMessage `json:"items"`
		Hubs    []struct {
			Type string `json:"type"`
			URL  string `json:"url"`
		} `json:"hubs"`
	}
	if err := json.Unmarshal(text, &probe); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && syntax.Offset >= int64(len(text)) {
			return Result{}, fault(ReasonCut, "the document ends too early")
		}
		return Result{}, fault(ReasonUnparseable, "%s", short(err.Error(), 160))
	}
	if !strings.Contains(probe.Version, "jsonfeed.org") && probe.Items == nil {
		return Result{}, fault(ReasonNotFeed, "JSON without version and items of a JSON Feed")
	}
	feed, err := newParser().Parse(bytes.NewReader(text))
	if err != nil {
		return Result{}, fault(ReasonUnparseable, "%s", short(err.Error(), 160))
	}
	f := filler{doc: doc, feed: feed, out: &outline{}}
	res := f.result()
	for _, h := range probe.Hubs {
		if strings.EqualFold(h.Type, "websub") && res.Hub == "" {
			res.Hub = h.URL
		}
	}
	return res, nil
}

// jsonObjects counts the objects of a document outside its texts: each may become a large value.
func jsonObjects(text []byte) int {
	n, inText := 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case inText && b == '\\':
			i++
		case b == '"':
			inText = !inText
		case !inText && b == '{':
			n++
		}
	}
	return n
}

// Items turns the entries of a result into items of today's form, without looking at what was seen before.
func (r *Result) Items(doc *Document) []news.Item {
	var out []news.Item
	for i := range r.Entries {
		if it, ok := toItem(&r.Entries[i], r, doc); ok {
			out = append(out, it)
		}
	}
	return out
}
