package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin/bus/bustest"
)

// TestTheAddressAsksForItsToken runs an instance whose HTTP address speaks TLS and asks for a token.
func TestTheAddressAsksForItsToken(t *testing.T) {
	dir, token := t.TempDir(), "0123456789abcdef0123"
	cert, key := bustest.Certificate(t)
	write(t, dir, "feeds.yaml", "feeds: [{url: \"http://127.0.0.1:1/x.xml\", outlet: X, lang: en, paused: true}]\n")
	write(t, dir, "lists/a.yaml", list("a", "Xylophone Front"))
	file := write(t, dir, "http.token", token+"\n")
	addr := freeAddr(t)
	config := write(t, dir, "tocsin.yaml", fmt.Sprintf(`
data_dir: data
http: {listen: %q, token_file: http.token, cert_file: %q, key_file: %q}
bus: {max_store: 1GiB}
fetcher: {feeds: [feeds.yaml]}
matcher: {watchlists: lists}
`, addr, cert, key))
	p := start(t, config, addr)
	pool, err := certPool(cert)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	ask := func(path string, change func(*http.Request)) int {
		r, err := http.NewRequest(http.MethodGet, "https://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		resp, err := c.Do(r)
		if err != nil {
			return 0
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		return resp.StatusCode
	}
	nobody := func(*http.Request) {}
	waitFor(t, 60*time.Second, "the instance to be ready without a token", func() bool { return ask("/readyz", nobody) == http.StatusOK })
	ways := map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"nobody":         {nobody, http.StatusUnauthorized},
		"bearer":         {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, http.StatusOK},
		"password":       {func(r *http.Request) { r.SetBasicAuth("ana", token) }, http.StatusOK},
		"wrong bearer":   {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+"x") }, http.StatusUnauthorized},
		"empty bearer":   {func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }, http.StatusUnauthorized},
		"wrong password": {func(r *http.Request) { r.SetBasicAuth(token, "") }, http.StatusUnauthorized},
		"in the query":   {func(r *http.Request) { r.URL.RawQuery = "token=" + token }, http.StatusUnauthorized},
	}
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/api/v1/items", "/alerts.rss", "/system", "/page/style.css", "/api/v1/watchlists"} {
		for name, w := range ways {
			if path == "/page/style.css" && w.want == http.StatusOK {
				continue // whether there is such a file is another matter
			}
			if got := ask(path, w.change); got != w.want {
				t.Errorf("%s, %s: %d, want %d", path, name, got, w.want)
			}
		}
	}
	if got := ask("/healthz", nobody); got != http.StatusOK {
		t.Errorf("healthz: %d", got)
	}
	if resp, err := http.Get("http://" + addr + "/healthz"); err == nil {
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("without TLS: %s", resp.Status)
		}
		_ = resp.Body.Close()
	}
	if log := p.output(); strings.Contains(log, token) || !strings.Contains(log, "url=https://") {
		t.Errorf("log:\n%s", log)
	}
	server := "https://" + addr
	t.Setenv("TOCSIN_CA_FILE", cert)
	if out := expect(t, exitFailed, "items", "--server", server); !strings.Contains(out, "TOCSIN_TOKEN_FILE") {
		t.Errorf("without a token: %s", out)
	}
	t.Setenv("TOCSIN_TOKEN_FILE", file)
	expect(t, exitOK, "items", "--server", server)
	expect(t, exitOK, "backup", dir+"/b.tar", "--config", config)
	write(t, dir, "http.token", "short")
	if out := expect(t, exitUsage, "check", "--config", config); !strings.Contains(out, "http.token_file holds 5 bytes") {
		t.Errorf("a short token: %s", out)
	}
}
