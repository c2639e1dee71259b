package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
	"tocsin/news"
)

// parrot refuses every request and repeats all of it in its answer.
func parrot(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Said", r.URL.String()+" "+r.Header.Get("Authorization"))
		w.WriteHeader([]int{500, 401, 400, 404}[len(r.URL.Path)%4])
		fmt.Fprintln(w, r.URL, r.Header, string(body))
	}))
	t.Cleanup(s.Close)
	return s
}

// canaryWorld is a configuration in which every field that may hold a secret holds one with CANARY in it, and in which nothing can be delivered. It
// gives the channels and further forms of secrets that must not be shown.
func canaryWorld(t *testing.T, dir, addr string) (config string, ids, more []string) {
	t.Helper()
	w, err := newsroom.Flood(1, 1, newsroom.Options{Seed: 1, Span: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	srv := parrot(t)
	yaml, ids := webChannels(t, dir, srv.URL)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der := x509.MarshalPKCS1PrivateKey(key)
	for name, text := range map[string]string{
		"ca.pem": string(w.CAPEM), "mail.password": "CANARY-mail-password", "leave.key": "CANARY-leave-0123456789abcdef0123456789",
		"dkim.pem": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})), "feeds.token": "CANARY-feeds-token-0123456789", "feed.header": "Bearer CANARY-feed-header",
		"lists/a.yaml": "id: a\ntitle: A\nentities:\n  - id: front\n    name: Front\n    aliases:\n      en: [Xylophone Front]\n",
		"feeds.yaml":   fmt.Sprintf("feeds:\n  - {url: \"%s/feed.xml\", outlet: Far, lang: en, headers: {Authorization: \"file:%s/feed.header\"}}\n", srv.URL, dir),
	} {
		write(t, dir, name, text)
	}
	config = write(t, dir, "tocsin.yaml", fmt.Sprintf(`
data_dir: data
log: {level: debug}
http: {listen: %q, feeds: {token_file: feeds.token}}
bus: {max_store: 1GiB}
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.0/8], min_interval: 1s}
matcher: {watchlists: lists}
channels:
%s
  - id: env
    schedule: [0s]
    webhook: {url: "%s/env", secret: "env:TOCSIN_TEST_KEY", allow_http: true}
  - id: mail
    schedule: [0s]
    email:
      server: %q
      ca_file: ca.pem
      username: %s
      password_file: mail.password
      from: tocsin@example.org
      to: [desk@example.org]
      unsubscribe_url: https://tocsin.example.org/unsubscribe
      unsubscribe_key_file: leave.key
      dkim: {selector: s1, key_file: dkim.pem}
notifier:
  feedback: {url: "https://tocsin.example.org"}
  route: {channels: [mail]}
`, addr, yaml, srv.URL, w.SMTPAddr, w.SMTPUser))
	login := base64.StdEncoding.EncodeToString([]byte("\x00" + w.SMTPUser + "\x00CANARY-mail-password"))
	return config, append(ids, "env", "mail"), append(inBase64("CANARY"), login, base64.StdEncoding.EncodeToString(der)[:60], base64.StdEncoding.EncodeToString([]byte("CANARY-mail-password")))
}

// inBase64 gives what a text of six letters looks like inside a longer one in base64, as stored bodies are: at each of the three places in a group.
func inBase64(s string) []string {
	at := func(before string, from, to int) string {
		return base64.StdEncoding.EncodeToString([]byte(before + s))[from:to]
	}
	return []string{at("", 0, 8), at("x", 2, 9), at("xx", 3, 10)}
}

// TestNoSecretIsShown runs the program with a canary in every field that holds a secret, against endpoints that refuse everything and repeat what
// they got. No canary comes back in logs, metrics, pages, ledger, dead letters, stored bytes, or what commands print.
func TestNoSecretIsShown(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a dead letter of every channel")
	}
	t.Parallel()
	dir, addr := t.TempDir(), freeAddr(t)
	config, ids, more := canaryWorld(t, dir, addr)
	env := "TOCSIN_TEST_KEY=whsec_CANARYenvironmentkeyCANARYenvironmentkey"
	p := launch(t, config, addr, []string{env})
	p.waitReady(2 * time.Minute)
	shown := map[string]string{}
	run := func(args ...string) string {
		out, _ := p.command(args...)
		shown["tocsin "+strings.Join(args, " ")] = out
		return out
	}
	for _, id := range ids {
		if out := run("send", "--test", id); !strings.Contains(out, news.EventAttempt) && !strings.Contains(out, news.EventDead) {
			t.Errorf("%s: no attempt was made:\n%s", id, out)
		}
	}
	var numbers [][]string
	waitFor(t, 2*time.Minute, "a dead letter of each channel", func() bool {
		numbers = regexp.MustCompile(`(?m)^(\d+) +\S+ \S+ +channel +(\S+)`).FindAllStringSubmatch(run("dead", "list"), -1)
		died := map[string]bool{} // what the program tells of itself dies at the mail as well, so that there are more letters than channels
		for _, n := range numbers {
			died[n[2]] = true
		}
		return len(died) == len(ids)
	})
	for _, n := range numbers {
		run("dead", "show", n[1])
	}
	waitFor(t, 30*time.Second, "the feed's poll", func() bool { return strings.Contains(p.get("/api/v1/feeds"), `"reason":"`) })
	for _, args := range [][]string{{"alerts", "list"}, {"ledger", "check"}, {"feeds", "list"}, {"silence", "list"}, {"suppressed", "list"}, {"dead", "retry", "--since", "1h", "--yes"}} {
		run(args...)
	}
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/api/v1/dead", "/api/v1/alerts", "/api/v1/feeds", "/readyz", "/alerts.atom", "/alerts.json?token=wrong"} {
		shown[path] = p.get(path)
	}
	if err := p.interrupt(30 * time.Second); err != nil {
		t.Error(err)
	}
	shown["log"] = p.output()
	for name, text := range offline(t, dir, config, env, ids) {
		shown[name] = text
	}
	for where, text := range shown {
		for _, secret := range append(more, "CANARY") {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s shows a secret: ...%.200s", where, text[max(0, at-80):])
			}
		}
	}
	stored(t, filepath.Join(dir, "data"), append(more, "CANARY"))
}

// offline gives what commands print that need no instance: check, and the bytes of every channel.
func offline(t *testing.T, dir, config, env string, ids []string) map[string]string {
	t.Helper()
	out := map[string]string{}
	run := func(args ...string) {
		c := exec.Command("tocsin", args...)
		c.Env = append(os.Environ(), env)
		text, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("tocsin %v: %v\n%s", args, err, text)
		}
		out[strings.Join(args, " ")] = string(text)
	}
	run("check", "--config", config)
	b, err := json.Marshal(testAlert(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, dir, "alert.json", string(b))
	for _, id := range ids {
		run("render", "--config", config, "--channel", id, "--alert", file)
	}
	return out
}

// stored looks for secrets in every file of the data directory.
func stored(t *testing.T, dir string, secrets []string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, s := range secrets {
			if at := bytes.Index(b, []byte(s)); at >= 0 {
				t.Errorf("%s holds a secret, %q: ...%.200q", path, s, b[max(0, at-80):])
			}
		}
		return nil
	})
	if err != nil || files < 10 {
		t.Errorf("%d files read: %v", files, err)
	}
}

// TestBrokenSecretsAreNotRepeated: what is wrong with a secret is told by its place, never by its content; one that would break out of a header is
// refused.
func TestBrokenSecretsAreNotRepeated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, c := range []struct{ kind, file, text, want string }{
		{"webhook: {url: \"https://a.example/\", secret_file: s0}", "s0", "CANARY-no-prefix", "whsec_"},
		{"webhook: {url: \"https://a.example/\", secret_file: s1}", "s1", "whsec_CANARY!", "base64"},
		{"webhook: {url_file: s2}", "s2", "ftp://a.example/CANARY", "https"},
		{"slack: {url_file: s3}", "s3", "https://a.example/\r\nX-Evil: CANARY", "web address"},
		{"ntfy: {topic_file: t4, token_file: s4}", "s4", "good\r\nX-Evil: CANARY", "line break"},
		{"alertmanager: {url: \"https://a.example\", token_file: s5}", "s5", "good\nX-Evil: CANARY", "line break"},
		{"grafana: {url: \"https://a.example\", token_file: s6}", "s6", "good\rX-Evil: CANARY", "line break"},
		{"telegram: {token_file: s7, chat: \"-1001\"}", "s7", "12:ab\r\nX-Evil: CANARY", "token"},
		{"email: {server: mail.example, from: a@example.org, to: [b@example.org], dkim: {selector: s, key_file: s8}}", "s8", "CANARY", "PEM"},
	} {
		write(t, dir, "t4", "topic")
		write(t, dir, c.file, c.text)
		config := write(t, dir, fmt.Sprintf("c%d.yaml", i), "channels:\n  - id: x\n    "+c.kind+"\n")
		out, err := exec.Command("tocsin", "check", "--config", config).CombinedOutput()
		if err == nil || strings.Contains(string(out), "CANARY") || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: want %q: %v\n%s", c.kind, c.want, err, out)
		}
	}
	config := write(t, dir, "bus.yaml", "bus: {url: \"nats://u:CANARY-bus@127.0.0.1:1\", nkey_file: seed}\n")
	write(t, dir, "seed", "SUACANARY")
	c := exec.Command("tocsin", "run", "--config", config)
	out, err := c.CombinedOutput()
	if err == nil || strings.Contains(string(out), "CANARY") {
		t.Errorf("bus: %v\n%s", err, out)
	}
}
