// Package bustest opens real buses for tests: embedded ones in a directory of the test, and servers like those that Tocsin meets outside.
// It promises that everything is closed and gone when the test ends, and that a bus that does not close in time fails the test.
package bustest

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tocsin/bus"
)

const budget = 20 * time.Second // to start, and to stop

// Open gives an embedded bus in a directory of the test. change may alter its options before.
func Open(tb testing.TB, change ...func(*bus.Options)) *bus.Bus {
	tb.Helper()
	b, err := TryOpen(tb, append([]func(*bus.Options){func(o *bus.Options) { o.Dir = tb.TempDir() }}, change...)...)
	if err != nil {
		tb.Fatalf("open bus: %v", err)
	}
	return b
}

// External gives a bus that is connected to a server of its own, as Server makes it, with the table set up.
func External(tb testing.TB, change ...func(*bus.Options)) *bus.Bus {
	tb.Helper()
	url := Server(tb).ClientURL()
	b, err := TryOpen(tb, append([]func(*bus.Options){func(o *bus.Options) { o.URL, o.Setup = url, true }}, change...)...)
	if err != nil {
		tb.Fatalf("open bus at %s: %v", url, err)
	}
	return b
}

// TryOpen opens a bus with nothing but the given options, a log that goes to the test, and a short grace for handlers. What it opens is closed
// when the test ends, if the test did not close it before.
func TryOpen(tb testing.TB, change ...func(*bus.Options)) (*bus.Bus, error) {
	tb.Helper()
	o := bus.Options{Log: Log(tb), MaxStore: 1 << 30, Grace: time.Second}
	for _, f := range change {
		f(&o)
	}
	ctx, cancel := context.WithTimeout(context.Background(), budget)
	defer cancel()
	b, err := bus.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), budget)
		defer cancel()
		if err := b.Close(ctx); err != nil && !tb.Failed() {
			tb.Errorf("close bus: %v", err)
		}
	})
	return b, nil
}

// Server runs a NATS server that listens on a free port of this machine and syncs every write, as an operator would run one. change may alter
// its options before.
func Server(tb testing.TB, change ...func(*server.Options)) *server.Server {
	tb.Helper()
	o := server.Options{
		ServerName: "external", Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: tb.TempDir(), SyncAlways: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 4 << 30, MaxPayload: 1 << 20,
	}
	for _, f := range change {
		f(&o)
	}
	s, err := server.NewServer(&o)
	if err != nil {
		tb.Fatalf("make server: %v", err)
	}
	s.Start()
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(budget) {
		tb.Fatal("the server does not get ready")
	}
	return s
}

// Log is a logger whose lines show with the test's own output.
func Log(tb testing.TB) *slog.Logger {
	w := &writer{tb: tb}
	tb.Cleanup(w.close)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// writer stops with the test: goroutines that are still ending may not write to it any more.
type writer struct {
	tb   testing.TB
	mu   sync.Mutex
	done bool
}

func (w *writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.done {
		return len(p), nil
	}
	return w.tb.Output().Write(p)
}

func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
}
