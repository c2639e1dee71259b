package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tocsin/news"
)

const readQuiet = 2 * time.Second // without a message, look whether there can be another

// ReadItems calls f with the items stored since the given time (the zero time means all), oldest first. With follow it goes on with new ones
// until ctx ends, and then gives nil. Without, it ends after the item that was the last when it began; if ctx ends before, it gives its error.
// An error of f ends it and is returned. Nothing is acknowledged or changed. What cannot be decoded is left out and logged; test items of the
// program itself are left out too.
func (b *Bus) ReadItems(ctx context.Context, since time.Time, follow bool, f func(news.Item, Meta) error) error {
	return read(ctx, b, streamItems, since, follow, f)
}

// ReadMatches reads matches, as ReadItems does.
func (b *Bus) ReadMatches(ctx context.Context, since time.Time, follow bool, f func(news.Match, Meta) error) error {
	return read(ctx, b, streamMatches, since, follow, f)
}

// ReadAlerts reads alerts, as ReadItems does.
func (b *Bus) ReadAlerts(ctx context.Context, since time.Time, follow bool, f func(news.Alert, Meta) error) error {
	return read(ctx, b, streamAlerts, since, follow, f)
}

// ReadLedger reads ledger entries, as ReadItems does.
func (b *Bus) ReadLedger(ctx context.Context, since time.Time, follow bool, f func(news.LedgerEntry, Meta) error) error {
	return read(ctx, b, streamLedger, since, follow, f)
}

// ReadDead reads dead letters, as ReadItems does. Meta.Sequence names the dead letter for DeleteDead; DeadLetter.Sequence is that of its input.
func (b *Bus) ReadDead(ctx context.Context, since time.Time, follow bool, f func(news.DeadLetter, Meta) error) error {
	return read(ctx, b, streamDead, since, follow, f)
}

// DeleteDead removes a dead letter. news.ErrNotFound when there is none under this number.
func (b *Bus) DeleteDead(ctx context.Context, seq uint64) error {
	if err := b.publish.enter(); err != nil {
		return fmt.Errorf("delete dead letter %d: %w", seq, err)
	}
	defer b.publish.leave()
	ctx, cancel := context.WithTimeout(ctx, publishBudget)
	defer cancel()
	err := patiently(ctx, func(ctx context.Context) error {
		s, err := b.handles.stream(ctx, b.js, streamDead)
		if err == nil {
			_, err = s.GetMsg(ctx, seq) // the answer to the deletion would not tell
		}
		if err == nil {
			err = s.DeleteMsg(ctx, seq)
		}
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = news.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("delete dead letter %d: %w", seq, err)
	}
	return nil
}

func read[T news.Wire](ctx context.Context, b *Bus, stream string, since time.Time, follow bool, f func(T, Meta) error) error {
	if !b.Sees(stream) {
		return fault("stream "+stream, "the key of this process may not read it", "ask a process that may: the notifier reads all of them", nil)
	}
	outer := ctx
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", stream, err)
	}
	defer leave()
	r := &reader{b: b, stream: stream, since: since, follow: follow}
	err = r.run(ctx, func(m jetstream.Msg, meta Meta) error {
		if from := forwarded(m); from != "" {
			b.log.Warn("stored message was forwarded from elsewhere, left out", "component", "bus", "reason", from, "count", meta.Sequence)
			return nil
		}
		v, err := news.Decode[T](m.Data())
		if err != nil {
			b.log.Warn("stored message cannot be decoded, left out", "component", "bus", "reason", stream, "count", meta.Sequence, "err", err)
			return nil
		}
		if isCanary(&v) {
			return nil
		}
		if err := f(v, meta); err != nil {
			return &stopError{err}
		}
		return nil
	})
	stop := (*stopError)(nil)
	switch {
	case errors.As(err, &stop):
		return stop.err
	case err == nil, outer.Err() != nil && follow:
		return nil
	case outer.Err() != nil:
		return fmt.Errorf("read %s: %w", stream, outer.Err())
	case ctx.Err() != nil:
		return fmt.Errorf("read %s: %w", stream, ErrClosed)
	}
	return fmt.Errorf("read %s: %w", stream, err)
}

// reader is one pass over a stream.
type reader struct {
	b      *Bus
	stream string
	since  time.Time
	follow bool
	end    uint64 // last sequence to read without follow
	seen   uint64 // last sequence read
}

// errBroken makes the reader begin again behind what it has read.
var errBroken = errors.New("subscription broke off")

func (r *reader) run(ctx context.Context, f func(jetstream.Msg, Meta) error) error {
	state, err := r.state(ctx)
	if err != nil {
		return err
	}
	r.end = state.LastSeq
	if !r.follow && (state.Msgs == 0 || state.LastTime.Before(r.since)) {
		return nil
	}
	for {
		err := r.pass(ctx, f)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(err, errBroken) {
			return err
		}
		r.b.log.Warn("reading of a stream broke off, starting again", "component", "bus", "reason", r.stream, "err", err)
		sleep(ctx, resubscribe)
	}
}

// pass reads with one consumer, until the end or until the consumer breaks.
func (r *reader) pass(ctx context.Context, f func(jetstream.Msg, Meta) error) error {
	c, err := r.consumer(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	if !r.follow && c.CachedInfo().NumPending == 0 {
		return nil
	}
	it, err := c.Messages(jetstream.PullExpiry(pullExpiry))
	if err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	defer it.Stop()
	for {
		m, err := r.next(ctx, it)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, context.DeadlineExceeded) && r.exhausted(ctx, c):
			return nil
		case err != nil:
			return fmt.Errorf("%w: %w", errBroken, err)
		}
		if end, err := r.take(m, f); end || err != nil {
			return err
		}
	}
}

// next waits for one message. With follow it waits without an end, so that the heartbeats are watched over; without, silence is a reason to look
// whether there is anything left, and if there is, to begin again: a pull can get lost when a server dies (measured in a cluster).
func (r *reader) next(ctx context.Context, it jetstream.MessagesContext) (jetstream.Msg, error) {
	if r.follow {
		return it.Next(jetstream.NextContext(ctx))
	}
	ctx, cancel := context.WithTimeout(ctx, readQuiet)
	defer cancel()
	return it.Next(jetstream.NextContext(ctx))
}

func (r *reader) take(m jetstream.Msg, f func(jetstream.Msg, Meta) error) (end bool, err error) {
	md, err := m.Metadata()
	if err != nil {
		return true, err
	}
	if !r.follow && md.Sequence.Stream > r.end {
		return true, nil
	}
	r.seen = md.Sequence.Stream
	if err := f(m, Meta{Stream: r.stream, Sequence: r.seen, Deliveries: md.NumDelivered, Stored: md.Timestamp, Subject: m.Subject()}); err != nil {
		return true, err
	}
	return !r.follow && (r.seen >= r.end || md.NumPending == 0), nil
}

// exhausted tells that nothing is left although the last message did not come: it may have been deleted meanwhile.
func (r *reader) exhausted(ctx context.Context, c jetstream.Consumer) bool {
	ctx, cancel := context.WithTimeout(ctx, r.b.timing.attempt)
	defer cancel()
	info, err := c.Info(ctx)
	return err == nil && info.NumPending == 0 && info.Delivered.Stream <= r.seen
}

// state asks for the stream afresh; a shared handle may be stale.
func (r *reader) state(ctx context.Context) (jetstream.StreamState, error) {
	ctx, cancel := context.WithTimeout(ctx, publishBudget)
	defer cancel()
	var state jetstream.StreamState
	err := patiently(ctx, func(ctx context.Context) error {
		s, err := r.b.js.Stream(ctx, r.stream)
		if err == nil {
			state = s.CachedInfo().State
		}
		return err
	})
	return state, err
}

func (r *reader) consumer(ctx context.Context) (jetstream.Consumer, error) {
	cfg := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy, InactiveThreshold: time.Minute}
	switch {
	case r.seen > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.seen+1
	case !r.since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.since
	}
	ctx, cancel := context.WithTimeout(ctx, publishBudget)
	defer cancel()
	return r.b.js.OrderedConsumer(ctx, r.stream, cfg)
}
