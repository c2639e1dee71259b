package fetcher

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
)

const maxBadHead = 2 << 10

var (
	queryOf  = regexp.MustCompile(`\?[A-Za-z0-9_.~%-]+=[^\s"'<>]*`)
	valueOf  = regexp.MustCompile(`(?i)(\b(?:value|content|token|nonce|key|secret|password)\s*["']?\s*[=:]\s*)("[^"]*"?|'[^']*'?|[^\s"'<>&,;]+)`)
	mailedTo = regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}`)
)

// keepHead keeps the beginning of a body that was no feed, so that a person can see what came in its place.
func (p *poll) keepHead(a *answer, err error) {
	if p.pushed || asFault(err) == nil {
		return
	}
	p.st.Bad = badHead(a.body, p.feed.secrets())
}

// secrets are the values of the feed's own request headers, and what follows a scheme as "Bearer" in them: an answer may repeat them.
func (f *Feed) secrets() (out []string) {
	for _, v := range f.Headers {
		b, err := os.ReadFile(strings.TrimPrefix(v, "file:"))
		if err != nil {
			continue // it could not be sent either
		}
		s := strings.TrimSpace(string(b))
		out = append(out, s)
		if _, bare, ok := strings.Cut(s, " "); ok {
			out = append(out, strings.TrimSpace(bare))
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

// badHead is the first 2 KiB of a body without what may be a secret.
func badHead(body []byte, secrets []string) []byte { return shown(body, maxBadHead, secrets) }

// shown is the beginning of bytes from outside without what may be a secret: those that are named, queries of addresses, values of forms, mail
// addresses.
func shown(body []byte, most int, secrets []string) []byte {
	if len(body) == 0 {
		return nil
	}
	head := body[:min(len(body), 2*most)]
	for _, s := range secrets {
		head = bytes.ReplaceAll(head, []byte(s), []byte("..."))
	}
	head = head[:min(len(head), most)]
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) || bytes.IndexByte(head, 0) >= 0 {
		return []byte(short("binary: "+string(bytes.ToValidUTF8(head[:min(len(head), 64)], []byte("."))), 100))
	}
	head = bytes.ToValidUTF8(head, []byte("."))
	head = queryOf.ReplaceAll(head, []byte("?..."))
	head = valueOf.ReplaceAll(head, []byte(`$1"..."`))
	return mailedTo.ReplaceAll(head, []byte("...@..."))
}
