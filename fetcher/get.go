package fetcher

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"tocsin/news"
)

const (
	maxHops      = 10
	maxHeaders   = 64 << 10
	maxValidator = 1 << 10
	errorBody    = 64 << 10
	accept       = "application/atom+xml, application/rss+xml, application/rdf+xml, application/feed+json, application/xml;q=0.9, text/xml;q=0.9, application/json;q=0.8, */*;q=0.1"
)

// validators belong to the address that gave them (RFC 9110 8.8, 13.1). Their bytes are opaque.
type validators struct {
	url                string // mark of the address
	etag, lastModified []byte
}

func (v *validators) none() bool { return len(v.etag) == 0 && len(v.lastModified) == 0 }

// answer is what one fetch brought: the last hop's answer with its body decoded.
type answer struct {
	status      int
	header      http.Header
	url         *url.URL  // of the last hop
	adopt       string    // address to adopt for good, "" when nothing moved permanently
	body        []byte    // decoded; nil for 304
	cut         bool      // the body ended too early
	conditional bool      // the last hop carried validators
	private     bool      // the last hop ended at a private or loopback address
	headersAt   time.Time // when the last hop's headers came
	release     func()    // gives back the memory budget of a large body
}

// getter makes one polite GET. It holds no state of a feed.
type getter struct {
	userAgent string
	hosts     *hosts
	denied    func(error) bool
	now       func() time.Time
	large     *budget // memory of bodies over 1 MiB while they are read
	hops      int     // most redirects; 0 = maxHops
	// allow judges what a redirect leads to, before it is asked for; nil allows all.
	allow   func(context.Context, *url.URL) error
	patient bool // waits for a busy host instead of asking to come later
}

// patiently is the getter for what is part of a poll or of nobody's poll.
func (g *getter) patiently() *getter {
	p := *g
	p.patient = true
	return &p
}

// stranger gets an address that a document named: it is judged like the target of a redirect.
func (g *getter) stranger(ctx context.Context, client *http.Client, f *Feed, from, address string) (*answer, error) {
	base, err := url.Parse(from)
	if err != nil {
		return nil, fault(ReasonRedirect, "address %s cannot be read", redact(from))
	}
	to, err := g.target(f, base, address)
	if err != nil {
		return nil, err
	}
	return g.get(ctx, client, f, to.String(), validators{})
}

// get fetches start, which is the feed's listed or adopted address, following redirects. The error is a *Fault when the outside is to blame,
// news.LaterError when the host is busy, else the context's.
func (g *getter) get(ctx context.Context, client *http.Client, f *Feed, start string, val validators) (*answer, error) {
	u, err := url.Parse(start)
	if err != nil {
		return nil, fault(ReasonRedirect, "address %s cannot be read", redact(start))
	}
	limited, cancel := context.WithTimeout(ctx, f.timeout())
	defer cancel()
	seen := map[string]bool{}
	permanent, adopt := true, ""
	for hop := 0; ; hop++ {
		key := u.String()
		if seen[key] {
			return nil, fault(ReasonRedirect, "redirects in a loop at %s", redactURL(u))
		}
		if most := cmp.Or(g.hops, maxHops); hop > most {
			return nil, fault(ReasonRedirect, "more than %d redirects", most)
		}
		seen[key] = true
		a, next, err := g.hop(limited, client, f, u, val, hop)
		if err != nil {
			return nil, outer(ctx, err)
		}
		if next == nil {
			a.adopt = adopt
			return a, nil
		}
		permanent = permanent && (a.status == http.StatusMovedPermanently || a.status == http.StatusPermanentRedirect) && (u.Scheme != "https" || next.Scheme == "https")
		if permanent {
			adopt = withoutUser(next)
		}
		if g.allow != nil {
			if err := g.allow(ctx, next); err != nil {
				return nil, err
			}
		}
		u = next
	}
}

// outer prefers the caller's end (shutdown) over the fault that it caused.
func outer(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// hop makes one request. next is set when the answer is a redirect that may be followed.
func (g *getter) hop(ctx context.Context, client *http.Client, f *Feed, u *url.URL, val validators, hop int) (a *answer, next *url.URL, err error) {
	done, err := g.hosts.acquire(ctx, hostPort(u), hop == 0 && !g.patient)
	if err != nil {
		return nil, nil, slotFault(err)
	}
	defer done()
	a = &answer{url: u, release: func() {}}
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { a.private = privateAddr(i.Conn.RemoteAddr().String()) }}
	req, err := g.request(httptrace.WithClientTrace(ctx, trace), f, u, val)
	if err != nil {
		return nil, nil, err
	}
	a.conditional = req.Header.Get("If-None-Match") != "" || req.Header.Get("If-Modified-Since") != ""
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, g.classify(ctx, err, u)
	}
	defer resp.Body.Close()
	a.status, a.header, a.headersAt = resp.StatusCode, resp.Header, g.now()
	if n := headerSize(resp.Header); n > maxHeaders {
		return nil, nil, fault(ReasonTooBig, "%d bytes of headers, the limit is %d", n, maxHeaders)
	}
	switch resp.StatusCode {
	case 301, 302, 303, 307, 308:
		next, err = g.target(f, u, resp.Header.Get("Location"))
		// Draining little lets the connection be used again; more is not worth it.
		_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
		return a, next, err
	case http.StatusNotModified:
		return a, nil, nil
	}
	if resp.StatusCode != http.StatusOK {
		// What an error says is read a little, for challenges; it never hides the status.
		a.body, _, _, _ = g.read(ctx, resp, errorBody)
		return a, nil, nil
	}
	a.body, a.cut, a.release, err = g.read(ctx, resp, f.maxBytes())
	return a, nil, err
}

// mark stands for an address in stored state, which must hold no secret: an address may.
func mark(u *url.URL) string { return news.FeedID(u.String()) }

func withoutUser(u *url.URL) string {
	v := *u
	v.User = nil
	return v.String()
}

func (g *getter) request(ctx context.Context, f *Feed, u *url.URL, val validators) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fault(ReasonRedirect, "address %s cannot be asked", redactURL(u))
	}
	h := req.Header
	h.Set("User-Agent", g.userAgent)
	h.Set("Accept", accept)
	h.Set("Accept-Encoding", "gzip, br")
	if val.url == mark(u) {
		if len(val.etag) > 0 {
			h.Set("If-None-Match", string(val.etag))
		}
		if len(val.lastModified) > 0 {
			h.Set("If-Modified-Since", string(val.lastModified))
		}
	}
	if len(f.Headers) == 0 || !sameOrigin(u, f.URL) {
		return req, nil
	}
	for name, v := range f.Headers {
		file := strings.TrimPrefix(v, "file:")
		secret, err := os.ReadFile(file)
		if err != nil {
			return nil, fault(ReasonBlocked, "header %s: file %s: %v: make it readable for the program", name, file, cause(err))
		}
		h.Set(name, strings.TrimSpace(string(secret)))
	}
	return req, nil
}

// target judges a redirect's Location: only http and https, and only ports 80, 443 or those of the feed's own host (row 39).
func (g *getter) target(f *Feed, from *url.URL, location string) (*url.URL, error) {
	if location == "" {
		return nil, fault(ReasonRedirect, "a redirect without Location from %s", redactURL(from))
	}
	ref, err := url.Parse(strings.TrimSpace(location))
	if err != nil {
		return nil, fault(ReasonRedirect, "a redirect to an address that cannot be read, from %s", redactURL(from))
	}
	to := from.ResolveReference(ref)
	to.Fragment, to.RawFragment = "", ""
	if to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "" {
		return nil, fault(ReasonRedirect, "a redirect to %s: only http and https are followed", redactURL(to))
	}
	own, err := url.Parse(f.URL)
	ours := err == nil && strings.EqualFold(hostPort(own), hostPort(to))
	if p := port(to); p != "80" && p != "443" && !ours {
		return nil, fault(ReasonDenied, "a redirect to port %s of %s: only 80, 443 and the feed's own host and port are allowed", p, to.Hostname())
	}
	if !ours {
		to.User = nil
	}
	return to, nil
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// hostPort keys what is counted per host: the name as the address writes it, and the port.
func hostPort(u *url.URL) string { return strings.ToLower(u.Hostname()) + ":" + port(u) }

func sameOrigin(u *url.URL, raw string) bool {
	v, err := url.Parse(raw)
	return err == nil && u.Scheme == v.Scheme && hostPort(u) == hostPort(v)
}

func headerSize(h http.Header) int {
	n := 0
	for k, vs := range h {
		for _, v := range vs {
			n += len(k) + len(v) + 4
		}
	}
	return n
}

func privateAddr(s string) bool {
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return false
	}
	a := ap.Addr().Unmap()
	return a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast()
}

// slotFault words a wait for a host's slot that outlasted the fetch.
func slotFault(err error) error {
	if isTimeout(err) {
		return fault(ReasonTimeout, "no free slot of the host in time")
	}
	return fmt.Errorf("wait for host: %w", err)
}

// hostOf is the host of an address, or the text itself when it is one already.
func hostOf(s string) string {
	if u, err := url.Parse(s); err == nil && u.Host != "" {
		return u.Host
	}
	return s
}
