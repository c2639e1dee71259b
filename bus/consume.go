package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/news"
)

// Reasons of dead letters that the bus itself writes: the closed list of its DeadLetter.Reason.
const (
	DeadUndecodable    = "undecodable"     // the message is not what its stream holds
	DeadHandlerError   = "handler_error"   // its handler failed as often as it may
	DeadChannelRemoved = "channel_removed" // its channel is no longer configured
	DeadForwarded      = "forwarded"       // the server took it from another stream, which no role asks for: somebody else has a role's key
)

const (
	ackBudget    = 10 * time.Second
	ackAttempt   = 2 * time.Second
	firstNakWait = time.Second

	// Before a subscription that broke off is made again; doubling up to the second.
	resubscribe    = time.Second
	maxResubscribe = 15 * time.Second
)

// Meta tells where a message was read from.
type Meta struct {
	Stream     string
	Sequence   uint64 // in the stream
	Deliveries uint64 // 1 the first time
	Stored     time.Time
	Subject    string
}

// ConsumeItems hands items to h, workers at a time, until ctx ends and every handler has returned; then it gives nil (or ErrClosed when the
// bus was closed first). While h runs the message stays its own. When h returns nil the message is done for good. With a *news.LaterError it
// comes back after that delay, with another error after 1 s, 2 s, 4 s and so on up to a minute. At the fifth delivery an error makes it a dead
// letter, unless the error comes from the bus itself or from the end of a context. What cannot be decoded becomes a dead letter at once.
// The context of h carries the message's trace, and outlives ctx by Options.Grace.
func (b *Bus) ConsumeItems(ctx context.Context, workers int, h func(context.Context, news.Item, Meta) error) error {
	return consume(ctx, b, specOf(StageMatcher), workers, intake[news.Item]{news.Decode[news.Item], func(v *news.Item) string { return v.ID }, h})
}

// ConsumeMatches hands matches to h, as ConsumeItems does. One process at a time gets them: another takes over when it goes.
func (b *Bus) ConsumeMatches(ctx context.Context, workers int, h func(context.Context, news.Match, Meta) error) error {
	return consume(ctx, b, specOf(StageNotifier), workers, intake[news.Match]{news.Decode[news.Match], func(v *news.Match) string { return v.ID }, h})
}

// ConsumeAlerts hands alerts to h, as ConsumeMatches does.
func (b *Bus) ConsumeAlerts(ctx context.Context, workers int, h func(context.Context, news.Alert, Meta) error) error {
	return consume(ctx, b, specOf(StageRouter), workers, intake[news.Alert]{news.Decode[news.Alert], func(v *news.Alert) string { return v.ID }, h})
}

// ConsumeDeliveries hands the due deliveries of one channel to h, as ConsumeItems does, but never gives one up: that is for h to decide.
func (b *Bus) ConsumeDeliveries(ctx context.Context, channel string, workers int, h func(context.Context, news.Delivery, Meta) error) error {
	if err := b.knownChannel(channel); err != nil {
		return err
	}
	spec := channelSpec(token(channel), b.layout.concurrencyOf(channel))
	return consume(ctx, b, spec, workers, intake[news.Delivery]{news.Decode[news.Delivery], func(v *news.Delivery) string { return v.ID }, h})
}

// ConsumeDue hands the ids of feeds whose poll is due to h, as ConsumeItems does, but never gives one up: that would end the feed in silence.
// h arms the next poll with ArmFetch before it returns nil; a feed whose handler does not is polled no more.
func (b *Bus) ConsumeDue(ctx context.Context, workers int, h func(ctx context.Context, feedID string) error) error {
	return consume(ctx, b, specOf(StageFetcher), workers, intake[string]{
		decodeFeedID, func(v *string) string { return *v },
		func(ctx context.Context, id string, _ Meta) error { return h(ctx, id) },
	})
}

func decodeFeedID(data []byte) (string, error) {
	if len(data) == 0 || len(data) > 256 {
		return "", fmt.Errorf("a feed id of %d bytes", len(data))
	}
	return string(data), nil
}

// intake is how messages of one type are read and handled.
type intake[T any] struct {
	decode func([]byte) (T, error)
	id     func(*T) string
	handle func(context.Context, T, Meta) error
}

// puller is one Consume call.
type puller[T any] struct {
	b       *Bus
	spec    consumerSpec
	in      intake[T]
	busy    sync.WaitGroup
	excused excuses
	slots   chan struct{} // one for each worker that is busy or that a message is asked for
}

func consume[T any](ctx context.Context, b *Bus, spec consumerSpec, workers int, in intake[T]) error {
	outer := ctx
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return fmt.Errorf("consume %s: %w", spec.name, err)
	}
	defer leave()
	p := &puller[T]{b: b, spec: spec, in: in, slots: make(chan struct{}, max(workers, 1)), excused: excuses{n: map[uint64]uint64{}}}
	b.metrics.progressed(spec.stage, time.Now())
	for wait := resubscribe; ctx.Err() == nil; wait = min(2*wait, maxResubscribe) {
		began := time.Now()
		if err := p.pull(ctx); err != nil && ctx.Err() == nil {
			if time.Since(began) > maxResubscribe {
				wait = resubscribe // it had worked for a while
			}
			b.log.Warn("subscription broke off, starting again", "component", "bus", "reason", spec.name, "err", err)
			sleep(ctx, wait)
		}
	}
	p.busy.Wait()
	if outer.Err() == nil {
		return ErrClosed
	}
	return nil
}

// pull takes messages until ctx ends or the consumer cannot be asked. It asks for as many messages as workers are free: what lies in a buffer
// would be delivered again when its time is over. It uses Fetch, because Consume (nats.go 1.55.0) forgets to ask again when the one message it
// asked for is handled before it has noted that it asked: measured as a consumer that stood still for 10 s beside hundreds of messages.
func (p *puller[T]) pull(ctx context.Context) error {
	c, err := p.consumer(ctx)
	if err != nil {
		return err
	}
	for {
		n := p.reserve(ctx)
		if n == 0 {
			return ctx.Err()
		}
		if err := p.batch(ctx, c, n); err != nil && ctx.Err() == nil && !ordinary(err) {
			return err
		}
	}
}

// batch asks once for n messages and hands each to a worker of its own. The workers of messages that did not come are free again at its end.
func (p *puller[T]) batch(ctx context.Context, c jetstream.Consumer, n int) error {
	defer func() { p.release(n) }()
	era := p.b.link.era()
	if !p.b.Connected() { // Fetch would fail, and leave its subscription behind
		sleep(ctx, embeddedRetry)
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, p.spec.expiry())
	defer cancel()
	defer context.AfterFunc(era, cancel)() // a server that was restarted has forgotten the pull
	opts := []jetstream.FetchOpt{jetstream.FetchContext(asking), jetstream.FetchHeartbeat(p.spec.expiry() / 5)}
	if p.spec.pinned {
		opts = append(opts, jetstream.FetchPriorityGroup(pinGroup))
	}
	batch, err := c.Fetch(n, opts...)
	if err != nil {
		return err
	}
	for m := range batch.Messages() {
		if ctx.Err() != nil {
			_ = m.Nak() // it came at the last moment; so it goes back at once instead of after its AckWait
			continue
		}
		n--
		p.busy.Go(func() {
			defer p.release(1)
			p.message(ctx, m)
		})
	}
	return batch.Error()
}

// ordinary tells whether an error of a pull belongs to everyday life: the next pull goes out at once.
func ordinary(err error) bool {
	for _, e := range []error{nats.ErrTimeout, context.DeadlineExceeded, context.Canceled, jetstream.ErrNoMessages, jetstream.ErrPinIDMismatch} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// reserve takes the workers that are free, one at least unless ctx ends.
func (p *puller[T]) reserve(ctx context.Context) (n int) {
	select {
	case p.slots <- struct{}{}:
		n = 1
	case <-ctx.Done():
		return 0
	}
	for {
		select {
		case p.slots <- struct{}{}:
			n++
		default:
			return n
		}
	}
}

func (p *puller[T]) release(n int) {
	for range n {
		<-p.slots
	}
}

func (p *puller[T]) consumer(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, setupBudget)
	defer cancel()
	return p.b.js.Consumer(ctx, p.spec.stream, p.spec.name)
}

func (p *puller[T]) message(ctx context.Context, m jetstream.Msg) {
	md, err := m.Metadata()
	if err != nil {
		p.b.log.Error("message without metadata left alone", "component", "bus", "reason", p.spec.name, "err", err)
		return
	}
	meta := Meta{Stream: p.spec.stream, Sequence: md.Sequence.Stream, Deliveries: md.NumDelivered, Stored: md.Timestamp, Subject: m.Subject()}
	work, done := p.b.workContext(WithTrace(ctx, m.Headers().Get(headerTrace)))
	defer done()
	stop := p.keepAlive(m)
	defer stop()
	if from := forwarded(m); from != "" {
		p.b.log.Error("message was forwarded from elsewhere, refused: somebody may have the key of a role", "component", "bus", "reason", p.spec.name, "url", from)
		p.bury(work, m, meta, DeadForwarded, p.spec.stream+"-"+strconv.FormatUint(meta.Sequence, 10), errors.New("it came from "+from))
		return
	}
	v, err := p.in.decode(m.Data())
	if err != nil {
		p.bury(work, m, meta, DeadUndecodable, p.spec.stream+"-"+strconv.FormatUint(meta.Sequence, 10), err)
		return
	}
	p.finish(work, m, meta, p.in.id(&v), p.call(work, v, meta))
}

// forwarded tells where a message was before it came to its stream, "" when it was published there. A server checks what a key publishes to, but not
// the subject that a request names for its answer: who may read a stored message may have it put into any stream. What came that way says so, and
// so does what a schedule of another stream made.
func forwarded(m jetstream.Msg) string {
	if from := m.Headers().Get(jetstream.StreamHeader); from != "" {
		return from
	}
	root, _, _ := strings.Cut(m.Subject(), ".")
	if from := m.Headers().Get(jetstream.SchedulerHeader); from != "" && !strings.HasPrefix(from, root+".") {
		return from
	}
	return ""
}
