package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/news"
)

const (
	publishBudget  = 15 * time.Second // an election of a cluster takes up to 9 s
	attemptBudget  = 5 * time.Second  // for one answer; after that the same message is sent again under the same id
	firstRetryWait = 50 * time.Millisecond
	maxRetryWait   = 2 * time.Second

	headerSchema = "Tocsin-Schema"
)

// Codes of the server's API errors, see errors.json of nats-server.
const (
	codeInsufficient    jetstream.ErrorCode = 10023 // the account's or the server's storage limit
	codeAccountExceeded jetstream.ErrorCode = 10002
	codeStorageExceeded jetstream.ErrorCode = 10047
	codeStoreFailed     jetstream.ErrorCode = 10077
	codeNoPeers         jetstream.ErrorCode = 10005 // a server of the cluster is not there yet
	codeUnavailable     jetstream.ErrorCode = 10008 // no leader at this moment
	codeNotLeader       jetstream.ErrorCode = 10009
	codeInProcess       jetstream.ErrorCode = 10158 // an earlier attempt with this id waits for the other servers
)

// PublishItem stores an item revision under its Key. It returns when the message is on disk; duplicate means that it was there already.
// Within 15 s it tries again by itself. Errors: ErrStoreFull, ErrUnavailable, ErrClosed, the end of ctx, or an item that cannot be encoded.
func (b *Bus) PublishItem(ctx context.Context, v news.Item) (duplicate bool, err error) {
	return publish(ctx, b, items, v)
}

// PublishMatch stores a match under its ID, as PublishItem does.
func (b *Bus) PublishMatch(ctx context.Context, v news.Match) (duplicate bool, err error) {
	return publish(ctx, b, matches, v)
}

// PublishAlert stores an alert revision under its Key, as PublishItem does.
func (b *Bus) PublishAlert(ctx context.Context, v news.Alert) (duplicate bool, err error) {
	return publish(ctx, b, alerts, v)
}

// StoreAlert stores the record of a match, as PublishAlert does. news.ErrConflict when another process stored this revision for another match:
// then what this one knows of the alert is out of date.
func (b *Bus) StoreAlert(ctx context.Context, v news.Alert) error {
	ack, err := store(ctx, b, alerts, v)
	if err != nil || !ack.Duplicate {
		return err
	}
	s, err := b.handles.stream(ctx, b.js, streamAlerts)
	if err != nil {
		return fmt.Errorf("look at the stored revision of alert %s: %w", v.ID, err)
	}
	m, err := s.GetMsg(ctx, ack.Sequence)
	if err != nil {
		return fmt.Errorf("look at the stored revision of alert %s: %w", v.ID, err)
	}
	switch old, err := news.Decode[news.Alert](m.Data); {
	case err != nil:
		return fmt.Errorf("look at the stored revision of alert %s: %w", v.ID, err)
	case old.Match.ID != v.Match.ID:
		return fmt.Errorf("revision %d of alert %s tells of another match: %w", v.Revision, v.ID, news.ErrConflict)
	}
	return nil
}

// PublishDelivery makes a delivery due, as PublishItem does. The server knows its id for an hour, also after the delivery is done, so that
// asking again on purpose needs a higher Replay. A channel that is not configured is refused: nobody would read the message.
func (b *Bus) PublishDelivery(ctx context.Context, v news.Delivery) (duplicate bool, err error) {
	if err := b.knownChannel(v.Channel); err != nil {
		return false, err
	}
	return publish(ctx, b, deliveries, v)
}

// PublishLedger appends to the ledger under the entry's Key, as PublishItem does.
func (b *Bus) PublishLedger(ctx context.Context, v news.LedgerEntry) (duplicate bool, err error) {
	return publish(ctx, b, ledger, v)
}

// PublishDead keeps a dead letter under its Key, as PublishItem does. A payload that is too large for one message is cut.
func (b *Bus) PublishDead(ctx context.Context, v news.DeadLetter) (duplicate bool, err error) {
	const most = news.MaxWire / 2 // JSON carries bytes as base64, and the other fields need room too
	if len(v.Payload) > most {
		v.Payload, v.Error = v.Payload[:most], fmt.Sprintf("%s (payload of %d bytes cut)", v.Error, len(v.Payload))
	}
	duplicate, err = publish(ctx, b, dead, v)
	if err == nil && !duplicate {
		b.metrics.dead.WithLabelValues(stageLabel(v.Stage)).Inc()
	}
	return duplicate, err
}

func (b *Bus) knownChannel(channel string) error {
	if b.layout.channels == nil {
		return nil
	}
	for _, ch := range b.layout.channels {
		if ch == channel {
			return nil
		}
	}
	return fmt.Errorf("publish delivery: channel %q is not configured", channel)
}

func publish[T news.Wire](ctx context.Context, b *Bus, t topic[T], v T) (duplicate bool, err error) {
	ack, err := store(ctx, b, t, v)
	if err != nil {
		return false, err
	}
	return ack.Duplicate, nil
}

func store[T news.Wire](ctx context.Context, b *Bus, t topic[T], v T) (*jetstream.PubAck, error) {
	data, err := news.Encode(v)
	if err != nil {
		return nil, err
	}
	m := nats.NewMsg(t.subject(&v))
	m.Data = data
	m.Header.Set(jetstream.MsgIDHeader, t.id(&v))
	if isCanary(&v) {
		m.Header.Set(jetstream.MsgTTLHeader, passingAge)
	}
	b.stamp(ctx, m)
	ack, _, err := b.send(ctx, t.stream, m)
	return ack, err
}

// stamp sets the headers that every message carries.
func (b *Bus) stamp(ctx context.Context, m *nats.Msg) {
	m.Header.Set(headerSchema, strconv.Itoa(news.Schema))
	m.Header.Set(headerTrace, nextTrace(ctx))
}

// send publishes m until the server says that it is stored, that it refuses, or until the budget ends. again tells that an earlier attempt
// got no answer: then the message may have been stored twice, or a compare-and-set may have lost against itself.
func (b *Bus) send(ctx context.Context, stream string, m *nats.Msg) (ack *jetstream.PubAck, again bool, err error) {
	if err := b.publish.enter(); err != nil {
		return nil, false, fmt.Errorf("publish to %s: %w", stream, err)
	}
	defer b.publish.leave()
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, b.timing.publish, ErrUnavailable)
	defer cancel()
	defer context.AfterFunc(b.alive, cancel)()
	g := b.groups.of(stream)
	crowded := g.enter() && b.spacious()
	defer g.leave()
	for wait := firstRetryWait; ; wait = min(2*wait, maxRetryWait) {
		if err := b.room(); err != nil {
			return nil, again, err
		}
		ack, err = b.once(ctx, g, m, crowded)
		if err == nil {
			b.metrics.publish.WithLabelValues(stream).Observe(time.Since(began).Seconds())
			return ack, again, nil
		}
		if final := b.judge(stream, m.Subject, err); final != nil {
			return nil, again, final
		}
		again = again || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errRenewed)
		select {
		case <-ctx.Done():
			return nil, again, b.gaveUp(ctx, stream, err)
		case <-time.After(wait):
		}
		crowded = false
	}
}

// once makes one attempt: together with others when many wait, else alone.
func (b *Bus) once(ctx context.Context, g *group, m *nats.Msg, crowded bool) (*jetstream.PubAck, error) {
	if crowded {
		if ack, err := b.together(ctx, g, m); !errors.Is(err, errAlone) {
			return ack, err
		}
	}
	g.single(1)
	defer g.single(-1)
	return b.attempt(ctx, m)
}

// errRenewed ends an attempt whose answer got lost with its connection.
var errRenewed = errors.New("the connection was made anew")

func (b *Bus) attempt(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timing.attempt)
	defer cancel()
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	defer context.AfterFunc(b.link.era(), func() { lost(errRenewed) })()
	ack, err := b.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0))
	if err != nil && errors.Is(context.Cause(ctx), errRenewed) {
		err = errRenewed
	}
	return ack, err
}

// room is nil when the embedded server may store something.
func (b *Bus) room() error {
	if b.srv == nil {
		return nil
	}
	return b.srv.room()
}

// judge gives the error to return when another attempt is pointless, nil when it is not.
func (b *Bus) judge(stream, subject string, err error) error {
	code := apiCode(err)
	switch {
	case code == codeInsufficient, code == codeAccountExceeded, code == codeStorageExceeded,
		code == codeStoreFailed && strings.Contains(err.Error(), "space"):
		place, next := b.place(), "raise the storage limit of the account or the server"
		if b.srv != nil {
			next = "raise bus.max_store"
		}
		return fault(place, "the storage limit is reached: "+cause(err), next+"; publishing goes on by itself", ErrStoreFull)
	case code == 0, code == codeInProcess, apiStatus(err) >= 500:
		if denied := b.link.deniedPublish(subject); denied != "" {
			return fault("subject "+subject, "this key may not publish to it: "+denied, "grant the right to its user on every server", err)
		}
		if errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("publish to %s: %w", stream, ErrClosed)
		}
		if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) {
			return fmt.Errorf("publish to %s: %w", stream, err)
		}
		if b.srv != nil && errors.Is(err, context.DeadlineExceeded) {
			b.srv.kick() // a stream that met a write error never answers
		}
		return nil
	}
	return fmt.Errorf("publish to %s: %w", stream, err)
}

// gaveUp is the error at the end of the budget, or of the caller's own context.
func (b *Bus) gaveUp(ctx context.Context, stream string, last error) error {
	if b.alive.Err() != nil {
		return fmt.Errorf("publish to %s: %w", stream, ErrClosed)
	}
	if why := context.Cause(ctx); !errors.Is(why, ErrUnavailable) {
		return fmt.Errorf("publish to %s: %w", stream, why)
	}
	if err := b.room(); err != nil {
		return err
	}
	next := "look at the log and the disk of the server: a stream that met a write error answers only after the server is restarted"
	if !b.Connected() {
		next = "start the server or mend the network; publishing goes on by itself"
	}
	return fault(b.place(), fmt.Sprintf("no answer to a publish to %s for %s: %s", stream, b.timing.publish, cause(last)), next, ErrUnavailable)
}

// place names the server for people.
func (b *Bus) place() string {
	if b.srv != nil {
		return b.opts.Dir
	}
	return redactURL(b.opts.URL)
}

// apiCode is the error code of the server's API, 0 when the error is not from there.
func apiCode(err error) jetstream.ErrorCode {
	var e *jetstream.APIError
	if errors.As(err, &e) {
		return e.ErrorCode
	}
	return 0
}

func apiStatus(err error) int {
	var e *jetstream.APIError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
