package fetcher

import (
	"bytes"
	"regexp"
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
	p.st.Bad = badHead(a.body)
}

// badHead is the first 2 KiB of a body without what may be a secret: queries of addresses, values of forms, mail addresses.
func badHead(body []byte) []byte {
	head := body[:min(len(body), maxBadHead)]
	if bytes.HasPrefix(head, []byte{0x1f, 0x8b}) || bytes.IndexByte(head, 0) >= 0 {
		return []byte(short("binary: "+string(bytes.ToValidUTF8(head[:min(len(head), 64)], []byte("."))), 100))
	}
	head = bytes.ToValidUTF8(head, []byte("."))
	head = queryOf.ReplaceAll(head, []byte("?..."))
	head = valueOf.ReplaceAll(head, []byte(`$1"..."`))
	return mailedTo.ReplaceAll(head, []byte("...@..."))
}
