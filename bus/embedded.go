package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	maxPayload = 1 << 20

	// Recovery of a large store takes seconds (1M messages: 0.2 s, with as many Msg-Ids in their window after a kill 5 s).
	startBudget = 2 * time.Minute
	haltBudget  = 10 * time.Second

	// A restart after a write error only helps when there is room for more than the message that met it.
	restartRoom = 8 << 20
)

// embedded is the server inside the program, its lock on the data directory, and the doctor that restarts it.
//
// Measured with nats-server 2.15.2 on a full tmpfs: the message that meets ENOSPC gets no answer at all, its stream refuses every later
// message without an answer too, even long after there is room again, while the other streams work on; nothing acked is lost, and a restart
// of the server mends it in about 20 ms. So publishes stop before the disk is full (Options.DiskReserve), and a stream with a write error
// makes us restart the server as soon as there is room.
type embedded struct {
	opts    server.Options
	dir     string
	reserve int64 // bytes that stay free; negative: no guard
	log     *slog.Logger
	lock    *flock.Flock
	crashed bool // the process before did not close the bus, and the consumers are not set back yet
	logs    *serverLog
	kicked  chan struct{}
	onFull  func(full bool)
	onBoot  func()

	care sync.Mutex // held while the server is examined or replaced

	mu      sync.Mutex
	srv     *server.Server // nil while it restarts
	refusal *Fault         // why publishes are refused; nil when they are not
}

func newEmbedded(o Options) (*embedded, error) {
	host, port, err := loopback(o.Listen)
	if err != nil {
		return nil, err
	}
	lock, crashed, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{dir: o.Dir, reserve: o.DiskReserve, log: o.Log, lock: lock, crashed: crashed, kicked: make(chan struct{}, 1), onFull: func(bool) {}, onBoot: func() {}}
	e.logs = &serverLog{log: o.Log.With("component", "nats"), kick: e.kick}
	e.opts = server.Options{
		ServerName: "tocsin", DontListen: o.Listen == "", Host: host, Port: port,
		JetStream: true, StoreDir: o.Dir, SyncAlways: true, NoSigs: true,
		JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: o.MaxStore, MaxPayload: maxPayload,
	}
	return e, nil
}

// loopback reads Options.Listen. Who reaches that port may read and write everything, so only this machine may.
func loopback(listen string) (host string, port int, err error) {
	if listen == "" {
		return "", 0, nil
	}
	const next = `write an address of this machine, such as "127.0.0.1:4222", or leave it empty`
	host, p, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fault("bus.listen", fmt.Sprintf("%q is not host:port", listen), next, err)
	}
	if port, err = strconv.Atoi(p); err != nil || port < -1 || port > 65535 {
		return "", 0, fault("bus.listen", fmt.Sprintf("%q is not a port", p), next, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0, fault("bus.listen", fmt.Sprintf("%q is reachable from other machines, and the embedded server asks nobody for a password", host), next, nil)
	}
	return host, port, nil
}

// start boots the server and waits until it is ready. It is called again for a restart.
func (e *embedded) start(ctx context.Context) error {
	opts := e.opts
	e.logs.reset()
	srv, err := server.NewServer(&opts)
	if err != nil {
		return e.startFault(err)
	}
	srv.SetLoggerV2(e.logs, false, false, false)
	ctx, cancel := context.WithTimeout(ctx, startBudget)
	defer cancel()
	started := make(chan struct{})
	go func() {
		defer close(started)
		srv.Start()
	}()
	select {
	case <-started:
	case <-ctx.Done():
		halt(srv)
		return e.startFault(fmt.Errorf("not ready in time: %w", ctx.Err()))
	}
	if e.logs.lastFatal() != "" || !srv.ReadyForConnections(10*time.Second) || !srv.JetStreamEnabled() {
		halt(srv)
		return e.startFault(errors.New("it did not get ready"))
	}
	e.mu.Lock()
	e.srv = srv
	e.mu.Unlock()
	return nil
}

func (e *embedded) startFault(err error) error {
	fact := cause(err)
	if text := e.logs.lastFatal(); text != "" {
		fact = text
	}
	next := "the directory must be writable and have room; the lines before this one may tell more"
	if strings.Contains(fact, "listen") {
		next = "choose another port for bus.listen, or leave it empty"
	}
	return fault(e.dir, "the embedded server does not start: "+fact, next, err)
}

// InProcessConn gives a connection to the server of this moment. It makes a client outlive a restart of the server.
func (e *embedded) InProcessConn() (net.Conn, error) {
	srv := e.server()
	if srv == nil {
		return nil, errors.New("the embedded server is restarting")
	}
	return srv.InProcessConn()
}

func (e *embedded) server() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.srv
}

// stop shuts the server down and gives the directory free. When the server does not end in time the lock stays: it ends with the process.
func (e *embedded) stop() error {
	if srv := e.server(); srv != nil && !halt(srv) {
		return errors.New("the embedded server does not shut down")
	}
	return unlockDir(e.lock, !e.crashed)
}

// halt shuts a server down and waits until it has ended, within its budget.
func halt(srv *server.Server) bool {
	srv.Shutdown()
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.WaitForShutdown()
	}()
	select {
	case <-done:
		return true
	case <-time.After(haltBudget):
		return false
	}
}

// kick asks the doctor to look now.
func (e *embedded) kick() {
	select {
	case e.kicked <- struct{}{}:
	default:
	}
}

// refused is why publishes are refused, nil when they are not.
func (e *embedded) refused() *Fault {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.refusal
}

// room is nil when a publish may go on. It is asked before each one and costs a few microseconds.
func (e *embedded) room() error {
	if f := e.refused(); f != nil {
		return f
	}
	if e.tight(0) {
		e.kick()
		return e.noRoom()
	}
	return nil
}

// noRoom is the refusal while less than the reserve is free.
func (e *embedded) noRoom() *Fault {
	return e.full(fmt.Sprintf("less than %d MB of the disk are free", e.reserve>>20))
}

func (e *embedded) full(fact string) *Fault {
	return &Fault{e.dir, fact, "free space on this disk, or lower bus.max_store; publishing goes on by itself", ErrStoreFull}
}

// sickness is the refusal while a stream, or the whole server, does not store.
func (e *embedded) sickness(fact string) *Fault {
	if strings.Contains(fact, "no space left") {
		return e.full(fact)
	}
	return &Fault{e.dir, fact, "mend the disk or its mount; the server is restarted every minute, and publishing goes on by itself", ErrUnavailable}
}

// tight tells whether less than the reserve (and a margin) is free.
func (e *embedded) tight(margin int64) bool {
	free, ok := freeDisk(e.dir)
	return ok && e.reserve >= 0 && free < e.reserve+margin
}

// hopeless tells that a restart would meet the same full disk again.
func (e *embedded) hopeless(margin int64) bool {
	free, ok := freeDisk(e.dir)
	return ok && free < max(e.reserve+margin, restartRoom)
}

// doctor looks after the server until ctx ends: every interval, and when it is kicked.
func (e *embedded) doctor(ctx context.Context, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var last time.Time     // of the restarts
	var wait time.Duration // before the next one
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-e.kicked:
		}
		if sick := e.examine(); sick != "" && time.Since(last) >= wait {
			last, wait = time.Now(), min(max(2*wait, time.Second), time.Minute)
			e.restart(ctx, sick)
		} else if time.Since(last) > 2*time.Minute {
			wait = 0
		}
	}
}

// examine sets whether publishes are refused, and tells what a restart may mend; "" when nothing.
func (e *embedded) examine() (sick string) {
	e.care.Lock()
	defer e.care.Unlock()
	margin := int64(0)
	if e.refused() != nil {
		margin = max(e.reserve, 0) / 4 // so that a disk at the edge does not go to and fro
	}
	sick = e.diagnose()
	switch {
	case sick != "":
		e.refuse(e.sickness(sick))
		if e.hopeless(margin) {
			return ""
		}
	case e.tight(margin):
		e.refuse(e.noRoom())
	default:
		e.refuse(nil)
	}
	return sick
}

// diagnose tells what is wrong with the server, "" when nothing is.
func (e *embedded) diagnose() string {
	srv := e.server()
	if srv == nil {
		return "the embedded server is down"
	}
	h := srv.Healthz(&server.HealthzOptions{Details: true})
	for _, err := range h.Errors {
		switch err.Type {
		case server.HealthzErrorStream, server.HealthzErrorJetStream:
			return strings.TrimPrefix(err.Error, "JetStream ")
		}
	}
	return ""
}

func (e *embedded) refuse(f *Fault) {
	e.mu.Lock()
	before := e.refusal
	e.refusal = f
	e.mu.Unlock()
	if (before == nil) == (f == nil) {
		return
	}
	e.onFull(f != nil)
	if f != nil {
		e.log.Error("store takes no messages", "component", "bus", "file", e.dir, "reason", f.Fact)
		return
	}
	e.log.Info("store takes messages again", "component", "bus", "file", e.dir)
}

// restart replaces the server in place. The client reconnects, consumers go on, publishes that wait are sent again under the same id.
func (e *embedded) restart(ctx context.Context, why string) {
	e.care.Lock()
	defer e.care.Unlock()
	began := time.Now()
	if srv := e.server(); srv != nil && !halt(srv) {
		e.log.Error("embedded server does not shut down, so it cannot restart", "component", "bus", "reason", why)
		return
	}
	e.mu.Lock()
	e.srv = nil
	e.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	if err := e.start(ctx); err != nil {
		e.log.Error("embedded server does not restart", "component", "bus", "reason", why, "err", err)
		return
	}
	e.log.Warn("embedded server restarted", "component", "bus", "reason", why, "dur", time.Since(began))
	e.onBoot()
	e.kick()
}

// limit restarts the server with another limit of its whole store.
func (e *embedded) limit(ctx context.Context, bytes int64) {
	e.opts.JetStreamMaxStore = bytes
	e.restart(ctx, "storage limit changed")
}

// serverLog carries the server's log to ours. What the server calls a notice is for debugging here.
type serverLog struct {
	log  *slog.Logger
	kick func()

	mu    sync.Mutex
	fatal string
}

func (l *serverLog) reset() { l.set("") }

func (l *serverLog) set(s string) {
	l.mu.Lock()
	l.fatal = s
	l.mu.Unlock()
}

func (l *serverLog) lastFatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}

func (l *serverLog) Noticef(format string, v ...any) {
	l.log.Debug("server says", "status", fmt.Sprintf(format, v...))
}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("server warns", "status", fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error("server reports an error", "status", text)
	if strings.Contains(text, "write error") || strings.Contains(text, "no space left") {
		l.kick()
	}
}

// Fatalf does not end the program as the server's own logger would: start sees that the server is not ready and returns the text.
func (l *serverLog) Fatalf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.set(text)
	l.log.Error("server gives up", "status", text)
}

func (l *serverLog) Debugf(string, ...any) {}

func (l *serverLog) Tracef(string, ...any) {}
