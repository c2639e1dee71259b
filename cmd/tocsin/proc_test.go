package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// proc is the command tocsin in a process of its own, so that it can be killed.
type proc struct {
	t      testing.TB
	cmd    *exec.Cmd
	config string
	addr   string
	done   chan struct{}
	mu     sync.Mutex
	log    bytes.Buffer
}

func (p *proc) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *proc) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// start runs `tocsin run --config FILE` and kills it when the test ends.
func start(t testing.TB, config, addr string, extra ...string) *proc {
	t.Helper()
	return launch(t, config, addr, nil, extra...)
}

// launch is start with further environment variables, as NAME=value.
func launch(t testing.TB, config, addr string, env []string, extra ...string) *proc {
	t.Helper()
	cmd := exec.Command("tocsin", append([]string{"run", "--config", config}, extra...)...)
	cmd.Env = append(os.Environ(), env...)
	return startCommand(t, cmd, config, addr)
}

func startCommand(t testing.TB, cmd *exec.Cmd, config, addr string) *proc {
	t.Helper()
	p := &proc{t: t, cmd: cmd, config: config, addr: addr, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(p.kill)
	return p
}

// startWithin runs the program as it is released, a static binary, with so many KiB of address space (ulimit -v).
func startWithin(t *testing.T, kib int, config, addr string) *proc {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "tocsin")
	build := exec.Command("go", "build", "-trimpath", "-o", bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return startCommand(t, exec.Command("sh", "-c", fmt.Sprintf("ulimit -v %d && exec %q run --config %q", kib, bin, config)), config, addr)
}

// kill is SIGKILL: nothing in the process gets a chance to put anything down.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// interrupt asks for an ordered stop and waits for it.
func (p *proc) interrupt(within time.Duration) error {
	_ = p.cmd.Process.Signal(os.Interrupt) // it may have ended already
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			return fmt.Errorf("exit status %d:\n%s", code, tail(p.output(), 3000))
		}
		return nil
	case <-time.After(within):
		return fmt.Errorf("still running %s after SIGINT:\n%s", within, tail(p.output(), 3000))
	}
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

// waitReady blocks until /readyz says ready.
func (p *proc) waitReady(within time.Duration) {
	p.t.Helper()
	waitFor(p.t, within, "instance to be ready", func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("instance ended:\n%s", tail(p.output(), 4000))
		default:
		}
		resp, err := http.Get("http://" + p.addr + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

func (p *proc) get(path string) string {
	p.t.Helper()
	resp, err := http.Get("http://" + p.addr + path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// rss is the resident memory of the process in bytes, 0 where /proc does not tell.
func (p *proc) rss() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

func waitFor(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for %s in vain", within, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// freeAddr is a loopback address that nothing listens on at this moment. It lies below the ports that systems give to outgoing connections, so that
// none of those takes it before the process under test does.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return addr
		}
	}
	t.Fatal("no free port between 10000 and 30000")
	return ""
}

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
