package matcher

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// slug is the title that a link spells, "" when it spells none: ".../world/iran-closes-strait-4711.html" gives "Iran Closes Strait". Publishers keep the
// first title of an article there, or another one.
func slug(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	parts := strings.Split(u.Path, "/")
	best := []string(nil)
	for _, p := range parts {
		if i := strings.LastIndexByte(p, '.'); i > 0 {
			p = p[:i]
		}
		if ws := spelled(p); len(ws) > len(best) {
			best = ws
		}
	}
	if len(best) < 4 {
		return ""
	}
	return strings.Join(best, " ")
}

// spelled are the words of one part of a path, each with a capital as in a title, less numbers that identify.
func spelled(part string) []string {
	var out []string
	for _, w := range strings.FieldsFunc(part, func(r rune) bool { return r == '-' || r == '_' || r == '+' || r == ' ' }) {
		digits := strings.ContainsFunc(w, unicode.IsDigit)
		letters := strings.ContainsFunc(w, unicode.IsLetter)
		switch {
		case digits && (letters || len(w) > 3), !digits && !letters:
			continue
		}
		switch w {
		case "us", "un", "uk", "eu", "uae", "ai":
			w = strings.ToUpper(w)
		default:
			if w[0] < utf8.RuneSelf {
				w = strings.ToUpper(w[:1]) + w[1:]
			}
		}
		out = append(out, w)
	}
	return out
}
