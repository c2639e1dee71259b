package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"tocsin/news/strict"
	"tocsin/notifier"
)

// minDoorToken is the shortest token of the HTTP address in bytes.
const minDoorToken = 16

// checkDoor finds faults of the keys that guard the HTTP address.
func (c *config) checkDoor(at func(strict.Pos) strict.Pos) (faults strict.Faults) {
	h := &c.HTTP
	if h.TokenFile.Value != "" {
		if s, err := notifier.FileRef(h.TokenFile).Read(); err != nil {
			faults.Add(at(h.TokenFile.Pos), "create the file, readable by this user, or remove the key", "%s", err)
		} else if len(s.Reveal()) < minDoorToken {
			faults.Add(at(h.TokenFile.Pos), fmt.Sprintf("write at least %d random bytes", minDoorToken), "http.token_file holds %d bytes", len(s.Reveal()))
		}
	}
	if (h.CertFile.Value == "") != (h.KeyFile.Value == "") {
		faults.Add(at(h.Pos), "set both, or neither", "http.cert_file and http.key_file belong together")
	} else if h.CertFile.Value != "" {
		if _, err := tls.LoadX509KeyPair(c.path(h.CertFile.Value), c.path(h.KeyFile.Value)); err != nil {
			faults.Add(at(h.CertFile.Pos), "name a PEM certificate and its private key, readable by this user", "http.cert_file and http.key_file cannot be used: %s", cause(err))
		}
	}
	return faults
}

// encrypted puts TLS on the listener when a certificate is configured. The files are read for each connection, so that a renewed one is used at once.
func (c *config) encrypted(l net.Listener) net.Listener {
	if c.HTTP.CertFile.Value == "" {
		return l
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.path(c.HTTP.CertFile.Value), c.path(c.HTTP.KeyFile.Value))
		return &pair, err
	}})
}

// address is what people open.
func (in *instance) address() string {
	if in.cfg.HTTP.CertFile.Value != "" {
		return "https://" + in.listen.Addr().String() + "/"
	}
	return "http://" + in.listen.Addr().String() + "/"
}

// tokened asks everybody for the token, as a bearer token or as the password of any user, when one is configured. Let through are whoever asks only whether
// the process lives, and what has a proof of its own: links that are signed, and feeds of alerts that have a token of theirs.
func (in *instance) tokened(next http.Handler) (http.Handler, error) {
	if in.cfg.HTTP.TokenFile.Value == "" {
		return next, nil
	}
	s, err := notifier.FileRef(in.cfg.HTTP.TokenFile).Read()
	if err != nil {
		return nil, err
	}
	want := sha256.Sum256([]byte(s.Reveal()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			_, given, _ = r.BasicAuth()
		}
		got := sha256.Sum256([]byte(given))
		if in.unguarded(r.URL.Path) || subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="tocsin", charset="UTF-8"`)
		http.Error(w, "this address needs its token: give it as the password, or let TOCSIN_TOKEN_FILE name its file for the command line", http.StatusUnauthorized)
	}), nil
}

// unguarded tells whether a path needs no token of the HTTP address.
func (in *instance) unguarded(path string) bool {
	switch path {
	case "/healthz", "/readyz", feedbackPath, "/unsubscribe":
		return true
	case "/alerts.rss", "/alerts.atom", "/alerts.json":
		return in.cfg.HTTP.Feeds.TokenFile.Value != ""
	}
	return strings.HasPrefix(path, websubPath) && in.cfg.Fetcher.WebSub != nil
}

// clientToken is the token for requests of the command line, "" when none is named.
func clientToken() (string, error) {
	path := os.Getenv("TOCSIN_TOKEN_FILE")
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", usage(fmt.Errorf("TOCSIN_TOKEN_FILE: %w", err))
	}
	return strings.TrimSpace(string(b)), nil
}
