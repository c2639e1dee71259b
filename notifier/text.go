package notifier

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Isolates keep the direction of one piece of text from changing its surroundings (Unicode UAX 9).
const (
	fsi = "\u2068"
	pdi = "\u2069"
)

// Isolate puts s between U+2068 and U+2069, for plain text. Where the first letter would give a text the wrong direction a mark stands before it.
// s must be clean.
func Isolate(s string) string {
	if s == "" {
		return ""
	}
	return IsolateOpen(s) + s + IsolateEnd
}

// IsolateEnd ends an isolated text.
const IsolateEnd = pdi

// IsolateOpen is what stands before a text that is isolated, for those who write the text in pieces; plain is the text without markup.
func IsolateOpen(plain string) string { return fsi + lead(plain) }

// Clean makes hostile text harmless for a line of output: bidi controls and other control characters go, line ends and tabs become blanks,
// broken UTF-8 becomes U+FFFD. Joiners stay, because Persian and Hindi need them.
func Clean(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.IsControl(r), isBidiControl(r), r == '\uFEFF':
			return -1
		}
		return r
	}, s)
}

func isBidiControl(r rune) bool {
	switch {
	case r == '\u061C', r == '\u200E', r == '\u200F', '\u202A' <= r && r <= '\u202E', '\u2066' <= r && r <= '\u2069':
		return true
	}
	return false
}

// maxStatus is the longest status line in bytes.
const maxStatus = 300

// oneLine makes one short line of what an endpoint said.
func oneLine(s string) string {
	return Shorten(strings.Join(strings.Fields(Clean(s)), " "), maxStatus)
}

// Shorten cuts s to at most n bytes with "…" at the end, never inside a letter with its marks and joiners.
func Shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const mark = "…"
	k := max(n-len(mark), 0)
	for k > 0 && !boundary(s, k) {
		k--
	}
	return strings.TrimRight(s[:k], " ") + mark
}

// boundary tells whether s may be cut before byte k.
func boundary(s string, k int) bool {
	if k <= 0 || k >= len(s) {
		return true
	}
	if !utf8.RuneStart(s[k]) {
		return false
	}
	next, _ := utf8.DecodeRuneInString(s[k:])
	prev, _ := utf8.DecodeLastRuneInString(s[:k])
	const zwj = '\u200D'
	joins := func(r rune) bool {
		return unicode.Is(unicode.M, r) || r == zwj || r == '\u200C' || '\U0001F3FB' <= r && r <= '\U0001F3FF' || '\U000E0020' <= r && r <= '\U000E007F'
	}
	regional := func(r rune) bool { return '\U0001F1E6' <= r && r <= '\U0001F1FF' }
	return !joins(next) && prev != zwj && !(regional(prev) && regional(next))
}

// Redact replaces every secret in s, also where it stands in URL or base64 form.
func Redact(s string, secrets ...string) string {
	for _, x := range secrets {
		if len(x) < 4 {
			continue
		}
		for _, form := range forms(x) {
			s = strings.ReplaceAll(s, form, "[redacted]")
		}
	}
	return s
}

// SafeLink gives raw when it is an http or https address with a host, else "". host is what to show beside it.
func SafeLink(raw string) (link, host string) {
	if strings.ContainsFunc(raw, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) || isBidiControl(r) }) {
		return "", ""
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return "", ""
	}
	return u.String(), u.Hostname()
}
