package main

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// TestRunRefuses starts the program on what it cannot work with: it ends soon, with place, fact and next step.
func TestRunRefuses(t *testing.T) {
	t.Parallel()
	old := oldServer(t)
	for _, c := range []struct{ name, config, want string }{
		{"unreachable bus", "bus: {url: \"nats://127.0.0.1:1\"}\n", "nats://127.0.0.1:1: "},
		{"old bus", fmt.Sprintf("bus: {url: \"nats://%s\"}\n", old), "2.9.10"},
		{"data directory is a file", "data_dir: afile\n", "afile"},
		{"no room for a data directory", "data_dir: afile/below\n", "afile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "afile", "not a folder\n")
			write(t, dir, "feeds.yaml", "feeds:\n  - {url: \"http://127.0.0.1:1/none.xml\", outlet: None, lang: en}\n")
			config := write(t, dir, "tocsin.yaml", c.config+fmt.Sprintf("http: {listen: %q}\nfetcher: {feeds: [feeds.yaml]}\n", freeAddr(t)))
			p := start(t, config, "")
			select {
			case <-p.done:
			case <-time.After(30 * time.Second):
				t.Fatalf("still running:\n%s", p.output())
			}
			out := p.output()
			t.Log(out)
			if code := p.cmd.ProcessState.ExitCode(); code != exitFailed && code != exitUsage {
				t.Errorf("exit status %d", code)
			}
			if !strings.Contains(out, c.want) || strings.Contains(out, "panic") {
				t.Errorf("the refusal does not name %q:\n%s", c.want, out)
			}
		})
	}
}

// oldServer answers like a NATS server of Debian bookworm.
func oldServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // ends with the test
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprint(c, `INFO {"server_id":"NA","server_name":"old","version":"2.9.10","proto":1,"go":"go1.19","host":"127.0.0.1","port":4222,"headers":true,"max_payload":1048576,"jetstream":true}`+"\r\n")
				buf := make([]byte, 4096)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					if strings.Contains(string(buf[:n]), "PING") {
						fmt.Fprint(c, "PONG\r\n")
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
