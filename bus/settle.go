package bus

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tocsin/news"
)

const maxErrorText = 1 << 10 // bytes of an error that a dead letter keeps

// call runs the handler. A panic in it is an error like another: one poisonous message must not take the program down again and again.
func (p *puller[T]) call(ctx context.Context, v T, meta Meta) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("handler panic: %v", r)
			p.b.log.Error("handler panics", "component", "bus", "reason", p.spec.name, "err", err, "line", string(debug.Stack()))
		}
	}()
	return p.in.handle(ctx, v, meta)
}

// keepAlive tells the server that the message is still being worked on, until stop is called.
func (p *puller[T]) keepAlive(m jetstream.Msg) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(p.spec.ackWait / 3)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				_ = m.InProgress() // the next one may get through; else the message comes back
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// finish settles a message after its handler.
func (p *puller[T]) finish(ctx context.Context, m jetstream.Msg, meta Meta, id string, err error) {
	if err == nil {
		p.ack(ctx, m, meta)
		return
	}
	if later := (*news.LaterError)(nil); errors.As(err, &later) {
		p.excused.note(meta.Sequence)
		p.later(m, later.After)
		return
	}
	if !ours(ctx, err) {
		tries := meta.Deliveries - min(p.excused.count(meta.Sequence), meta.Deliveries-1)
		p.b.log.Warn("handler failed", "component", p.spec.stage, "reason", p.spec.name, "attempt", tries, "item", id, "err", err)
		if p.spec.giveUp > 0 && tries >= uint64(p.spec.giveUp) {
			p.bury(ctx, m, meta, DeadHandlerError, id, err)
			return
		}
		p.later(m, p.b.backOff(tries))
		return
	}
	p.excused.note(meta.Sequence)
	if p.b.stopping() || ctx.Err() != nil {
		p.later(m, 0) // for another process, or for this one after its restart
		return
	}
	p.b.log.Warn("handler could not finish", "component", p.spec.stage, "reason", p.spec.name, "attempt", meta.Deliveries, "item", id, "err", err)
	p.later(m, p.b.backOff(meta.Deliveries))
}

// ours tells whether an error is the fault of the bus or of the end of work, not of the message: such a message is never given up.
func ours(ctx context.Context, err error) bool {
	return errors.Is(err, ErrStoreFull) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrClosed) || errors.Is(err, ErrDeposed) || errors.Is(err, context.Canceled) && ctx.Err() != nil
}

// backOff is the delay before the next delivery: 1 s after the first, doubling, at most a minute (60 times the first).
func (b *Bus) backOff(deliveries uint64) time.Duration {
	if deliveries > 6 {
		return 60 * b.timing.nak
	}
	return min(b.timing.nak<<(max(deliveries, 1)-1), 60*b.timing.nak)
}

// ack says that the message is done and waits until the server knows it. Without an answer the message comes back, with the same ids.
func (p *puller[T]) ack(ctx context.Context, m jetstream.Msg, meta Meta) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackBudget)
	defer cancel()
	defer context.AfterFunc(p.b.alive, cancel)()
	err := p.tryAck(ctx, m)
	for err != nil && ctx.Err() == nil {
		sleep(ctx, firstRetryWait)
		err = p.tryAck(ctx, m)
	}
	if err != nil {
		p.b.log.Warn("acknowledgement not confirmed, the message may come again", "component", "bus", "reason", p.spec.name, "err", err)
		return
	}
	p.excused.forget(meta.Sequence)
	p.b.metrics.progressed(p.spec.stage, time.Now())
}

func (p *puller[T]) tryAck(ctx context.Context, m jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, ackAttempt)
	defer cancel()
	defer context.AfterFunc(p.b.link.era(), cancel)()
	return m.DoubleAck(ctx)
}

func (p *puller[T]) later(m jetstream.Msg, after time.Duration) {
	var err error
	if after <= 0 {
		err = m.Nak()
	} else {
		err = m.NakWithDelay(after)
	}
	if err != nil {
		p.b.log.Warn("message not given back, it comes again by itself", "component", "bus", "reason", p.spec.name, "err", err)
	}
}

// bury makes a message a dead letter, and only then acknowledges it.
func (p *puller[T]) bury(ctx context.Context, m jetstream.Msg, meta Meta, reason, id string, why error) {
	text := why.Error()
	text = strings.ToValidUTF8(text[:min(len(text), maxErrorText)], "")
	d := news.DeadLetter{
		Stage: p.spec.stage, ID: id, Channel: p.spec.channel(), Reason: reason, Error: text,
		Subject: meta.Subject, Payload: m.Data(), Attempts: int(meta.Deliveries), Sequence: meta.Sequence, At: time.Now().UTC(),
	}
	if _, err := p.b.PublishDead(ctx, d); err != nil {
		p.b.log.Warn("dead letter not stored, the message comes again", "component", p.spec.stage, "reason", reason, "err", err)
		p.excused.note(meta.Sequence)
		p.later(m, p.b.backOff(meta.Deliveries))
		return
	}
	p.b.log.Error("message became a dead letter", "component", p.spec.stage, "reason", reason, "item", id, "err", why)
	p.ack(ctx, m, meta)
}

// excuses counts the deliveries of a message that ended without its own fault.
type excuses struct {
	mu sync.Mutex
	n  map[uint64]uint64 // sequence: deliveries
}

func (e *excuses) note(seq uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.n[seq]++
}

func (e *excuses) count(seq uint64) uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.n[seq]
}

func (e *excuses) forget(seq uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.n, seq)
}
