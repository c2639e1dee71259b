package notifier

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tocsin/news"
)

// Part is a piece of text; Mark says that it is what was looked for.
type Part struct {
	Text string
	Mark bool
}

// View is what every channel shows of an alert: clean text, safe links, times as text. It is made from the alert alone.
type View struct {
	Alert     *news.Alert
	Severity  string // name, "" when not stated
	Watchlist string // title of the list, else its id
	Kind      string // "", "update", "test", "health"
	Headline  []Part
	Snippets  []Part   // around the first mention outside the title; nil when the title has it all
	Lines     []string // all that a heartbeat or news about the program itself says, one fact a line; nil for alerts about news
	Why       []Why
	New       []string // what is new in an update, for people
	Outlet    string
	Outlets   []string // of the story, when there are several
	Lang      string   // for lang attributes; "" when unknown
	Language  string   // the same for people: a name where we know one, else the tag
	Link      string   // http or https only; "" when there is none
	Host      string   // of Link, to show beside it
	Published string   // "" when the feed gave no usable date
	FirstSeen string
	Raised    string // when the alert, or this update of it, was made
	Also      []Report
	AlsoMore  int    // further reports
	Was       string // title before the edit that made the update
}

// Bounds of what is shown, in letters or lines. Hostile items and large lists must not make large messages.
const (
	maxHeadline = 300
	beforeMark  = 120
	afterMark   = 220
	maxLine     = 300
)

// NewView makes the view of an alert. Times are in UTC and, when loc is not nil and not UTC, also in loc.
func NewView(a *news.Alert, loc *time.Location) *View {
	m, it := &a.Match, &a.Match.Item
	v := &View{
		Alert: a, Severity: a.Severity.String(), Watchlist: Shorten(Clean(m.Title), maxLine), Headline: headline(m),
		Why: reasons(m), New: newFacts(a), Outlet: Shorten(Clean(it.Outlet), maxLine), Lang: langOf(it.Lang), Language: languageName(langOf(it.Lang)),
		Published: When(it.Published, loc), FirstSeen: When(it.FirstSeen, loc), Raised: When(a.At, loc),
	}
	if v.Watchlist == "" {
		v.Watchlist = a.Watchlist
	}
	if a.Kind != news.KindFirst {
		v.Kind = a.Kind
	}
	v.self(a)
	v.story(a)
	v.Link, v.Host = SafeLink(it.URL)
	if v.Outlet == "" {
		v.Outlet = v.Host
	}
	for _, o := range a.Outlets {
		v.Outlets = append(v.Outlets, Shorten(Clean(o), maxLine))
	}
	for _, f := range []news.Field{{Name: "summary", Text: it.Summary}, {Name: "body", Text: it.Body}} {
		if s := m.Spans(f.Name); len(s) > 0 && v.Snippets == nil {
			v.Snippets = snippet(f.Text, s)
		}
	}
	if v.Snippets == nil && it.Summary != "" {
		v.Snippets = snippet(it.Summary, nil)
	}
	return v
}

// maxSelf bounds what is told of the program itself where a channel has no form of its own for it, in letters.
const maxSelf = 1500

// self fills what alerts about the program itself have instead of a story.
func (v *View) self(a *news.Alert) {
	switch {
	case a.Heartbeat != nil:
		v.Lines = HeartbeatLines(a.Heartbeat)
	case a.Kind == news.KindHealth:
		for line := range strings.Lines(a.Match.Item.Summary) {
			if line = strings.TrimSpace(Clean(line)); line != "" {
				v.Lines = append(v.Lines, line)
			}
		}
	default:
		return
	}
	v.Language = "" // the program's own
	all := strings.Join(v.Lines, " ")
	v.Snippets = parts(all, nil, 0, letters(all, 0, maxSelf))
}

// Title is the headline as one clean line.
func (v *View) Title() string { return Plain(v.Headline) }

// Plain joins parts without marks.
func Plain(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
	}
	return b.String()
}

// subject is one line for ledgers, dead letters and mail subjects.
func subject(a *news.Alert) string {
	v := NewView(a, nil)
	s := v.Watchlist + ": " + v.Title()
	if v.Severity != "" {
		s = "[" + v.Severity + "] " + s
	}
	return Shorten(s, maxHeadline)
}

// Subject is the one line that names the alert: severity, watchlist, headline.
func (v *View) Subject() string { return subject(v.Alert) }

// When writes a time for people in UTC and, when loc is another zone, also there. The zero time gives "".
func When(t time.Time, loc *time.Location) string {
	if t.IsZero() {
		return ""
	}
	s := t.UTC().Format("2 Jan 2006 15:04") + " UTC"
	if loc == nil || loc == time.UTC {
		return s
	}
	l := t.In(loc)
	format := "15:04 MST"
	if l.YearDay() != t.UTC().YearDay() {
		format = "2 Jan 15:04 MST"
	}
	return s + " (" + l.Format(format) + ")"
}

func langOf(lang string) string {
	if lang == "" || lang == "und" {
		return ""
	}
	for _, r := range lang {
		if r != '-' && !('a' <= r && r <= 'z') && !('A' <= r && r <= 'Z') && !('0' <= r && r <= '9') {
			return ""
		}
	}
	return lang
}

var languageNames = map[string]string{
	"ar": "Arabic", "bal": "Balochi", "bn": "Bengali", "de": "German", "el": "Greek", "en": "English", "es": "Spanish", "fa": "Persian",
	"fr": "French", "he": "Hebrew", "hi": "Hindi", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "ps": "Pashto",
	"pt": "Portuguese", "ru": "Russian", "sd": "Sindhi", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese",
	"zh": "Chinese",
}

func languageName(tag string) string {
	primary, _, _ := strings.Cut(tag, "-")
	if n := languageNames[strings.ToLower(primary)]; n != "" {
		return n
	}
	return tag
}

func headline(m *news.Match) []Part {
	if strings.TrimSpace(Clean(m.Item.Title)) == "" {
		if parts := snippet(m.Item.Summary, m.Spans("summary")); len(parts) > 0 {
			return parts
		}
		return []Part{{Text: "(no title)"}}
	}
	return parts(m.Item.Title, m.Spans("title"), 0, min(len(m.Item.Title), letters(m.Item.Title, 0, maxHeadline)))
}

// snippet is the text around the first span, or the beginning when there is none.
func snippet(text string, spans []news.Span) []Part {
	spans = sound(text, spans)
	from, to := 0, letters(text, 0, beforeMark+afterMark)
	if len(spans) > 0 {
		from = word(text, lettersBack(text, spans[0].Start, beforeMark), spans[0].Start)
		to = letters(text, spans[0].End, afterMark)
	}
	return parts(text, spans, from, wordBack(text, from, to, spans))
}

// parts cuts text[from:to] at the spans and cleans every piece.
func parts(text string, spans []news.Span, from, to int) []Part {
	var out []Part
	add := func(s string, mark bool) {
		if s = squeeze(Clean(s)); s != "" {
			out = append(out, Part{s, mark})
		}
	}
	if from > 0 {
		add("… ", false)
	}
	at := from
	for _, s := range sound(text, spans) {
		if s.Start < at || s.End > to {
			continue
		}
		add(text[at:s.Start], false)
		add(text[s.Start:s.End], true)
		at = s.End
	}
	add(text[at:to], false)
	if to < len(text) {
		add(" …", false)
	}
	return out
}

// squeeze makes each run of white space one blank.
func squeeze(s string) string {
	var b strings.Builder
	blank := false
	for _, r := range s {
		if unicode.IsSpace(r) {
			if !blank {
				b.WriteByte(' ')
			}
			blank = true
			continue
		}
		blank = false
		b.WriteRune(r)
	}
	return b.String()
}

// sound drops spans that do not lie in the text at the edges of letters.
func sound(text string, spans []news.Span) []news.Span {
	edge := func(i int) bool { return i == len(text) || utf8.RuneStart(text[i]) }
	return slices.DeleteFunc(slices.Clone(spans), func(s news.Span) bool {
		return s.Start < 0 || s.End > len(text) || s.Start >= s.End || !edge(s.Start) || !edge(s.End)
	})
}

// letters gives the offset n letters after from, never inside a letter with its marks.
func letters(text string, from, n int) int {
	for i := range text[from:] {
		if n <= 0 && boundary(text, from+i) {
			return from + i
		}
		n--
	}
	return len(text)
}

func lettersBack(text string, from, n int) int {
	for from > 0 && (n > 0 || !boundary(text, from)) {
		_, size := utf8.DecodeLastRuneInString(text[:from])
		from -= size
		n--
	}
	return from
}

// word moves from forward to the beginning of a word, if one begins soon and before limit.
func word(text string, from, limit int) int {
	if from == 0 {
		return 0
	}
	for i, r := range text[from:limit] {
		if unicode.IsSpace(r) {
			return from + i + utf8.RuneLen(r)
		}
		if i > 60 {
			break
		}
	}
	return from
}

// wordBack moves to back to the end of a word, if one ends soon, never into a span.
func wordBack(text string, from, to int, spans []news.Span) int {
	if to >= len(text) {
		return len(text)
	}
	for _, s := range spans {
		if s.Start < to && to < s.End {
			to = s.End
		}
	}
	limit := max(from, to-60)
	for _, s := range spans {
		if s.End <= to {
			limit = max(limit, s.End)
		}
	}
	if i := strings.LastIndexFunc(text[limit:to], unicode.IsSpace); i >= 0 {
		return limit + i
	}
	return to
}
