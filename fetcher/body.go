package fetcher

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/andybalholm/brotli"
)

// smallBody is what a fetch may hold in memory without asking the budget.
const smallBody = 1 << 20

// read takes the body through decompression and the limit. cut is true when it ended too early and something came.
func (g *getter) read(ctx context.Context, resp *http.Response, limit int64) (body []byte, cut bool, release func(), err error) {
	release = func() {}
	encoded := resp.Header.Get("Content-Encoding") != ""
	if resp.ContentLength > limit && !encoded {
		return nil, false, release, fault(ReasonTooBig, "%d bytes declared, the limit is %d: raise max_bytes if you trust the feed", resp.ContentLength, limit)
	}
	r, err := decoded(resp)
	if err != nil {
		return nil, false, release, readFault(ctx, err)
	}
	var buf bytes.Buffer
	_, err = io.Copy(&buf, io.LimitReader(r, min(limit, smallBody)+1))
	if err == nil && int64(buf.Len()) > smallBody && limit > smallBody {
		if release, err = g.large.take(ctx, limit); err != nil {
			return nil, false, func() {}, fault(ReasonTooSlow, "no memory for a large body in time")
		}
		_, err = io.Copy(&buf, io.LimitReader(r, limit+1-int64(buf.Len())))
	}
	switch {
	case int64(buf.Len()) > limit:
		release()
		return nil, false, func() {}, fault(ReasonTooBig, "over %d bytes after decompression: raise max_bytes if you trust the feed", limit)
	case err == nil:
		return buf.Bytes(), false, release, nil
	case isTimeout(err) || ctx.Err() != nil:
		release()
		return nil, false, func() {}, fault(ReasonTooSlow, "the body did not end in time, %d bytes came: raise timeout if you trust the feed", buf.Len())
	case buf.Len() == 0:
		release()
		return nil, false, func() {}, readFault(ctx, err)
	}
	return buf.Bytes(), true, release, nil
}

// decoded undoes the content codings, last first (RFC 9110 8.4). We offered gzip and br; anything else is named and refused.
func decoded(resp *http.Response) (io.Reader, error) {
	var codings []string
	for _, v := range resp.Header.Values("Content-Encoding") {
		for _, c := range strings.Split(v, ",") {
			if c = strings.ToLower(strings.TrimSpace(c)); c != "" && c != "identity" {
				codings = append(codings, c)
			}
		}
	}
	if len(codings) > 2 {
		return nil, fault(ReasonCoding, "%d content codings", len(codings))
	}
	r := io.Reader(resp.Body)
	for i := len(codings) - 1; i >= 0; i-- {
		switch codings[i] {
		case "gzip", "x-gzip":
			z, err := gzip.NewReader(r)
			if errors.Is(err, gzip.ErrHeader) {
				return nil, fault(ReasonCoding, "the answer calls itself gzip and is not")
			}
			if err != nil {
				return nil, err
			}
			r = z
		case "br":
			r = brotli.NewReader(r)
		default:
			return nil, fault(ReasonCoding, "content coding %q, which was not asked for", short(codings[i], 40))
		}
	}
	return r, nil
}

func readFault(ctx context.Context, err error) error {
	var f *Fault
	switch {
	case errors.As(err, &f):
		return f
	case isTimeout(err) || ctx.Err() != nil:
		return fault(ReasonTooSlow, "the body did not begin in time")
	case errors.Is(err, io.EOF):
		return fault(ReasonEmpty, "an empty body")
	}
	return fault(ReasonCut, "the body broke off: %s", short(err.Error(), 120))
}

// classify gives the reason for a request without an answer.
func (g *getter) classify(ctx context.Context, err error, u *url.URL) *Fault {
	inner := cause(err)
	text := short(inner.Error(), 200)
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case g.denied(err):
		return fault(ReasonDenied, "%s: %s", u.Hostname(), text)
	case errors.As(err, &dns):
		return fault(ReasonDNS, "%s: no address (%s)", u.Hostname(), short(dns.Err, 80))
	case isTLS(err):
		return fault(ReasonTLS, "%s: %s", u.Hostname(), tlsAdvice(err, text))
	case errors.As(err, &op) && op.Op == "dial":
		return fault(ReasonConnect, "%s: %s", u.Hostname(), text)
	case isTimeout(err) || ctx.Err() != nil:
		return fault(ReasonTimeout, "%s: no answer in time", u.Hostname())
	case strings.Contains(text, "headers exceeded"):
		return fault(ReasonTooBig, "%s: over %d bytes of headers", u.Hostname(), maxHeaders)
	}
	return fault(ReasonConnect, "%s: %s", u.Hostname(), text)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

func isTLS(err error) bool {
	var (
		record  tls.RecordHeaderError
		verify  *tls.CertificateVerificationError
		alert   tls.AlertError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
	)
	return errors.As(err, &record) || errors.As(err, &verify) || errors.As(err, &alert) || errors.As(err, &unknown) ||
		errors.As(err, &invalid) || errors.As(err, &host) || strings.Contains(err.Error(), "tls: ") ||
		strings.Contains(err.Error(), "TLS handshake") || strings.Contains(err.Error(), "HTTP response to HTTPS")
}

// tlsAdvice adds the line to write where the issuer is missing: Go fetches no intermediate certificates, so a site that works in a browser may
// fail here (RFC 5280 4.2.2.1 is optional).
func tlsAdvice(err error, text string) string {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) && unknown.Cert != nil {
		return fmt.Sprintf("%s: put the certificate of %q into a PEM file and write ca_file: with its path", text, unknown.Cert.Issuer.CommonName)
	}
	return text
}
