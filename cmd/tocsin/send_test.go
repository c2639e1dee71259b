package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mmcdole/gofeed"

	"tocsin/notifier"
	"tocsin/notifier/email"
)

const leaveKey = "CANARY-leave-0123456789abcdef0123456789"

// sendWorld is a running instance with a file, a program that fails as it is told, and a mail server that nobody answers for.
func sendWorld(t *testing.T) (p *proc, dir string) {
	t.Helper()
	dir = t.TempDir()
	addr := freeAddr(t)
	write(t, dir, "leave.key", leaveKey)
	write(t, dir, "feeds.token", "CANARY-feeds-0123456789\n")
	write(t, dir, "feeds.yaml", "feeds: []\n")
	program := write(t, dir, "program", "#!/bin/sh\ncat > "+dir+"/got\n. "+dir+"/then\n")
	if err := os.Chmod(program, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "then", "exit 0\n")
	write(t, dir, "lists/a.yaml", "id: a\ntitle: A\nentities:\n  - id: front\n    name: Front\n    aliases:\n      en: [Xylophone Front]\n")
	config := write(t, dir, "tocsin.yaml", fmt.Sprintf(`
data_dir: data
allow_exec: true
http: {listen: "%s", feeds: {token_file: feeds.token}}
bus: {max_store: 1GiB}
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1]}
matcher: {watchlists: lists}
channels:
  - id: archive
    file: {path: alerts.jsonl}
  - id: program
    exec: {command: [%s]}
  - id: mail
    email: {server: "127.0.0.1:1", tls: none, from: tocsin@example.org, to: [desk@example.org], unsubscribe_url: "https://tocsin.example.org/unsubscribe", unsubscribe_key_file: leave.key}
notifier:
  route: {channels: [archive]}
`, addr, program))
	p = start(t, config, addr)
	p.waitReady(2 * time.Minute)
	return p, dir
}

// command runs tocsin against the instance and gives what it printed and its exit code.
func (p *proc) command(args ...string) (string, int) {
	p.t.Helper()
	c := exec.Command("tocsin", append(args, "--server", "http://"+p.addr)...)
	out, err := c.CombinedOutput()
	if err != nil && c.ProcessState == nil {
		p.t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

func TestSendTest(t *testing.T) {
	p, dir := sendWorld(t)
	out, code := p.command("send", "--test", "archive")
	if code != exitOK || !strings.Contains(out, "delivered") || !strings.Contains(out, "test") {
		t.Fatalf("exit %d:\n%s", code, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "alerts.jsonl"))
	if err != nil || !strings.Contains(string(b), "this channel works") {
		t.Errorf("%v: %s", err, b)
	}
	write(t, dir, "then", "echo no room >&2; exit 75\n")
	if out, code := p.command("send", "--test", "program"); code != exitFailed || !strings.Contains(out, "attempt") || !strings.Contains(out, "exit 75: no room") {
		t.Errorf("a program that fails: exit %d:\n%s", code, out)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "got")); err != nil || !strings.Contains(string(got), `"reason":"test"`) {
		t.Errorf("%v: the program got %s", err, got)
	}
	if out, code := p.command("send", "--test", "nobody"); code != exitFailed || !strings.Contains(out, "no such channel") {
		t.Errorf("an unknown channel: exit %d:\n%s", code, out)
	}
	if out, code := p.command("send"); code != exitUsage || !strings.Contains(out, "--test CHANNEL") {
		t.Errorf("without a channel: exit %d:\n%s", code, out)
	}
	for _, where := range []string{p.get("/api/v1/status"), p.get("/metrics"), p.output()} {
		if strings.Contains(where, "CANARY") {
			t.Errorf("a secret is shown: %s", where)
		}
	}
	if m := p.get("/metrics"); !strings.Contains(m, "tocsin_ledger_mismatch 0") {
		t.Error("the ledger's identity does not hold")
	}
}

// TestLeavingAList: one click over the door, without login, and no more mail; an operator sees it and can lift it.
func TestLeavingAList(t *testing.T) {
	p, _ := sendWorld(t)
	l, err := email.NewLeaver(notifier.NewSecret(leaveKey))
	if err != nil {
		t.Fatal(err)
	}
	door := "http://" + p.addr + "/unsubscribe?t=" + l.Token("desk@example.org", "test")
	click := func(address string) int {
		resp, err := http.PostForm(address, url.Values{"List-Unsubscribe": {"One-Click"}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if code := click(door + "x"); code != http.StatusForbidden {
		t.Errorf("a false link gives %d", code)
	}
	if out, _ := p.command("suppressed", "list"); strings.Contains(out, "desk@") {
		t.Errorf("somebody left already:\n%s", out)
	}
	for range 2 { // clicking twice is no fault
		if code := click(door); code != http.StatusOK {
			t.Fatalf("the link gives %d", code)
		}
	}
	if out, code := p.command("suppressed", "list"); code != exitOK || strings.Count(out, "desk@example.org") != 1 {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if out, code := p.command("send", "--test", "mail"); code != exitFailed || !strings.Contains(out, "suppressed") || !strings.Contains(out, "unsubscribed") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if out, code := p.command("suppressed", "lift", "Desk@example.org"); code != exitOK || !strings.Contains(out, "1 lifted") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	if out, code := p.command("send", "--test", "mail"); code != exitFailed || !strings.Contains(out, "attempt") || !strings.Contains(out, "refused") {
		t.Errorf("after lifting the mail is tried: exit %d:\n%s", code, out)
	}
	if out, code := p.command("suppressed", "lift", "nobody@example.org"); code != exitFailed {
		t.Errorf("exit %d:\n%s", code, out)
	}
}

func TestAlertFeedsNeedTheirToken(t *testing.T) {
	p, _ := sendWorld(t)
	for _, form := range []string{"rss", "atom", "json"} {
		if s := p.get("/alerts." + form); !strings.Contains(s, "needs its token") {
			t.Errorf("%s without a token: %.80s", form, s)
		}
		if f, err := gofeed.NewParser().ParseString(p.get("/alerts." + form + "?token=CANARY-feeds-0123456789")); err != nil || f.Title != "Tocsin alerts" {
			t.Errorf("%s: %v", form, err)
		}
	}
}
