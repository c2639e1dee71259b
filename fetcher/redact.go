package fetcher

import (
	"errors"
	"io/fs"
	"net/url"
	"strings"
	"unicode/utf8"
)

// redact writes an address for people: without password, and without the query, which may hold a key.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		s, _, _ := strings.Cut(raw, "?")
		return short(s, 200)
	}
	return short(redactURL(u), 300)
}

func redactURL(u *url.URL) string {
	v := *u
	v.Fragment, v.RawFragment = "", ""
	if v.User != nil {
		v.User = url.User("-")
	}
	if v.RawQuery != "" {
		v.RawQuery = "..."
	}
	return v.String()
}

// cause is the innermost text of an error on a file or an address, without the path that the place names already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// short cuts s to at most n bytes at a letter and takes control characters out of it.
func short(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}
