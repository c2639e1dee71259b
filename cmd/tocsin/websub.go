package main

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"strings"

	"tocsin/fetcher"
	"tocsin/news/strict"
)

// websubConfig lets hubs bring news at once. The callback is the public https address of this instance's /websub/; key_file holds 32 random bytes or
// more, the same in all instances of a cluster.
type websubConfig struct {
	strict.Pos
	Callback strict.Text `yaml:"callback"`
	KeyFile  strict.Text `yaml:"key_file"`
}

const (
	websubPath = "/websub/"
	leastKey   = 32
)

func (w *websubConfig) check(c *config, at func(strict.Pos) strict.Pos) (faults strict.Faults) {
	if w == nil {
		return nil
	}
	u, err := url.Parse(w.Callback.Value)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		faults.Add(at(first(w.Callback.Pos, w.Pos)), "write the public address, as in https://tocsin.example.org/websub", "callback %q is not an address", w.Callback.Value)
	case u.Scheme != "https":
		faults.Add(at(w.Callback.Pos), "write https: hubs send news and secrets there", "callback has the scheme %q", u.Scheme)
	case !strings.HasSuffix(strings.TrimRight(u.Path, "/")+"/", websubPath):
		faults.Add(at(w.Callback.Pos), "let the address end in /websub, and have the proxy give that path to http.listen", "callback path %q", u.Path)
	}
	key, err := w.key(c)
	if err != nil {
		faults.Add(at(first(w.KeyFile.Pos, w.Pos)), "create it: head -c 32 /dev/urandom | base64", "cannot read key_file %s: %s", w.KeyFile.Value, cause(err))
	} else if len(key) < leastKey {
		faults.Add(at(w.KeyFile.Pos), "create it: head -c 32 /dev/urandom | base64", "key_file %s holds %d bytes, %d are the least", w.KeyFile.Value, len(key), leastKey)
	}
	return faults
}

func first(a, b strict.Pos) strict.Pos {
	if a.Line > 0 {
		return a
	}
	return b
}

func (w *websubConfig) key(c *config) ([]byte, error) {
	b, err := os.ReadFile(c.path(w.KeyFile.Value))
	return bytes.TrimSpace(b), err
}

// room gives the fetcher its part, nil without a callback. check has read the key before.
func (w *websubConfig) room(c *config) *fetcher.WebSub {
	if w == nil {
		return nil
	}
	key, err := w.key(c)
	if err != nil || len(key) < leastKey {
		return nil
	}
	return &fetcher.WebSub{Callback: w.Callback.Value, Key: key}
}

// withHubs gives /websub/ to the fetcher, before the rules for the local page: hubs come by the public name, and prove themselves by signature.
func (in *instance) withHubs(next http.Handler) http.Handler {
	if in.cfg.Fetcher.WebSub == nil || !in.roles.fetcher {
		return next
	}
	hubs := in.fetch.WebSub()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, websubPath) {
			hubs.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}
