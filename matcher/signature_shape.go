package matcher

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/matcher/fold"
	"tocsin/news"
)

// segments cuts a title at ";" and " | " and takes off the outlet's name and running heads, so that "Live updates: war; talks in Oman - Outlet"
// leaves "war" and "talks in Oman".
func segments(title string) []string {
	title = strings.TrimSpace(title)
	parts := cutTitle(title)
	parts = withoutOutlet(parts)
	out := make([]string, 0, len(parts))
	for _, p := range parts {
		if p = withoutHead(p); p != "" {
			out = append(out, p)
		}
	}
	if len(out) == 0 && title != "" {
		out = append(out, title)
	}
	return out
}

// cutTitle splits at separators that no sentence holds.
func cutTitle(title string) []string {
	var out []string
	rest := title
	for {
		at, size := -1, 0
		for _, sep := range []string{" | ", "|", "; ", "；", " - ", " – ", " — ", " / ", "/ ", " || "} {
			if i := strings.Index(rest, sep); i >= 0 && (at < 0 || i < at || i == at && len(sep) > size) {
				at, size = i, len(sep)
			}
		}
		if at < 0 {
			break
		}
		out = append(out, strings.TrimSpace(rest[:at]))
		rest = rest[at+size:]
	}
	return append(out, strings.TrimSpace(rest))
}

// withoutOutlet drops parts that name the outlet or a section: short, in capitals, at the end or the start, beside a longer one.
func withoutOutlet(parts []string) []string {
	for len(parts) > 1 && words4(parts[0]) && isLabel(parts[len(parts)-1]) {
		parts = parts[:len(parts)-1]
	}
	for len(parts) > 1 && isLabel(parts[0]) && words4(parts[1]) {
		parts = parts[1:]
	}
	return parts
}

func words4(s string) bool {
	return len(strings.Fields(s)) >= 4 || utf8.RuneCountInString(s) >= 8 && wideScript(s)
}

func wideScript(s string) bool {
	for _, r := range s {
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
			return true
		}
	}
	return false
}

// isLabel tells whether a part is no more than a name: at most six words, all of them with capitals, small words apart, and no figure.
func isLabel(s string) bool {
	ws := strings.Fields(s)
	if len(ws) == 0 {
		return true
	}
	if len(ws) > 8 || wideScript(s) {
		return false
	}
	for _, w := range ws {
		r, _ := utf8.DecodeRuneInString(w)
		switch {
		case unicode.IsUpper(r), utf8.RuneCountInString(w) <= 3 && !unicode.IsDigit(r), r == '&':
		case unicode.IsLower(r), unicode.IsDigit(r) && len(ws) < 3:
			return false
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
		case unicode.IsDigit(r):
		default: // a script without capitals
			return false
		}
	}
	return len(ws) <= 4 || strings.ContainsAny(s, "&,") || slices.ContainsFunc(ws, outletWord)
}

// outletWord tells whether a word is one that outlets call themselves by.
func outletWord(w string) bool {
	switch w {
	case "News", "Times", "Post", "Press", "Herald", "Tribune", "Gazette", "Standard", "Guardian", "Journal", "Chronicle", "Monitor", "Observer", "Telegraph", "Radio", "Newstalk", "TV", "Online", "Daily", "Series", "Magazine", "Review", "Independent", "Star", "Sun", "Mail", "Express", "Media", "Network", "Agency", "Bulletin":
		return true
	}
	return false
}

// withoutHead takes a running head off: "Live updates:", "BREAKING:", "Exclusive-".
func withoutHead(s string) string {
	for range 3 {
		low := strings.ToLower(s)
		cut := 0
		for _, head := range []string{
			"live updates:", "live update:", "live:", "live |", "breaking:", "breaking news:", "watch:", "video:", "photos:", "update:", "updated:", "just in:", "exclusive:", "exclusive-", "exclusive -",
			"opinion:", "analysis:", "explainer:", "explained:", "factbox:", "factbox-", "timeline:", "breakingviews -", "editorial:", "column:", "letters:", "developing |", "developing:", "the latest:", "latest:", "newsalert:", "news alert:", "report:", "reports:", "explainer-", "analysis-", "update 1-", "update 2-", "update 3-", "rpt-", "special report:", "watch live:", "global markets:", "urgent:", "in pics:", "podcast:", "q&a:",
		} {
			if strings.HasPrefix(low, head) && len(head) < len(s) {
				cut = len(head)
			}
		}
		if cut == 0 {
			cut = liveHead(low)
		}
		if cut == 0 {
			return strings.TrimSpace(s)
		}
		s = strings.TrimSpace(s[cut:])
	}
	return s
}

// liveHead is the length of a running head such as "middle east crisis live:", 0 when there is none.
func liveHead(low string) int {
	head, _, ok := strings.Cut(low, ":")
	ws := strings.Fields(head)
	if !ok || len(ws) == 0 || len(ws) > 7 {
		return 0
	}
	switch ws[len(ws)-1] {
	case "live", "latest", "updates", "liveblog":
		return len(head) + 1
	}
	return 0
}

// formOf tells columns, live pages and roundups from news by how their titles are made.
func formOf(title, day string, segs []string, toks []sigToken) string {
	low := " " + strings.ToLower(title) + " "
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(low, w) {
				return true
			}
		}
		return false
	}
	live := has("live updates", "live update", "live blog", "liveblog", " live: ", " live | ", " live news", " the latest: ", "updates live", "लाइव", "直播", "لحظه به لحظه", "онлайн-трансляция") || hasToken(toks, "LIVE", title)
	switch {
	case has("morning briefing", "evening briefing", "news briefing", "daily briefing", "morning digest", "evening digest", "news digest", "daily digest", "news in brief", " in brief ", "morning recap", "evening recap", "news recap", "daily brief", "morning brief", "weekly roundup", "news roundup", "week in review", "weekly update", "daily update", "weekly sanctions update", "sanctions update", "the week ahead", "top headlines", "news headlines", "energy headlines", "npr headlines", "crossword", "horoscope", "today in history", "on this day", "summarybrief", "newsletter", "letters to the editor", "stock market today", "market live", "prices today", "price today", "rates today", "rate today", "latest rates", "weather today", "weather forecast", "morning report", "closing bell", "opening bell", "market wrap", "early edition", "what to know today", "earnings call", "call transcript", "news summary", "market news:", "stock news", "closing report", "pre-market", "premarket", "newsquawk", "ftse 100 live", "tag:"):
		return news.FormColumn
	case day != "" && (has(" price", " rate", "update", "digest", "briefing", "headlines", "news", "weather", "recap", "forecast", "list of", " assessment", "schedule") || len(toks) <= 5):
		return news.FormColumn
	case live:
		return news.FormLive
	case isView(title, toks):
		return news.FormView
	case has("and other news", "and more ", "other top stories", "and other developments", "more top stories", "more mideast news", "key developments", "top stories") || len(segs) >= 3:
		return news.FormRoundup
	}
	return ""
}

// isView tells whether a title asks or explains rather than reports.
func isView(title string, toks []sigToken) bool {
	low := strings.ToLower(title)
	for _, head := range []string{"opinion", "analysis", "explainer", "explained", "editorial", "commentary", "column:", "letters:", "factbox", "timeline", "q&a", "podcast", "op-ed", "breakingviews"} {
		if strings.HasPrefix(low, head) {
			return true
		}
	}
	for _, part := range []string{" explained", "[op-ed]", "| opinion", "here's what", "here's why", "here's how", "here's where", "what to know", "what we know", "need to know", "things to know", "all you need", ": why ", ": how ", ": what ", "key takeaways"} {
		if strings.Contains(low, part) {
			return true
		}
	}
	if asks(title) {
		return true
	}
	if len(toks) == 0 || strings.HasPrefix(title, "'") || strings.HasPrefix(title, "\"") || strings.HasPrefix(title, "‘") || strings.HasPrefix(title, "“") {
		return false
	}
	switch toks[0].text {
	case "why", "how", "what", "who", "where", "when", "should", "can", "is", "are", "does", "do", "did", "could", "would", "has", "have", "which":
		return true
	case "will":
		return strings.Contains(title, "?")
	}
	return false
}

// asks tells whether a title is one question: "Is X losing its grip?", not "New flashpoint? X seizes a ship" and not "X seizes a ship. What now?".
func asks(title string) bool {
	question, rest, ok := cutAny(title, "?？؟")
	return ok && len(strings.Fields(rest)) < 4 && !strings.ContainsAny(question, ".:!;。।۔")
}

// cutAny cuts s around the first of some characters.
func cutAny(s, chars string) (before, after string, ok bool) {
	i := strings.IndexAny(s, chars)
	if i < 0 {
		return s, "", false
	}
	_, n := utf8.DecodeRuneInString(s[i:])
	return s[:i], s[i+n:], true
}

func hasToken(toks []sigToken, word, text string) bool {
	for i := range toks {
		if toks[i].end <= len(text) && text[toks[i].start:toks[i].end] == word {
			return true
		}
	}
	return false
}

// mainClause finds the tokens of a title that tell the event itself, without the clause of time, cause or circumstance behind or before it: "Oil falls
// [after US and Iran pause attacks]", "[As talks go on,] Israel strikes Lebanon".
func mainClause(toks []sigToken) (from, to int) {
	to = len(toks)
	if to > 0 && (circumstance(toks, 0) || toks[0].text == "with") {
		for i := 2; i+2 < to; i++ {
			if toks[i].gap >= 3 {
				from = i
				break
			}
		}
	}
	for i := from + 3; i+1 < to; i++ {
		if circumstance(toks, i) || i >= from+5 && toks[i].char && toks[i-1].char && toks[i].gap == fold.Soft {
			return from, i
		}
	}
	return from, to
}

// circumstance tells whether a clause of circumstance begins at token i.
func circumstance(toks []sigToken, i int) bool {
	next := ""
	if i+1 < len(toks) {
		next = toks[i+1].text
	}
	switch toks[i].text {
	case "as":
		switch next {
		case "soon", "well", "part", "many", "much", "of", "a", "an", "low", "high", "early", "long", "to", "if", "usual":
			return false
		}
		return i == 0 || toks[i-1].text != "such" && toks[i-1].text != "as"
	case "after", "amid", "amidst", "while", "following", "despite", "when", "because", "before", "until", "whereas":
		return true
	case "days", "hours", "weeks", "day", "week":
		return next == "after"
	case "ahead":
		return next == "of"
	case "на":
		return next == "фоне"
	case "после", "بعد", "وسط", "عقب":
		return true
	case "پس", "در":
		return next == "از" && toks[i].text == "پس" || next == "پی"
	}
	return false
}
