package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"

	"tocsin/fetcher"
	"tocsin/notifier"
)

// guard decides at dial time, on the resolved address, which networks the program may reach. It is the only maker of HTTP clients and dialers:
// feeds, pages, hubs and channels all dial through it, so that neither redirects nor DNS rebinding can pass it.
type guard struct {
	safe    func(network, address string, c syscall.RawConn) error
	allowed []netip.Prefix
}

// metadata are the addresses of cloud metadata services. They stay denied unless named as one address (/32 or /128).
func metadata() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("169.254.169.254"),
		netip.MustParseAddr("100.100.100.200"),
		netip.MustParseAddr("fd00:ec2::254"),
	}
}

// newGuard denies loopback, private, link-local and other special networks but for the given ones (IANA special-purpose registries, RFC 6890).
func newGuard(allow []netip.Prefix) *guard {
	var v4, v6 []netip.Prefix
	for _, p := range allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	g := ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
	return &guard{safe: g.Safe, allowed: allow}
}

func (g *guard) control(network, address string, c syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	ip := ap.Addr().Unmap()
	for _, m := range metadata() {
		if ip == m && !g.named(ip) {
			return fmt.Errorf("%w: address %s is denied: a metadata service: name it as one address in allow_networks if you mean it", notifier.ErrMisconfigured, ip)
		}
	}
	if err := g.safe(network, address, c); err != nil {
		return fmt.Errorf("%w: address %s is denied: %w: add its network to allow_networks if you mean it", notifier.ErrMisconfigured, ip, err)
	}
	return nil
}

func (g *guard) named(ip netip.Addr) bool {
	for _, p := range g.allowed {
		if p.IsSingleIP() && p.Addr() == ip {
			return true
		}
	}
	return false
}

// dial opens a connection through the guard: for SMTP and everything that is not HTTP. Limit: 10 s.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second, Control: g.control}
	return d.DialContext(ctx, network, address)
}

// client makes an HTTP client that follows no redirect, keeps no cookie, ignores proxy variables and decompresses nothing. caFile, when set,
// holds further certificates to trust, in PEM. firstByte bounds the wait for an answer's headers.
func (g *guard) client(caFile string, firstByte time.Duration) (*http.Client, error) {
	return g.clientTLS(caFile, false, firstByte)
}

// feedClient makes the client of a feed; what makes feeds need one of their own stands in their list entry.
func (g *guard) feedClient(c *config, f fetcher.Feed) (*http.Client, error) {
	return g.clientTLS(c.path(f.CAFile), f.Insecure, 15*time.Second)
}

func (g *guard) clientTLS(caFile string, insecure bool, firstByte time.Duration) (*http.Client, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(1024)}
	cfg.InsecureSkipVerify = insecure // an operator's word for one feed, shown in every report
	if caFile != "" {
		pool, err := certPool(caFile)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = pool
	}
	d := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Control: g.control}
	t := &http.Transport{
		DialContext:            d.DialContext,
		TLSClientConfig:        cfg,
		TLSHandshakeTimeout:    5 * time.Second,
		ResponseHeaderTimeout:  firstByte,
		IdleConnTimeout:        30 * time.Second,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    4,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

func certPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s: no certificate in it: give PEM text that begins with -----BEGIN CERTIFICATE-----", file)
	}
	return pool, nil
}

// parseNetworks reads CIDR texts; a plain address is taken as one address.
func parseNetworks(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	var errs []error
	for _, s := range texts {
		p, err := netip.ParsePrefix(s)
		if err != nil && !strings.Contains(s, "/") {
			var a netip.Addr
			if a, err = netip.ParseAddr(s); err == nil {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%q is not a network: write it as 10.1.0.0/16 or fd00::/8", s))
			continue
		}
		out = append(out, p.Masked())
	}
	return out, errors.Join(errs...)
}
