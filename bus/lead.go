package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// What waits for its time (digests, groups, quiet hours) and which stories are open is known to one process at a time. The server elects it: it
// pins one client of the consumer "planner". A pin elects but does not fence: a client may be stopped for a while, and another leader of the
// consumer knows no pin. So a lead is a lease as well: it ends by the clock of who holds it unless the server confirms it, and who leads next
// waits until the lease before must have ended.

const (
	leadKey  = "planner"       // key in bucket health: a message for the consumer, so that there is something to be pinned for
	leadTerm = 3 * time.Second // a lead ends so long after the request with which it was last confirmed
	leadRest = 4 * time.Second // before the work of a new lead begins
	leadPull = time.Second
)

// ErrDeposed is in the chain of errors of work that only the leading process may do, when this one leads no more. Nothing was stored by it that
// the next one will not find.
var ErrDeposed = errors.New("another process leads now")

// elected is the consumer whose pin elects the leading process. An embedded server without a port has one process.
func (l layout) elected() []consumerSpec {
	if !l.shared {
		return nil
	}
	return []consumerSpec{{stream: "KV_health", name: leadKey, filter: "$KV.health." + leadKey, stage: StageNotifier, pinned: true, unacked: true}}
}

// Term is a time in which this process leads.
type Term struct {
	ctx context.Context
	end context.CancelCauseFunc

	mu    sync.Mutex
	until time.Time
	timer *time.Timer
}

func newTerm(ctx context.Context, from time.Time) *Term {
	t := &Term{until: from.Add(leadTerm)}
	t.ctx, t.end = context.WithCancelCause(ctx)
	t.timer = time.AfterFunc(time.Until(t.until), func() { t.end(ErrDeposed) })
	return t
}

// confirm makes the term last longer; from is before the request that the server agreed to.
func (t *Term) confirm(from time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = from.Add(leadTerm)
	t.timer.Reset(time.Until(t.until))
}

// Lasts tells whether the term goes on.
func (t *Term) Lasts() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ctx.Err() == nil && time.Now().Before(t.until) // a process that was stopped may be ahead of its timers
}

// Within gives a context that ends with ctx or with the term, ErrDeposed when that is over. done must follow.
func (t *Term) Within(ctx context.Context) (_ context.Context, done func(), err error) {
	if !t.Lasts() {
		return nil, nil, ErrDeposed
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(t.ctx, func() { cancel(ErrDeposed) })
	return ctx, func() { stop(); cancel(nil) }, nil
}

// Lead calls f whenever this process is the one of its bus that leads, with a context that ends when it leads no more. It gives nil when ctx ends,
// and the error of f when f ends before its term does. After a process that led is gone another one leads within about ten seconds.
func (b *Bus) Lead(ctx context.Context, f func(context.Context, *Term) error) error {
	outer := ctx
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return fmt.Errorf("lead: %w", err)
	}
	defer leave()
	c := &candidate{b: b}
	for ctx.Err() == nil {
		began := time.Now()
		if !c.ask(ctx) {
			continue
		}
		t := newTerm(ctx, began)
		err := c.serve(t, f)
		if lost := t.ctx.Err() != nil; !lost {
			t.end(nil)
			return err
		}
		if ctx.Err() == nil {
			b.log.Info("another process may lead now", "component", "bus", "err", err)
		}
	}
	if outer.Err() == nil {
		return ErrClosed
	}
	return nil
}

// candidate asks to be the leading process.
type candidate struct {
	b      *Bus
	pin    string
	called time.Time // when it last wrote leadKey
}

// serve keeps the pin while f runs. It returns when f has.
func (c *candidate) serve(t *Term, f func(context.Context, *Term) error) error {
	keeper, stop := context.WithCancel(t.ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for keeper.Err() == nil {
			began := time.Now()
			if c.ask(keeper) {
				t.confirm(began)
			} else if c.pin == "" {
				t.end(ErrDeposed)
			}
		}
	})
	defer wg.Wait()
	defer stop()
	sleep(t.ctx, leadRest)
	if t.ctx.Err() != nil {
		return nil
	}
	c.b.log.Info("this process leads", "component", "bus")
	return f(t.ctx, t)
}

// ask sends one request for messages, and tells whether the server takes this process for the leading one.
func (c *candidate) ask(ctx context.Context) bool {
	m, err := c.pull(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.b.log.Debug("election not answered", "component", "bus", "err", err)
			sleep(ctx, leadPull/4)
		}
		return false
	}
	switch m.Header.Get("Status") {
	case "":
		c.pin = m.Header.Get("Nats-Pin-Id")
	case "404", "408": // in its time there was no message
		if c.pin == "" {
			c.call(ctx)
		}
	case "423":
		c.pin = ""
		return false
	default: // the consumer changes its own leader
		sleep(ctx, leadPull/4)
		return false
	}
	return c.pin != ""
}

// pull is one request with this candidate's pin. (nats.go's Fetch does not tell a request that was refused or lost from one without a message.)
func (c *candidate) pull(ctx context.Context) (*nats.Msg, error) {
	req, err := json.Marshal(map[string]any{"batch": 1, "expires": leadPull, "group": pinGroup, "id": c.pin})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*leadPull)
	defer cancel()
	return c.b.link.nc.RequestWithContext(ctx, "$JS.API.CONSUMER.MSG.NEXT.KV_health."+leadKey, req)
}

// call writes a message, for which somebody will be pinned if nobody is.
func (c *candidate) call(ctx context.Context) {
	if time.Since(c.called) < leadTerm/2 {
		return
	}
	c.called = time.Now()
	m := nats.NewMsg("$KV.health." + leadKey)
	m.Data = []byte(strconv.FormatInt(c.called.UnixMilli(), 10))
	if _, err := c.b.attempt(ctx, m); err != nil && ctx.Err() == nil {
		c.b.log.Debug("election not called", "component", "bus", "err", err)
	}
}
