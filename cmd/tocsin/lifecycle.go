package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/bus"
	"tocsin/news"
)

// run starts the stages and serves HTTP until ctx ends or a stage fails, then stops in order: not ready, stages, bus, HTTP last.
func (in *instance) run(ctx context.Context) error {
	handler, err := in.tokened(in.withHubs(in.handler()))
	if err != nil {
		return errors.Join(err, in.stop(ctx, &sync.WaitGroup{}, &http.Server{}))
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	httpDone := make(chan error, 1)
	go func() { httpDone <- srv.Serve(in.cfg.encrypted(in.listen)) }()
	stagesCtx, stopStages := context.WithCancel(ctx)
	defer stopStages()
	var wg sync.WaitGroup
	failed := make(chan error, 64)
	for _, s := range in.pipeline() {
		wg.Go(func() {
			if err := in.guarded(stagesCtx, s); err != nil {
				failed <- fmt.Errorf("%s stopped: %w", s.name, err)
			}
		})
	}
	in.ready.Store(true)
	in.log.Info("started", "component", in.roles.String(), "count", len(in.cfg.Channels))
	select {
	case <-ctx.Done():
	case err = <-failed:
	case err = <-httpDone:
	}
	in.ready.Store(false)
	stopStages()
	return errors.Join(err, in.stop(ctx, &wg, srv))
}

// guarded runs a stage; a panic in one becomes an error, so that the others put down their work in order.
func (in *instance) guarded(ctx context.Context, s stage) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	err = s.run(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func (in *instance) stop(parent context.Context, wg *sync.WaitGroup, srv *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), stopWithin)
	defer cancel()
	stopped := make(chan struct{})
	go func() { wg.Wait(); close(stopped) }()
	select {
	case <-stopped:
	case <-ctx.Done():
		in.log.Warn("stopped with work in hand; it comes back at the next start")
	}
	var errs []error
	if err := in.bus.Close(ctx); err != nil {
		errs = append(errs, fmt.Errorf("close the bus: %w", err))
	}
	if err := in.trace.close(ctx); err != nil {
		in.log.Warn("traces not exported", "err", err)
	}
	quick, cancelQuick := context.WithTimeout(ctx, 2*time.Second)
	defer cancelQuick()
	if err := srv.Shutdown(quick); err != nil {
		errs = append(errs, srv.Close())
	}
	in.log.Info("stopped", "dur", time.Since(in.began).Round(time.Millisecond))
	return errors.Join(errs...)
}

// recent keeps the last alerts in memory, for the status page and the feeds of alerts.
type recent struct {
	mu     sync.RWMutex
	alerts []news.Alert // newest last
	limit  int
}

func newRecent(limit int) *recent { return &recent{limit: limit} }

func (r *recent) add(a news.Alert) {
	a.Match.Item.Body = "" // not shown in lists; keeps memory small
	r.mu.Lock()
	defer r.mu.Unlock()
	r.alerts = append(r.alerts, a)
	if len(r.alerts) > r.limit {
		r.alerts = append(r.alerts[:0:0], r.alerts[len(r.alerts)-r.limit:]...)
	}
}

// newest gives up to n alerts that were meant for people, newest first.
func (r *recent) newest(n int, keep func(*news.Alert) bool) []news.Alert {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var out []news.Alert
	for i := len(r.alerts) - 1; i >= 0 && len(out) < n; i-- {
		if a := &r.alerts[i]; a.Kind != news.KindFold && (keep == nil || keep(a)) {
			out = append(out, *a)
		}
	}
	return out
}

func (in *instance) followAlerts(ctx context.Context) error {
	return in.bus.ReadAlerts(ctx, time.Now().Add(-30*24*time.Hour), true, func(a news.Alert, m bus.Meta) error {
		in.page.Alert(&a, m.Sequence)
		if a.Kind != news.KindHeartbeat {
			in.recent.add(a)
		}
		return nil
	})
}

// version is stamped at release by -ldflags "-X main.version=v1.2.3"; else the module's own version is used.
var version = ""

func programVersion() string {
	if version != "" {
		return version
	}
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" && bi.Main.Version != "(devel)" {
		return bi.Main.Version
	}
	return "dev"
}

func userAgent(contact string) string {
	if contact == "" {
		return "Tocsin/" + programVersion()
	}
	return fmt.Sprintf("Tocsin/%s (+%s)", programVersion(), contact)
}

func buildInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tocsin_build_info", Help: "Version of the running program; the value is always 1.",
		ConstLabels: prometheus.Labels{"version": programVersion()},
	})
	g.Set(1)
	return g
}

func newLogger(c logConfig, out std) *slog.Logger {
	o := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(out.err, o))
	}
	return slog.New(slog.NewTextHandler(out.err, o))
}
