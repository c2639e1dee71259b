package bus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// enter begins a Consume, Read or Watch call: the context ends with ctx, or when Close begins. leave must follow.
func (b *Bus) enter(ctx context.Context) (_ context.Context, leave func(), err error) {
	if err := b.gate.enter(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(b.run, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
		b.gate.leave()
	}, nil
}

// workContext is the context of one handler: it outlives ctx by the grace, but not a Close that runs out of time.
func (b *Bus) workContext(ctx context.Context) (work context.Context, done func()) {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stopGrace := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(b.opts.Grace, func() { cancel(ErrClosed) })
		context.AfterFunc(work, func() { t.Stop() })
	})
	stopKill := context.AfterFunc(b.alive, func() { cancel(ErrClosed) })
	return work, func() {
		stopGrace()
		stopKill()
		cancel(nil)
	}
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// handles keeps what nats.go would ask the server for again each time.
type handles struct {
	mu      sync.Mutex
	streams map[string]jetstream.Stream
}

func (h *handles) stream(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	h.mu.Lock()
	s, ok := h.streams[name]
	h.mu.Unlock()
	if ok {
		return s, nil
	}
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams == nil {
		h.streams = map[string]jetstream.Stream{}
	}
	h.streams[name] = s
	return s, nil
}

// gate counts calls under way and closes for new ones.
type gate struct {
	mu     sync.Mutex
	shut   bool
	inside int
	empty  chan struct{} // made by close
}

// enter registers a call; leave must follow. It fails once the gate is shut.
func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return ErrClosed
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.shut {
		close(g.empty)
	}
}

// close shuts the gate and waits for the calls inside. After the end of ctx they get a second to notice that they were cut off.
func (g *gate) close(ctx context.Context, what string) error {
	g.mu.Lock()
	g.shut, g.empty = true, make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-g.empty:
	case <-time.After(time.Second):
	}
	return fmt.Errorf("wait for %s: %w", what, ctx.Err())
}
