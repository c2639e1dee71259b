package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

// TestBadConfigurationIsRefused: what an operator sees of a configuration that cannot work. Nothing is started with it.
func TestBadConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "broken.tmpl", "{{if .Title}}")
	write(t, dir, "env.tmpl", `{{env "HOME"}}`)
	const channels = "channels:\n  - id: desk-mail\n    stdout: {}\n"
	mail := func(template string) string {
		return "channels:\n  - id: desk-mail\n    email: {server: mail.example, from: a@example.org, to: [b@example.org], templates: {text: " + template + "}}\n"
	}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"broken matcher":   {channels + "notifier:\n  route:\n    channels: [desk-mail]\n    routes:\n      - {matchers: ['severity=~\"(\"'], channels: [desk-mail]}\n", []string{"tocsin.yaml:8:", "severity"}},
		"unknown label":    {channels + "notifier:\n  route:\n    channels: [desk-mail]\n    routes:\n      - {matchers: ['sevrity=\"high\"'], channels: [desk-mail]}\n", []string{"tocsin.yaml:8:", "did you mean", "severity"}},
		"unknown channel":  {channels + "notifier:\n  route: {channels: [desk-male]}\n", []string{"tocsin.yaml:5:", "desk-male", "did you mean", "desk-mail"}},
		"no channel":       {channels + "notifier:\n  route: {channels: []}\n", []string{"tocsin.yaml:5:", "channel"}},
		"broken template":  {mail("broken.tmpl"), []string{"tocsin.yaml:3", "broken.tmpl", "unexpected EOF"}},
		"no such function": {mail("env.tmpl"), []string{"tocsin.yaml:3", "env.tmpl", `function "env" not defined`}},
		"template missing": {mail("none.tmpl"), []string{"tocsin.yaml:3", "none.tmpl", "no such file"}},
	} {
		config := write(t, dir, "tocsin.yaml", c.text)
		out, err := exec.Command("tocsin", "check", "--config", config).CombinedOutput()
		if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitUsage {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		for _, w := range c.want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%s: %q is missing:\n%s", name, w, out)
			}
		}
		if _, err := os.Stat(dir + "/tocsin-data"); err == nil {
			t.Errorf("%s: a data directory was made", name)
		}
	}
}

// TestBadEndpointsAreToldAndKept: what a person sees of a delivery that cannot be made, and what is kept.
func TestBadEndpointsAreToldAndKept(t *testing.T) {
	t.Parallel()
	w, err := newsroom.Flood(1, 1, newsroom.Options{Seed: 1, Span: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	w.SetMailFault(func(_, to string) error {
		switch {
		case strings.HasPrefix(to, "full@"):
			return newsroom.MailRefusal(552, [3]int{5, 2, 2}, "Mailbox full")
		case strings.HasPrefix(to, "nobody@"):
			return newsroom.MailRefusal(550, [3]int{5, 1, 1}, "No such user")
		}
		return nil
	})
	small := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "at most 100 bytes", http.StatusRequestEntityTooLarge)
	}))
	defer small.Close()
	tls := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer tls.Close()
	dir, addr := t.TempDir(), freeAddr(t)
	write(t, dir, "ca.pem", string(w.CAPEM))
	write(t, dir, "right", w.SMTPPassword)
	write(t, dir, "wrong", "not it")
	write(t, dir, "feeds.yaml", "feeds: []\n")
	write(t, dir, "runaway.tmpl", "{{range .Why}}{{.Nothing}}{{end}}{{.NoSuchField}}")
	write(t, dir, "lists/a.yaml", "id: a\ntitle: A\nentities:\n  - id: front\n    name: Front\n    aliases:\n      en: [Xylophone Front]\n")
	mail := func(id, server, password, to, more string) string {
		return fmt.Sprintf("  - id: %s\n    email: {server: %q, username: %s, password_file: %s, from: a@example.org, to: [%s], %s}\n", id, server, w.SMTPUser, password, to, more)
	}
	p := start(t, write(t, dir, "tocsin.yaml", fmt.Sprintf("data_dir: data\nhttp: {listen: %q}\nbus: {max_store: 1GiB}\nfetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1]}\nmatcher: {watchlists: lists}\nchannels:\n", addr)+
		mail("unreachable", "127.0.0.1:1", "right", "desk@example.org", "ca_file: ca.pem")+
		mail("password", w.SMTPAddr, "wrong", "desk@example.org", "ca_file: ca.pem")+
		mail("certificate", w.SMTPAddr, "right", "desk@example.org", "tls: starttls")+
		mail("full", w.SMTPAddr, "right", "full@example.org", "ca_file: ca.pem")+
		mail("nobody", w.SMTPAddr, "right", "nobody@example.org", "ca_file: ca.pem")+
		mail("template", w.SMTPAddr, "right", "desk@example.org", "ca_file: ca.pem, templates: {text: runaway.tmpl}")+
		fmt.Sprintf("  - {id: small, webhook: {url: %q, allow_http: true}, schedule: [0s, 1s]}\n", small.URL)+
		fmt.Sprintf("  - {id: webcert, webhook: {url: %q}}\n", tls.URL)+
		"notifier:\n  route: {channels: [unreachable]}\n"), addr)
	p.waitReady(2 * time.Minute)
	for _, c := range []struct {
		channel string
		exit    int
		sees    []string // of `tocsin send --test`
		kept    string   // pending, dead or delivered
	}{
		{"unreachable", exitFailed, []string{"attempt", "retry", "connection refused"}, "pending"},
		{"password", exitFailed, []string{"attempt", "config", "535"}, "pending"},
		{"certificate", exitFailed, []string{"attempt", "config", "certificate"}, "pending"},
		{"full", exitFailed, []string{"attempt", "retry", "552 5.2.2 Mailbox full"}, "pending"},
		{"nobody", exitFailed, []string{"550 5.1.1 No such user"}, "dead"},
		{"template", exitOK, []string{"delivered"}, "delivered"},
		{"small", exitFailed, []string{"attempt", "refused", "413", "at most 100 bytes"}, "dead"},
		{"webcert", exitFailed, []string{"attempt", "config", "certificate"}, "pending"},
	} {
		out, code := p.command("send", "--test", c.channel)
		if code != c.exit {
			t.Errorf("%s: exit %d", c.channel, code)
		}
		for _, s := range c.sees {
			if !strings.Contains(out, s) {
				t.Errorf("%s: %q is missing:\n%s", c.channel, s, out)
			}
		}
		waitFor(t, 30*time.Second, c.channel+" to be "+c.kept, func() bool {
			return strings.Contains(p.get("/metrics"), "tocsin_ledger_mismatch 0") && p.keeps(c.channel) == c.kept
		})
	}
	if m := p.get("/metrics"); !strings.Contains(m, `tocsin_template_errors_total{channel="template"} 1`) {
		t.Error("the template's failure is not counted")
	}
	if mails := w.Mails(); len(mails) != 1 || !strings.Contains(string(mails[0].Raw), "this channel works") {
		t.Errorf("%d mails; the built-in form did not go out", len(mails))
	}
	for _, number := range []string{"nobody", "small"} {
		if out, _ := p.command("dead", "list"); !strings.Contains(out, number) {
			t.Errorf("no dead letter of %s:\n%s", number, out)
		}
	}
	if s := p.get("/api/v1/status"); strings.Count(s, `"LastError":"`)-strings.Count(s, `"LastError":""`) < 4 {
		t.Errorf("the status does not tell what is wrong: %s", s)
	}
}

// keeps tells what became of the one delivery of a channel, "" when that is not known.
func (p *proc) keeps(channel string) string {
	out, _ := p.command("ledger", "check", "--since", "1h")
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) < 6 || f[0] != channel {
			continue
		}
		for i, state := range []string{"accepted", "delivered", "dead", "suppressed", "pending"} {
			if i > 0 && f[i+1] == "1" {
				return state
			}
		}
	}
	return ""
}
