package main

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"tocsin/fetcher"
)

// feedClientFor is the client that feeds get, allowed to reach loopback.
func feedClientFor(t *testing.T, f fetcher.Feed) *http.Client {
	t.Helper()
	c, err := newGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}).feedClient(&config{}, f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// secureServer answers with the protocol it was asked by, and counts connections.
func secureServer(t *testing.T, edit func(*httptest.Server)) (srv *httptest.Server, caFile string, conns *atomic.Int32) {
	t.Helper()
	conns = &atomic.Int32{}
	srv = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	edit(srv)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return srv, write(t, t.TempDir(), "ca.pem", string(text)), conns
}

func body(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestFeedClientSpeaksHTTP2AndKeepsItsConnection(t *testing.T) {
	srv, ca, conns := secureServer(t, func(*httptest.Server) {})
	c := feedClientFor(t, fetcher.Feed{CAFile: ca})
	for range 3 {
		if got, err := body(t, c, srv.URL); err != nil || got != "HTTP/2.0" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for three requests", n)
	}
}

func TestFeedClientVerifiesAndWantsTLS12(t *testing.T) {
	srv, ca, _ := secureServer(t, func(*httptest.Server) {})
	if _, err := body(t, feedClientFor(t, fetcher.Feed{}), srv.URL); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("an unknown issuer: %v", err)
	}
	if _, err := body(t, feedClientFor(t, fetcher.Feed{Insecure: true}), srv.URL); err != nil {
		t.Errorf("insecure: %v", err)
	}
	old, oldCA, _ := secureServer(t, func(s *httptest.Server) {
		s.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // what must be refused
	})
	if _, err := body(t, feedClientFor(t, fetcher.Feed{CAFile: oldCA}), old.URL); err == nil || !strings.Contains(err.Error(), "version") {
		t.Errorf("TLS 1.1: %v", err)
	}
	if _, err := body(t, feedClientFor(t, fetcher.Feed{CAFile: ca}), srv.URL); err != nil {
		t.Errorf("ca_file: %v", err)
	}
}

func TestProxyVariablesAreIgnored(t *testing.T) {
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	if _, err := body(t, feedClientFor(t, fetcher.Feed{}), "http://herald.invalid/rss"); err == nil || asked.Load() > 0 {
		t.Errorf("%d requests to the proxy, %v: behind a proxy the guard is blind", asked.Load(), err)
	}
}

// Every way to write a forbidden address ends before a byte is sent.
func TestForbiddenAddressesInAllForms(t *testing.T) {
	c, err := newGuard(nil).feedClient(&config{}, fetcher.Feed{})
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{
		"127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "198.18.0.1", "192.0.2.1",
		"203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fc00::1]", "[fe80::1]", "[ff02::1]", "[2001:db8::1]",
		"[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[2001:0:7f00:1::1]", "localhost",
	} {
		if _, err := body(t, c, "http://"+host+":9/"); err == nil || !strings.Contains(err.Error(), "denied") {
			t.Errorf("%s: %v", host, err)
		}
	}
	wide := newGuard([]netip.Prefix{netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fd00::/8")})
	if err := wide.control("tcp4", "169.254.169.254:80", nil); err == nil {
		t.Error("a wide network opened the metadata service")
	}
	if err := newGuard([]netip.Prefix{netip.MustParsePrefix("169.254.169.254/32")}).control("tcp4", "169.254.169.254:80", nil); err != nil {
		t.Errorf("named as one address: %v", err)
	}
}
